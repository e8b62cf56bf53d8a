"""Questions to a telemetry server before anybody is asked, and what waits in their answers."""

from typing import Any

import httpx
import pytest

from adapters.reading import Queued
from adapters.telemetry.reads import TelemetryReader
from tests.emulators.telemetry_site import a_site
from tests.questioner import Questioner

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
NOON_TS = "2026-01-01T12:00:00.000Z"


def waits(
    event_type: str = "weather", *, kind: str = "event", at: int = 0, **payload: Any
) -> Queued:
    fields = {"type": event_type, "data": "ours", **payload} if kind == "event" else payload
    return Queued(f"01{at}", kind, fields, "pending", NOON + at)


def on_paper() -> Questioner:
    return Questioner(TelemetryReader(a_site("http://127.0.0.1:1")))


def test_the_last_waiting_value_of_a_type_is_shown_where_it_is_newer() -> None:
    shown = {
        "old": {"type": "old", "ts": "2026-01-01T11:59:59.999Z", "data": "theirs", "meta": {}},
        "same": {"type": "same", "ts": NOON_TS, "data": "theirs", "meta": {}},
        "junk": {"type": "junk", "ts": "junk", "data": "theirs", "meta": {}},
    }
    entries = [
        waits("old", at=2, data="last", ts=NOON_TS),
        waits("old", at=1, ts="2027-01-01T00:00:00Z"),
        waits("same", ts=NOON_TS),
        waits("junk"),
        waits("new", meta={"run_id": "7"}),
        waits("hidden", make_current=False),
    ]

    values, count = on_paper().with_ours("current", shown, *entries)

    assert count == 3
    assert {name: value.get("queued", False) for name, value in values.items()} == {
        "old": True,
        "same": False,
        "junk": True,
        "new": True,
    }
    assert values["old"]["data"] == "last"
    assert values["new"] == {
        "ts": NOON_TS,
        "type": "new",
        "data": "ours",
        "meta": {"run_id": "7", "origin_run_id": "7", "event_id": "010"},
        "queued": True,
    }


def test_an_event_that_has_landed_is_shown_as_the_server_shows_it() -> None:
    shown = {"type": "weather", "ts": "2020-01-01", "meta": {"event_id": "010"}}

    assert on_paper().with_ours("current/weather", shown, waits()) == (shown, 0)


def test_a_time_that_the_server_did_not_keep_counts_all_the_same() -> None:
    stamped = {"type": "w", "ts": "2030-01-01T00:00:00Z", "meta": {"origin_ts": "2020-01-01"}}

    assert on_paper().with_ours("current/w", stamped, waits("w"))[1] == 1


def test_one_type_is_shown_with_what_waits_of_it_alone() -> None:
    value, count = on_paper().with_ours("current", None, waits(), waits("dome"), type="dome")

    assert (value["type"], value["queued"], count) == ("dome", True, 1)
    assert on_paper().with_ours("current", None, waits(), type="dome") == (None, 0)
    assert on_paper().with_ours("current", None, waits())[0].keys() == {"weather"}


def test_a_run_that_waits_for_its_start_is_not_active() -> None:
    asked = on_paper()
    entries = [waits(kind="run_start", run_id="7"), waits(kind="run_stop")]

    assert asked.reader.queued(asked.plan("run")) == ("run_start", "run_stop")
    assert asked.with_ours("run", None, *entries) == (None, 2)
    assert asked.reader.queued(asked.plan("ready")) == ()
    assert asked.reader.queued(asked.plan("current")) == ("event",)


@pytest.mark.parametrize(
    ("resource", "parameters", "words", "parameter"),
    [
        ("nonsense", {}, "there are: current, run, ready, health", None),
        ("shutdown", {}, "Holdfast never sends it", None),
        ("run/start", {}, "`holdfast put` and the kind run_start", None),
        ("run/stop", {}, "the kind run_stop", None),
        ("event", {}, "`holdfast put`", None),
        ("run/x", {}, "there is no 'run/x'", None),
        ("run", {"type": "weather"}, "there are: none", "type"),
        ("current", {"kind": "weather"}, "there are: type", "kind"),
        ("current/weather", {"type": "dome"}, "given twice", "type"),
        ("current", {"type": "\ud800"}, "surrogate", "type"),
    ],
    ids=ascii,
)
def test_a_question_that_makes_no_sense_is_refused_before_it_is_asked(
    resource: str, parameters: dict[str, str], words: str, parameter: str | None
) -> None:
    refusal = on_paper().refusal(resource, **parameters)

    assert words in refusal.detail
    assert refusal.parameter == parameter
    assert refusal.status == (422 if parameter else 404)


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("current", "/current"),
        ("current/weather", "/current/weather"),
        ("current/a?b", "/current/a%3Fb"),
        ("current/a/b", "/current"),
        ("run", "/run"),
    ],
)
def test_the_request_is_shown(resource: str, path: str) -> None:
    asked = on_paper()

    assert asked.reader.shown(asked.plan(resource)) == f"GET http://127.0.0.1:1{path}"
    assert httpx.URL(path).raw_path.decode() == path
