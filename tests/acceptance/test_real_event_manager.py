"""Delivering to the real MADSci Event Manager, 0.5.2 and 0.8.1, and asking it."""

import json
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import ulid

from adapters.event_manager import EventManagerAdapter, dialect
from adapters.event_manager.event_types import (
    BEFORE_0_7,
    SINCE_0_7,
    in_definition,
    in_description,
    in_health,
)
from adapters.event_manager.reads import EventReader
from adapters.http import HttpClient
from adapters.reading import Misasked
from adapters.verdict import Refused, Rejected, Uncertain
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.event_manager_desk import ids
from tests.emulators.event_manager_lane import adapter_for, site_for
from tests.questioner import Questioner
from tests.real.event_manager import RealEventManager

pytestmark = pytest.mark.real
ULID = "01JJ4S0WNGEF5FQAZG5KDGJRBV"
TRACE = {"trace_id": None, "span_id": None, "archived": False, "archived_at": None}
SINCE_0_8: dict[str, dict[str, Any]] = {"0.8.1": TRACE}
# A type as the producer says it, and as each version stores it.
TOLD = {
    "experiment_stop": {"0.5.2": "experiment_stop", "0.8.1": "experiment_cancelled"},
    "experiment_cancelled": {"0.5.2": "experiment_stop", "0.8.1": "experiment_cancelled"},
    "manager_start": {"0.5.2": "unknown", "0.8.1": "manager_start"},
    "workflow_start": {"0.5.2": "workflow_start", "0.8.1": "workflow_start"},
}


@pytest.fixture
async def adapter(server: RealEventManager) -> AsyncIterator[EventManagerAdapter]:
    async with adapter_for(server.url) as adapter:
        yield adapter


async def failure_of(server: RealEventManager, claim: Claim) -> Uncertain:
    """The uncertain outcome of posting `claim`.

    By a connection of its own: after a 500 the real server closes the connection without
    saying so, and what is sent on it next may be lost as well.
    """
    async with adapter_for(server.url) as adapter:
        with pytest.raises(Uncertain) as caught:
            await adapter.deliver([claim])
    return caught.value


def doubt(claim: Claim) -> Doubt:
    return Doubt(claim, first_sent_at=NOW, last_sent_at=NOW)


def stored(server: RealEventManager, event_id: str) -> dict[str, Any]:
    event: dict[str, Any] = httpx.get(f"{server.url}/event/{event_id}").raise_for_status().json()
    return event


def ids_where(server: RealEventManager, wanted: dict[str, Any]) -> list[str]:
    return list(httpx.post(f"{server.url}/events/query", json=wanted).raise_for_status().json())


async def test_an_event_arrives_once_with_the_producers_time(
    server: RealEventManager, adapter: EventManagerAdapter
) -> None:
    claim = a_claim({"event_data": {"k": [1, 2.5, None, "é"]}}, created_at=1_735_689_600_123)

    assert await adapter.deliver([claim]) == [
        Receipt(claim.id, claim.id, url=f"{server.url}/event/{claim.id}")
    ]
    assert stored(server, claim.id) == {
        "_id": claim.id,
        "event_type": "unknown",
        "log_level": 20,
        "alert": False,
        "event_timestamp": "2025-01-01T00:00:00.123000Z",
        "source": {},
        "event_data": {"k": [1, 2.5, None, "é"]},
        **SINCE_0_8.get(server.version, {}),
    }


@pytest.mark.parametrize("event_id", [ULID, "repeated"], ids=["a ULID", "a name"])
async def test_a_repeat_changes_nothing_and_a_name_that_is_taken_is_told(
    server: RealEventManager, adapter: EventManagerAdapter, event_id: str
) -> None:
    await adapter.deliver([a_claim({"event_id": event_id, "event_data": 1})])
    again = a_claim({"event_id": event_id, "event_data": 2})

    if event_id == ULID:
        (receipt,) = await adapter.deliver([again])
        assert isinstance(receipt, Receipt), "the server echoes it"
    else:
        with pytest.raises(Rejected, match="already holds another event"):
            await adapter.deliver([again])

    assert stored(server, event_id)["event_data"] == 1
    with pytest.raises(Rejected, match="already holds another event"):
        await adapter.find(doubt(again))


@pytest.mark.parametrize(
    "payload",
    [
        {"event_type": "LOG_INFO", "log_level": "warning", "source": {"user_id": None}},
        {"event_timestamp": "2025-01-01T00:00:00.5+02:00"},
        {"event_timestamp": 1735689600123},
        {"event_timestamp": "2025-01-01"},
        {"event_timestamp": "2025-01-01T00:00:00.25"},
        {"source": {"node_id": ULID.lower()}, "event_data": {"z": 1e22, "a": -0.0}},
        {"event_data": None, "trace_id": "t", "archived": False, "archived_at": None},
        {"event_id": "50% of a?b#c&d=e+f\\g;h%2Fi Ångström"},
        {"log_level": "40", "event_type": "experiment_stop"},
    ],
    ids=str,
)
async def test_a_landed_event_is_found_however_it_was_spelled(
    server: RealEventManager, adapter: EventManagerAdapter, payload: dict[str, Any]
) -> None:
    claim = a_claim(payload)
    # A first adapter stands for the attempt whose answer was lost.
    async with adapter_for(server.url) as first:
        await first.deliver([claim])

    (receipt,) = await adapter.find(doubt(claim))

    assert receipt.duplicate
    assert receipt.remote_id == payload.get("event_id", claim.id)


