"""docs/clients/holdfast_client.py against whatever else may listen, or not, at the socket."""

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.bad_listeners import BREAKS, HANGS, as_child, behaving
from tests.cli_people import as_nobody, only_root
from tests.cli_server import accepted, listening, refusing, served
from tests.copied import CLIENTS, lying, module

client = module(CLIENTS / "holdfast_client.py")

LIMIT = 0.3
SLACK = 4.0  # a machine that is busy with other tests
PATIENT = 20.0  # where somebody answers
EVENT = {"event_type": "test"}


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with TemporaryDirectory(prefix="hf") as folder:
        (Path(folder) / "spool").mkdir()
        yield Path(folder)


def holdfast_in(home: Path, timeout: float = LIMIT) -> Any:
    return client.Holdfast(home / "s", home / "spool", timeout)


@pytest.mark.parametrize("name", [*HANGS, *BREAKS])
def test_whoever_listens_the_entry_is_in_the_spool_in_time(home: Path, name: str) -> None:
    holdfast = holdfast_in(home)
    with behaving(home / "s", (HANGS | BREAKS)[name]):
        began = time.monotonic()
        outcome = holdfast.put("events", EVENT)
        took = time.monotonic() - began

    assert took < LIMIT + SLACK
    assert outcome.state == "spooled"
    assert [(one["key"], one["payload"]) for one in lying(home)] == [(outcome.key, EVENT)]
    assert str(home / "s") in outcome.reason


@pytest.mark.parametrize("name", HANGS)
def test_one_that_hangs_is_waited_for_once_in_a_while(home: Path, name: str) -> None:
    holdfast = holdfast_in(home)
    with behaving(home / "s", HANGS[name]) as connections:
        outcomes = [holdfast.put("events", {**EVENT, "event_data": {"n": n}}) for n in range(5)]

    assert len(connections) == 1
    assert "a moment ago" in outcomes[-1].reason
    assert [one["payload"]["event_data"]["n"] for one in lying(home)] == list(range(5))


def test_one_that_breaks_off_is_asked_again_at_once(home: Path) -> None:
    holdfast = holdfast_in(home, PATIENT)
    with behaving(home / "s", BREAKS["closes at once"]):
        assert holdfast.put("events", EVENT).state == "spooled"
    (home / "s").unlink()

    with served(home / "s", accepted):
        assert holdfast.put("events", EVENT).state == "accepted"


def test_a_full_queue_of_connections_is_not_waited_for(home: Path) -> None:
    with listening(home / "s", backlog=0), suppress(BlockingIOError):
        waiting = []
        for _ in range(10):
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting[-1].setblocking(False)
            waiting[-1].connect(str(home / "s"))
    with listening(home / "t", backlog=0):
        holdfast = client.Holdfast(str(home / "t"), str(home / "spool"), LIMIT)
        outcomes = [holdfast.put("events", EVENT) for _ in range(4)]
    for one in waiting:
        one.close()

    assert [one.state for one in outcomes] == ["spooled"] * 4


@pytest.mark.parametrize("place", ["none", "left", "", "x" * 200, "a\0b", "file"])
def test_where_nobody_listens_the_spool_takes_it(home: Path, place: str) -> None:
    with listening(home / "left"):
        pass
    (home / "file").write_text("no socket")
    holdfast = holdfast_in(home)
    holdfast.socket = str(home / place) if place else ""

    assert holdfast.put("events", EVENT).state == "spooled"


@pytest.mark.parametrize("status", [408, 429, 500, 503, 507])
def test_what_the_agent_cannot_take_now_is_left_in_the_spool(home: Path, status: int) -> None:
    with served(home / "s", refusing(status, detail="no room")):
        outcome = holdfast_in(home, PATIENT).put("events", EVENT)

    assert (outcome.state, outcome.reason) == ("spooled", "no room")
    assert len(lying(home)) == 1


def test_what_the_agent_refuses_is_told_with_its_pointers_and_left_nowhere(home: Path) -> None:
    errors = [{"pointer": "/payload/x", "detail": "unknown"}, {"pointer": "", "detail": "bad"}]
    with (
        served(home / "s", refusing(422, errors=errors)),
        pytest.raises(client.Refused, match="/payload/x: unknown; bad") as refused,
    ):
        holdfast_in(home, PATIENT).put("events", EVENT)

    assert (refused.value.status, refused.value.errors[0]) == (422, ("/payload/x", "unknown"))
    assert list((home / "spool").iterdir()) == []


