"""Counts are the tables: those that are asked for, and those that are kept without asking."""

import random
from collections import Counter
from typing import Any

import pytest

from storage.census import AGE_BOUNDS_MS, MOST_COUNTED
from storage.entry import Receipt, Wanted
from storage.outbox import Outbox
from storage.settlement import Bury, Confirm, Failure, GiveBack
from tests.builders import NOW, an_entry

NO = Failure("Rejected", "entry", "no")
MINUTE = 60_000
VERBS = ["retry", "discard", "expire", "hold", "release"]


async def settle(outbox: Outbox, how: str, number: int = 1, now: int = NOW) -> None:
    claims = await outbox.claim("events", Wanted(requests=number), now=now)
    ends: dict[str, Any] = {
        "confirm": lambda one: Confirm(one, Receipt(one.id, f"r-{one.id}")),
        "bury": lambda one: Bury(one, NO),
        "give back": lambda one: GiveBack(one, 0, in_doubt=False, failure=NO),
        "doubt": lambda one: GiveBack(one, 0, in_doubt=True, failure=NO),
    }
    await outbox.settle("events", [ends[how](one) for one in claims], now=now)


async def test_every_entry_is_counted_once(outbox: Outbox) -> None:
    await outbox.accept([an_entry(f"k{n}") for n in range(10)])
    await outbox.accept([an_entry("other", backend="elog")])
    await settle(outbox, "bury", 2)
    await settle(outbox, "confirm", 3)
    await settle(outbox, "doubt", 1)
    await outbox.claim("events", Wanted(requests=2), now=NOW)

    counts = await outbox.looks.census(now=NOW)

    events = counts["events"]
    assert (events.pending, events.leased, events.dead, events.held) == (3, 2, 2, 0)
    assert (events.in_doubt, events.delivered) == (1, 3)
    assert events.waiting == sum(events.ages.values()) == 5
    assert counts["elog"].pending == 1
    assert events.last_success_at == NOW


@pytest.mark.parametrize(
    ("age", "bucket"),
    [
        (-MINUTE, "1m"),
        (0, "1m"),
        *((bound, name) for name, bound in AGE_BOUNDS_MS.items()),
        *(
            (bound + 1, later)
            for bound, later in zip(
                AGE_BOUNDS_MS.values(), [*list(AGE_BOUNDS_MS)[1:], "older"], strict=True
            )
        ),
    ],
)
async def test_an_entry_is_in_the_bucket_of_its_age(outbox: Outbox, age: int, bucket: str) -> None:
    await outbox.accept([an_entry("a")])

    counts = await outbox.looks.census(now=NOW + age)

    ages = counts["events"].ages
    assert {name for name, number in ages.items() if number} == {bucket}
    assert counts["events"].oldest_at == NOW


async def test_a_dead_letter_has_no_age(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a")])
    await settle(outbox, "bury")

    counts = (await outbox.looks.census(now=NOW + MINUTE))["events"]

    assert (counts.oldest_at, sum(counts.ages.values())) == (None, 0)
    assert counts.size > 0


async def test_the_rate_is_of_the_last_minute(outbox: Outbox) -> None:
    await outbox.accept([an_entry(f"k{n}") for n in range(5)])
    await settle(outbox, "confirm", 2, now=NOW)
    await settle(outbox, "confirm", 3, now=NOW + MINUTE - 1)

    assert await outbox.looks.rates(now=NOW + MINUTE - 1) == {"events": 5.0}
    assert await outbox.looks.rates(now=NOW + MINUTE) == {"events": 3.0}


async def test_the_next_due_entry_can_be_asked_for_from_a_time_on(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a"), an_entry("b")])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    await outbox.settle("events", [GiveBack(claim, NOW + 500, in_doubt=True)], now=NOW)

    assert await outbox.next_due("events") == 0
    assert await outbox.next_due("events", after=0) == NOW + 500
    assert await outbox.next_due("events", after=NOW + 500) is None
    assert await outbox.next_due("nobody") is None


async def test_what_is_urgent_is_due_now_and_told_so(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a", urgency=40)])

    assert await outbox.next_due("events") == 0
    (shown,), _ = await outbox.looks.list_entries()
    assert shown["not_before"] is None


async def assert_gauges_are_the_tables(outbox: Outbox, now: int) -> None:
    counts = await outbox.looks.census(now=now)
    assert +outbox.waiting == +Counter({name: one.waiting for name, one in counts.items()})
    assert +outbox.size == +Counter({name: one.size for name, one in counts.items()})
    assert +outbox.delivered == +Counter({name: one.delivered for name, one in counts.items()})
    assert min([*outbox.waiting.values(), *outbox.size.values(), 0]) == 0


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_kept_without_asking_equals_the_tables(outbox: Outbox, seed: int) -> None:
    dice = random.Random(seed)
    now = NOW
    for _ in range(60):
        now += dice.choice([1, 400, 2000])
        match dice.choice(["accept"] * 4 + ["settle"] * 4 + VERBS):
            case "accept":
                await outbox.accept(
                    [
                        an_entry(
                            f"k{dice.randrange(12)}",
                            payload={"content": "x" * dice.randrange(1, 4)},
                            stream=dice.choice([None, "s"]),
                            expires_at=dice.choice([None, now + 1000]),
                        )
                        for _ in range(dice.randrange(1, 5))
                    ]
                )
            case "settle":
                how = dice.choice(["confirm", "bury", "bury", "give back", "doubt"])
                await settle(outbox, how, dice.randrange(1, 4), now)
            case "expire":
                await outbox.upkeep.expire(now=now)
            case verb:
                page, _ = await outbox.looks.list_entries()
                ids = [one["id"] for one in page if dice.random() < 0.5]
                await getattr(outbox, verb)([*ids, "nobody"], now=now, who="test")
        await assert_gauges_are_the_tables(outbox, now)


async def test_what_waits_in_a_scope_is_counted_with_its_parts_up_to_a_limit(
    outbox: Outbox,
) -> None:
    scopes = ["a"] * 3 + ["a/1"] * 2 + ["a0", "a-", "b"]
    await outbox.accept([an_entry(f"k{n}", scope=scope) for n, scope in enumerate(scopes)])
    await outbox.accept([an_entry(f"m{n}", scope="many") for n in range(MOST_COUNTED + 5)])
    await outbox.accept([an_entry("other", scope="a", backend="elog")])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    await outbox.settle("events", [Bury(claim, NO)], now=NOW)

    asked = [("events", one) for one in ("a", "a/1", "b", "many", "none", "100%")]
    counted = await outbox.looks.waiting_in(asked)

    assert list(counted.values()) == [4, 2, 1, MOST_COUNTED + 1, 0, 0]
