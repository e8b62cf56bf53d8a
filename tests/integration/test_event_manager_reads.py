"""Questions for events, to the emulated Event Manager."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.event_manager.asking import Asking
from adapters.reading import Misasked
from adapters.verdict import Refused, Uncertain
from tests.emulators.event_manager import VERSIONS, EventManager
from tests.emulators.event_manager_desk import (
    NODE,
    emulated,
    hours,
    ids,
    plant,
    reader_of,
)
from tests.emulators.event_manager_lane import Canned, site_for
from tests.emulators.event_manager_model import judged
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


# One event


async def test_an_event_comes_as_it_is_stored_and_an_unknown_one_is_null(
    served: Served, asked: Questioner
) -> None:
    plant(served, {"event_id": "50% of a?b#c", "event_data": {"k": 1.0}})

    found = await asked.live("event", id="50% of a?b#c")
    none = await asked.live("event/nobody")

    assert found.data == served.emulator.ledger()[0]
    assert (none.data, none.settled) == (None, False)
    assert none.notes == ("the Event Manager holds no event of this id",)
    assert (await asked.offline("event", id="nobody")).notes == none.notes


async def test_an_event_that_no_path_leads_to_is_searched_for(
    served: Served, asked: Questioner
) -> None:
    odd = ("a/b", ".", "..", "x" * 3000)
    plant(served, *({"event_id": one} for one in odd))

    for one in odd:
        assert (await asked.live("event", id=one)).data["_id"] == one
    assert (await asked.live("event", id="a/c")).data is None
    assert asked.reader.shown(asked.plan("event", id="a/b")) == (
        f'POST {served.url}/events/query {{"_id": "a/b"}} (this only reads)'
    )


async def test_an_event_that_may_still_be_archived_is_not_settled(
    server: Served, asked: Questioner
) -> None:
    settled = []
    for archived in ({}, {"archived": False}, {"archived": True}):
        server.serve(Canned(body=json.dumps({"_id": "a", **archived})))
        settled.append((await asked.live("event", id="a")).settled)

    assert settled == [True, False, True]


async def test_a_wrong_address_is_no_absent_event(served: Served) -> None:
    reader = reader_of(f"{served.url}/ingest")
    with pytest.raises(Refused, match=r"is the backend's url right\?"):
        await Questioner(reader).live("event", id="a")
    await reader.close()


# The newest events


async def test_the_newest_events_come_in_the_servers_order(
    served: Served, asked: Questioner
) -> None:
    plant(served, *hours(5))

    assert ids((await asked.live("recent", number=3)).data) == ["e4", "e3", "e2"]
    assert ids((await asked.live("recent", level="error")).data) == ["e3", "e1"]
    assert asked.rows == [(3, 3), (2, 2)]
    shown = asked.reader.shown(asked.plan("recent", number=3, level="error"))
    assert shown == f"GET {served.url}/events?number=3&level=40"


async def test_the_later_parameters_are_for_servers_that_know_them(
    new: Served, asked: Questioner
) -> None:
    plant(new, *hours(5), {"event_id": "gone", "archived": True})

    async def found(**parameters: Any) -> list[str]:
        return ids((await asked.live("recent", **parameters)).data)

    assert await found(number=2, offset=1) == ["e3", "e2"]
    assert await found(start="2026-01-01T03:00:00Z") == ["e4", "e3"]
    assert await found(end="2026-01-01T01:30:00Z") == ["e1", "e0"]
    assert await found(number=1, include_archived="true") == ["gone"]
    assert await found(offset=100) == []


@pytest.mark.parametrize("empty", [True, False])
async def test_an_older_server_ignores_them_and_so_is_not_believed(
    old: Served, asked: Questioner, *, empty: bool
) -> None:
    emulator = emulated(old)
    for event in [] if empty else hours(3):
        emulator.plant(judged(event, "0.5.2"))

    with pytest.raises(Misasked, match=r"since 0\.7\.0 know this, and this one is older"):
        await asked.live("recent", offset=1)


@pytest.mark.parametrize(("version", "is_new"), [("0.6.2", False), ("0.7.0", True), ("1.0", True)])
async def test_how_old_a_server_is_goes_by_what_it_says(
    server: Served, *, version: str, is_new: bool
) -> None:
    server.serve(Canned(body=json.dumps({"healthy": True, "version": version})))
    asking = Asking(site_for(server.url))

    if is_new:
        await asking.need_renewed("offset")
    else:
        with pytest.raises(Misasked, match="offset: only servers since"):
            await asking.need_renewed("offset")
    await asking.close()


async def test_a_list_of_strange_things_is_no_list(server: Served, asked: Questioner) -> None:
    for body in ({"a": {"_id": "b"}}, {"a": 1}, [{"_id": "a"}], {"detail": "fine"}):
        server.serve(Canned(body=json.dumps(body)))
        for resource, parameters in (("recent", {}), ("query", {"level": 20}), ("archived", {})):
            with pytest.raises(Refused):
                await asked.live(resource, **parameters)


async def test_nobody_is_believed_to_be_new_who_does_not_say_so(
    new: Served, asked: Questioner
) -> None:
    emulator = emulated(new)
    emulator.silent = frozenset({"/health"})

    with pytest.raises(Refused, match="does not tell its version"):
        await asked.live("recent", offset=1)


async def test_what_the_order_of_texts_may_hide_is_told(new: Served, asked: Questioner) -> None:
    plant(new, *hours(2), {"event_id": "naive", "event_timestamp": "2026-01-01T01:30:00"})

    mixed = await asked.live("recent")
    utc = await asked.live("recent", number=1, level=40)
    part = await asked.live("recent", start="2026-01-01T01:45:00Z")

    assert len(mixed.notes) == 1
    assert "several zones" in mixed.notes[0]
    assert utc.notes == ()
    assert "compares start and end with the texts" in part.notes[0]
    assert (await asked.offline("recent")).notes == mixed.notes


async def test_one_odd_document_does_not_hide_all_others(served: Served, asked: Questioner) -> None:
    plant(served, *hours(5))
    emulator = emulated(served)
    odd = {**emulator.ledger()[0], "event_type": "of_the_future"}
    emulator.plant({**odd, "_id": "odd", "event_timestamp": "2026-01-01T03:30:00Z"})

    found = await asked.live("recent", number=3)
    errors = await asked.live("recent", number=1, level=40)

    assert ids(found.data) == ["e4", "odd", "e3"]
    assert "cannot show this list (500)" in found.notes[0]
    assert ids(errors.data) == ["e3"], "the odd one has another level"
    assert errors.notes == ()
    assert found.complete


async def test_the_way_round_an_odd_document_asks_for_the_same_events(
    new: Served, asked: Questioner
) -> None:
    plant(new, *hours(6), {"event_id": "gone", "archived": True})
    plant(new, {"event_id": "edge", "event_timestamp": "2026-01-01T07:00:00", "log_level": 50})
    emulator = emulated(new)
    odd = {**emulator.ledger()[3], "event_type": "of_the_future"}
    emulator.plant({**odd, "_id": "odd"})
    emulator.plant({**odd, "_id": "odd and gone", "archived": True, "archived_at": "9"})

    rows = await asked.live(
        "recent", start="2026-01-01T01:00:00Z", end="2026-01-01T04:00:00Z", level=40, offset=1
    )
    archived = await asked.live("archived")
    edge = "2026-01-01T07:00:00"
    emulator.plant({**odd, "_id": "odd edge", "event_timestamp": edge})
    at_the_edge = await asked.live("recent", start=edge, end=edge)

    assert set(ids(at_the_edge.data)) == {"edge", "odd edge"}
    assert set(ids(rows.data)) <= {"e3", "odd", "e1"}
    assert ids(rows.data)[-1] == "e1"
    assert len(rows.data) == 2
    assert ids(archived.data) == ["odd and gone", "gone"]


async def test_archived_events_are_listed_by_servers_that_have_them(
    new: Served, asked: Questioner
) -> None:
    plant(new, *hours(2), {"event_id": "a", "archived": True, "archived_at": "2026-01-02"})
    plant(new, {"event_id": "b", "archived": True, "archived_at": "2026-01-03"})

    assert ids((await asked.live("archived")).data) == ["b", "a"]
    assert ids((await asked.live("archived", number=1, offset=1)).data) == ["a"]


# Searches


async def test_a_selector_goes_to_the_database_as_it_is(served: Served, asked: Questioner) -> None:
    plant(served, *hours(4))
    selector = '{"log_level": {"$gte": 40}, "event_data": {"event_id": "x"}}'

    found = await asked.live("query", selector='{"log_level": {"$gte": 40}}')

    assert ids(found.data) == ["e1", "e3"]
    assert (await asked.live("query", selector=selector)).data == []
    assert len((await asked.live("query", selector="{}")).data) == 4
    assert (
        asked.plan("query", selector=selector).key
        == asked.plan("query", selector=json.dumps(json.loads(selector), sort_keys=True)).key
    )


async def test_an_odd_selector_is_told_from_a_lost_database(
    served: Served, asked: Questioner
) -> None:
    plant(served, {"event_id": "a", "event_data": {"k": 1}})
    odd = '{"event_data.k": {"$bogus": 1}}'
    with pytest.raises(Misasked, match="an operator in it") as caught:
        await asked.live("query", selector=odd)

    assert caught.value.parameter == "selector"
    emulator = emulated(served)
    emulator.db_down = True
    for resource, parameters in (
        ("query", {"selector": odd}),
        ("query", {"level": 20}),
        ("recent", {}),
        ("event", {"id": "a"}),
        ("sessions", {}),
    ):
        with pytest.raises(Uncertain):
            await asked.live(resource, **parameters)


async def test_conditions_find_what_they_say(served: Served, asked: Questioner) -> None:
    plant(
        served,
        *hours(3),
        {"event_id": "n", "source": {"node_id": NODE}, "event_type": "node_start"},
        {"event_id": "x", "source": {"experiment_id": NODE}, "event_type": "experiment_cancelled"},
    )

    async def found(**conditions: Any) -> list[str]:
        return ids((await asked.live("query", **conditions)).data)

    assert await found(type="NODE_START") == ["n"]
    assert await found(type="experiment_stop") == ["x"], "by its name since 0.7.0"
    assert await found(level=40) == ["e1"]
    assert await found(node_id=NODE) == ["n"]
    assert await found(experiment_id=NODE, level=0) == ["x"]
    assert await found(node_id=NODE, type="log") == []


async def test_times_are_compared_as_moments_whatever_their_zones(
    served: Served, asked: Questioner
) -> None:
    texts = {
        "utc": "2026-01-01T12:00:00Z",
        "tokyo": "2026-01-01T21:00:00+09:00",
        "honolulu": "2026-01-01T02:00:00-10:00",
        "local": "2026-01-01T13:00:00",  # in Berlin
        "before": "2026-01-01T20:59:59.999999+09:00",
        "after": "2026-01-01T12:00:00.000001Z",
        "wrong": "2026-01-01T12:00:00+09:00",
    }
    plant(served, *({"event_id": k, "event_timestamp": v} for k, v in texts.items()))

    found = await asked.live("query", since="2026-01-01T13:00:00", until="2026-01-01T12:00:00Z")
    later = await asked.live("query", since="2026-01-01T12:00:00.000001Z", until="2026-01-02")
    ever = await asked.live("query", since="0001-01-01T00:00:00Z", until="9999-12-31T23:00:00Z")

    assert ids(found.data) == ["utc", "tokyo", "honolulu", "local"]
    assert "1 times name no zone" in found.notes[0]
    assert ids(later.data) == ["after"]
    assert len(ever.data) == 7


async def test_an_event_of_no_known_time_is_left_out_aloud(
    served: Served, asked: Questioner
) -> None:
    plant(served, *hours(1))
    emulator = emulated(served)
    emulator.plant(
        {**emulator.ledger()[0], "_id": "odd", "event_timestamp": "2026-01-01 yesterday"}
    )

    found = await asked.live("query", since="2026-01-01T00:00:00Z")

    assert ids(found.data) == ["e0"]
    assert not found.complete
    assert "1 events are left out" in found.notes[0]