def test_a_refusal_before_everything_was_sent_is_heard(home: Path) -> None:
    told = b'{"detail": "too large"}'
    answer = b"HTTP/1.1 413 Large\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)

    def early(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RD)

    with behaving(home / "s", early), pytest.raises(client.Refused, match="too large"):
        holdfast_in(home, PATIENT).put("events", {"big": "x" * 4_000_000})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("Events", {}), ValueError),
        (("../events", {}), ValueError),
        (("events", {"x": float("nan")}), ValueError),
        (("events", {"x": object()}), TypeError),
        (("events", {}, None, None, None, None, ["missing.png"]), FileNotFoundError),
    ],
)
def test_what_can_be_no_entry_is_a_mistake_of_the_program(
    home: Path, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        holdfast_in(home).put(*arguments)

    assert list((home / "spool").iterdir()) == []


def test_both_ways_carry_the_same_bytes(home: Path) -> None:
    holdfast = holdfast_in(home, PATIENT)
    plot = home / "plöt 1.png"
    plot.write_bytes(b"\x89PNG")
    said: dict[str, Any] = {
        "labels": {"run": "7"},
        "attachments": [plot, ("note.txt", b"hello")],
        "stream": "s",
        "kind": "post",
        "key": "k",
        "created_at": datetime(2026, 11, 25, 1, tzinfo=timezone(timedelta(hours=1))),
    }
    with served(home / "s", accepted) as server:
        assert holdfast.put("elog", {"text": "x"}, **said) == ("accepted", "k", "ID1", None, None)
    holdfast.put("elog", {"text": "x"}, **said)

    sent = server.asked[0].json
    assert lying(home, "elog") == [sent]
    assert sent["created_at"] == "2026-11-25T00:00:00.000+00:00"
    names = [(one["name"], one["content_base64"]) for one in sent["attachments"]]
    assert names == [("plöt 1.png", "iVBORw=="), ("note.txt", "aGVsbG8=")]


@pytest.mark.parametrize(
    ("kind", "payload", "own"),
    [
        (None, {"record_id": "r1"}, "r1"),
        ("event", {"event_id": "e1"}, "e1"),
        (None, {"_id": "e2"}, "e2"),
        ("record_update", {"record_id": "r1"}, None),
        (None, {"event_id": ""}, None),
        (None, ["no object"], None),
    ],
)
def test_what_names_itself_keeps_its_name(
    home: Path, kind: str | None, payload: Any, own: str | None
) -> None:
    keys = {holdfast_in(home).put("accounting", payload, kind).key for _ in range(2)}

    assert keys == {own} if own else len(keys) == 2


def test_without_a_spool_it_is_said_that_nothing_was_stored_and_by_which_key(home: Path) -> None:
    holdfast = holdfast_in(home)
    holdfast.spool_dir = str(home / "none")

    with pytest.raises(client.NotStored, match=r"NOT stored.*No such file.*none") as failure:
        holdfast.put("events", EVENT)

    holdfast.spool_dir = str(home / "spool")
    assert holdfast.put("events", EVENT, key=failure.value.key).key == failure.value.key
    assert [one["key"] for one in lying(home)] == [failure.value.key]


def test_a_disk_that_is_full_leaves_nothing_half(home: Path) -> None:
    def fill() -> str:
        import resource  # noqa: PLC0415 - in the child only

        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        small = holdfast_in(home).put("events", EVENT).state
        try:
            holdfast_in(home).put("events", {"x": "x" * 20000})
        except client.NotStored as failure:
            return f"{small}, then {failure}"
        return "stored"

    said = as_child(fill)

    assert re.match(r"spooled, then NOT stored.*File too large", said)
    assert [one["payload"] for one in lying(home)] == [EVENT]


@only_root
def test_a_spool_that_is_closed_to_us_is_told(home: Path) -> None:
    home.chmod(0o755)
    holdfast = holdfast_in(home)

    said = as_nobody(lambda: holdfast.put("events", EVENT))

    assert said.startswith("NotStored: NOT stored.")
    assert "Permission denied" in said


def test_files_in_the_spool_can_be_read_and_removed_by_the_group(home: Path) -> None:
    before = os.umask(0o077)
    try:
        path = Path(holdfast_in(home).put("events", EVENT).path)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o7777 == 0o660
    assert path.parent.stat().st_mode & 0o7777 == 0o2770


def test_the_environment_says_where_the_agent_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.Holdfast().socket == "/run/holdfast/agent.sock"
    monkeypatch.setenv("HOLDFAST_AGENT__SOCKET", "/tmp/a")
    monkeypatch.setenv("HOLDFAST_AGENT__SPOOL_DIR", "/tmp/b")

    found = client.Holdfast()

    assert (found.socket, found.spool_dir, client.Holdfast("/tmp/c").socket) == (
        "/tmp/a",
        "/tmp/b",
        "/tmp/c",
    )


def test_threads_share_one_and_a_child_goes_on_with_it(home: Path) -> None:
    holdfast = holdfast_in(home, PATIENT)
    with served(home / "s", accepted) as server:

        def work() -> None:
            for _ in range(5):
                holdfast.put("events", EVENT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for one in threads:
            one.start()
        child = as_child(lambda: holdfast.put("events", EVENT).state)
        for one in threads:
            one.join()

    assert child == "accepted"
    assert len({one.json["key"] for one in server.asked}) == 21
