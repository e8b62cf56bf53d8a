"""Verdicts without an attempt: what is open is found out first, what is worth nothing leaves."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from adapters.verdict import Held, Resolved, Superseded, Unreachable
from storage.entry import Address, Resolution
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, proof

FOUND = Resolution(
    {"experiment": "mfx1"}, Address("k", "mfx1", "mfx1", labels={"experiment": "mfx1"})
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def test_what_is_open_is_stored_before_it_is_sent(world: LaneWorld) -> None:
    await world.outbox.accept([an_entry("a", stream="current", scope="current", open=True)])
    world.adapter.script = [[Resolved(FOUND)], Unreachable("no route")]

    await world.live(60)

    first, second = world.adapter.claims[:2]
    assert (dict(first.resolved), first.stream) == ({}, "current")
    assert (dict(second.resolved), second.stream, second.scope) == (
        {"experiment": "mfx1"},
        "mfx1",
        "mfx1",
    )
    receipts, _ = await world.outbox.looks.list_receipts(labels={"experiment": "mfx1"})
    assert [one["key"] for one in receipts] == ["a"]


async def test_an_entry_keeps_its_place_among_those_where_it_belongs(world: LaneWorld) -> None:
    await world.outbox.accept(
        [an_entry("a", stream="current", open=True), an_entry("b", stream="mfx1")]
    )
    world.adapter.script = [[Resolved(FOUND)]]

    await world.live(60)

    assert sorted(map(tuple, world.adapter.sent)) == [("a",), ("a",), ("b",)]


async def test_what_is_held_holds_up_nothing_and_a_release_agrees(world: LaneWorld) -> None:
    await world.outbox.accept(
        [an_entry("a", stream="current", open=True), an_entry("b", stream="current")]
    )
    world.adapter.script = [Held("it has changed since", proposal=FOUND)]

    await world.live(60)

    shown = await world.shown("a")
    assert (shown["state"], shown["last_error"]["detail"]) == ("held", "it has changed since")
    assert shown["resolved"] == {"experiment": "mfx1"}
    assert await world.state("b") == "delivered"
    assert [line["reason"] for line in world.told("entry.held")] == ["it has changed since"]

    await world.outbox.release([shown["id"]], now=world.clock.now(), who="x", reason="")
    await world.live(60)

    assert await world.state("a") == "delivered"
    assert dict(world.adapter.claims[-1].resolved) == {"experiment": "mfx1"}


async def test_what_is_superseded_leaves_and_is_not_called_delivered(world: LaneWorld) -> None:
    old, new = an_entry("a", stream="s", slot="t"), an_entry("b", stream="s", slot="t")
    await world.outbox.accept([old, new])
    world.adapter.script = [[Superseded("a newer one waits")], proof]

    await world.live(60)

    assert (await world.outbox.looks.show(old.id) or {})["state"] == "superseded"
    assert await world.state("b") == "delivered"
    census = (await world.outbox.looks.census(now=world.clock.now()))["events"]
    assert (census.delivered, census.superseded, census.waiting, census.size) == (1, 1, 0, 0)
    assert (world.outbox.waiting["events"], world.outbox.size["events"]) == (0, 0)
    again = await world.outbox.accept([replace(old, id=an_entry().id)])
    assert [one.state for one in again] == ["accepted"]


async def test_what_is_urgent_goes_first_and_the_rest_gets_its_share(world: LaneWorld) -> None:
    entries = [an_entry(f"debug-{n}", urgency=10) for n in range(8)]
    entries += [an_entry(f"error-{n}", urgency=40) for n in range(8)]
    await world.outbox.accept(entries)

    await world.live(60)

    order = [keys[0].split("-")[0] for keys in world.adapter.sent]
    assert order[:3] == ["error"] * 3
    assert order.index("debug") < 8  # a flood of errors does not shut out everything else
    assert order.count("debug") == order.count("error") == 8


async def test_an_urgent_entry_stays_urgent_when_nothing_was_sent(world: LaneWorld) -> None:
    await world.outbox.accept([an_entry("error", urgency=40)])
    world.adapter.script = [Unreachable("no route")] * 100

    await world.live(5)

    assert len(world.adapter.sent) > 1
    await world.outbox.accept([an_entry("debug", urgency=10)])
    with world.outbox._engine.connect() as connection:
        due = connection.execute(text("SELECT key FROM entry ORDER BY due_at, seq")).scalars()
        assert list(due) == ["error", "debug"]
