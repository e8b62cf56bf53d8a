"""What leaves together with an entry that was superseded, and what does not."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from adapters.verdict import Superseded, Uncertain, Verdict
from storage import undelivered
from storage.entry import Alike, Claim
from storage.settlement import Supersede
from tests.builders import NOW, an_entry
from tests.integration.test_outbox_plans import assert_flat, connection, fill, plans
from tests.lane_world import LaneWorld, lane_world, proof

__all__ = ["connection"]

FLEETING = {"keep": False}
GIVES_WAY = Superseded("a newer one waits", Alike("t", FLEETING))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


def fleeting(key: str, payload: Any = None, **changes: Any) -> Any:
    changes = {"stream": "s", "slot": "t", **changes}
    return an_entry(key, payload=payload or {"n": key, **FLEETING}, **changes)


def unless_newest(claims: Sequence[Claim]) -> Sequence[Verdict]:
    return proof(claims) if claims[0].newest_of_slot else [GIVES_WAY]


async def left(world: LaneWorld) -> list[str]:
    page, _ = await world.outbox.looks.list_entries(limit=1000)
    return [str(one["key"]) for one in page]


async def test_what_is_alike_leaves_with_it_and_nothing_else(world: LaneWorld) -> None:
    await world.outbox.accept(
        [
            fleeting("first"),
            fleeting("alike"),
            fleeting("kept", {"keep": True}),
            fleeting("zero is not false", {"keep": 0}),
            fleeting("does not say", {"n": 1}),
            fleeting("other slot", slot="u"),
            fleeting("other stream", stream="r"),
            fleeting("newest"),
        ]
    )
    world.adapter.script = [[GIVES_WAY]]

    await world.step()

    assert await left(world) == [
        "kept",
        "zero is not false",
        "does not say",
        "other slot",
        "newest",
    ]
    assert world.outbox.waiting["events"] == 5
    world.adapter.script = [proof] * 5
    await world.live(60)
    assert world.outbox.waiting["events"] == world.outbox.size["events"] == 0


async def test_what_is_held_or_may_have_been_sent_stays(world: LaneWorld) -> None:
    first, held, last = fleeting("first"), fleeting("held"), fleeting("held last")
    await world.outbox.accept([first])
    await world.outbox.hold([first.id], now=world.clock.now(), who="x")
    await world.outbox.accept([fleeting("lost", stream="r")])
    world.adapter.script = [Uncertain("cut off"), [GIVES_WAY]]
    await world.step()
    await world.outbox.accept([held, fleeting("alike"), fleeting("newest"), last])
    await world.outbox.hold([held.id, last.id], now=world.clock.now(), who="x")
    await world.outbox.release([first.id], now=world.clock.now(), who="x")

    await world.live(3)

    assert await left(world) == ["lost", "held", "newest", "held last"]


async def test_without_a_word_about_others_only_it_leaves(world: LaneWorld) -> None:
    await world.outbox.accept([fleeting("first"), fleeting("second"), fleeting("newest")])
    world.adapter.script = [[Superseded("a newer one waits")]]

    await world.step()

    assert await left(world) == ["second", "newest"]


async def test_many_leave_in_bounded_transactions(
    world: LaneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undelivered, "WINDOW", 10)
    monkeypatch.setattr(undelivered, "WINDOW_BYTES", 400)
    entries = [fleeting(f"e{number}", {"n": "x" * number, **FLEETING}) for number in range(100)]
    await world.outbox.accept(entries)
    world.adapter.script = [unless_newest] * 100

    await world.live(10)

    assert await world.state("e99") == "delivered"
    assert len(world.adapter.sent) < 5
    shown = await world.outbox.looks.show(entries[50].id)
    assert shown is not None
    assert shown["state"] == "superseded"
    census = (await world.outbox.looks.census(now=world.clock.now()))["events"]
    assert census.superseded == 99


def test_looking_behind_a_superseded_entry_is_flat(connection: Connection) -> None:
    first, *_ = fill(connection)
    one = Supersede(first, "a newer one waits", Alike("weather", {}))

    steps = plans(connection, lambda: undelivered.supersede_alike(connection, "events", one, NOW))

    assert_flat(steps)
    assert any("INDEX entry_slot " in step for step in steps)
