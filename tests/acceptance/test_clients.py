"""docs/clients against a real agent, in this Python and in the oldest ones that are at hand."""

import hashlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.copied import CLIENTS, SECONDS, Found, held, module, pythons, run, spooled
from tests.ledgers import elog_files
from tests.world import EXPERIMENT, World, wait_until
from tests.zygote import Zygote

client = module(CLIENTS / "holdfast_client.py")
lute = module(CLIENTS / "lute_elog.py")

PLOT = os.urandom(300_000)


@pytest.fixture(scope="module")
def world(zygote: Zygote) -> Iterator[World]:
    with World(zygote) as world:
        world.start()
        yield world


def holdfast_in(world: World, timeout: float = SECONDS) -> Any:
    return client.Holdfast(str(world.home / "agent.sock"), str(world.spool), timeout)


def events(world: World, mark: str, count: int) -> Found:
    return held(world, count, lambda: [o for o in world.events.ledger() if mark in str(o)])


def posts(world: World, mark: str, count: int) -> Found:
    return held(
        world, count, lambda: [o for o in world.elog.ledger() if mark in o.get("content", "")]
    )


def event(mark: str) -> dict[str, Any]:
    return {"event_type": "test", "event_data": {"mark": mark}}


def test_what_a_hanging_agent_got_by_both_ways_is_one_event(world: World) -> None:
    world.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        outcome = holdfast_in(world, 0.2).put("events", event("both ways"))
        assert time.monotonic() - began < 5
        assert [str(path) for path in spooled(world, "events")] == [outcome.path]
    finally:
        world.send(signal.SIGCONT)

    assert len(events(world, "both ways", 1)) == 1


