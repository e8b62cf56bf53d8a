"""A lane's pace: secrets, limits, throttling, and who goes first behind a backlog."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adapters.base import Limit
from adapters.verdict import (
    BatchRefused,
    Refused,
    Throttled,
    Uncertain,
    Unreachable,
    Verdict,
)
from storage.entry import Claim
from tests.builders import an_entry
from tests.lane_world import LaneWorld, a_kind, lane_world, proof

HOUR = 3600.0


def slowly(world: LaneWorld, seconds: float) -> Callable[[Sequence[Claim]], list[Verdict]]:
    """A backend that needs so long for its word."""

    def answer(claims: Sequence[Claim]) -> list[Verdict]:
        world.clock.advance(seconds)
        return proof(claims)

    return answer


def times_of(world: LaneWorld) -> list[float]:
    """When each request came, from now on."""
    came: list[float] = []
    deliver, find = world.adapter.deliver, world.adapter.find

    async def noted_deliver(claims: Sequence[Claim]) -> Sequence[Verdict]:
        came.append(world.clock.monotonic())
        return await deliver(claims)

    async def noted_find(doubt: object) -> object:
        came.append(world.clock.monotonic())
        return await find(doubt)  # type: ignore[arg-type]

    world.adapter.deliver = noted_deliver  # type: ignore[method-assign]
    world.adapter.find = noted_find  # type: ignore[method-assign, assignment]
    return came


def most_within(seconds: float, came: Sequence[float]) -> int:
    return max(sum(at - seconds < other <= at for other in came) for at in came)


async def test_a_wrong_secret_is_tried_once_though_a_hundred_entries_wait(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4, proven=False) as world:
        await world.accept(*[f"e{n}" for n in range(100)])
        world.adapter.script = [Refused("401", credentials=True)] * 100

        await world.live(HOUR - 1)

        assert len(world.adapter.sent) == 1


async def test_a_good_secret_opens_every_slot(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4, proven=False) as world:
        await world.accept(*[f"e{n}" for n in range(100)])

        await world.step()
        assert len(world.adapter.sent) == 1
        await world.step()

        assert len(world.adapter.sent) == 5


async def test_retry_after_is_obeyed_and_then_it_goes_slower(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept(*[f"e{n:03}" for n in range(50)])
        world.adapter.script = [slowly(world, 0.1)] * 50
        world.adapter.script[20] = Throttled("429", retry_after=30)
        came = times_of(world)

        await world.live(60)

        before, after = came[10:21], came[21:32]
        assert after[0] - before[-1] >= 30
        assert before[-1] - before[0] == pytest.approx(1.0)
        assert after[-1] - after[0] > 2.0
        assert world.lane.pace.window == 1  # and in the end it is back at its old pace


async def test_the_limits_of_a_backend_are_kept_searches_included(tmp_path: Path) -> None:
    kind = a_kind(limits=lambda _: [Limit(3, 1), Limit(20, 30)])
    with lane_world(tmp_path, concurrency=4, kind=kind) as world:
        await world.accept(*[f"e{n:03}" for n in range(60)])
        world.adapter.script = [proof, Uncertain("no answer"), proof, Uncertain("no answer")]
        world.on_pause = lambda: world.clock.advance(world.pauses[-1])
        came = times_of(world)

        await world.live(120)

        assert world.outbox.delivered["events"] == 60
        assert len(world.adapter.doubts) == 4
        assert most_within(1, came) == 3
        assert most_within(30, came) == 20


async def test_the_parts_of_a_refused_batch_keep_the_limits(tmp_path: Path) -> None:
    kind = a_kind(limits=lambda _: [Limit(2, 10)])
    with lane_world(tmp_path, batch_size=8, kind=kind) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(8)])

        def judge(claims: Sequence[Claim]) -> object:
            poisoned = any(claim.key == "e5" for claim in claims)
            return BatchRefused("bad record", status=400) if poisoned else proof(claims)

        world.adapter.script = [judge] * 100
        world.on_pause = lambda: world.clock.advance(world.pauses[-1])
        came = times_of(world)

        await world.live(60)

        assert world.outbox.delivered["events"] == 7
        assert most_within(10, came) == 2


async def test_a_fresh_entry_leaves_within_a_few_sends_behind_ten_thousand(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4) as world:
        await world.accept(*[an_entry(f"e{n:05}", stream=f"s{n % 40}") for n in range(10_000)])
        await world.steps(3)
        sent = len(world.adapter.sent)

        await world.accept(an_entry("fresh", stream="another"))
        while ["fresh"] not in world.adapter.sent:
            await world.step()

        assert len(world.adapter.sent) - sent <= 16


async def test_an_agent_that_dies_again_and_again_does_not_hammer_the_backend(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path, concurrency=4) as world:
        await world.accept(*[f"e{n}" for n in range(20)])
        world.adapter.script = [Unreachable("no route")] * 1000
        await world.step()
        tries = len(world.adapter.sent)

        for _ in range(600):
            await world.restart()
            await world.step()
            world.clock.advance(1.0)

        # After 1, 2, 4 ... 256, 300 seconds, whoever counts them.
        assert len(world.adapter.sent) - tries == 9
        rest = await world.rest()
        assert rest is not None
        assert rest.failures == 9


async def test_a_start_with_a_backlog_is_late_by_a_moment_and_one_without_is_not(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path) as world:
        await world.lane.look_back()
        await world.accept("fresh")
        await world.step()
        assert await world.state("fresh") == "delivered"

        await world.accept("old", "older")
        await world.restart()
        await world.lane.look_back()
        nap = await world.step()

        assert nap == pytest.approx(world.policy.first_delay_seconds)
        world.clock.advance(nap)
        await world.step()
        assert world.outbox.delivered["events"] == 2


async def test_what_was_sent_before_a_restart_still_counts(tmp_path: Path) -> None:
    kind = a_kind(limits=lambda _: [Limit(5, 30)])
    with lane_world(tmp_path, kind=kind) as world:
        await world.accept(*[f"e{n}" for n in range(5)])
        await world.live(1)
        await world.restart()
        await world.lane.look_back()
        await world.accept("next")

        await world.live(29)
        assert await world.state("next") == "pending"
        await world.live(3)

        assert await world.state("next") == "delivered"
