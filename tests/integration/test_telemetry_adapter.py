"""The telemetry adapter: what it sends, and when an event may become the current value."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.telemetry import KIND
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
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site

CREATED = 1_767_225_600_123  # 2026-01-01T00:00:00.123Z
CREATED_TS = "2026-01-01T00:00:00.123Z"
WITHOUT_DATA = {"type": "weather"}  # intake would have refused it
OLDER, NEWER = "2025-12-31T23:59:59.999Z", "2026-01-01T02:00:00.124+02:00"


def an_event(event_type: str = "weather", data: Any = None, **fields: Any) -> dict[str, Any]:
    return {"type": event_type, "data": data, **fields}


def claimed(payload: dict[str, Any] | None = None, **changes: Any) -> Claim:
    return a_claim(payload or an_event(), **{"created_at": CREATED, **changes})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path))
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[Adapter]:
    made = KIND.adapter(a_site(served.url))
    yield made
    await made.close()


async def verdict(adapter: Adapter, claim: Claim) -> Receipt | DeliveryError:
    (only,) = await adapter.deliver([claim])
    return only


async def current(served: Served, event_type: str = "weather") -> Any:
    envelope = served.emulator.store.snapshot().get(event_type)
    return envelope and envelope["data"]


# What is sent


async def test_an_event_is_told_with_the_time_and_the_id_of_its_entry(
    served: Served, adapter: Adapter
) -> None:
    claim = claimed(an_event(data={"sky": "clear"}))

    assert await verdict(adapter, claim) == Receipt(claim.id, claim.id)
    (stored,) = served.emulator.ledger()
    assert stored["ts"] == CREATED_TS
    assert stored["data"] == {"sky": "clear"}
    assert stored["meta"] == {"event_id": claim.id}


async def test_a_time_and_an_id_of_the_producer_are_kept(served: Served, adapter: Adapter) -> None:
    claim = claimed(an_event(ts="last night", meta={"event_id": "A1", "k": 1}))

    assert await verdict(adapter, claim) == Receipt(claim.id, "A1")
    (stored,) = served.emulator.ledger()
    assert (stored["ts"], stored["meta"]) == ("last night", {"event_id": "A1", "k": 1})


@pytest.mark.parametrize(
    ("payload", "raw_ts"),
    [
        (an_event(), "1970-01-01T00:00:01.000Z"),
        (an_event(ts=None, meta={"raw_ts": "theirs"}), "theirs"),
        (an_event(ts="last night"), None),
    ],
    ids=["ours", "a word of the producer's", "the producer's own time"],
)
async def test_a_time_of_ours_that_was_set_right_is_told_beside_what_the_clock_showed(
    served: Served, adapter: Adapter, payload: dict[str, Any], raw_ts: str | None
) -> None:
    await verdict(adapter, claimed(payload, raw_created_at=1000))

    (stored,) = served.emulator.ledger()
    assert stored["meta"].get("raw_ts") == raw_ts
    assert stored["ts"] == (payload.get("ts") or CREATED_TS)


@pytest.mark.parametrize(
    ("meta", "origin"),
    [
        ({"run_id": "X"}, "X"),
        ({"run_id": "X", "origin_run_id": "W"}, "W"),
    ],
)
async def test_the_run_of_an_event_survives_its_delivery_during_another_run(
    served: Served, adapter: Adapter, meta: dict[str, str], origin: str
) -> None:
    served.emulator.store.start_run("Y", None, {})
    await verdict(adapter, claimed(an_event(meta=meta)))

    stored = served.emulator.ledger()[0]["meta"]
    assert (stored["run_id"], stored["origin_run_id"]) == ("Y", origin)


async def test_a_resend_is_the_same_again(served: Served, adapter: Adapter) -> None:
    claim = claimed(an_event(data=[1.5, "é"], meta={"run_id": "X"}))
    await verdict(adapter, claim)
    await verdict(adapter, claim)

    first, second = served.emulator.ledger()
    assert {**first, "seq": 2} == second


async def test_an_event_for_memory_only_is_not_written(served: Served, adapter: Adapter) -> None:
    await verdict(adapter, claimed(an_event(store_permanently=False)))

    assert [item["permanent"] for item in served.emulator.ledger()] == [False]


async def test_the_echo_of_an_old_server_with_a_time_of_its_own_is_proof(tmp_path: Path) -> None:
    with Served(TelemetryEmulator(tmp_path, version="0.3.3")) as served:
        adapter = KIND.adapter(a_site(served.url))
        claim = claimed()
        assert await verdict(adapter, claim) == Receipt(claim.id, claim.id)
        await adapter.close()


# Whether it becomes current


async def test_an_event_becomes_current_where_nothing_is(served: Served, adapter: Adapter) -> None:
    await verdict(adapter, claimed(an_event(data="ours")))

    assert await current(served) == "ours"


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (OLDER, "ours"),
        (CREATED_TS, "theirs"),
        (NEWER, "theirs"),
        ("junk", "ours"),
        ("", "ours"),
        ("2025-12-31 23:59:59.123456789", "ours"),
        ("0001-01-01T00:00:00+14:00", "ours"),
    ],
)
@pytest.mark.parametrize("event_type", ["weather", "a/b", "", "..", "x" * 3000, "a b?c#é"])
async def test_a_value_that_is_as_new_is_not_replaced(
    served: Served, adapter: Adapter, ts: str, expected: str, event_type: str
) -> None:
    store = served.emulator.store
    theirs = {"type": event_type, "data": "theirs", "meta": {}}
    store.append(theirs, ts, make_current=True, permanently=True)

    assert isinstance(await verdict(adapter, claimed(an_event(event_type, "ours"))), Receipt)
    assert await current(served, event_type) == expected


async def test_an_event_with_an_unreadable_time_is_as_new_as_its_entry(
    served: Served, adapter: Adapter
) -> None:
    theirs = {"type": "weather", "data": "theirs", "meta": {}}
    served.emulator.store.append(theirs, OLDER, make_current=True, permanently=True)
    await verdict(adapter, claimed(an_event(data="ours", ts="junk")))

    assert await current(served) == "ours"


@pytest.mark.parametrize(
    ("payload", "newest"),
    [(an_event(), False), (an_event(make_current=False), True)],
    ids=["a newer one waits", "the producer does not want it"],
)
async def test_an_event_stays_out_of_the_current_values_without_a_look(
    served: Served, adapter: Adapter, payload: dict[str, Any], newest: bool
) -> None:
    await verdict(adapter, claimed(payload, newest_of_slot=newest))

    assert served.emulator.store.snapshot() == {}
    assert served.faulty.requests == {"GET /ready": 1, "POST /event": 1}


async def test_a_value_that_nobody_can_read_is_healed(served: Served, adapter: Adapter) -> None:
    poison = {"type": "weather", "data": "\ud800", "meta": {}}
    served.emulator.store.append(poison, NEWER, make_current=True, permanently=True)
    await verdict(adapter, claimed(an_event(data="ours")))

    assert await current(served) == "ours"


async def test_the_connection_that_the_server_closes_after_a_500_costs_no_event(
    tmp_path: Path,
) -> None:
    with Served(TelemetryEmulator(tmp_path, hang_up_after_500=True)) as served:
        adapter = KIND.adapter(a_site(served.url))
        for number in range(20):  # each has a chance to be posted on a connection that is closing
            poison = {"type": f"t{number}", "data": "\ud800", "meta": {}}
            served.emulator.store.append(poison, None, make_current=True, permanently=True)
            assert isinstance(await verdict(adapter, claimed(an_event(f"t{number}"))), Receipt)
        await adapter.close()


async def test_where_the_value_cannot_be_looked_at_it_is_left_alone(
    served: Served, adapter: Adapter
) -> None:
    poison = {"type": "weather", "data": "\ud800", "meta": {}}
    served.emulator.store.append(poison, OLDER, make_current=True, permanently=True)

    assert isinstance(await verdict(adapter, claimed(an_event("a/b", "ours"))), Receipt)
    assert await current(served, "a/b") is None


@pytest.mark.parametrize("status", [400, 406, 414, 431, 451])
async def test_a_proxy_that_dislikes_one_type_does_not_stop_its_events(
    served: Served, adapter: Adapter, status: int
) -> None:
    served.fault("status", path="/current", status=status)

    assert isinstance(await verdict(adapter, claimed()), Receipt)
    assert await current(served) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"mode": "drop_before"}, Unreachable),
        ({"mode": "truncate"}, Unreachable),
        ({"mode": "status", "status": 502}, Unreachable),
        ({"mode": "status", "status": 404}, Refused),
        ({"mode": "status", "status": 401}, Refused),
        ({"mode": "html"}, Refused),
        ({"mode": "empty"}, Refused),
        ({"mode": "redirect"}, Refused),
        ({"mode": "retry_after"}, Throttled),
    ],
)
async def test_when_the_look_fails_nothing_is_sent_and_nothing_in_doubt(
    served: Served, adapter: Adapter, fault: dict[str, Any], error: type[DeliveryError]
) -> None:
    served.fault(**fault, path="/current")
    found = await verdict(adapter, claimed())

    assert type(found) is error
    assert not getattr(found, "landed", False)
    assert served.faulty.requests["POST /event"] == 0


async def test_an_event_in_doubt_that_has_become_current_is_not_sent_again(
    served: Served, adapter: Adapter
) -> None:
    claim = claimed()
    await verdict(adapter, claim)
    again = claimed(id=claim.id, in_doubt=True)

    assert await verdict(adapter, again) == Receipt(claim.id, claim.id, duplicate=True)
    assert len(served.emulator.ledger()) == 1


# Several at once, where an operator allows it


async def test_behind_an_event_that_has_to_wait_none_is_sent(
    served: Served, adapter: Adapter
) -> None:
    served.fault("status", path="/event", status=500, times=1)
    first, second = await adapter.deliver([claimed(), claimed()])

    assert (type(first), type(second)) == (Uncertain, Unreachable)
    assert served.emulator.ledger() == []


async def test_behind_a_rejected_event_the_next_goes_on(adapter: Adapter) -> None:
    first, second = await adapter.deliver([claimed(WITHOUT_DATA), claimed()])

    assert (type(first), type(second)) == (Rejected, Receipt)