def test_after_a_crash_the_same_key_is_the_same_entry_by_whichever_way(world: World) -> None:
    dies = (
        "import holdfast_client, os\n"
        "holdfast_client.Holdfast().put('events', {'event_type': 'test',"
        " 'event_data': {'mark': 'after a crash'}}, key='scan-42')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run(world, sys.executable, "-c", dies, code=-signal.SIGKILL)

    again = holdfast_in(world).put("events", event("after a crash"), key="scan-42")
    away = holdfast_in(world)
    away.socket = "/none"
    assert away.put("events", event("after a crash"), key="scan-42").state == "spooled"

    assert (again.state, again.key) == ("duplicate", "scan-42")
    wait_until(lambda: not spooled(world, "events"), SECONDS)
    assert len(events(world, "after a crash", 1)) == 1


def test_the_agents_own_refusal_comes_with_its_pointers(world: World) -> None:
    with pytest.raises(client.Refused) as refused:
        holdfast_in(world).put("events", {"event_type": "nonsense"})
    assert [pointer for pointer, _ in refused.value.errors] == ["/payload/event_type"]

    holdfast_in(world).put("events", event("a"), key="taken")
    with pytest.raises(client.Refused) as refused:
        holdfast_in(world).put("events", event("b"), key="taken")
    assert refused.value.status == 409
    with pytest.raises(client.Refused, match="no backend"):
        holdfast_in(world).put("evnets", event("c"))


@pytest.mark.parametrize("way", ["socket", "spool"])
def test_files_arrive_byte_for_byte(world: World, tmp_path: Path, way: str) -> None:
    (tmp_path / "plöt 1.png").write_bytes(PLOT)
    holdfast = holdfast_in(world)
    if way == "spool":
        holdfast.socket = "/none"
    files = [tmp_path / "plöt 1.png", ("note", b"hello", "text/plain")]

    holdfast.put("elog", {"experiment": EXPERIMENT, "text": f"by {way}"}, attachments=files)

    [post] = posts(world, f"by {way}", 1)
    assert elog_files(world, EXPERIMENT, post["attachments"]) == {
        "plöt 1.png": hashlib.sha256(PLOT).hexdigest(),
        "note": hashlib.sha256(b"hello").hexdigest(),
    }
    assert [one["type"] for one in post["attachments"]] == ["image/png", "text/plain"]


def test_log_records_arrive_as_events_with_their_own_time(world: World) -> None:
    logger = logging.Logger("daq")  # noqa: LOG001 - nobody else shall have it
    logger.addHandler(client.HoldfastHandler("events", holdfast_in(world)))

    logger.warning("motor %s stalls at \x00 %s", "m1", os.fsdecode(b"\xff"))

    [told] = events(world, "stalls at", 1)
    assert (told["event_type"], told["log_level"]) == ("log_warning", 30)
    assert told["event_data"]["message"] == "motor m1 stalls at \x00 \\udcff"


def test_lutes_calls_reach_the_elog_through_the_agent(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOLDFAST_AGENT__SOCKET", str(world.home / "agent.sock"))
    monkeypatch.setenv("HOLDFAST_AGENT__SPOOL_DIR", str(world.spool))
    lute._agent.cache_clear()
    (tmp_path / "p.png").write_bytes(PLOT)

    files = [(str(tmp_path / "p.png"), "r2/peaks")]
    told = lute.post_elog_message(EXPERIMENT, "by LUTE", tag="A B", title="T", in_files=files)
    table = lute.post_elog_run_table(EXPERIMENT, 2, {"hits": 41, "rate": float("nan")})
    blank = lute.post_elog_message(EXPERIMENT, " ", tag=None, title=None)

    assert (told, table) == (None, None)
    assert "Response 422" in blank
    assert "/payload/text" in blank
    [post] = posts(world, "by LUTE", 1)
    assert (post["tags"], post["title"]) == (["A", "B"], "T")
    files_there = elog_files(world, EXPERIMENT, post["attachments"])
    assert files_there == {"r2_peaks": hashlib.sha256(PLOT).hexdigest()}
    params = world.elog.store.experiments[EXPERIMENT].runs[2]["params"]
    wait_until(lambda: "hits" in params, SECONDS)
    assert (params["hits"], params["rate"]) == (41, "NaN")
    assert lute.get_elog_active_expmt("mfx") == EXPERIMENT
    assert lute.get_elog_params_by_run(EXPERIMENT, ["hits"], [2]) == {2: {"hits": 41}}
    world.served["elog"].unplug()
    try:
        assert lute.get_elog_active_expmt("mfx") == EXPERIMENT
    finally:
        world.served["elog"].plug_in()


PLAY = """
import logging, os, sys, threading
import holdfast_client
mark = sys.argv[1]
holdfast = holdfast_client.Holdfast(timeout=20)

def put(who, **more):
    payload = {"event_type": "test", "event_data": {"mark": mark, "who": who}}
    return holdfast.put("events", payload, **more).state

assert put("main", labels={"run": "1"}, stream="s") == "accepted"
thread = threading.Thread(target=put, args=("thread",))
thread.start()
thread.join()
if os.fork() == 0:
    put("child")
    os._exit(0)
assert os.wait()[1] == 0
try:
    holdfast.put("events", {"event_type": mark})
except holdfast_client.Refused as refused:
    assert refused.errors[0][0] == "/payload/event_type", refused.errors
logging.getLogger().addHandler(holdfast_client.HoldfastHandler())
try:
    {}[mark]
except KeyError:
    logging.exception("who: logging, mark: %s", mark)
post = {"experiment": sys.argv[2], "text": mark}
assert holdfast.put("elog", post, attachments=[holdfast_client.__file__]).state == "accepted"
holdfast.socket = "/none"
assert put("spool") == "spooled"
import lute_elog
assert lute_elog.post_elog_run_table(sys.argv[2], 1, {mark: float("inf")}) is None
"""


def test_old_pythons_can_do_all_of_it(world: World) -> None:
    played = pythons()
    for number, python in enumerate(played):
        run(world, *python, "-c", PLAY, f"mark-{number:04d}", EXPERIMENT)

    for number in range(len(played)):
        mark = f"mark-{number:04d}"
        told = sorted(str(one["event_data"].get("who")) for one in events(world, mark, 5))
        assert told == ["None", "child", "main", "spool", "thread"]
        assert len(posts(world, mark, 1)) == 1
        wait_until(
            lambda mark=mark: mark in world.elog.store.experiments[EXPERIMENT].runs[1]["params"],
            SECONDS,
        )
