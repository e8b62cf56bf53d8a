"""The command line and the agent as processes of their own: what an operator sees and types."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.terminal import Terminal
from tests.world import EXPERIMENT, World, wait_until
from tests.zygote import Zygote

EVENT = {"event_type": "test", "event_data": {"n": 1}}
SECONDS = 20.0


@pytest.fixture
def world(zygote: Zygote) -> Iterator[World]:
    with World(zygote) as world:
        yield world


@pytest.fixture
def type_(world: World) -> Terminal:
    return Terminal(world)


def events_of(world: World) -> list[Any]:
    return [one["event_data"] for one in world.events.ledger()]


def test_an_entry_is_put_delivered_and_shown_with_its_receipt(
    world: World, type_: Terminal
) -> None:
    world.start()

    id_ = type_.put("events", EVENT, "--label", "run=12")
    wait_until(lambda: type_.state_of(id_) == "delivered", SECONDS, lambda: type_.out)

    assert events_of(world) == [{"n": 1}]
    shown = type_.json("show", id_)
    assert shown["receipt"]["remote_id"] == id_
    assert shown["labels"]["run"] == "12"
    assert type_("status") == 0
    assert "flowing" in type_.out
    assert world.stop() == 0


def test_without_an_agent_entries_wait_in_the_spool_and_arrive_once_it_starts(
    world: World, type_: Terminal
) -> None:
    path = Path(type_.put("events", EVENT))
    assert path.parent == world.spool / "events"
    assert type_("status", "--json") == 3
    assert json.loads(type_.out)["spool"]["waiting"] == 1

    world.start()
    wait_until(lambda: events_of(world) == [{"n": 1}], SECONDS, world.log.read_text)

    wait_until(world.drained, SECONDS)
    assert not path.exists()


def test_an_agent_that_hangs_gets_the_entry_once_by_either_way(
    world: World, type_: Terminal
) -> None:
    world.start()
    assert world.process is not None
    world.process.send_signal(signal.SIGSTOP)
    try:
        path = Path(type_.put("events", EVENT, "--timeout", "0.3"))
        assert path.exists()
        assert type_("list") == 69
    finally:
        world.process.send_signal(signal.SIGCONT)

    wait_until(lambda: not path.exists(), SECONDS)
    wait_until(world.drained, SECONDS)

    assert events_of(world) == [{"n": 1}]


def test_files_arrive_by_the_socket_and_by_the_spool(world: World, type_: Terminal) -> None:
    plot = world.home / "plöt 1.png"
    plot.write_bytes(os.urandom(200_000))
    post = {"experiment": EXPERIMENT, "text": "with a plot"}

    type_.put("elog", post, "--attach", str(plot))
    world.start()
    type_.put("elog", {**post, "text": "another"}, "--attach", str(plot))

    wait_until(lambda: len(world.elog.ledger()) == 2, SECONDS, world.log.read_text)
    wait_until(world.drained, SECONDS)
    names = [[one["name"] for one in post["attachments"]] for post in world.elog.ledger()]
    assert names == [[plot.name]] * 2


def test_a_post_is_put_by_its_options_and_arrives_as_the_dry_run_showed_it(
    world: World, type_: Terminal
) -> None:
    (world.home / "plot.png").write_bytes(b"PNG")
    (world.home / "peaks.png").write_bytes(b"PNG")
    (world.home / "notes.md").write_text("---\ntags: [old]\n---\nPeaks ![](peaks.png)\n")
    say = ["--experiment", EXPERIMENT, "--run", "1", "--title", "T", "--tag", "a"]
    notes, plot = str(world.home / "notes.md"), str(world.home / "plot.png")
    command = ["put", "elog", *say, "--attach", plot, notes]

    (request,) = type_.json(*command, "--dry-run")["requests"]
    world.start()
    assert type_(*command) == 0

    wait_until(lambda: len(world.elog.ledger()) == 1, SECONDS, world.log.read_text)
    (entry,) = world.elog.ledger()
    assert (entry["title"], entry["tags"], entry["run_num"]) == ("T", ["a"], 1)
    assert entry["content"] == request["fields"]["log_text"]
    names = [one["name"] for one in request["files"]]
    assert names == [one["name"] for one in entry["attachments"]] == ["plot.png", "peaks.png"]
    assert request["url"].startswith(world.served["elog"].url)


def test_many_lines_arrive_and_a_bad_one_is_told(world: World, type_: Terminal) -> None:
    world.start()
    lines = [json.dumps({**EVENT, "event_data": {"n": n}}) for n in range(50)]
    lines.insert(7, '{"event_type": "nonsense"}')

    assert type_("put", "events", "--ndjson", stdin="\n".join(lines)) == 65

    assert "line 8: /payload/event_type" in type_.err
    assert type_.out == "accepted 50, refused 1\n"
    wait_until(lambda: len(events_of(world)) == 50, SECONDS)


def test_what_failed_is_kept_listed_retried_and_discarded(world: World, type_: Terminal) -> None:
    world.start()
    fault = world.served["elog"].fault("status", status=422, method="POST", times=2)
    post = {"experiment": EXPERIMENT, "text": "x"}
    ids = [type_.put("elog", post) for _ in range(2)]
    wait_until(lambda: type_.json("status")["totals"]["dead"] == 2, SECONDS, lambda: type_.out)
    assert fault.times == 0

    assert type_("status") == 1
    assert type_("list", "--state", "dead", "--ids") == 0
    assert sorted(type_.out.split()) == sorted(ids)
    assert type_("show", ids[0]) == 0
    assert "failed, kept" in type_.out
    assert "your entry" in type_.out
    assert type_("discard", "-", stdin=ids[0]) == 0
    assert type_("show", ids[0]) == 66
    assert "discarded at " in type_.err
    assert type_("retry", ids[1], "NOSUCHID") == 65
    assert type_.out == f"retried {ids[1]}\n"
    wait_until(lambda: type_.state_of(ids[1]) == "delivered", SECONDS)
    assert type_("status") == 0


def test_a_backend_that_is_away_is_told_with_its_reason_and_retried_on_demand(
    world: World, type_: Terminal
) -> None:
    world.start()
    world.served["events"].unplug()
    id_ = type_.put("events", EVENT)
    wait_until(lambda: type_.json("status")["backends"]["events"]["state"] == "offline", SECONDS)

    assert type_("show", id_) == 0
    assert "the network" in type_.out
    assert "events is offline since" in type_.out
    assert type_("status") == 0
    world.served["events"].plug()
    assert type_("retry", "--backend", "events") == 0
    wait_until(lambda: type_.state_of(id_) == "delivered", SECONDS)


def test_after_a_kill_the_counts_are_read_from_the_files(world: World, type_: Terminal) -> None:
    world.start()
    world.served["events"].unplug()
    type_.put("events", EVENT)

    world.kill()

    assert type_("status", "--json") == 3
    told = json.loads(type_.out)
    assert told["agent"]["running"] is False
    assert told["totals"]["pending"] + told["totals"]["leased"] == 1
    assert type_("list") == 69


def test_a_second_agent_is_told_that_it_is_not_alone(world: World, type_: Terminal) -> None:
    world.start()

    assert type_("run") == 75

    assert world.process is not None
    assert f"pid {world.process.pid}" in type_.err
    assert type_("status") == 0


def test_ctrl_c_ends_the_agent_in_order(world: World) -> None:
    world.start()
    assert world.process is not None

    world.process.send_signal(signal.SIGINT)

    assert world.process.wait(SECONDS) == 0


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ('[backends.events]\nurl = "nonsense"\n', "backends.events.url"),
        ('[agent]\nstate_dir = "/dev/null/x"\n', "agent.state_dir"),
        ('[agent]\nsocket = "{home}/elog-password"\n', "agent.socket"),
        ('[agent]\nsocket = "/tmp/{long}"\n', "agent.socket"),
    ],
    ids=["a url", "a folder", "a file in the place of a socket", "a long path"],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_settings_that_cannot_be_used_are_78_with_their_key(
    world: World, type_: Terminal, wrong: str, key: str, command: str
) -> None:
    more = world.home / "conf.d"
    more.mkdir()
    (more / "wrong.toml").write_text(wrong.format(home=world.home, long="x" * 120))

    assert type_(command) == 78

    assert f"holdfast: {key}: " in type_.err
    assert (world.home / "elog-password").exists()


def test_check_prints_the_backends_and_no_secret(world: World, type_: Terminal) -> None:
    assert type_("check") == 0

    assert f"settings are fine: {world.config}" in type_.out
    assert "elog\telog\t" in type_.out
    assert "secret" not in type_.out
    (world.home / "elog-password").unlink()
    assert type_("check") == 78
    assert "backends.elog.auth.password_file" in type_.err


def test_watch_shows_it_until_ctrl_c(world: World, type_: Terminal) -> None:
    world.start()
    keyboard, screen = pty.openpty()
    termios.tcsetwinsize(screen, (50, 120))
    watching = subprocess.Popen(
        type_.command("status", "--watch"), stdin=screen, stdout=screen, stderr=screen
    )
    os.close(screen)
    seen = b""
    deadline = time.monotonic() + SECONDS
    while b"telemetry" not in seen and time.monotonic() < deadline:
        seen += os.read(keyboard, 65536)

    watching.send_signal(signal.SIGINT)
    with suppress(OSError):  # the end of a terminal that nobody writes to any more
        # A terminal that nobody reads takes a few kilobytes, and then holds up who writes.
        while time.monotonic() < deadline and select.select([keyboard], [], [], SECONDS)[0]:
            if not os.read(keyboard, 65536):
                break

    assert watching.wait(SECONDS) == 0
    os.close(keyboard)
    assert b"telemetry" in seen


def test_a_reader_who_has_seen_enough_is_no_error(world: World, type_: Terminal) -> None:
    world.served["events"].unplug()
    world.start()
    lines = "\n".join(json.dumps({**EVENT, "event_data": {"n": n}}) for n in range(3000))
    assert type_("put", "events", "--ndjson", stdin=lines) == 0
    listing = subprocess.Popen(
        type_.command("list", "--limit", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listing.stdout is not None
    listing.stdout.readline()
    listing.stdout.close()

    assert listing.wait(SECONDS) == 0
    assert listing.stderr is not None
    assert listing.stderr.read() == b""
    listing.stderr.close()
