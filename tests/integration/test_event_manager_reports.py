"""Reports, and what an Event Manager says of itself; and what is no answer at all."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.reading import Misasked
from adapters.verdict import Refused, Throttled, Uncertain, Unreachable
from tests.emulators.event_manager import VERSIONS, EventManager
from tests.emulators.event_manager_desk import (
    emulated,
    hours,
    plant,
    reader_of,
)
from tests.emulators.event_manager_lane import Canned
from tests.emulators.kit import Served
from tests.questioner import Questioner


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(EventManager()) as made:
        yield made


@pytest.fixture(params=VERSIONS)
def served(server: Served, request: pytest.FixtureRequest) -> Served:
    server.serve(EventManager(request.param))
    return server


@pytest.fixture
def old(server: Served) -> Served:
    server.serve(EventManager("0.5.2"))
    return server


@pytest.fixture
def new(server: Served) -> Served:
    server.serve(EventManager("0.8.1"))
    return server


@pytest.fixture
async def asked(server: Served) -> AsyncIterator[Questioner]:
    reader = reader_of(server.url)
    yield Questioner(reader)
    await reader.close()


# Reports, and what the server says of itself


@pytest.mark.usefixtures("new")
async def test_reports_come_as_json_and_as_text(asked: Questioner) -> None:
    span = {"start": "2026-01-01T00:00:00+01:00", "end": "2026-01-02T00:00:00+01:00"}

    sessions = await asked.live("sessions", **span)
    table = await asked.live("users", **span, format="csv")
    periods = await asked.live(
        "periods", **span, analysis_type="weekly", user_timezone="Europe/Berlin"
    )

    assert sessions.data["report_metadata"]["analysis_start"] == span["start"]
    assert table.data.startswith("=== USER REPORT ===")
    assert table.meta == {"media_type": "text/csv"}
    assert periods.data["summary_metadata"]["user_timezone"] == "Europe/Berlin"
    assert periods.data["summary_metadata"]["analysis_type"] == "weekly"
    assert (await asked.offline("users", **span, format="csv")).data == table.data


async def test_a_report_with_holes_says_so(new: Served, asked: Questioner) -> None:
    emulator = emulated(new)
    emulator.broken_sessions = 2

    report = await asked.live("sessions")

    assert not report.complete
    assert "could not work out 2 parts" in report.notes[0]


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ({"error": "start_time and end_time are required", "details": "Both"}, Misasked),
        ({"error": "Failed to generate report: Invalid isoformat string: 'x'"}, Misasked),
        ({"error": "Failed to create session analyzer"}, Uncertain),
        ({"error": "Failed to generate report: Logger._log() got an unexpected"}, Uncertain),
        ([], Refused),
        ({"success": True}, Refused),
    ],
)
async def test_a_report_that_is_an_error_or_none_is_no_answer(
    server: Served, asked: Questioner, said: Any, meaning: type[Exception]
) -> None:
    server.serve(Canned(body=json.dumps(said)))

    for form in ("json", "csv"):
        with pytest.raises(meaning):
            await asked.live("sessions", format=form)


@pytest.mark.parametrize(
    ("resource", "parameters", "since"),
    [
        ("periods", {"start": "2026-01-01", "end": "2026-01-02"}, "0.6.0"),
        ("users", {}, "0.6.0"),
        ("archived", {}, "0.7.0"),
        ("settings", {}, "0.7.0"),
    ],
)
async def test_what_this_version_has_not_got_is_said_in_words(
    old: Served, asked: Questioner, resource: str, parameters: dict[str, str], since: str
) -> None:
    with pytest.raises(Misasked, match=f"it came with {since}") as caught:
        await asked.live(resource, **parameters)
    assert caught.value.status == 404

    reader = reader_of(f"{old.url}/ingest")
    with pytest.raises(Refused, match=r"is the backend's url right\?"):
        await Questioner(reader).live(resource, **parameters)
    await reader.close()


async def test_each_version_says_what_it_is(served: Served, asked: Questioner) -> None:
    definition = await asked.live("definition")
    health = await asked.live("health")

    emulator = emulated(served)
    assert definition.data["manager_type"] == "event_manager"
    assert bool(definition.notes) == (emulator.version == "0.8.1")
    assert (health.data["healthy"], health.settled) == (True, False)
    if definition.notes:
        assert (await asked.live("settings")).data == definition.data


async def test_json_is_no_table(server: Served, asked: Questioner) -> None:
    server.serve(Canned(body='{"report_metadata": {}}'))

    assert (await asked.live("sessions")).data == {"report_metadata": {}}
    with pytest.raises(Refused):
        await asked.live("sessions", format="csv")


@pytest.mark.parametrize("resource", ["health", "definition", "settings"])
async def test_what_somebody_else_says_of_itself_is_no_answer(
    server: Served, asked: Questioner, resource: str
) -> None:
    server.serve(Canned(body='{"settings": {}, "status": "fine"}'))

    with pytest.raises(Refused, match="not as an Event Manager"):
        await asked.live(resource)


# No answers


@pytest.mark.parametrize(
    ("mode", "settings", "meaning"),
    [
        ("html", {}, Refused),
        ("empty", {}, Refused),
        ("redirect", {}, Refused),
        ("status", {"status": 502}, Uncertain),
        ("status", {"status": 404}, Refused),
        ("retry_after", {"seconds": 7}, Throttled),
        ("truncate", {}, Uncertain),
        ("drop_before", {}, Uncertain),
    ],
)
async def test_what_is_no_answer_is_never_kept_as_one(
    served: Served, asked: Questioner, mode: str, settings: dict[str, Any], meaning: type[Exception]
) -> None:
    plant(served, *hours(2))
    served.fault(mode, **settings)

    for resource, parameters in (
        ("event", {"id": "e1"}),
        ("recent", {}),
        ("query", {"level": 20}),
        ("query", {"selector": "{}"}),
        ("sessions", {}),
        ("health", {}),
        ("definition", {}),
    ):
        with pytest.raises(meaning):
            await asked.live(resource, **parameters)
    assert asked.shelf.kept == {}


@pytest.mark.parametrize(("status", "meaning"), [(422, Misasked), (400, Misasked), (418, Refused)])
async def test_what_the_server_judges_is_refused_in_its_words(
    server: Served, asked: Questioner, status: int, meaning: type[Exception]
) -> None:
    said = {"detail": [{"loc": ["query", "number"], "msg": "Input should be smaller"}]}
    server.serve(Canned(status, json.dumps(said)))

    for resource in ("recent", "sessions", "event/a", "health"):
        with pytest.raises(meaning) as caught:
            await asked.live(resource)
        assert ("query/number: Input should be smaller" in str(caught.value)) == (status != 418)


async def test_numbers_without_a_word_in_json_are_null_aloud(
    server: Served, asked: Questioner
) -> None:
    server.serve(Canned(body='{"_id": "a", "event_data": [NaN, {"k": -Infinity}, 1e400, 1.5]}'))

    found = await asked.live("event", id="a")

    assert found.data["event_data"] == [None, {"k": None}, None, 1.5]
    assert "3 numbers" in found.notes[0]


async def test_a_server_that_is_away_is_unreachable(served: Served, asked: Questioner) -> None:
    served.unplug()

    with pytest.raises(Unreachable):
        await asked.live("recent")
