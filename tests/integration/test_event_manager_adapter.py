"""The event_manager adapter against the emulated server, over real sockets."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from adapters.base import Limit
from adapters.event_manager import KIND, EventManagerAdapter
from adapters.verdict import (
    DeliveryError,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Claim, Receipt
from tests.builders import a_claim
from tests.emulators.event_manager import VERSIONS, EventManager
from tests.emulators.event_manager_lane import adapter_for, found, verdict
from tests.emulators.kit import Served

ULID = "01JJ4S0WNGEF5FQAZG5KDGJRBV"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(EventManager()) as made:
        yield made


@pytest.fixture(params=VERSIONS)
def served(server: Served, request: pytest.FixtureRequest) -> Served:
    server.serve(EventManager(request.param))
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[EventManagerAdapter]:
    async with adapter_for(served.url) as adapter:
        yield adapter


async def test_an_event_arrives_with_the_entrys_id_and_the_producers_time(
    served: Served, adapter: EventManagerAdapter
) -> None:
    claim = a_claim({"event_data": {"k": 1}}, id=ULID, created_at=1_735_689_600_123)

    receipt = await verdict(adapter, claim)

    (stored,) = served.emulator.ledger()
    assert receipt == Receipt(ULID, ULID, url=f"{served.url}/event/{ULID}")
    assert (stored["_id"], stored["event_data"]) == (ULID, {"k": 1})
    assert stored["event_timestamp"] == "2025-01-01T00:00:00.123000Z"
    assert stored["source"] == {}, "it would claim to come from the Event Manager"


async def test_an_events_own_id_is_kept(served: Served, adapter: EventManagerAdapter) -> None:
    for payload in ({"event_id": "mine"}, {"_id": "mine too"}):
        await verdict(adapter, a_claim(payload))

    assert [event["_id"] for event in served.emulator.ledger()] == ["mine", "mine too"]


async def test_several_events_get_a_verdict_each(adapter: EventManagerAdapter) -> None:
    receipts = await adapter.deliver([a_claim({"event_id": name}) for name in "abc"])

    assert [receipt.remote_id for receipt in receipts if isinstance(receipt, Receipt)] == [*"abc"]


@pytest.mark.parametrize("mode", ["drop_after", "truncate", "status_after"])
async def test_a_lost_answer_is_found_and_not_sent_again(
    served: Served, adapter: EventManagerAdapter, mode: str
) -> None:
    claim = a_claim({"log_level": 40, "event_data": {"x": 1.5}})
    served.fault(mode, method="POST")

    assert isinstance(await verdict(adapter, claim), Uncertain)
    receipts = await found(adapter, claim)

    place = f"{served.url}/event/{claim.id}"
    assert receipts == [Receipt(claim.id, claim.id, url=place, duplicate=True)]
    assert isinstance(served.emulator, EventManager)
    assert served.emulator.mails == {claim.id: 1}


@pytest.mark.parametrize("mode", ["drop_before", "status"])
async def test_an_event_that_never_arrived_is_not_found_and_sent_again(
    served: Served, adapter: EventManagerAdapter, mode: str
) -> None:
    claim = a_claim({"event_data": 1})
    served.fault(mode, method="POST", times=1)

    assert isinstance(await verdict(adapter, claim), Uncertain)
    assert await found(adapter, claim) == []
    assert isinstance(await verdict(adapter, claim), Receipt)
    assert len(served.emulator.ledger()) == 1


async def test_an_answer_that_does_not_come_in_time_is_uncertain(served: Served) -> None:
    served.fault("hang_after", method="POST", seconds=3)
    claim = a_claim({})
    async with adapter_for(served.url, limit=0.3) as adapter:
        assert isinstance(await verdict(adapter, claim), Uncertain)
        assert await found(adapter, claim) != []


@pytest.mark.parametrize("taken_id", ["taken", ULID])
async def test_an_id_that_holds_another_event_is_refused_for_good(
    served: Served, adapter: EventManagerAdapter, taken_id: str
) -> None:
    await verdict(adapter, a_claim({"event_id": taken_id, "event_data": 1}))

    outcome = await found(adapter, a_claim({"event_id": taken_id, "event_data": 2}))

    assert isinstance(outcome, Rejected)
    assert "already holds another event" in outcome.detail
    assert served.emulator.ledger()[0]["event_data"] == 1


@pytest.mark.parametrize("data", [1, 2], ids=["the same event", "another event"])
async def test_a_name_of_the_producers_own_is_looked_up_before_it_is_sent(
    served: Served, adapter: EventManagerAdapter, data: int
) -> None:
    await verdict(adapter, a_claim({"event_id": "run-7", "alert": True, "event_data": 1}))

    outcome = await verdict(
        adapter, a_claim({"event_id": "run-7", "alert": True, "event_data": data})
    )

    if data == 1:
        assert isinstance(outcome, Receipt)
        assert outcome.duplicate
    else:
        assert isinstance(outcome, Rejected)
        assert "'run-7' already holds another event" in outcome.detail
    assert isinstance(served.emulator, EventManager)
    assert served.emulator.mails == {"run-7": 1}


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(a_claim({}), id="the entry's id"),
        pytest.param(a_claim({"event_id": ULID.lower()}), id="a ULID"),
        pytest.param(a_claim({"event_id": "run-7"}, in_doubt=True), id="looked up already"),
    ],
)
async def test_an_id_that_nobody_else_has_is_sent_at_once(
    served: Served, adapter: EventManagerAdapter, claim: Claim
) -> None:
    served.faulty.requests.clear()

    assert isinstance(await verdict(adapter, claim), Receipt)
    assert served.faulty.requests.total() == 1


@pytest.mark.parametrize(
    "payload",
    [
        {"event_type": "LOG_INFO", "log_level": "warning", "source": {"user_id": None}},
        {"event_timestamp": "2025-01-01T00:00:00.5+02:00"},
        {"event_timestamp": 1735689600000},
        {"event_timestamp": "2025-01-01"},
        {"source": {"node_id": ULID.lower()}, "event_data": {"z": 1.0, "a": [None, "é"]}},
        {"event_data": None, "trace_id": "t", "span_id": "s", "archived": False},
        {"event_id": "50% of a?b#c&d=e+f\\g;h%2Fi Ångström"},
    ],
    ids=str,
)
async def test_an_event_is_recognised_however_it_was_spelled(
    adapter: EventManagerAdapter, payload: dict[str, Any]
) -> None:
    claim = a_claim(payload)
    receipt = await verdict(adapter, claim)

    assert isinstance(receipt, Receipt)
    assert await found(adapter, claim) == [
        Receipt(claim.id, receipt.remote_id, receipt.url, duplicate=True)
    ]


async def test_an_event_that_was_archived_since_is_still_ours() -> None:
    emulator, claim = EventManager("0.8.1"), a_claim({})
    with Served(emulator) as served:
        async with adapter_for(served.url) as adapter:
            await verdict(adapter, claim)
            emulator.store.archive([claim.id], "2026-01-01T00:00:00")

            assert await found(adapter, claim) != []


async def test_a_server_that_is_away_is_unreachable(served: Served) -> None:
    claim = a_claim({})
    async with adapter_for(served.url) as adapter:
        served.unplug()
        assert isinstance(await verdict(adapter, claim), Unreachable)
        assert isinstance(await found(adapter, claim), Unreachable)
        served.plug()
        assert isinstance(await verdict(adapter, claim), Receipt)


async def test_a_lost_database_is_uncertain_until_it_is_back(
    served: Served, adapter: EventManagerAdapter
) -> None:
    claim = a_claim({})
    assert isinstance(served.emulator, EventManager)
    served.emulator.db_down = True
    assert isinstance(await verdict(adapter, claim), Uncertain)
    assert isinstance(await found(adapter, claim), Uncertain)

    served.emulator.db_down = False
    assert await found(adapter, claim) == []
    assert isinstance(await verdict(adapter, claim), Receipt)


async def test_a_server_with_a_rate_limit_is_obeyed() -> None:
    emulator = EventManager("0.8.1", rate_limit=True, clock=count(100, 0.001).__next__)
    with Served(emulator) as served:
        async with adapter_for(served.url) as adapter:
            outcomes = [await verdict(adapter, a_claim({})) for _ in range(51)]

            known = KIND.limits(adapter)

    assert all(isinstance(outcome, Receipt) for outcome in outcomes[:50])
    assert isinstance(outcomes[50], Throttled)
    assert outcomes[50].retry_after == 1
    assert known == [Limit(50, 1), Limit(300, 60)]


@pytest.mark.parametrize("answered", ["a post", "a look-up"])
async def test_the_limits_are_known_from_the_first_answer_on(answered: str) -> None:
    emulator = EventManager("0.8.1", rate_limit=True)
    with Served(emulator) as served:
        async with adapter_for(served.url) as adapter:
            before = KIND.limits(adapter)
            await (verdict if answered == "a post" else found)(adapter, a_claim({}))
            after = KIND.limits(adapter)

    assert (before, after) == ([], [Limit(50, 1), Limit(300, 60)])
    assert served.faulty.requests.total() == 1, "nothing is asked just for that"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_that_limits_nobody_or_not_us_is_not_held_back_for(version: str) -> None:
    emulator = EventManager(version, rate_limit=True)
    with Served(emulator) as served:
        async with adapter_for(served.url) as adapter:
            await verdict(adapter, a_claim({}))
            if emulator.rate_limit is not None:
                emulator.rate_limit.exempt = frozenset({"127.0.0.1"})  # an operator has done that
            await verdict(adapter, a_claim({}))

            assert KIND.limits(adapter) == []


async def test_a_wrong_path_in_the_url_refuses_us_and_not_the_event(served: Served) -> None:
    async with adapter_for(f"{served.url}/ingest") as adapter:
        posted, looked_up = await verdict(adapter, a_claim({})), await found(adapter, a_claim({}))

    for outcome in (posted, looked_up):
        assert isinstance(outcome, Refused)
        assert "is the backend's url right?" in outcome.detail
        assert not outcome.landed


@pytest.mark.parametrize(
    ("mode", "expected", "landed"),
    [
        ("html", Refused, True),
        ("empty", Refused, True),
        ("redirect", Refused, False),
        ("retry_after", Throttled, None),
        ("drop_before", Uncertain, None),
        ("drop_after", Uncertain, None),
        ("truncate", Uncertain, None),
    ],
)
async def test_trouble_on_the_way_is_never_a_receipt(
    served: Served, mode: str, expected: type[DeliveryError], landed: bool | None
) -> None:
    served.fault(mode)
    async with adapter_for(served.url) as adapter:
        outcome = await verdict(adapter, a_claim({}))
        looked_up = await found(adapter, a_claim({}))

    assert type(outcome) is expected
    assert type(looked_up) is expected
    assert getattr(outcome, "landed", None) is landed
