"""What AUDITOR holds of a duplicate is read back, compared, counted and shown."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.auditor import KIND, AuditorAdapter, comparing
from agent.cli.picture import sections_of
from agent.cli.printing import plain_lines
from agent.status import Picture, build_status
from storage.entry import Entry, Receipt
from tests.adapter_lane import adapter_lane, drained
from tests.builders import NOW, an_entry
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import STOP, add, site_of, update, verdict
from tests.emulators.auditor_records import read_add
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld

LATER = "2024-01-02T00:00:00Z"
ANOTHER: dict[str, Any] = {"meta": {"site": ["another"]}}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor(server: Served) -> Auditor:
    auditor = Auditor(pool_timeout_seconds=0)
    server.serve(auditor)
    server.faulty.requests.clear()
    return auditor


@pytest.fixture
async def adapter(server: Served) -> AsyncIterator[AuditorAdapter]:
    adapter = AuditorAdapter(site_of(server.url))
    yield adapter
    await adapter.close()


async def repeated(adapter: AuditorAdapter, first: Any, second: Any) -> str | None:
    """What is said of `second`, which comes after `first` under the same id."""
    assert isinstance(await verdict(adapter, first), Receipt)
    receipt = await verdict(adapter, second)
    assert isinstance(receipt, Receipt)
    assert receipt.duplicate
    assert receipt.remote_id == json.loads(second.payload)["record_id"]
    return receipt.compared


@pytest.mark.parametrize("ignoring", [False, True], ids=["error", "warning"])
@pytest.mark.parametrize("record_id", ["r1", "a/b", "a?b#c", "ü %41"])
@pytest.mark.parametrize(("other", "said"), [({}, "same"), ({"meta": {"a": ["b"]}}, "differs")])
async def test_a_duplicate_is_told_as_what_it_is(
    auditor: Auditor,
    adapter: AuditorAdapter,
    record_id: str,
    other: dict[str, Any],
    said: str,
    *,
    ignoring: bool,
) -> None:
    auditor.ignore_record_exists_error = ignoring

    assert await repeated(adapter, add(record_id), add(record_id, **other)) == said


async def test_a_record_that_has_been_updated_meanwhile_is_the_same(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    await verdict(adapter, add())
    await verdict(adapter, update(stop_time=LATER))

    again = await verdict(adapter, add())

    assert isinstance(again, Receipt)
    assert again.compared == "same"
    assert auditor.ledger()[0]["stop_time"] == LATER


@pytest.mark.parametrize(
    "mode",
    ["a role that may only write", "status", "html", "empty", "redirect", "truncate", "hang"],
)
async def test_what_cannot_be_read_is_not_verified_and_a_receipt_all_the_same(
    server: Served,
    auditor: Auditor,
    adapter: AuditorAdapter,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    monkeypatch.setattr(comparing, "LOOK_SECONDS", 0.2)
    if " " in mode:
        auditor.role = "write"
    else:
        server.fault(mode, method="GET", status=500, seconds=2)

    assert await repeated(adapter, add(), add()) == "not verified"


async def test_where_reading_is_refused_it_is_not_asked_for_again_for_a_while(
    server: Served, auditor: Auditor
) -> None:
    auditor.role = "write"
    clock = {"now": NOW}
    site = site_of(server.url, now=lambda: clock["now"])
    adapter = AuditorAdapter(site)
    for _ in range(3):
        await repeated(adapter, add(), add())
        auditor.table.clear()
    asked = server.faulty.requests["GET /record/r1"]
    auditor.role = None
    clock["now"] += 300_000
    verified = await repeated(adapter, add(), add())
    await adapter.close()

    assert asked == 1
    assert verified == "same"


@pytest.mark.usefixtures("auditor")
async def test_comparing_can_be_switched_off(server: Served) -> None:
    adapter = AuditorAdapter(site_of(server.url, compare_duplicates=False))
    said = await repeated(adapter, add(), add(meta={"another": ["one"]}))
    await adapter.close()

    assert said == "not verified"
    assert server.faulty.requests.total() == 2


def a_record(record_id: str, **fields: object) -> Entry:
    payload = json.loads(add(record_id, **fields).payload)
    return an_entry(record_id, kind="record", stream=record_id, payload=payload)


def an_update(record_id: str, stop_time: str) -> Entry:
    payload = json.loads(update(record_id, stop_time=stop_time).payload)
    return an_entry(
        f"{record_id}@{stop_time}", kind="record_update", stream=record_id, payload=payload
    )


@pytest.fixture
async def world(server: Served, tmp_path: Path) -> AsyncIterator[LaneWorld]:
    async with adapter_lane(
        tmp_path,
        KIND,
        lambda now: site_of(server.url, now=now),
        batch_size=KIND.batch_size,
    ) as world:
        yield world


async def test_an_id_that_is_used_twice_is_told_wherever_people_look(
    auditor: Auditor, world: LaneWorld
) -> None:
    for number in range(5):
        auditor.add(read_add(add(f"r{number}", **ANOTHER).payload.encode()))

    await world.accept(*(a_record(f"r{number}") for number in range(3)))
    await world.accept(*(a_record(f"r{n}", **ANOTHER) for n in range(3, 5)))
    await world.accept(a_record("new"))
    await drained(world)

    counts = await world.outbox.looks.census(now=world.clock.now())
    assert counts["events"].duplicates == {"same": 2, "differs": 3, "not_verified": 0}
    status = build_status(
        Picture(
            now=NOW,
            kinds={"events": "auditor"},
            counts=counts,
            rests=[],
            rates={},
            spool={"waiting": 0, "blocked": 0, "rejected": 0},
            version="1",
            pid=7,
            since=NOW,
        )
    )
    lines = [
        line for one in sections_of(status, now=datetime.now(UTC)) for line in plain_lines(one)
    ]
    assert "events: 3 duplicates with other content" in lines
    receipts, _ = await world.outbox.looks.list_receipts(limit=10)
    assert {one["key"]: one["duplicate"] for one in receipts} == {
        "r0": "differs",
        "r1": "differs",
        "r2": "differs",
        "r3": "same",
        "r4": "same",
        "new": False,
    }
    (first, *others) = world.told("entry.differs")
    assert len(others) == 2
    assert first["log_level"] == "warning"
    assert first["url"].endswith(f"/record/{first['remote']}")


async def test_our_own_lost_answers_are_no_clash(
    server: Served, auditor: Auditor, world: LaneWorld
) -> None:
    """Some had their update with them when the answer was lost."""
    server.fault("drop_after", method="POST", times=3)
    for number in range(6):
        await world.accept(a_record(f"r{number}", stop_time=STOP if number % 2 else None))
        await world.accept(an_update(f"r{number}", LATER))
    await drained(world)

    assert {one["stop_time"] for one in auditor.ledger()} == {LATER}
    duplicates = (await world.outbox.looks.census(now=world.clock.now()))["events"].duplicates
    assert duplicates["differs"] == 0
    assert duplicates["same"] > 0
    assert world.told("entry.differs") == []