async def test_an_event_that_never_landed_is_not_found(adapter: EventManagerAdapter) -> None:
    assert await adapter.find(doubt(a_claim({}))) == []


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({"log_level": 15}, id="past our own model"),
        pytest.param({"source": {"node_id": "not-a-ulid"}}, id="past our own model too"),
    ],
)
async def test_what_the_server_judges_is_rejected_in_its_words(
    adapter: EventManagerAdapter, payload: dict[str, Any]
) -> None:
    with pytest.raises(Rejected) as caught:
        await adapter.deliver([a_claim(payload)])

    assert caught.value.status == 422
    assert f"body/{next(iter(payload))}" in caught.value.detail


async def test_a_lost_database_is_uncertain_and_nothing_is_lost_or_doubled(
    server: RealEventManager, adapter: EventManagerAdapter
) -> None:
    claim = a_claim({"event_data": "through an outage"})
    server.lose_database()
    try:
        failure = await failure_of(server, claim)
        async with adapter_for(server.url) as looking:
            with pytest.raises(Uncertain):
                await looking.find(doubt(claim))
    finally:
        server.restore_database()

    assert (failure.status, failure.excerpt) == (500, "Internal Server Error")
    assert await adapter.find(doubt(claim)) == []
    await adapter.deliver([claim])
    assert ids_where(server, {"event_data": "through an outage"}) == [claim.id]


async def test_poison_that_slips_past_us_is_the_same_500_and_not_stored(
    server: RealEventManager, adapter: EventManagerAdapter
) -> None:
    claim = a_claim({"event_data": 2**70})

    failure = await failure_of(server, claim)

    assert (failure.status, failure.excerpt) == (500, "Internal Server Error")
    assert await adapter.find(doubt(claim)) == []


async def test_a_wrong_path_refuses_us_and_not_the_event(server: RealEventManager) -> None:
    claim = a_claim({})
    async with adapter_for(f"{server.url}/ingest") as adapter:
        with pytest.raises(Refused, match=r"is the backend's url right\?"):
            await adapter.deliver([claim])
        with pytest.raises(Refused):
            await adapter.find(doubt(claim))


@pytest.mark.parametrize("event_type", TOLD)
@pytest.mark.parametrize("described", [True, False], ids=["described", "refused"])
async def test_a_type_is_told_in_the_servers_words(
    server: RealEventManager,
    monkeypatch: pytest.MonkeyPatch,
    event_type: str,
    *,
    described: bool,
) -> None:
    if not described:  # nobody says what it knows, but its own refusal
        monkeypatch.setattr(dialect, "SOURCES", ())
    claim = a_claim({"event_type": event_type, "event_data": [1]})
    async with adapter_for(server.url) as adapter:
        await adapter.deliver([claim])
        (receipt,) = await adapter.find(doubt(claim))

    told = TOLD[event_type][server.version]
    note = {"holdfast": {"event_type": event_type, "wrapped": True}, "event_data": [1]}
    event = stored(server, claim.id)
    assert receipt.duplicate
    assert event["event_type"] == told
    assert event["event_data"] == (note if told == "unknown" else [1])


async def test_both_versions_describe_exactly_what_they_know(server: RealEventManager) -> None:
    client = HttpClient(site_for(server.url))
    described = in_description(await client.request("GET", "/openapi.json"))
    by_version = in_health(await client.request("GET", "/health"))
    by_definition = in_definition(await client.request("GET", "/definition"))
    await client.close()

    known = {"0.5.2": BEFORE_0_7, "0.8.1": SINCE_0_7}[server.version]
    assert described == known
    assert (by_version or by_definition) == known


async def test_a_local_time_is_kept_with_its_offset(server: RealEventManager) -> None:
    claim = a_claim({"event_timestamp": "2026-07-15T12:00:00"})
    async with adapter_for(server.url, zone=ZoneInfo("Asia/Tokyo")) as adapter:
        await adapter.deliver([claim])
        assert len(await adapter.find(doubt(claim))) == 1

    assert stored(server, claim.id)["event_timestamp"] == "2026-07-15T12:00:00+09:00"


# Questions


@pytest.fixture
async def asked(server: RealEventManager) -> AsyncIterator[Questioner]:
    reader = EventReader(site_for(server.url))
    yield Questioner(reader)
    await reader.close()


@pytest.fixture
async def told(adapter: EventManagerAdapter) -> list[Claim]:
    """Three events of an experiment of their own, an hour apart, newer than all others."""
    experiment = str(ulid.ULID())
    claims = [
        a_claim(
            {
                "event_timestamp": f"2099-01-01T{hour:02}:00:00Z",
                "log_level": 30,
                "event_type": "experiment_stop",
                "source": {"experiment_id": experiment},
            }
        )
        for hour in range(3)
    ]
    for claim in claims:
        await adapter.deliver([claim])
    return claims


