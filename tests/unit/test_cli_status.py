"""status: from a small agent on a real socket, and from the files of a real outbox."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.raw import backends_of, thresholds_of
from config.sources import SettingsError, Sources
from storage.entry import Pause, Rest
from storage.offline import AgentLives, Damaged, read_still
from storage.outbox import Outbox
from storage.upgrade import SchemaError
from tests.builders import NOW, an_entry
from tests.cli_desk import Desk, a_desk
from tests.cli_people import as_nobody, only_root
from tests.cli_server import Answer, Asked, listening, served

GROUP = 65533  # that nobody is in unless a test says so
URLS = {"events": "http://events.test", "elog": "http://elog.test"}


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        yield desk


def a_status(**backend: Any) -> dict[str, Any]:
    one = {
        "kind": "event_manager",
        "state": "flowing",
        "reason": None,
        "since": None,
        "pending": 0,
        "leased": 0,
        "held": 0,
        "dead": 0,
        "in_doubt": 0,
        "oldest_age_seconds": None,
        "ages": {"1m": 0, "older": 0},
        "delivered_total": 0,
        "last_success_at": None,
        "last_error": None,
        "next_attempt_at": None,
        "rate_per_minute": 0.0,
        "eta_seconds": None,
        "silent_seconds": None,
        "scopes": [],
        **backend,
    }
    return {
        "agent": {"running": True, "pid": 1, "version": "1", "since": "2026-11-23T10:00:00.000Z"},
        "backends": {"events": one},
        "spool": {"waiting": 0, "blocked": 0, "rejected": 0},
        "totals": {word: one[word] for word in ("pending", "leased", "held", "dead", "in_doubt")},
    }


def telling(status: dict[str, Any]) -> Any:
    def answer(_: Asked) -> Answer:
        return 200, status

    return answer


def test_json_is_what_the_agent_says(desk: Desk) -> None:
    with served(desk.home / "admin.sock", telling(a_status())):
        assert desk.do("status", "--json") == 0

    assert json.loads(desk.out) == a_status()


def test_producers_ask_on_their_own_socket(desk: Desk) -> None:
    with served(desk.socket, telling(a_status())):
        assert desk.do("status") == 0


@pytest.mark.parametrize(
    ("backend", "code"),
    [
        ({"dead": 1}, 1),
        ({"state": "refused", "reason": "401"}, 1),
        ({"state": "offline", "oldest_age_seconds": 86_399.0}, 0),
        ({"state": "offline", "oldest_age_seconds": 86_401.0}, 1),
        ({"silent_seconds": 601.0}, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["--json", "--short", None])
def test_the_exit_code_is_the_same_however_it_is_printed(
    desk: Desk, backend: dict[str, Any], code: int, way: str | None
) -> None:
    with served(desk.socket, telling(a_status(**backend))):
        assert desk.do("status", *([way] if way else [])) == code


def test_a_hanging_agent_is_told_apart_from_none(desk: Desk) -> None:
    with listening(desk.home / "admin.sock"):
        assert desk.do("status") == 69

    assert "seems to hang" in desk.err


def test_short_is_one_line(desk: Desk) -> None:
    with served(desk.socket, telling(a_status(pending=3, reason="x\ny"))):
        desk.do("status", "--short")

    assert desk.out == "fine: 3 waiting, events flowing\n"


# Without an agent


def filled(state_dir: Path) -> Outbox:
    """An outbox with one entry that waits; the agent that wrote it is still there."""
    state_dir.mkdir(exist_ok=True)
    outbox = Outbox(state_dir, URLS)
    outbox.recover(NOW)
    asyncio.run(outbox.accept([an_entry("a")]))
    return outbox


def test_before_the_first_start_everything_is_zero(desk: Desk) -> None:
    assert desk.do("status", "--json") == 3

    told = json.loads(desk.out)
    assert told["agent"]["running"] is False
    assert set(told["backends"]) == {"accounting", "elog", "events"}
    assert not any(told["totals"].values())


def test_after_a_clean_stop_the_counts_are_read_from_the_files(desk: Desk) -> None:
    filled(desk.home / "state").close()

    assert desk.do("status", "--json") == 3

    assert json.loads(desk.out)["totals"]["pending"] == 1


def test_the_files_tell_pauses_and_how_much_waits_in_a_part(desk: Desk) -> None:
    outbox = filled(desk.home / "state")
    now = time.time_ns() // 1_000_000
    url = "http://127.0.0.1:9"
    outbox.urls["events"] = url

    async def fill() -> None:
        await outbox.accept([an_entry("b", scope="xpp"), an_entry("c", scope="xpp")])
        await outbox.waits.write_rest(Rest("events", "xpp", "parked", "locked", now, now + 9000, 1))
        await outbox.waits.begin_pause(Pause("events", now, None, "uid 0", "new disks"))
        await outbox.waits.begin_pause(Pause("elog", now - 5000, now - 1000, "uid 0", "over"))

    asyncio.run(fill())
    outbox.close()

    assert desk.do("status", "--json") == 3

    told = json.loads(desk.out)["backends"]
    assert told["events"]["state"] == "paused"
    assert told["events"]["pause"]["reason"] == "new disks"
    assert [(one["scope"], one["waiting"]) for one in told["events"]["scopes"]] == [("xpp", 2)]
    assert told["elog"]["state"] == "flowing"


def test_reading_changes_no_file(desk: Desk) -> None:
    filled(desk.home / "state").close()
    before = {path: path.stat().st_mtime_ns for path in (desk.home / "state").rglob("*")}

    desk.do("status")

    assert {path: path.stat().st_mtime_ns for path in (desk.home / "state").rglob("*")} == before


def test_while_an_agent_lives_its_files_are_not_read(tmp_path: Path) -> None:
    outbox = filled(tmp_path)

    with pytest.raises(AgentLives):
        read_still(tmp_path, URLS, now=NOW)

    outbox.close()
    assert read_still(tmp_path, URLS, now=NOW).counts["events"].pending == 1


def test_an_agent_that_runs_elsewhere_is_told_apart_from_none(desk: Desk) -> None:
    outbox = filled(desk.home / "state")

    assert desk.do("status") == 69

    outbox.close()
    assert "an agent runs on" in desk.err


def test_another_version_of_the_database_is_not_guessed_at(tmp_path: Path) -> None:
    outbox = filled(tmp_path)
    with outbox._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    outbox.close()

    with pytest.raises(SchemaError, match="9999"):
        read_still(tmp_path, URLS, now=NOW)


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_text("not a database at all, but long enough to look at")
    (tmp_path / "agent.lock").write_text("")

    with pytest.raises(Damaged):
        read_still(tmp_path, URLS, now=NOW)


def test_a_damaged_database_is_told_in_words_and_left_as_it_is(desk: Desk) -> None:
    state_dir = desk.home / "state"
    filled(state_dir).close()
    with (state_dir / "outbox.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"torn" * 4096)
    before = {path: path.read_bytes() for path in state_dir.rglob("*") if path.is_file()}

    assert desk.do("status") == 3

    assert "its database cannot be counted" in desk.err
    assert "Start the agent" in desk.err
    assert "Traceback" not in desk.err
    assert {path: path.read_bytes() for path in state_dir.rglob("*") if path.is_file()} == before


def test_a_look_does_not_hide_from_the_next_start_that_the_log_was_cut(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    _leave_as_after_a_kill(state_dir, filled(state_dir))
    log = state_dir / "outbox.db-wal"
    os.truncate(log, log.stat().st_size - 4096 - 24)

    with pytest.raises(Damaged, match="its log can be read up to"):
        read_still(state_dir, URLS, now=NOW)

    outbox = Outbox(state_dir, URLS)
    outbox.recover(NOW)
    outbox.finish_salvage()
    told = asyncio.run(outbox.looks.salvaged())
    outbox.close()
    assert told is not None
    assert told.lost is None


def test_a_salvage_asks_for_a_person_until_it_is_seen(desk: Desk) -> None:
    told = {"at": "2026-11-23T10:00:00.000Z", "reason": "a torn page", "entries": 12}
    told |= {"receipts": 3, "lost": 1, "moved_to": ["/state/damaged/x"], "running": False}
    status = {**a_status(), "salvage": told}

    with served(desk.home / "admin.sock", telling(status)):
        assert desk.do("status") == 1

    assert "12 entries saved, 1 lost" in desk.out
    assert "/state/damaged/x/salvaged.json" in desk.out
    assert "holdfast seen" in desk.out


def test_seen_tells_the_agent(desk: Desk) -> None:
    with served(desk.home / "admin.sock", lambda _: (200, {"seen": 1})) as agent:
        assert desk.do("seen") == 0

    assert [(one.method, one.path) for one in agent.asked] == [("POST", "/v1/salvage/seen")]
    assert desk.out == "seen; the damaged files are kept\n"


@only_root
@pytest.mark.parametrize("cut", [False, True], ids=["clean stop", "kill -9"])
def test_members_of_the_group_may_look_and_others_may_not(desk: Desk, *, cut: bool) -> None:
    state_dir = desk.home / "state"
    outbox = filled(state_dir)
    if cut:
        _leave_as_after_a_kill(state_dir, outbox)
    else:
        outbox.close()
    desk.home.chmod(0o755)
    for path in [state_dir, *state_dir.rglob("*")]:
        os.chown(path, -1, GROUP)
        path.chmod(0o750 if path.is_dir() else 0o640)

    def look() -> int:
        return read_still(state_dir, URLS, now=NOW).counts["events"].pending

    assert as_nobody(look, [GROUP]) == "1"
    assert as_nobody(look).startswith("Unreadable: ")


def _leave_as_after_a_kill(state_dir: Path, outbox: Outbox) -> None:
    """Put the files back as they were while the agent ran: with a WAL in which entries lie."""
    kept = {path: path.read_bytes() for path in state_dir.iterdir() if path.is_file()}
    outbox.close()
    for path, content in kept.items():
        path.write_bytes(content)
    assert (state_dir / "outbox.db-wal").stat().st_size > 0


def test_unreadable_files_name_the_group_that_may_read_them(desk: Desk) -> None:
    state_dir = desk.home / "state"
    filled(state_dir).close()
    (state_dir / "agent.lock").unlink()
    (state_dir / "agent.lock").mkdir()  # what even root cannot read as a file

    assert desk.do("status") == 3

    assert "its files cannot be read" in desk.err
    assert "Members of the group " in desk.err


# Settings that are not judged


def test_thresholds_are_the_settings_or_the_defaults() -> None:
    assert thresholds_of(Sources({}, Path("f"))).stuck_after == 600
    told = Sources({"status": {"attention_after_seconds": 5}}, Path("f"))
    assert thresholds_of(told).attention_after == 5


@pytest.mark.parametrize("table", ["x", {"stuck_after_seconds": "soon"}], ids=str)
def test_a_threshold_that_is_no_number_is_named(table: Any) -> None:
    with pytest.raises(SettingsError, match="status"):
        thresholds_of(Sources({"status": table}, Path("f")))


@pytest.mark.parametrize("table", ["x", {"a": 5}], ids=str)
def test_backends_that_are_no_tables_are_named(table: Any) -> None:
    with pytest.raises(SettingsError, match="backends"):
        backends_of(Sources({"backends": table}, Path("f")))
