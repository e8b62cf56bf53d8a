"""docs/recipes, each file run as it stands, against one agent with its emulated backends."""

import json
import logging
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builders import repository
from tests.copied import (
    CLIENTS,
    RECIPES,
    SECONDS,
    Found,
    environment,
    held,
    module,
    run,
    spooled,
)
from tests.recipe_material import (
    PRINTED,
    START,
    STOP,
    as_awk,
    documents,
    event_document,
)
from tests.world import EXPERIMENT, World
from tests.zygote import Zygote

HARD = "a \"quoted\" \\ back\tslash\nsecond line µ€ {} %s $(x) `y` 'z'"


@pytest.fixture(scope="module")
def world(zygote: Zygote) -> Iterator[World]:
    with World(zygote) as world:
        (world.home / "bin").mkdir()
        world.start()
        yield world


@contextmanager
def stopped(world: World) -> Iterator[None]:
    """The agent hangs: its socket takes connections, and nobody answers or looks at the spool."""
    world.send(signal.SIGSTOP)
    try:
        yield
    finally:
        world.send(signal.SIGCONT)


def program(world: World, name: str, text: str) -> None:
    """A program that the producers find first."""
    path = world.home / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def events(world: World, mark: str, count: int) -> Found:
    """The data of the events that have `mark` in them."""

    def found() -> Found:
        data = [one["event_data"] for one in world.events.ledger()]
        return [one for one in data if mark in str(one)]

    return held(world, count, found)


def readings(world: World, type_: str, count: int) -> Found:
    return held(world, count, lambda: [o for o in world.telemetry.ledger() if o["type"] == type_])


def posts(world: World, mark: str) -> Found:
    """The posts with `mark` in their text: one is waited for."""
    return held(world, 1, lambda: [o for o in world.elog.ledger() if mark in o.get("content", "")])


SHORT = {
    "curl.sh": ["bash", str(RECIPES / "curl.sh")],
    "with_httpx.py": [sys.executable, str(RECIPES / "with_httpx.py")],
    "with_requests.py": [sys.executable, str(RECIPES / "with_requests.py")],
}


def hand_in(
    world: World, name: str, payload: dict[str, Any], *, code: int = 0, **more: str
) -> "subprocess.CompletedProcess[str]":
    text = json.dumps(payload, ensure_ascii=False)
    if name == "curl.sh":
        return run(world, *SHORT[name], "events", stdin=text, code=code, **more)
    return run(world, *SHORT[name], "events", text, code=code, **more)


def test_each_way_is_the_socket_and_with_a_hanging_agent_the_spool(world: World) -> None:
    def told(name: str, way: str) -> str:
        payload = {"event_type": "test", "event_data": {"by": name, "way": way, "text": HARD}}
        return hand_in(world, name, payload).stdout

    with ThreadPoolExecutor() as side_by_side:
        for said in [told(name, "socket") for name in SHORT]:
            assert re.search(r"\b[0-9A-HJKMNP-TV-Z]{26}\b", said)
        with stopped(world):
            paths = [one.split()[-1] for one in side_by_side.map(told, SHORT, ["spool"] * 3)]
            assert sorted(paths) == [str(path) for path in spooled(world, "events")]
            assert {Path(path).stat().st_mode & 0o777 for path in paths} == {0o660}

    arrived = [(one["by"], one["way"], one["text"]) for one in events(world, "second line", 6)]
    assert sorted(arrived) == sorted((n, w, HARD) for n in SHORT for w in ("socket", "spool"))


@pytest.mark.parametrize("name", SHORT)
def test_what_the_agent_refuses_is_told_and_left_nowhere(world: World, name: str) -> None:
    refused = hand_in(world, name, {"event_type": "nonsense"}, code=65 if name == "curl.sh" else 1)

    assert "/payload/event_type" in refused.stderr
    assert spooled(world, "events") == []


