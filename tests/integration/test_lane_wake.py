"""When a lane comes by: at once when there is something, not at all when it may not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.entry import Claim
from tests.builders import an_entry
from tests.lane_world import lane_world, looks, proof, until


async def test_a_new_entry_leaves_at_once(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        loop = asyncio.create_task(world.lane.run())
        await until(lambda: looks(world) > 0)
        for _ in range(100):  # the lane has gone to sleep
            await asyncio.sleep(0)

        # Our clock stands still: nothing but the wake can bring the lane round.
        await world.accept("a")
        world.lane.wake()
        await until(lambda: world.outbox.delivered["events"] == 1, seconds=2)  # below one nap

        await world.lane.stop(1)
        await loop


async def test_an_outcome_frees_its_slot_at_once(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept(*[f"e{n}" for n in range(50)])
        loop = asyncio.create_task(world.lane.run())

        await until(lambda: world.outbox.delivered["events"] == 50, seconds=4)  # below one nap

        await world.lane.stop(1)
        await loop


async def test_a_wake_during_a_pass_is_not_lost(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a")

        async def meanwhile(claims: Sequence[Claim]) -> object:
            await world.accept("b")
            world.lane.wake()
            return proof(claims)

        world.adapter.script = [meanwhile]
        loop = asyncio.create_task(world.lane.run())

        await until(lambda: world.outbox.delivered["events"] == 2, seconds=4)  # below one nap

        await world.lane.stop(1)
        await loop


async def test_the_rate_is_kept(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4, rate_per_second=5) as world:
        await world.accept(*[f"e{n}" for n in range(100)])

        await world.live(10)

        assert 45 <= len(world.adapter.sent) <= 55


async def test_a_batch_is_no_larger_than_a_seconds_worth(tmp_path: Path) -> None:
    with lane_world(tmp_path, batch_size=100, rate_per_second=10) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(200)])

        await world.live(5)

        assert [len(sent) for sent in world.adapter.sent] == [10] * 5


@pytest.mark.parametrize("rate", [0.5, 0.01])
async def test_a_slow_rate_still_sends(tmp_path: Path, rate: float) -> None:
    with lane_world(tmp_path, rate_per_second=rate) as world:
        await world.accept("a", "b")

        await world.live(1 / rate + 1)

        assert len(world.adapter.sent) == 2


async def test_nothing_leaves_outside_the_window(tmp_path: Path) -> None:
    is_open = [False]
    with lane_world(tmp_path, open_at=lambda _: is_open[0]) as world:
        await world.accept("a")
        await world.live(3600)
        assert looks(world) == 0

        is_open[0] = True
        await world.live(6)

        assert await world.state("a") == "delivered"


async def test_the_window_is_asked_with_the_wall_clock(tmp_path: Path) -> None:
    asked: list[int] = []

    def open_at(now: int) -> bool:
        asked.append(now)
        return True

    with lane_world(tmp_path, open_at=open_at) as world:
        await world.step()

        assert set(asked) == {world.clock.now()}


async def test_the_beat_goes_on_while_nothing_is_due(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        before = world.lane.beat

        await world.live(30)

        assert world.lane.beat > before + 20