def archive(server: RealEventManager, event_id: str) -> None:
    body = {"event_ids": [event_id]}
    httpx.post(f"{server.url}/events/archive", json=body).raise_for_status()


def status_of(server: RealEventManager, place: str) -> int:
    return httpx.get(server.url + place).status_code


def experiment_of(claim: Claim) -> str:
    return str(json.loads(claim.payload)["source"]["experiment_id"])


async def test_events_are_read_one_by_one_and_by_conditions(
    server: RealEventManager, asked: Questioner, told: list[Claim]
) -> None:
    first, second, third = (claim.id for claim in told)
    experiment = experiment_of(told[0])

    one = await asked.live("event", id=second)
    none = await asked.live("event", id="50% of nobody?")
    slash = await asked.live("event", id="a/b")
    search = await asked.live(
        "query",
        experiment_id=experiment,
        type="experiment_cancelled",
        since="2099-01-01T02:00:00+01:00",
    )
    raw = await asked.live("query", selector=json.dumps({"_id": {"$in": [first, third]}}))

    assert one.data == stored(server, second)
    assert one.settled == (server.version == "0.5.2")
    assert (none.data, slash.data) == (None, None)
    assert ids(search.data) == [second, third]
    assert ids(raw.data) == [first, third]


async def test_a_selector_that_the_database_does_not_know_is_told_from_a_lost_database(
    server: RealEventManager, asked: Questioner, told: list[Claim]
) -> None:
    odd = json.dumps({"log_level": {"$bogus": 1}})
    with pytest.raises(Misasked, match="an operator in it"):
        await asked.live("query", selector=odd)

    server.lose_database()
    try:
        for resource, parameters in (
            ("query", {"selector": odd}),
            ("recent", {}),
            ("event", {"id": told[0].id}),
            ("sessions", {}),
        ):
            with pytest.raises(Uncertain):
                await asked.live(resource, **parameters)
        health = await asked.live("health")
    finally:
        server.restore_database()
    assert health.data["db_connected"] is False


async def test_the_newest_events_are_listed_as_the_version_can(
    server: RealEventManager, asked: Questioner, told: list[Claim]
) -> None:
    mine = [claim.id for claim in told]
    shown = ids((await asked.live("recent", level=30, number=999)).data)
    assert [event_id for event_id in shown if event_id in mine] == mine[::-1]

    part = {"number": 2, "offset": 1, "start": "2099-01-01T00:00:00Z", "level": "warning"}
    if server.version == "0.5.2":
        with pytest.raises(Misasked, match="this one is older"):
            await asked.live("recent", **part)
        with pytest.raises(Misasked, match=r"it came with 0\.7\.0"):
            await asked.live("archived")
    else:
        assert len((await asked.live("recent", **part)).data) == 2
        archive(server, told[0].id)
        assert ids((await asked.live("archived", number=1)).data) == [told[0].id]
        assert told[0].id not in ids((await asked.live("recent")).data)
        assert (await asked.live("event", id=told[0].id)).settled
        everything = await asked.live("recent", include_archived="true", number=999)
        assert told[0].id in ids(everything.data)


async def test_reports_and_what_the_server_says_of_itself(
    server: RealEventManager, asked: Questioner, told: list[Claim]
) -> None:
    assert told
    span = {"start": "2099-01-01T00:00:00Z", "end": "2099-01-02T00:00:00Z"}

    sessions = await asked.live("sessions", **span)
    table = await asked.live("sessions", **span, format="csv")
    definition = await asked.live("definition")

    assert sessions.data["report_metadata"]["analysis_start"] == "2099-01-01T00:00:00"
    assert table.data.startswith("=== UTILIZATION REPORT ===")
    assert definition.data["manager_type"] == "event_manager"
    if server.version == "0.5.2":
        for resource, parameters in (("periods", span), ("users", {}), ("settings", {})):
            with pytest.raises(Misasked, match="it came with"):
                await asked.live(resource, **parameters)
        return
    periods = await asked.live("periods", **span, user_timezone="Europe/Berlin")
    assert periods.data["summary_metadata"]["user_timezone"] == "Europe/Berlin"
    assert (await asked.live("users", **span, format="csv")).data.startswith("=== DETAILED USER")
    assert (await asked.live("users", **span)).data["report_metadata"]
    assert (await asked.live("settings")).data == definition.data


async def test_one_event_of_another_version_does_not_hide_the_others(
    server: RealEventManager, asked: Questioner, told: list[Claim]
) -> None:
    server.put({"_id": f"odd-{told[0].id}", "event_type": "of_the_future", "log_level": 30})
    try:
        assert status_of(server, "/events?number=0") == 500
        found = await asked.live("recent", level=30, number=999)
    finally:
        server.take_out(f"odd-{told[0].id}")
        status_of(server, "/events")  # which looks, and so it is done

    assert f"odd-{told[0].id}" in ids(found.data)
    assert {claim.id for claim in told} <= set(ids(found.data))
    assert "cannot show this list (500)" in found.notes[0]
