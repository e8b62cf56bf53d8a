"""A paused lane sends nothing and loses nothing; what it had begun is settled."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.verdict import BatchRefused, Refused, Unreachable, Verdict
from agent.pausing import Pauses, keep_true
from storage.entry import Claim, Wanted
from tests.builders import an_entry
from tests.lane_world import LaneWorld, a_kind, lane_world, looks, proof, until

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


def pauses(world: LaneWorld) -> Pauses:
    lane = world.lane
    return Pauses(
        world.outbox,
        {world.backend: lane.pausing},
        {world.backend: lane.retry_now},
        world.clock,  # type: ignore[arg-type]
    )


async def pause(world: LaneWorld, seconds: float | None = None) -> None:
    await pauses(world).begin(world.backend, seconds=seconds, who="uid 7", reason="r")


async def resume(world: LaneWorld) -> None:
    await pauses(world).end(world.backend, who="uid 7", reason="")


async def tick(world: LaneWorld) -> None:
    await keep_true(world.outbox, [world.lane.pausing], world.clock.now())


async def test_nothing_leaves_until_it_is_resumed(world: LaneWorld) -> None:
    await pause(world)
    await world.accept("a", "b")

    rounds = await world.live(HOUR)
    assert (world.adapter.sent, looks(world)) == ([], 0)
    assert rounds <= HOUR / 5 + 1
    await resume(world)
    await world.live(1)

    assert world.adapter.sent == [["a"], ["b"]]


async def test_a_pause_ends_by_itself_to_the_second_and_is_forgotten(world: LaneWorld) -> None:
    await pause(world, 7200)
    await world.accept("a")

    await world.live(7199)
    assert world.adapter.sent == []
    await world.live(1.001)
    assert world.adapter.sent == [["a"]]
    await tick(world)

    assert await world.outbox.looks.pauses() == []


@pytest.mark.parametrize("step", [1, -1], ids=["forward", "back"])
async def test_a_clock_set_by_a_year_does_not_end_it_in_this_life_or_the_next(
    world: LaneWorld, step: int
) -> None:
    await pause(world, 7200)
    await world.accept("a")
    world.clock.advance(3600)
    world.clock.wall += step * 366 * 86_400_000

    await tick(world)
    await restart(world)
    await world.live(3590)
    assert world.adapter.sent == []
    await world.live(20)

    assert world.adapter.sent == [["a"]]


async def restart(world: LaneWorld) -> None:
    await world.restart()
    for one in await world.outbox.looks.pauses():
        world.lane.pausing.load(one)


async def test_a_pause_outlives_a_restart(world: LaneWorld) -> None:
    await pause(world)
    await world.accept("a")

    await restart(world)
    await world.live(60)
    assert world.adapter.sent == []
    await resume(world)
    await restart(world)
    await world.live(1)

    assert world.adapter.sent == [["a"]]


async def test_a_pause_that_ran_out_while_the_agent_was_down_is_over(world: LaneWorld) -> None:
    await pause(world, 60)
    await world.accept("a")
    world.clock.advance(61)

    await restart(world)
    await world.step()

    assert await world.state("a") == "delivered"


async def test_what_is_on_the_wire_is_settled(world: LaneWorld) -> None:
    go_on = asyncio.Event()

    async def slow(claims: Sequence[Claim]) -> Sequence[Verdict]:
        await go_on.wait()
        return proof(claims)

    world.adapter.script = [slow]
    await world.accept("a", "b")
    await world.lane.step()
    await until(lambda: bool(world.adapter.sent))

    await pause(world)
    go_on.set()
    await world.lane.settled()
    await world.live(60)

    assert [await world.state(key) for key in "ab"] == ["delivered", "pending"]
    assert world.adapter.sent == [["a"]]


async def test_a_claim_that_a_pause_overtakes_is_given_back_as_it_was(world: LaneWorld) -> None:
    await world.accept("a")
    claim = world.outbox.claim

    async def overtaken(backend: str, wanted: Wanted, *, now: int) -> list[Claim]:
        claims = await claim(backend, wanted, now=now)
        await pause(world)
        return claims

    world.outbox.claim = overtaken  # type: ignore[method-assign]
    await world.step()

    shown = await world.shown("a")
    assert world.adapter.sent == []
    assert (shown["state"], shown["tries"], shown["in_doubt"]) == ("pending", 0, False)
    assert shown["history"] == []


async def test_of_a_refused_batch_what_was_not_sent_again_is_given_back(tmp_path: Path) -> None:
    def refuse(_: Sequence[Claim]) -> Any:
        return paused_and_refused()

    async def paused_and_refused() -> Sequence[Verdict]:
        await pause(world)
        raise BatchRefused("422")

    with lane_world(tmp_path, batch_size=4, kind=a_kind(batch_size=4)) as world:
        world.adapter.script = [refuse]
        await world.accept(*(an_entry(key, kind="record") for key in "abcd"))

        await world.live(60)

        assert world.adapter.sent == [["a", "b", "c", "d"]]
        shown = [await world.shown(key) for key in "abcd"]
        assert {(one["state"], one["tries"], one["in_doubt"]) for one in shown} == {
            ("pending", 0, False)
        }
        await resume(world)
        await world.live(5)
        assert [await world.state(key) for key in "abcd"] == ["delivered"] * 4


async def test_a_pause_leaves_the_rest_behind_it_and_a_resume_makes_it_due(
    world: LaneWorld,
) -> None:
    world.adapter.script = [Unreachable("no route")] * 20
    await world.accept("a")
    await world.live(600)
    tried = len(world.adapter.sent)

    await pause(world)
    await world.live(HOUR)
    assert len(world.adapter.sent) == tried
    assert await world.rest() is not None
    await resume(world)
    await world.step()

    assert len(world.adapter.sent) == tried + 1


async def test_a_resume_allows_one_try_of_a_refused_secret(world: LaneWorld) -> None:
    world.adapter.script = [Refused("401", credentials=True)] * 5
    await world.accept("a")
    await world.live(HOUR / 2)
    assert len(world.adapter.sent) == 1

    await resume(world)
    await world.live(HOUR / 2)

    assert len(world.adapter.sent) == 2


async def test_a_pause_that_replaced_another_is_not_ended_with_it(world: LaneWorld) -> None:
    await pause(world, 60)
    world.clock.advance(61)
    over = world.lane.pausing.take_over()
    assert over is not None

    await pause(world)
    await world.outbox.waits.forget_pause(over, now=world.clock.now(), who="x", reason="")
    await world.outbox.waits.move_pause(over, over)

    (kept,) = await world.outbox.looks.pauses()
    assert kept.until is None
    await restart(world)
    assert world.lane.pausing.get() == kept


async def test_accepting_goes_on(world: LaneWorld) -> None:
    await pause(world)

    (outcome,) = await world.accept("a")

    assert outcome.state == "accepted"
    assert await world.state("a") == "pending"


async def test_what_is_held_does_not_keep_an_earlier_value_from_being_the_current_one(
    world: LaneWorld,
) -> None:
    early, late = (
        an_entry(key, stream="all", slot="weather", backend=world.backend) for key in ("1", "2")
    )
    await world.accept(early, late)
    await world.outbox.hold([late.id], now=world.clock.now(), who="uid 7")

    await world.live(5)
    await world.outbox.release([late.id], now=world.clock.now(), who="uid 7")
    await world.live(5)

    newest = [(one.key, one.newest_of_slot) for one in world.adapter.claims]
    assert newest == [("1", True), ("2", True)]
