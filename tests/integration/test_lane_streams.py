"""Order within a stream, shares between streams, and lanes that do not wait for one another."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adapters.verdict import Rejected, Throttled, Uncertain, Unreachable, Verdict
from storage.entry import Claim, Receipt
from tests.builders import an_entry
from tests.lane_world import LaneWorld, a_kind, lane_world, proof, receipt, until

LOST = Uncertain("read timed out")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, concurrency=4) as made:
        yield made


async def test_a_stream_stays_in_order_through_everything(world: LaneWorld) -> None:
    keys = [f"e{n}" for n in range(8)]
    await world.accept(*[an_entry(key, stream="s", kind="update") for key in keys])
    world.adapter.script = [
        proof,
        Unreachable("no route"),
        proof,
        LOST,
        Throttled("429", retry_after=3),
        proof,
        RuntimeError("a bug"),
    ]

    await world.live(20)
    await world.restart()
    await world.live(60)

    arrived = list(dict.fromkeys(key for (key,) in world.adapter.sent))
    receipts, _ = await world.outbox.looks.list_receipts()
    assert arrived == keys
    assert [one["key"] for one in receipts] == keys


async def test_one_entry_of_a_stream_is_out_at_a_time(world: LaneWorld) -> None:
    await world.accept(*[an_entry(f"e{n}", stream="s") for n in range(4)])

    await world.lane.step()

    assert len(world.lane._trips) == 1
    await world.lane.settled()


async def test_an_entry_in_doubt_holds_its_stream_and_no_other(world: LaneWorld) -> None:
    await world.accept(
        an_entry("a1", stream="a"), an_entry("a2", stream="a"), an_entry("b1", stream="b")
    )

    def answer(claims: Sequence[Claim]) -> object:
        return LOST if claims[0].key == "a1" else proof(claims)

    world.adapter.script = [answer] * 3
    world.adapter.finds = [receipt("post-1")]

    await world.steps(2)
    assert [await world.state(key) for key in ("a1", "a2", "b1")] == [
        "pending",
        "pending",
        "delivered",
    ]
    await world.live(30)

    assert [await world.state(key) for key in ("a1", "a2")] == ["delivered", "delivered"]


async def test_a_retried_dead_letter_takes_its_old_place(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept(an_entry("e0", stream="s"), an_entry("e1", stream="s"))
        world.adapter.script = [Rejected("422"), Unreachable("no route")]
        await world.steps(2)
        await world.accept(an_entry("e2", stream="s"))

        dead = (await world.shown("e0"))["id"]
        await world.outbox.retry([dead], now=world.clock.now(), who="test")
        await world.live(60)

        assert world.adapter.sent[2:] == [["e0"], ["e1"], ["e2"]]


async def test_a_fresh_entry_passes_those_that_wait_for_their_time(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [LOST]
    await world.step()

    await world.accept("fresh")
    await world.step()

    assert await world.state("fresh") == "delivered"
    assert await world.state("a") == "pending"


async def test_a_fresh_entry_does_not_wait_for_the_whole_backlog(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept(*[f"e{n:04}" for n in range(500)])

        await world.accept("fresh")
        await world.steps(4)

        assert await world.state("fresh") == "delivered"


async def test_an_entry_that_is_tried_again_does_not_wait_for_the_whole_backlog(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("old", *[f"e{n:04}" for n in range(500)])
        world.adapter.script = [LOST]
        world.adapter.finds = [receipt("post-1")]
        await world.step()
        world.clock.advance(10)

        await world.steps(4)

        assert await world.state("old") == "delivered"


async def test_a_hanging_backend_does_not_slow_another(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=2) as dead:
        hanging = asyncio.Event()

        async def hang(claims: Sequence[Claim]) -> Sequence[Receipt]:
            await hanging.wait()
            return [Receipt(claim.id, claim.key) for claim in claims]

        dead.adapter.script = [hang] * 10
        alive = LaneWorld(dead.outbox, dead.clock, "elog", concurrency=2)
        await dead.accept(*[f"dead{n}" for n in range(10)])
        await alive.accept(*[f"alive{n}" for n in range(100)])
        loops = [asyncio.create_task(one.lane.run()) for one in (dead, alive)]

        await until(lambda: dead.outbox.delivered["elog"] == 100)

        assert len(dead.adapter.sent) == 2
        hanging.set()
        await asyncio.gather(dead.lane.stop(5), alive.lane.stop(5))
        await asyncio.gather(*loops)


async def test_no_more_is_claimed_than_goes_on_the_wire(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=2, batch_size=10) as world:
        await world.accept(*[an_entry(f"u{n}", kind="update") for n in range(30)])
        await world.accept(*[an_entry(f"r{n}", kind="record") for n in range(30)])

        looked = asyncio.Event()

        async def later(claims: Sequence[Claim]) -> list[Verdict]:
            await looked.wait()
            return proof(claims)

        world.adapter.script = [later, later]

        await world.lane.step()
        counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
        looked.set()
        await world.lane.settled()

        assert counts.leased == sum(len(sent) for sent in world.adapter.sent) == 2


async def test_a_batch_holds_one_kind_and_fills_up_past_others(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=2, batch_size=3) as world:
        mixed = [("r0", "record"), ("u0", "update"), ("r1", "record"), ("u1", "update")]
        await world.accept(*[an_entry(key, kind=kind) for key, kind in mixed])

        await world.step()

        assert sorted(world.adapter.sent) == [["r0", "r1"], ["u0"]]


async def test_a_kind_that_takes_no_batches_goes_one_by_one(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=1, batch_size=100, kind=a_kind()) as world:
        await world.accept(*[an_entry(f"u{n}", kind="update") for n in range(3)])

        await world.live(1)

        assert world.adapter.sent == [["u0"], ["u1"], ["u2"]]
