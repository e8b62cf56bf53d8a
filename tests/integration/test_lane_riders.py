"""A record and the update behind it, while both still wait, travel as one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.base import EntryKind
from adapters.verdict import BatchRefused, Rejected, Uncertain, Unreachable, Verdict
from storage.entry import Address, Claim, Receipt
from tests.builders import an_entry
from tests.lane_world import AnyPayload, LaneWorld, a_kind, lane_world


def nowhere(_: Any) -> Address:
    return Address()


KINDS = {
    "record": EntryKind(AnyPayload, nowhere, in_doubt="resend", batched=True, rider="update"),
    "update": EntryKind(AnyPayload, nowhere, in_doubt="resend"),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, kind=a_kind(kinds=KINDS), batch_size=8) as made:
        yield made


def together(claims: Sequence[Claim]) -> list[Verdict]:
    return [Receipt(one.id, f"remote-{one.key}", with_rider=True) for one in claims]


async def pair(world: LaneWorld, name: str, updates: int = 1) -> None:
    await world.accept(
        an_entry(name, kind="record", stream=name),
        *[an_entry(f"{name} update {n}", kind="update", stream=name) for n in range(updates)],
    )


def riders(world: LaneWorld) -> list[str | None]:
    return [one.rider.key if one.rider else None for one in world.adapter.claims]


async def test_a_record_takes_its_update_along_and_both_are_proven(world: LaneWorld) -> None:
    await pair(world, "a", updates=2)
    await pair(world, "b", updates=0)
    world.adapter.script = [together]

    await world.step()

    assert world.adapter.sent == [["a", "b"]]
    assert riders(world) == ["a update 0", None]
    receipts, _ = await world.outbox.looks.list_receipts()
    assert {one["key"] for one in receipts} == {"a", "b", "a update 0"}
    assert len({one["remote_id"] for one in receipts}) == 3
    await world.step()
    assert world.adapter.sent[-1] == ["a update 1"]


async def test_an_update_that_is_not_proven_follows_by_itself(world: LaneWorld) -> None:
    await pair(world, "a")

    await world.steps(2)

    assert world.adapter.sent == [["a"], ["a update 0"]]
    assert (await world.shown("a update 0"))["history"] == []


@pytest.mark.parametrize(
    ("verdict", "state", "doubt"),
    [
        (Unreachable("no route"), "pending", False),
        (Uncertain("read timed out"), "pending", True),
        (Rejected("422"), "dead", False),
    ],
)
async def test_without_proof_the_update_is_untouched(
    world: LaneWorld, verdict: Verdict, state: str, *, doubt: bool
) -> None:
    await pair(world, "a")
    world.adapter.script = [verdict]

    await world.step()

    record, update = await world.shown("a"), await world.shown("a update 0")
    assert (record["state"], record["in_doubt"]) == (state, doubt)
    assert (update["state"], update["in_doubt"], update["attempts"], update["history"]) == (
        "pending",
        False,
        0,
        [],
    )


async def test_a_record_in_doubt_travels_without_its_update(world: LaneWorld) -> None:
    await pair(world, "a")
    world.adapter.script = [Uncertain("read timed out")]

    await world.live(30)

    assert riders(world) == ["a update 0", None, None]
    assert world.adapter.sent == [["a"], ["a"], ["a update 0"]]


async def test_a_refused_batch_is_halved_with_its_riders(world: LaneWorld) -> None:
    for name in ("a", "b", "c", "d"):
        await pair(world, name)

    def answer(claims: Sequence[Claim]) -> object:
        if any(one.key == "c" for one in claims):
            return [BatchRefused("400")] * len(claims) if len(claims) > 1 else Rejected("400")
        return together(claims)

    world.adapter.script = [answer] * 20
    await world.live(10)

    receipts, _ = await world.outbox.looks.list_receipts()
    assert {one["key"] for one in receipts} == {
        *("a", "b", "d"),
        *("a update 0", "b update 0", "d update 0", "c update 0"),
    }
    assert await world.state("c") == "dead"


async def test_riders_come_back_with_a_stop(world: LaneWorld) -> None:
    await pair(world, "a")

    async def never(_: Sequence[Claim]) -> object:
        await world.lane.stop(0)
        return Unreachable("no route")

    world.adapter.script = [never]
    await world.lane.step()
    await world.lane.settled()

    assert (await world.shown("a update 0"))["state"] == "pending"
    assert (await world.shown("a update 0"))["in_doubt"] is False
