"""A lane that may not or cannot send anything looks around now and then, and no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import (
    Parked,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)
from agent.retry import Policy
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, looks

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no route"),
        Refused("404"),
        Refused("401", credentials=True),
        Throttled("429", retry_after=600),
        Parked("locked", scope="exp"),
        Parked("not begun", scope="elsewhere"),
        Rejected("422"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}",
)
async def test_a_resting_lane_does_not_spin(world: LaneWorld, error: Exception) -> None:
    await world.accept(*[an_entry(f"e{n}", scope="exp") for n in range(50)])
    world.adapter.script = [error] * 100_000
    await world.live(60)
    before = looks(world)

    await world.live(HOUR)

    # Each try, and a look around every five seconds.
    assert looks(world) - before < 2 * HOUR / 5


async def test_a_lane_does_not_spin_for_an_entry_that_is_due_in_a_scope_that_rests(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path, policy=Policy(first_delay_seconds=300)) as world:
        await world.accept(an_entry("tried", scope="exp", kind="update"))
        world.roll = 0.01
        world.adapter.script = [Uncertain("timeout"), Parked("locked", scope="exp")]
        await world.step()
        (other,) = await world.accept(an_entry("other", scope="exp"))
        world.roll = 1.0
        await world.step()
        await world.outbox.discard([other.id], now=world.clock.now(), who="test")

        await world.live(200)

        assert looks(world) < 2 * 200 / 5


@pytest.mark.parametrize("why", ["waits for another", "expired", "nothing"])
async def test_a_lane_with_nothing_to_send_does_not_spin(world: LaneWorld, why: str) -> None:
    now = world.clock.now()
    held = {
        "waits for another": [an_entry("a", waits_for="a parent"), an_entry("p", id="a parent")],
        "expired": [an_entry("a", expires_at=now - 1)],
        "nothing": [],
    }[why]
    await world.accept(*held)
    if why == "waits for another":
        world.adapter.script = [Throttled("429", retry_after=3500)]

    await world.live(HOUR)

    assert looks(world) < 2 * HOUR / 5
