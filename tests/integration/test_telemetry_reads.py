"""Questions to a telemetry server: live against the emulated one, and from kept answers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.reading import NotKept
from adapters.telemetry.reads import RESOURCES, TelemetryReader
from adapters.verdict import Refused, Throttled, Uncertain, Unreachable
from tests.emulators.event_manager_lane import Canned
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site
from tests.questioner import Questioner

NOON_TS = "2026-01-01T12:00:00.000Z"
NO_VALUE = ("the telemetry server holds no current value of this type",)
ODD_TYPES = ["weather", "a/b", "a b?c#é%2F", "", ".."]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(TelemetryEmulator()) as made:
        yield made


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path))
    return server


@pytest.fixture
async def asked(server: Served) -> AsyncIterator[Questioner]:
    reader = TelemetryReader(a_site(server.url))
    yield Questioner(reader)
    await reader.close()


def posted(served: Served, event_type: str = "weather", data: Any = "clear", **more: Any) -> Any:
    store = served.emulator
    assert isinstance(store, TelemetryEmulator)
    body = {"type": event_type, "data": data, "meta": more.pop("meta", {})}
    return store.store.append(
        body, more.pop("ts", NOON_TS), make_current=True, permanently=False, **more
    )


async def test_current_values_come_as_the_server_shows_them(
    served: Served, asked: Questioner
) -> None:
    assert (await asked.live("current")).data == {}
    weather, dome = posted(served), posted(served, "dome", {"n": [1, 1.0, 2**70]}, ts="junk")

    everything = await asked.live("current")

    assert everything.data == {"weather": weather, "dome": dome}
    assert str(everything.data["dome"]["data"]) == "{'n': [1, 1.0, 1180591620717411303424]}"
    assert (everything.complete, everything.settled, everything.notes) == (True, False, ())


@pytest.mark.parametrize("event_type", ODD_TYPES)
async def test_one_type_is_asked_for_whatever_its_name_is(
    served: Served, asked: Questioner, event_type: str
) -> None:
    none = await asked.live("current", type=event_type)
    value = posted(served, event_type)

    assert (none.data, none.notes) == (None, NO_VALUE)
    assert (await asked.live("current", type=event_type)).data == value
    if event_type:
        assert (await asked.live(f"current/{event_type}")).data == value


async def test_a_run_is_told_or_that_there_is_none(served: Served, asked: Questioner) -> None:
    none = await asked.live("run")
    emulator = served.emulator
    assert isinstance(emulator, TelemetryEmulator)
    run = emulator.store.start_run("007", None, {"k": 1})

    assert (none.data, none.notes) == (None, ("No run is active",))
    assert (await asked.live("run")).data == run
    ready = (await asked.live("ready")).data
    assert ready == {"ready": True, "run_active": True, "version": "0.5.3"}
    assert (await asked.live("health")).data == {"ok": True}


async def test_a_value_that_cannot_be_shown_is_no_answer_and_the_others_are(
    served: Served, asked: Questioner
) -> None:
    fine = posted(served, "dome")
    posted(served, data="\ud800")

    for parameters in ({}, {"type": "weather"}, {"type": "a/b"}):
        with pytest.raises(Refused, match="cannot show until a new one of its type comes"):
            await asked.live("current", **parameters)
    with pytest.raises(Refused, match="one type alone"):
        await asked.live("current")

    assert (await asked.live("current", type="dome")).data == fine
    assert list(asked.shelf.kept) == ["current/dome"]


async def test_numbers_without_a_word_in_json_are_null_aloud(
    server: Served, asked: Questioner
) -> None:
    server.serve(Canned(body='{"current": {"w": {"type": "w", "data": [NaN, 1e999, 2]}}}'))

    found = await asked.live("current")

    assert found.data["w"]["data"] == [None, None, 2]
    assert "2 numbers" in found.notes[0]


@pytest.mark.parametrize(
    ("mode", "settings", "meaning"),
    [
        ("html", {}, Refused),
        ("empty", {}, Refused),
        ("redirect", {}, Refused),
        ("status", {"status": 500}, Uncertain),
        ("status", {"status": 404}, Refused),
        ("retry_after", {"seconds": 7}, Throttled),
        ("truncate", {}, Uncertain),
        ("drop_before", {}, Uncertain),
    ],
)
async def test_what_is_no_answer_is_never_kept_as_one(
    served: Served, asked: Questioner, mode: str, settings: dict[str, Any], meaning: type[Exception]
) -> None:
    served.fault(mode, **settings)

    for resource in (*RESOURCES, "current/weather"):
        with pytest.raises(meaning):
            await asked.live(resource)
    assert asked.shelf.kept == {}


@pytest.mark.parametrize(
    "body",
    ['{"detail": "Not Found"}', "{}", "[]", '{"current": []}', '{"type": "other"}', "null"],
)
@pytest.mark.parametrize("status", [200, 404])
async def test_the_json_of_somebody_else_is_no_answer(
    server: Served, asked: Questioner, status: int, body: str
) -> None:
    server.serve(Canned(status, body))

    for resource in (*RESOURCES, "current/weather"):
        with pytest.raises(Refused, match="is the url right"):
            await asked.live(resource)


async def test_a_server_that_is_away_is_unreachable(served: Served, asked: Questioner) -> None:
    served.unplug()

    with pytest.raises(Unreachable):
        await asked.live("current")


# From kept answers


async def test_one_type_is_known_from_all_of_them(served: Served, asked: Questioner) -> None:
    weather = posted(served)
    await asked.live("current")

    one = await asked.offline("current", type="weather")
    none = await asked.offline("current", type="dome")

    assert (one.data, one.source, one.fetched_at) == (weather, "derived", asked.at)
    assert (none.data, none.notes) == (None, NO_VALUE)
    with pytest.raises(NotKept):
        await asked.offline("run")


async def test_the_younger_of_two_kept_answers_is_said(served: Served, asked: Questioner) -> None:
    posted(served, data="first")
    await asked.live("current", type="weather")
    posted(served, data="second")
    await asked.live("current")
    assert (await asked.offline("current", type="weather")).data["data"] == "second"

    posted(served, data="third")
    await asked.live("current/weather")

    third = await asked.offline("current", type="weather")
    assert (third.data["data"], third.source) == ("third", "cache")
    assert (await asked.offline("current")).data["weather"]["data"] == "second"


async def test_one_type_does_not_stand_for_all(served: Served, asked: Questioner) -> None:
    posted(served)
    await asked.live("current/weather")
    await asked.live("run")

    with pytest.raises(NotKept):
        await asked.offline("current")
    with pytest.raises(NotKept):
        await asked.offline("current", type="dome")
    assert (await asked.offline("run")).notes == ("No run is active",)
