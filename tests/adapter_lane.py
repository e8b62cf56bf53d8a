"""A whole lane with a real adapter: real outbox and sockets, our clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.base import BackendKind, Site
from tests.lane_world import FakeClock, LaneWorld, lane_world

MOST_ROUNDS = 100_000


@asynccontextmanager
async def adapter_lane(
    folder: Path, kind: BackendKind, site: Callable[[Callable[[], int]], Site], **route: Any
) -> AsyncIterator[LaneWorld]:
    """`site` makes the adapter's from our clock."""
    clock = FakeClock()
    adapter = kind.adapter(site(clock.now))
    with lane_world(folder, kind=kind, adapter=adapter, **route) as world:
        world.clock = clock
        world.lane = world.make_lane()
        yield world
        await adapter.close()


async def drained(world: LaneWorld) -> None:
    """Until nothing waits any more: delivered, or a dead letter."""
    for _ in range(MOST_ROUNDS):
        await lived(world)
        census = (await world.outbox.looks.census(now=world.clock.now())).get(world.backend)
        if census is None or not census.waiting:
            return
    raise AssertionError("the lane does not come to an end")


async def lived(world: LaneWorld) -> None:
    """One pass of the lane, what it sent off, and the time until the next."""
    nap = await world.lane.step()
    await world.lane.settled()
    world.clock.advance(nap)