def test_curl_says_when_it_was_stored_nowhere(world: World) -> None:
    nowhere = {
        "HOLDFAST_AGENT__SOCKET": "/none",
        "HOLDFAST_AGENT__SPOOL_DIR": str(world.home / "x"),
    }

    said = hand_in(world, "curl.sh", {"event_type": "test"}, code=69, **nowhere).stderr

    assert "NOT stored" in said


def may_trace() -> bool:
    """Not every container lets one process look at another."""
    trace = ["strace", "-o", "/dev/null", "true"]
    return bool(shutil.which("strace")) and subprocess.run(trace, check=False).returncode == 0


CALLS = re.compile(
    r"(?P<sync>fsync|fdatasync)\(\d+<(?P<what>[^>]+)>\) += 0"
    r"|rename\w*\((?:\w+<[^>]*>, )?\"(?P<old>[^\"]+)\", (?:\w+<[^>]*>, )?\"(?P<new>[^\"]+)\""
)


@pytest.mark.skipif(not may_trace(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("name", [*SHORT, "holdfast_client.py", "epics_watch.py", "holdfast.mac"])
def test_a_spool_file_is_on_the_disk_before_it_has_its_name(world: World, name: str) -> None:
    program(world, "camonitor", "#!/bin/sh\nprintf 'A\\t2026-11-25 01:02:03.000001\\t1\\t\\t\\n'\n")
    put = "import holdfast_client as h; h.Holdfast().put('events', {'event_type': 'test'})"
    command = {
        "holdfast_client.py": [sys.executable, "-c", put],
        "epics_watch.py": [sys.executable, str(RECIPES / "epics_watch.py"), "A"],
        "holdfast.mac": ["awk", as_awk((RECIPES / "spec" / "holdfast.mac").read_text())],
        "curl.sh": [*SHORT["curl.sh"], "events"],
    }.get(name) or [*SHORT[name], "events", '{"event_type": "test"}']
    spool = world.home / f"elsewhere-{name}"
    for backend in ("events", "telemetry", "elog"):
        (spool / backend).mkdir(parents=True)
    trace = ["strace", "-f", "-qq", "-y", "-e", "trace=/fsync|fdatasync|rename", "-o", "trace"]

    run(
        world, *trace, *command, stdin='{"event_type": "test"}', LC_ALL="C", EXPERIMENT=EXPERIMENT,
        HOLDFAST_AGENT__SOCKET="/none", HOLDFAST_AGENT__SPOOL_DIR=str(spool),
    )  # fmt: skip

    done = [
        found
        for line in (world.home / "trace").read_text().splitlines()
        if (found := CALLS.search(line))
    ]
    names = [Path(one["what"] or one["new"]).name for one in done]
    [lying] = (spool / ("telemetry" if name == "epics_watch.py" else "events")).iterdir()
    at = names.index(lying.name)
    assert names[at - 1 : at + 2] == [Path(done[at]["old"]).name, lying.name, lying.parent.name]
    assert names[at - 1].startswith(".")


@pytest.fixture
def holdfast(world: World) -> Any:
    client = module(CLIENTS / "holdfast_client.py")
    return client.Holdfast(str(world.home / "agent.sock"), str(world.spool), SECONDS)


def test_bluesky_writes_logbook_run_table_and_readings_once_however_often_it_tells(
    world: World, holdfast: Any
) -> None:
    for _ in range(2):
        callback = module(RECIPES / "bluesky_callback.py").HoldfastCallback(EXPERIMENT, holdfast)
        for name, doc in documents():
            callback(name, doc)

    told = readings(world, "bluesky.primary", 3)
    assert [(one["data"]["seq_num"], one["data"]["det"]) for one in told] == [
        (1, 0.6),
        (2, 1.0),
        (3, 0.5),
    ]
    assert told[0]["data"]["nanny"] == "nan"
    assert told[0]["data"]["image"] == {"shape": [20, 20], "dtype": "float64"}
    assert told[0]["ts"].startswith("2026-11-25T03:13:35.902")
    [post] = posts(world, START["uid"])
    assert "Scan 1: scan, success\n60.0 s, events: primary 3\nmotors: motor" in post["content"]
    [table] = [one for one in world.elog.ledger() if "bluesky_plan" in one.get("params", {})]
    assert (table["run"], table["params"]["bluesky_events_primary"]) == (2, 3)


def test_bluesky_never_ends_a_plan(holdfast: Any, caplog: pytest.LogCaptureFixture) -> None:
    callback = module(RECIPES / "bluesky_callback.py").HoldfastCallback(
        "no such experiment!", holdfast
    )
    with caplog.at_level(logging.ERROR):
        callback("start", START)
        callback("stop", STOP)
        callback("event", event_document(9))

    assert caplog.text.count("Holdfast did not get") == 3
    assert "/payload/experiment" in caplog.text


def cron_command(crontab: str, home: Path) -> tuple[str, dict[str, str]]:
    """What cron runs of its one line, and with which variables: as crontab(5) has it."""
    lines = [line for line in crontab.splitlines() if line and not line.startswith("#")]
    told = dict(line.split("=", 1) for line in lines[:-1])
    fields = lines[-1].split(None, 5)
    assert all(re.fullmatch(r"[\d*,/-]+", one) for one in fields[:5])
    command = re.split(r"(?<!\\)%", fields[5])[0].replace("\\%", "%")
    # In place of /usr/local/bin, where an installation puts such programs.
    told["PATH"] = told["PATH"].replace("/usr/local/bin", str(home / "bin"))
    return command, told


def nightly(
    world: World, *before: str, code: int = 0, **more: str
) -> "subprocess.CompletedProcess[str]":
    """The line of the crontab, as cron runs it. `before`: a program that runs it."""
    command, told = cron_command((RECIPES / "cron" / "crontab").read_text(), world.home)
    return run(world, *before, "/bin/sh", "-c", command, code=code, **told, **more)


@pytest.fixture
def cron(world: World) -> None:
    shutil.copy(RECIPES / "cron" / "nightly_summary.sh", world.home / "bin")
    holdfast = f'#!/bin/sh\nPYTHONPATH={repository()} exec {sys.executable} -m agent.cli "$@"\n'
    program(world, "holdfast", holdfast)
    program(world, "df", "#!/bin/sh\necho Use% Avail\necho 34%  12G\n")  # others write to the disk
    (world.home / "data").mkdir(exist_ok=True)
    (world.home / "data" / "scan.h5").write_text("x")


@pytest.mark.usefixtures("cron")
def test_the_nightly_summary_is_posted_once_and_says_nothing(world: World) -> None:
    said = [nightly(world), nightly(world)]

    assert [(one.stdout, one.stderr) for one in said] == [("", "")] * 2
    today = subprocess.run(["date", "+%F"], capture_output=True, text=True, check=True).stdout
    [post] = posts(world, f"Summary of {today.strip()} on ")
    assert "files written in the last day: 1\n" in post["content"]
    assert post["tags"] == ["NIGHTLY"]


@pytest.mark.usefixtures("cron")
def test_a_nightly_summary_that_cannot_be_handed_in_says_so_in_one_mail(world: World) -> None:
    failed = nightly(world, code=1, HOLDFAST_CONFIG="/none.toml")

    assert failed.stdout == ""
    assert re.match(r"The summary of \d{4}-\d\d-\d\d was not handed in: .*none.toml", failed.stderr)


@pytest.mark.usefixtures("cron")
def test_a_night_that_is_still_summed_up_is_not_summed_up_again(world: World) -> None:
    other = nightly(world, "flock", f"{world.home}/.nightly.lock", code=1)

    assert (other.stdout, other.stderr) == ("", "")


def test_epics_values_become_telemetry_with_their_own_times_and_alarms(world: World) -> None:
    asked = world.home / "camonitor.asked"
    printed = world.home / "camonitor.txt"
    printed.write_text(PRINTED)
    program(world, "camonitor", f'#!/bin/sh\nprintf "%s|" "$@" >{asked}\ncat {printed}\nexit 3\n')

    run(world, sys.executable, RECIPES / "epics_watch.py", "LAB:TEMP", "LAB:NONE", code=3, TZ="UTC")

    assert asked.read_text() == "-F|\t|LAB:TEMP|LAB:NONE|"
    hot = {"value": 99, "connected": True, "status": "HIHI", "severity": "MAJOR"}
    gone = {"value": None, "connected": False, "status": "disconnected", "severity": "INVALID"}
    fine = {"value": 21.5, "connected": True, "status": "NO_ALARM", "severity": "NO_ALARM"}
    assert [(one["ts"], one["data"]) for one in readings(world, "LAB:TEMP", 3)] == [
        ("2026-11-25T01:02:03.123Z", fine),
        ("2026-11-25T01:02:04.000Z", hot),
        ("2026-11-25T01:02:05.250Z", gone),
    ]
    values = {
        one["type"]: one["data"]["value"]
        for one in world.telemetry.ledger()
        if one["type"].startswith("LAB:")
    }
    assert values == {
        "LAB:TEMP": None,
        "LAB:SHUTTER": "Open for *** users",
        "LAB:NONE": None,
        "LAB:WAVE": [1, 2.5, "nan"],
        "LAB:FRESH": 0,
        "LAB:LONG": {"length": 101},
    }


def test_epics_is_watched_until_somebody_ends_it_and_nothing_is_lost_then(world: World) -> None:
    line = "LAB:STOP\\t2026-11-25 01:02:03.123456\\t1\\t\\t\\n"
    program(world, "camonitor", f"#!/bin/bash\nprintf '{line}'\nexec sleep 60\n")
    watching = subprocess.Popen(
        [sys.executable, str(RECIPES / "epics_watch.py"), "LAB:STOP"], env=environment(world)
    )
    try:
        assert len(readings(world, "LAB:STOP", 1)) == 1
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(SECONDS) == 0
    finally:
        watching.kill()


def test_without_epics_or_without_a_spool_it_is_said(world: World) -> None:
    watch = (sys.executable, RECIPES / "epics_watch.py", "X")
    assert "camonitor cannot be started" in run(world, *watch, code=69, PATH="/none").stderr

    program(world, "camonitor", "#!/bin/sh\nprintf 'X\\t<undefined>\\t1\\t\\t\\n'\n")
    nowhere = run(world, *watch, code=1, HOLDFAST_AGENT__SPOOL_DIR="/none")
    assert "the spool cannot be written, 1 wait: " in nowhere.stderr


def test_specs_macros_write_files_that_the_agent_takes_whatever_the_text(world: World) -> None:
    program_text = as_awk((RECIPES / "spec" / "holdfast.mac").read_text())

    run(world, "awk", program_text, LC_ALL="C", HARD=HARD, EXPERIMENT=EXPERIMENT)

    assert [one["message"] for one in events(world, "'message': 'a ", 1)] == [HARD]
    assert [one["data"] for one in readings(world, "ring_current", 1)] == [{"value": 399.8125}]
    assert [one["content"] for one in posts(world, "from SPEC")] == [f"from SPEC: {HARD}"]
    assert spooled(world, "events") == []


def test_specs_macros_say_when_the_spool_is_not_there(world: World) -> None:
    program_text = as_awk((RECIPES / "spec" / "holdfast.mac").read_text())

    nothing = run(
        world, "awk", program_text, code=None, LC_ALL="C", HOLDFAST_AGENT__SPOOL_DIR="/none"
    )

    assert nothing.stdout.count("NOT stored: /none/") == 3


def test_every_recipe_has_its_page_and_its_row() -> None:
    index = (RECIPES / "README.md").read_text()
    files = [path for path in RECIPES.rglob("*") if path.suffix in {".sh", ".py", ".mac"}]
    pages = {path for path in RECIPES.glob("*.md") if path.name != "README.md"}

    assert len(files) == 8
    assert len(pages) == 9
    assert all(page.name in index for page in pages)
    for file in files:
        named = [page for page in pages if f"({file.relative_to(RECIPES)})" in page.read_text()]
        assert named, file
