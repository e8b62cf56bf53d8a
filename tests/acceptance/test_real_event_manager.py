"""The event_manager adapter against the real MADSci Event Manager 0.5.2."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from adapters.base import Refused, Rejected, Uncertain
from adapters.event_manager import EventManagerAdapter
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.event_manager_lane import adapter_for
from tests.real.event_manager import RealEventManager, real_event_manager

pytestmark = pytest.mark.real
ULID = "01JJ4S0WNGEF5FQAZG5KDGJRBV"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEventManager]:
    # One for all tests: it takes seconds to start, and every test uses ids of its own.
    with real_event_manager(tmp_path_factory.mktemp("event_manager")) as server:
        yield server


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
    }


async def test_a_repeat_is_echoed_and_changes_nothing(
    server: RealEventManager, adapter: EventManagerAdapter
) -> None:
    await adapter.deliver([a_claim({"event_id": "repeated", "event_data": 1})])
    again = a_claim({"event_id": "repeated", "event_data": 2})

    (receipt,) = await adapter.deliver([again])

    assert isinstance(receipt, Receipt)
    assert stored(server, "repeated")["event_data"] == 1
    with pytest.raises(Rejected, match="already holds another event"):
        await adapter.find(doubt(again))


@pytest.mark.parametrize(
    "payload",
    [
        {"event_type": "LOG_INFO", "log_level": "warning", "source": {"user_id": None}},
        {"event_timestamp": "2025-01-01T00:00:00.5+02:00"},
        {"event_timestamp": 1735689600123},
        {"event_timestamp": "2025-01-01"},
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
        pytest.param({"event_type": "manager_start"}, id="a type of 0.8.1"),
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
