"""Rests: how long, what is tried meanwhile, what ends them, and how the backend comes back."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adapters.verdict import Parked, Rejected, Throttled, Unreachable, Verdict
from agent.retry import Policy
from storage.entry import Claim
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, proof, until

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def rests_until_tried(world: LaneWorld, number: int) -> list[float]:
    """How long the lane waited before each of the next tries."""
    waits = []
    for _ in range(number):
        before, tries = world.clock.monotonic(), len(world.adapter.sent)
        while len(world.adapter.sent) == tries:
            world.clock.advance(await world.step())
        waits.append(world.clock.monotonic() - before)
    return waits


async def test_rests_double_up_to_the_longest_delay(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")] * 20

    waits = await rests_until_tried(world, 12)

    capped = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert waits == pytest.approx(capped, abs=0.01)


async def test_rests_are_drawn_between_nothing_and_their_cap(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")] * 20
    world.roll = 0.25

    waits = await rests_until_tried(world, 4)

    assert waits == pytest.approx([0, 0.25, 0.5, 1.0], abs=0.01)


async def test_while_a_backend_rests_one_real_entry_is_out_at_most(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4, batch_size=10) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(40)])
        world.adapter.script = [Unreachable("no route")] * 6
        await world.step()
        first = len(world.adapter.sent)

        await world.live(20)

        assert [len(sent) for sent in world.adapter.sent[first:6]] == [1, 1]


async def test_neighbours_that_fail_together_are_one_failure(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=8) as world:
        await world.accept(*[f"e{n}" for n in range(8)])
        world.adapter.script = [Unreachable("no route")] * 8

        await world.step()

        rest = await world.rest()
        assert len(world.adapter.sent) == 8
        assert rest is not None
        assert (rest.failures, rest.until) == (0, world.clock.now() + 1000)


async def test_a_neighbour_that_is_told_to_wait_longer_lengthens_the_rest(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=2) as world:
        await world.accept("a", "b")
        world.adapter.script = [Unreachable("reset"), Throttled("429", retry_after=60)]

        await world.step()

        rest = await world.rest()
        assert rest is not None
        assert (rest.state, rest.failures) == ("throttled", 0)
        assert rest.until >= world.clock.now() + 60_000


async def test_a_resting_backend_is_not_tried_while_an_earlier_request_is_out(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path, concurrency=2) as world:
        await world.accept("slow", "quick", "next")
        go_on = asyncio.Event()

        async def slow(claims: Sequence[Claim]) -> list[Verdict]:
            await go_on.wait()
            return proof(claims)

        world.adapter.script = [slow, Unreachable("no route")]
        await world.lane.step()
        await until(lambda: world.lane.rests.get() is not None and len(world.lane._trips) == 1)

        world.clock.advance(60)
        await world.lane.step()
        assert len(world.lane._trips) == 1
        go_on.set()
        await world.lane.settled()

        assert await world.rest() is None


async def test_only_a_confirm_ends_a_rest(world: LaneWorld) -> None:
    await world.accept("bad", "good")
    world.adapter.script = [Unreachable("no route"), Rejected("422")]
    await world.step()
    world.clock.advance(1)

    await world.step()
    assert await world.state("bad") == "dead"
    assert await world.rest() is not None
    await world.step()

    assert await world.state("good") == "delivered"
    assert await world.rest() is None


async def test_a_rest_survives_a_restart(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")] * 6
    await rests_until_tried(world, 6)
    world.adapter.script = []

    await world.restart()
    world.clock.advance(31)
    await world.step()
    assert len(world.adapter.sent) == 6
    world.clock.advance(1)
    await world.step()

    assert await world.state("a") == "delivered"


async def test_a_failure_after_a_restart_is_a_further_one(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")] * 2
    await world.step()
    await world.restart()
    world.clock.advance(1)

    await world.step()

    rest = await world.rest()
    assert rest is not None
    assert rest.failures == 1


async def test_a_stored_rest_far_in_the_future_is_clamped(world: LaneWorld) -> None:
    await world.accept("a")
    world.clock.wall += round(365 * DAY * 1000)  # the clock was wrong when the rest was written
    world.adapter.script = [Unreachable("no route")]
    await world.step()
    world.clock.wall -= round(365 * DAY * 1000)

    await world.restart()
    await world.live(world.policy.max_delay_seconds + 10)

    assert await world.state("a") == "delivered"


@pytest.mark.parametrize("days", [-3650, 3650])
async def test_a_step_of_the_wall_clock_neither_lengthens_nor_ends_a_rest(
    world: LaneWorld, days: int
) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")]
    await world.step()

    world.clock.wall += round(days * DAY * 1000)
    world.clock.advance(0.9)
    await world.step()
    assert len(world.adapter.sent) == 1
    world.clock.advance(0.2)
    await world.step()

    assert await world.state("a") == "delivered"


async def test_a_rest_belongs_to_the_backends_address(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")]
    await world.step()

    world.outbox.urls["events"] = "http://elsewhere.test"

    assert await world.rest() is None


async def test_a_backend_that_is_back_is_not_overrun(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=8) as world:
        await world.accept(*[f"e{n:03}" for n in range(200)])
        world.adapter.script = [Unreachable("no route")] * 8
        await world.step()
        world.clock.advance(2)
        begin, sent = world.clock.monotonic(), []

        for _ in range(60):
            before = len(world.adapter.sent)
            nap = await world.step()
            sent.append((world.clock.monotonic() - begin, len(world.adapter.sent) - before))
            world.clock.advance(nap)

        went = [(round(at, 2), number) for at, number in sent if number]
        # One at a time with shrinking pauses between them, then more and more together: twice as
        # many up to half of what it was, and then by small steps.
        assert went[:6] == [(0.0, 1), (2.91, 1), (4.31, 1), (4.97, 1), (5.25, 1), (5.34, 1)]
        assert [number for _, number in went[6:12]] == [1, 2, 4, 4, 4, 4]
        assert max(number for _, number in went) == 8


async def test_pauses_after_a_rest_are_drawn(world: LaneWorld) -> None:
    await world.accept("a", "b", "c")
    world.adapter.script = [Unreachable("no route")]
    await world.step()
    world.clock.advance(2)
    world.roll = 0.0

    await world.step()

    assert await world.step() == pytest.approx(0.5 * 31 / 16)


async def test_a_scope_whose_entries_are_gone_rests_no_more(world: LaneWorld) -> None:
    (accepted,) = await world.accept(an_entry("a", scope="exp1"))
    world.adapter.script = [Parked("locked", scope="exp1")]
    await world.step()
    await world.outbox.discard([accepted.id], now=world.clock.now(), who="test")

    await world.live(10)

    assert await world.rest("exp1") is None
    assert world.lane.rests.scopes() == {}


async def test_the_policy_of_the_backend_bounds_its_rests(tmp_path: Path) -> None:
    policy = Policy(first_delay_seconds=10, max_delay_seconds=20)
    with lane_world(tmp_path, policy=policy) as world:
        await world.accept("a")
        world.adapter.script = [Unreachable("no route")] * 5

        waits = await rests_until_tried(world, 5)

        assert waits == pytest.approx([0, 10, 20, 20, 20], abs=0.01)
