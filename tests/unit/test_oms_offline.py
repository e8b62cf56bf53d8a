"""Whatever was asked of a small OMS before: what is made of it equals what OMS would say."""

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.oms.query import Query
from adapters.oms.recall import recall
from adapters.reading import NotKept, Recalled
from tests.kept_questions import like_that, some
from tests.kept_world import GRACE, World, a_world, plan_of


async def asked_before(world: World, dice: Random) -> list[Query]:
    before: list[Query] = []
    for time in range(dice.randint(1, 6)):
        query = (
            like_that(dice, dice.choice(before)) if before and dice.random() < 0.5 else some(dice)
        )
        before.append(query)
        await world.fetch(query, 1000 + time)
    return before


async def told(world: World, query: Query, *, partial: bool = False) -> Recalled | None:
    try:
        return await recall(plan_of(query), world.shelf, partial=partial, grace_ms=GRACE)
    except NotKept:
        return None


def by_id(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def run_of(row: dict[str, Any]) -> int:
    return int(row["id"].split("_")[0])


def check(world: World, query: Query, said: Recalled) -> None:
    rows, total = world.answer(query)
    missing = [range(low, high + 1) for low, high in said.missing]
    wanted = [row for row in rows if not any(run_of(row) in span for span in missing)]
    assert by_id(said.data) == by_id(wanted), query
    assert said.complete == (not said.missing)
    if said.complete:
        assert said.meta["totalResourceCount"] == total
    else:
        assert "totalResourceCount" not in said.meta
    check_order(world, query, said.data)
    assert said.fetched_at in {kept.label.fetched_at for kept in world.shelf.answers.values()}


def check_order(world: World, query: Query, rows: Iterable[dict[str, Any]]) -> None:
    """What is equal for the sort may come in any order."""
    full = Query(query.resource, filters=query.filters, group=query.group, sort=query.sort)
    known = {row["id"]: row["attributes"] for row in world.answer(full)[0]}
    names = [name.lstrip("-") for name in query.sort]
    mine = [[known[row["id"]][name] for name in names] for row in rows]
    theirs = [[one[name] for name in names] for one in known.values()]
    ids = {row["id"] for row in rows}
    assert mine == [key for key, name in zip(theirs, known, strict=True) if name in ids]


async def play(seed: int) -> dict[str, int]:
    """One world, some questions before and some after; how often what was said."""
    dice = Random(seed)
    world = a_world(dice)
    before = await asked_before(world, dice)
    counts = dict.fromkeys(("cache", "derived", "partial", "refused"), 0)
    for _ in range(6):
        query = like_that(dice, dice.choice(before)) if dice.random() < 0.8 else some(dice)
        said = await told(world, query)
        if said is None:
            counts["refused"] += 1
            said = await told(world, query, partial=True)
            counts["partial"] += said is not None
        else:
            counts[said.source] += 1
        if said is not None:
            check(world, query, said)
    return counts


@given(st.integers(0, 10**9))
def test_what_is_said_is_what_oms_would_say(seed: int) -> None:
    asyncio.run(play(seed))


def test_much_is_said_and_in_every_way() -> None:
    """The test above would be content with refusals alone."""
    totals: dict[str, int] = {}
    for seed in range(100):
        for name, count in asyncio.run(play(seed)).items():
            totals[name] = totals.get(name, 0) + count
    assert totals["derived"] > 50
    assert totals["partial"] > 15
    assert totals["refused"] > 15
