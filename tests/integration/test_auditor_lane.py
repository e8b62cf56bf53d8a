"""AUDITOR through a real lane and outbox: lost answers and poison, with many records at a time."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters import auditor as auditor_kind
from adapters.auditor import AuditorAdapter
from storage.entry import Entry
from tests.builders import an_entry
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import add, held, site_of, update
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld, lane_world


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
async def world(served: Served, tmp_path: Path) -> AsyncIterator[LaneWorld]:
    adapter = AuditorAdapter(site_of(served.url))
    with lane_world(
        tmp_path,
        kind=auditor_kind.KIND,
        adapter=adapter,
        batch_size=auditor_kind.KIND.batch_size,
        concurrency=2,
    ) as world:
        adapter._now = world.clock.now
        yield world
    await adapter.close()


def a_record(record_id: str, **fields: object) -> Entry:
    payload = json.loads(add(record_id, **fields).payload)
    return an_entry(record_id, kind="record", stream=record_id, payload=payload)


def an_update(record_id: str, hour: int) -> Entry:
    stop_time = f"2024-01-01T{hour:02}:00:00Z"
    payload = json.loads(update(record_id, stop_time=stop_time).payload)
    key = f"{record_id}@{hour}"
    return an_entry(key, kind="record_update", stream=record_id, payload=payload)


async def drain(world: LaneWorld, entries: int) -> None:
    for _ in range(400):
        if world.outbox.delivered.get("events", 0) == entries:
            return
        await world.live(60)
    raise AssertionError("something is stuck")


@pytest.mark.parametrize("ignoring", [False, True])
async def test_with_a_third_of_the_answers_lost_each_record_is_there_once_and_each_update_applied(
    served: Served, auditor: Auditor, world: LaneWorld, *, ignoring: bool
) -> None:
    auditor.ignore_record_exists_error = ignoring
    served.fault("drop_after", probability=0.3)
    ids = [f"r{n}" for n in range(40)]
    for at in range(0, len(ids), 10):
        part = ids[at : at + 10]
        await world.accept(*map(a_record, part), *(an_update(one, 1) for one in part[::2]))
        await world.live(5)
        await world.accept(*(an_update(one, 2) for one in part[::4]))

    await drain(world, entries=40 + 20 + 12)

    stops = {one["record_id"]: one["stop_time"] for one in auditor.ledger()}
    assert sorted(held(auditor)) == sorted(ids)
    for at in range(0, len(ids), 10):
        for place, one in enumerate(ids[at : at + 10]):
            hour = 2 if place % 4 == 0 else 1 if place % 2 == 0 else None
            assert stops[one] == (None if hour is None else f"2024-01-01T{hour:02}:00:00Z")
    receipts, _ = await world.outbox.looks.list_receipts(limit=1000)
    assert len(receipts) == 40 + 20 + 12
    assert world.told("entry.buried") == []


async def test_one_bad_record_among_ten_thousand_costs_a_few_requests_more(
    served: Served, auditor: Auditor, world: LaneWorld
) -> None:
    bad = {"components": [{"name": "cpu", "amount": -1, "scores": []}]}
    entries = [a_record(f"r{n}") for n in range(10_000)]
    entries[4_321] = a_record("r4321", **bad)
    await world.accept(*entries)

    await drain(world, entries=9_999)
    await world.live(5)

    assert set(held(auditor)) == {f"r{n}" for n in range(10_000)} - {"r4321"}
    requests = served.faulty.requests
    # 20 without it. Its batch is halved nine times, and both halves are sent each time.
    assert requests["POST /records"] + requests["POST /record"] == 20 + 2 * 9
    dead = await world.shown("r4321")
    assert dead["state"] == "dead"
    [attempt] = dead["history"]
    assert (attempt["class"], attempt["status"]) == ("Rejected", 400)
    assert "Parsing '-1' failed" in attempt["excerpt"]
