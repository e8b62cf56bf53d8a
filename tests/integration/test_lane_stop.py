"""Stopping: everything that was claimed is settled exactly once, whatever it was doing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.verdict import BatchRefused, Verdict
from storage.entry import Claim
from tests.builders import an_entry
from tests.lane_world import CountingOutbox, LaneWorld, lane_world, proof, receipt, until


class Slow:
    """Holds requests until they are let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    def __call__(self, claims: Sequence[Claim]) -> Any:
        return self._answer(claims)

    async def _answer(self, claims: Sequence[Claim]) -> list[Verdict]:
        self.begun.set()
        await self.go.wait()
        return proof(claims)


async def running(world: LaneWorld, slow: Slow) -> "asyncio.Task[None]":
    world.adapter.script = [slow]
    loop = asyncio.create_task(world.lane.run())
    await slow.begun.wait()
    return loop


async def test_what_is_on_the_wire_is_finished_within_the_grace_period(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a", "b")
        slow = Slow()
        loop = await running(world, slow)

        stopping = asyncio.create_task(world.lane.stop(30))
        await asyncio.sleep(0)
        slow.go.set()
        await asyncio.gather(stopping, loop)

        assert await world.state("a") == "delivered"
        assert await world.state("b") == "pending"
        assert world.adapter.sent == [["a"]]
        assert world.adapter.closed


async def test_what_takes_longer_is_given_back_in_doubt(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a")
        loop = await running(world, Slow())

        await world.lane.stop(0.01)
        await loop

        shown = await world.shown("a")
        assert (shown["state"], shown["in_doubt"], shown["attempts"]) == ("pending", True, 0)
        assert [line["class"] for line in shown["history"]] == ["Abandoned"]
        assert await world.rest() is None


async def test_a_stop_is_nothing_that_is_held_against_the_backend(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a")
        loop = await running(world, Slow())
        await world.lane.stop(0.01)
        await loop

        world.adapter.finds = [receipt("post-1")]
        await world.restart()
        await world.live(10)

        assert (await world.shown("a"))["receipt"]["remote_id"] == "post-1"


async def test_a_claim_that_comes_while_stopping_is_given_back_untouched(tmp_path: Path) -> None:
    class StopsMeanwhile(CountingOutbox):
        async def claim(self, *args: Any, **named: Any) -> list[Claim]:  # type: ignore[override]
            claims = await super().claim(*args, **named)
            stopping.append(asyncio.create_task(world.lane.stop(5)))
            await asyncio.sleep(0)
            return claims

    stopping: list[asyncio.Task[None]] = []
    with lane_world(tmp_path) as plain:
        await plain.accept("a")
    outbox = StopsMeanwhile(tmp_path, plain.outbox.urls)
    outbox.recover(plain.clock.now())
    world = LaneWorld(outbox, plain.clock)

    await world.lane.step()
    await asyncio.gather(*stopping)

    shown = await world.shown("a")
    assert (shown["state"], shown["in_doubt"], shown["tries"]) == ("pending", False, 0)
    assert world.adapter.sent == []
    outbox.close()


async def test_the_rest_of_a_halved_batch_is_given_back_untouched(tmp_path: Path) -> None:
    with lane_world(tmp_path, batch_size=4) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(4)])
        slow = Slow()
        world.adapter.script = [BatchRefused("bad"), slow]
        loop = asyncio.create_task(world.lane.run())
        await slow.begun.wait()

        stopping = asyncio.create_task(world.lane.stop(30))
        await asyncio.sleep(0)
        slow.go.set()
        await asyncio.gather(stopping, loop)

        states = [await world.state(f"e{n}") for n in range(4)]
        assert states == ["delivered", "delivered", "pending", "pending"]
        counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
        assert counts.in_doubt == 0


async def test_a_lane_that_never_ran_stops(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.lane.stop(5)
        await world.lane.run()

        assert world.adapter.closed


async def test_an_adapter_that_cannot_be_closed_does_not_keep_the_agent_from_stopping(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path) as world:

        async def broken() -> None:
            raise RuntimeError("no")

        world.adapter.close = broken  # type: ignore[method-assign]
        await world.lane.stop(5)

        assert len(world.told("adapter.bug")) == 1


async def test_an_adapter_that_cancels_itself_has_a_bug(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a", "b")

        async def give_up(_: Sequence[Claim]) -> list[Verdict]:
            raise asyncio.CancelledError

        world.adapter.script = [give_up]
        await world.steps(2)

        shown = await world.shown("a")
        assert (shown["in_doubt"], shown["last_error"]["class"]) == (True, "Bug")
        assert await world.state("b") == "delivered"


@pytest.mark.parametrize("grace", [0.0, 0.001, 0.01])
async def test_everything_is_settled_exactly_once(tmp_path: Path, grace: float) -> None:
    with lane_world(tmp_path, concurrency=8) as world:
        keys = [f"e{n:03}" for n in range(200)]
        await world.accept(*keys)

        async def answer(claims: Sequence[Claim]) -> list[Verdict]:
            for _ in range(3):
                await asyncio.sleep(0)
            return proof(claims)

        world.adapter.script = [answer] * 200
        loop = asyncio.create_task(world.lane.run())
        await until(lambda: world.outbox.delivered["events"] >= 20)
        await world.lane.stop(grace)
        await loop

        counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
        receipts, _ = await world.outbox.looks.list_receipts(limit=1000)
        assert counts.leased == 0
        assert counts.pending + len(receipts) == len(keys)
        assert counts.delivered == len({one["key"] for one in receipts}) == len(receipts)
        sent = [key for (key,) in world.adapter.sent]
        assert len(sent) == len(set(sent)) == len(receipts) + counts.in_doubt
