"""The disk refuses: what backends have confirmed is kept, and nothing is sent twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import Unreachable, Verdict
from agent.settling import UNSETTLED
from storage.entry import Receipt
from storage.errors import DiskRefused
from tests.builders import an_entry
from tests.lane_world import Disk, LaneWorld, lane_world, looks, receipt, until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


def refusing_from_now_on(world: LaneWorld, disk: Disk, answer: Verdict) -> None:
    """The backend answers; before that can be written, the disk is full."""

    def answered(_: object) -> object:
        disk.refuse()
        return [answer] if isinstance(answer, Receipt) else answer

    world.adapter.script = [answered]


async def test_a_confirm_waits_for_the_disk_and_the_entry_is_not_sent_twice(
    world: LaneWorld,
) -> None:
    await world.accept("a")
    disk = Disk(world.outbox)
    refusing_from_now_on(world, disk, receipt("post-1"))
    world.on_pause = lambda: disk.heal() if len(world.pauses) == 5 else None

    await world.step()

    assert len(world.pauses) == 5
    assert (await world.shown("a"))["receipt"]["remote_id"] == "post-1"
    assert world.adapter.sent == [["a"]]
    assert len(world.told("disk.refused")) == 1


async def test_a_failure_waits_for_the_disk_and_the_backend_rests(world: LaneWorld) -> None:
    await world.accept("a")
    disk = Disk(world.outbox)
    refusing_from_now_on(world, disk, Unreachable("no route"))
    world.on_pause = disk.heal

    await world.step()

    assert await world.state("a") == "pending"
    assert await world.rest() is not None


async def test_a_lane_that_cannot_claim_lives_and_says_so_once(world: LaneWorld) -> None:
    await world.accept("a")
    disk = Disk(world.outbox)
    disk.refuse()
    loop = asyncio.create_task(world.lane.run())
    for seen in range(1, 4):
        await until(lambda seen=seen: looks(world) >= seen)  # type: ignore[misc]
        world.lane.wake()

    disk.heal()
    world.lane.wake()
    await until(lambda: world.outbox.delivered["events"] == 1)

    assert len(world.told("disk.refused")) == 1
    await world.lane.stop(1)
    await loop


async def test_a_stop_does_not_wait_for_the_disk_and_the_next_start_looks(
    world: LaneWorld,
) -> None:
    await world.accept("a")
    disk = Disk(world.outbox)
    refusing_from_now_on(world, disk, receipt("post-1"))
    paused = asyncio.Event()
    world.on_pause = paused.set
    await world.lane.step()
    await paused.wait()

    await world.lane.stop(0.01)
    disk.heal()
    reclaimed, _ = world.outbox.recover(world.clock.now())
    world.adapter.finds = [receipt("post-1")]
    await world.restart()
    await world.live(30)

    assert reclaimed == 1
    assert world.adapter.sent == [["a"]]
    assert (await world.shown("a"))["receipt"]["remote_id"] == "post-1"


async def test_nothing_is_sent_again_before_it_can_be_noted(world: LaneWorld) -> None:
    await world.accept(an_entry("a", kind="update"))
    world.adapter.script = [RuntimeError("the answer was lost")]
    await world.step()
    world.clock.advance(2)
    disk = Disk(world.outbox)
    claimed = world.outbox.note_send

    async def refuse_first(*args: object, **named: object) -> None:
        disk.refuse()
        await claimed(*args, **named)  # type: ignore[arg-type]

    world.outbox.note_send = refuse_first  # type: ignore[method-assign, assignment]
    world.on_pause = disk.heal
    await world.step()

    shown = await world.shown("a")
    assert (shown["state"], shown["in_doubt"]) == ("pending", True)
    assert len(world.adapter.sent) == 1


async def test_an_outcome_that_no_database_takes_leaves_nothing_leased(world: LaneWorld) -> None:
    await world.accept("a")
    unstorable = Receipt("a", "post-1", url=["not", "a", "url"])  # type: ignore[arg-type]
    world.adapter.script = [[unstorable]]

    await world.step()

    shown = await world.shown("a")
    assert (shown["state"], shown["in_doubt"]) == ("pending", True)
    assert shown["last_error"]["detail"] == UNSETTLED.detail
    assert len(world.told("settle.failed")) == 1


async def test_nothing_is_accepted_that_could_not_be_written(world: LaneWorld) -> None:
    disk = Disk(world.outbox)
    disk.refuse()

    with pytest.raises(DiskRefused, match="readonly"):
        await world.accept("a")
    disk.heal()
    await world.accept("b")

    page, _ = await world.outbox.looks.list_entries()
    assert [one["key"] for one in page] == ["b"]
    assert world.outbox.waiting["events"] == 1


async def test_a_bug_of_ours_is_not_taken_for_a_full_disk(world: LaneWorld) -> None:
    def broken(_: object) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await world.outbox._call(broken)
