"""Updates: they ride with their record when both wait, and wait for a record that is not there."""

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters import auditor as auditor_kind
from adapters.auditor import AuditorAdapter
from adapters.verdict import BatchRefused, Parked, Rejected, Uncertain
from storage.entry import Claim, Entry, Receipt
from tests.builders import NOW, an_entry
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import STOP, add, site_of, update, verdict
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld, lane_world

HOUR = 3_600_000
LATER = "2024-01-01T02:00:00Z"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor() -> Auditor:
    return Auditor(pool_timeout_seconds=0)


@pytest.fixture
def served(server: Served, auditor: Auditor) -> Served:
    server.faulty.emulator = auditor
    server.faulty.requests.clear()
    server.heal()
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[AuditorAdapter]:
    adapter = AuditorAdapter(site_of(served.url))
    yield adapter
    await adapter.close()


def riding(record_id: str, *, stop_time: str = LATER, **fields: Any) -> Claim:
    """A record whose update waits right behind it."""
    rider = update(record_id, stop_time=stop_time)
    return dataclasses.replace(add(record_id, **fields), rider=rider)


def stops(auditor: Auditor) -> dict[str, str | None]:
    return {one["record_id"]: one["stop_time"] for one in auditor.ledger()}


async def test_a_record_and_its_update_are_one_request(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    parts = [{"name": "cpu", "amount": 4, "scores": [{"name": "hs23", "value": 9.25}]}]

    receipt = await verdict(adapter, riding("ü", components=parts, meta={"s": ["x"]}))

    place = f"{served.url}/record/%C3%BC"
    assert receipt == Receipt("add-ü", "ü", place, with_rider=True)
    [held] = auditor.ledger()
    assert (held["stop_time"], held["components"], held["meta"]) == (LATER, parts, {"s": ["x"]})
    assert dict(served.faulty.requests) == {"POST /record": 1}


async def test_the_updates_stop_time_wins_over_the_records_own(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    own = add("r1", stop_time=STOP)

    await verdict(adapter, dataclasses.replace(own, rider=update("r1", stop_time=LATER)))

    assert stops(auditor) == {"r1": LATER}


async def test_records_with_and_without_updates_share_a_request(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    receipts = await adapter.deliver([riding("a"), add("b"), riding("c", stop_time=STOP)])

    assert [one.with_rider for one in receipts if isinstance(one, Receipt)] == [True, False, True]
    assert stops(auditor) == {"a": LATER, "b": None, "c": STOP}
    assert dict(served.faulty.requests) == {"POST /records": 1}


@pytest.mark.parametrize("ignoring", [False, True])
async def test_a_record_that_was_there_already_proves_nothing_of_its_update(
    auditor: Auditor, adapter: AuditorAdapter, *, ignoring: bool
) -> None:
    auditor.ignore_record_exists_error = ignoring
    await verdict(adapter, add("r1"))

    again = await verdict(adapter, riding("r1"))

    assert isinstance(again, Receipt)
    assert (again.duplicate, again.with_rider) == (True, False)
    assert stops(auditor) == {"r1": None}


async def test_a_batch_that_is_refused_proves_nothing_of_any_update(
    adapter: AuditorAdapter,
) -> None:
    await verdict(adapter, add("old"))

    verdicts = await adapter.deliver([riding("new"), riding("old")])

    assert {type(one) for one in verdicts} == {BatchRefused}


async def test_a_record_in_doubt_is_sent_as_it_was(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    doubtful = dataclasses.replace(riding("r1"), in_doubt=True)

    receipt = await verdict(adapter, doubtful)

    assert isinstance(receipt, Receipt)
    assert not receipt.with_rider
    assert stops(auditor) == {"r1": None}


async def test_a_record_is_not_buried_for_what_its_update_says(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    receipt = await verdict(adapter, riding("r1", stop_time="2024-13-01T00:00:00Z"))

    assert isinstance(receipt, Receipt)
    assert not receipt.with_rider
    assert stops(auditor) == {"r1": None}
    assert dict(served.faulty.requests) == {"POST /record": 2}


async def test_a_bad_record_with_an_update_is_rejected(adapter: AuditorAdapter) -> None:
    assert isinstance(await verdict(adapter, riding("r1", meta={"": []})), Rejected)


async def test_a_record_with_its_update_whose_answer_was_lost_is_in_doubt(
    served: Served, adapter: AuditorAdapter
) -> None:
    served.fault("drop_after", times=1)

    assert isinstance(await verdict(adapter, riding("r1")), Uncertain)


# --- an update whose record is not there ---


@pytest.mark.parametrize(
    ("age", "tries", "waits"),
    [
        (0, 1, True),
        (0, 1000, True),
        (HOUR - 1, 8, True),
        (HOUR, 8, False),
        (HOUR, 7, True),  # an outage ages what was never tried
        (30 * 24 * HOUR, 1, True),
        (-HOUR, 7, True),  # the clock was set back
        (-HOUR, 8, False),
    ],
)
async def test_an_update_waits_for_its_record_for_an_hour_and_eight_tries(
    adapter: AuditorAdapter, age: int, tries: int, *, waits: bool
) -> None:
    claim = dataclasses.replace(update("gone"), accepted_at=NOW - age, tries=tries)

    refused = await verdict(adapter, claim)

    assert type(refused) is (Parked if waits else Rejected)
    assert refused.status == 404
    assert refused.excerpt == "Updating unknown record gone not possible."
    if not waits:
        assert "'gone'" in refused.detail
        assert "archived" in refused.detail


async def test_how_long_an_update_waits_can_be_set(served: Served) -> None:
    adapter = AuditorAdapter(site_of(served.url, update_wait_seconds=10))
    claim = dataclasses.replace(update("gone"), tries=8)

    verdicts = [
        await verdict(adapter, dataclasses.replace(claim, accepted_at=NOW - age))
        for age in (9_999, 10_000)
    ]
    await adapter.close()

    assert [type(one) for one in verdicts] == [Parked, Rejected]


# --- through a real lane and outbox ---


def record_entry(record_id: str) -> Entry:
    claim = add(record_id)
    payload = json.loads(claim.payload)
    return an_entry(record_id, kind="record", stream=record_id, payload=payload)


def update_entry(record_id: str, key: str, stop_time: str = LATER) -> Entry:
    payload = json.loads(update(record_id, stop_time=stop_time).payload)
    return an_entry(key, kind="record_update", stream=record_id, payload=payload)


@pytest.fixture
async def world(served: Served, tmp_path: Path) -> AsyncIterator[LaneWorld]:
    adapter = AuditorAdapter(site_of(served.url))
    with lane_world(
        tmp_path, kind=auditor_kind.KIND, adapter=adapter, batch_size=500, concurrency=1
    ) as world:
        adapter._now = world.clock.now
        yield world
    await adapter.close()


async def test_what_waits_together_goes_as_one_and_has_two_receipts(
    served: Served, auditor: Auditor, world: LaneWorld
) -> None:
    await world.accept(record_entry("a"), update_entry("a", "u1"), record_entry("b"))

    await world.live(30)

    assert stops(auditor) == {"a": LATER, "b": None}
    assert dict(served.faulty.requests) == {"POST /records": 1}
    assert [await world.state(key) for key in ("a", "u1", "b")] == ["delivered"] * 3


async def test_an_update_of_a_record_that_comes_later_by_another_sender_is_applied(
    auditor: Auditor, adapter: AuditorAdapter, world: LaneWorld
) -> None:
    await world.accept(update_entry("a", "early"), update_entry("a", "second", STOP))
    await world.accept(*[record_entry(f"r{n}") for n in range(3)])
    await world.live(60)
    assert set(stops(auditor)) == {"r0", "r1", "r2"}, "other records flow"
    assert await world.state("early") == "pending"

    await verdict(adapter, add("a"))
    await world.live(600)

    assert stops(auditor)["a"] == STOP, "in order"
    assert [await world.state(key) for key in ("early", "second")] == ["delivered"] * 2
    assert await world.rest("updates of unknown records") is None


async def test_an_update_of_a_record_that_never_comes_is_a_dead_letter_in_the_end(
    auditor: Auditor, world: LaneWorld
) -> None:
    await world.accept(update_entry("gone", "lost"))
    await world.step()
    rest = await world.rest("updates of unknown records")
    assert rest is not None
    assert "waiting for it to arrive" in rest.reason, "as status tells it"
    await world.live(3500)
    assert await world.state("lost") == "pending"

    await world.live(1200)
    await world.accept(record_entry("fresh"))
    await world.live(30)

    assert await world.state("lost") == "dead"
    assert "'gone'" in (await world.shown("lost"))["last_error"]["detail"]
    assert set(stops(auditor)) == {"fresh"}
