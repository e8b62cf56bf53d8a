"""A reject storm: everything is judged unfit, so the backend and not the entries is at fault."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import Rejected
from agent.settling import STORM
from tests.lane_world import LaneWorld, lane_world

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def test_in_a_reject_storm_nothing_is_buried(world: LaneWorld) -> None:
    keys = [f"e{n:02}" for n in range(STORM + 5)]
    await world.accept(*keys)
    world.adapter.script = [Rejected("422, whatever it is")] * 1000

    await world.live(HOUR)

    counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
    assert (counts.dead, counts.pending) == (0, len(keys))
    rest = await world.rest()
    assert rest is not None
    assert rest.state == "refused"
    assert "it rejects everything" in rest.reason


async def test_a_storm_tries_another_entry_each_time(world: LaneWorld) -> None:
    await world.accept(*[f"e{n:02}" for n in range(STORM + 3)])
    world.adapter.script = [Rejected("422")] * 1000

    await world.live(HOUR)

    again = [key for (key,) in world.adapter.sent[STORM:]]
    assert len(again) > 10
    assert len(set(again[: STORM + 3])) == len(again[: STORM + 3])


async def test_a_storm_ends_with_a_confirm_and_everything_arrives(world: LaneWorld) -> None:
    keys = [f"e{n:02}" for n in range(STORM + 5)]
    await world.accept(*keys)
    world.adapter.script = [Rejected("422, whatever it is")] * (STORM + 3)

    await world.live(HOUR)

    assert world.outbox.delivered["events"] == len(keys)
    assert await world.rest() is None
    assert world.outbox.waiting["events"] == 0


async def test_nineteen_rejected_in_a_row_are_nineteen_dead_letters(world: LaneWorld) -> None:
    await world.accept(*[f"e{n:02}" for n in range(STORM)])
    world.adapter.script = [Rejected("422")] * (STORM - 1)

    await world.live(30)

    counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
    assert (counts.dead, counts.delivered) == (STORM - 1, 1)
