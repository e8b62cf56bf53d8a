"""verify: what a backend still holds of what it has confirmed, asked as a lane would ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.verdict import (
    Held,
    Parked,
    Refused,
    Throttled,
    Uncertain,
    Unreachable,
)
from agent.refusal import Refusal
from agent.verifying import PAGE_SECONDS, VerifiedPage, Verifier
from storage.delivered import Meant
from storage.entry import Pause
from tests.builders import an_entry
from tests.lane_world import (
    URLS,
    LaneWorld,
    lane_world,
)

WIDE = 2**62


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, keeps_payloads=True) as made:
        yield made


def meant(**changes: Any) -> Meant:
    return Meant(**{"backend": "events", "url": URLS["events"], "until": WIDE, **changes})


def verifier(world: LaneWorld) -> Verifier:
    return Verifier(world.outbox, {"events": world.lane}, world.clock)  # type: ignore[arg-type]


async def page_of(world: LaneWorld, **page: Any) -> VerifiedPage:
    return await verifier(world).page(meant(), **{"limit": 10, "after": None, **page})


def told(page: VerifiedPage) -> dict[str, str]:
    return {one.receipt.key: one.answer for one in page.found}


async def test_each_receipt_is_asked_for_and_what_nobody_can_tell_is_not_missing(
    world: LaneWorld,
) -> None:
    await world.deliver(*"abcdef")
    parked, held, bug = Parked("no reader", scope="x"), Held("who knows"), ValueError("a bug")
    world.adapter.holdings = [True, False, None, parked, held, bug]

    page = await page_of(world)

    answers = ["there", "missing", *["cannot tell"] * 4]
    assert told(page) == dict(zip("abcdef", answers, strict=True))
    assert page.after is None
    assert page.found[3].why == "no reader"
    asked = world.adapter.asked
    assert [json.loads(one.payload) for one in asked] == [{"n": key} for key in "abcdef"]
    assert world.adapter.sent == [[key] for key in "abcdef"], "nothing was sent"


@pytest.mark.parametrize(
    "trouble", [Unreachable("no route"), Refused("who are you"), Throttled("later")]
)
async def test_trouble_of_the_backend_ends_a_page_and_is_told_by_the_next(
    world: LaneWorld, trouble: Exception
) -> None:
    await world.deliver(*"abc")
    world.adapter.holdings = [True, trouble, trouble]

    first = await page_of(world)
    assert told(first) == {"a": "there"}
    with pytest.raises(Refusal) as refusal:
        await page_of(world, after=first.after)
    assert (refusal.value.status, str(trouble) in refusal.value.detail) == (503, True)
    rest = await page_of(world, after=first.after)

    assert told(rest) == {"b": "there", "c": "there"}


async def test_one_lost_answer_is_of_one_receipt_and_three_in_a_row_of_the_backend(
    world: LaneWorld,
) -> None:
    await world.deliver(*"abcde")
    lost = Uncertain("no answer")
    world.adapter.holdings = [lost, lost, True, lost, lost]
    assert list(told(await page_of(world)).values()) == [
        "cannot tell", "cannot tell", "there", "cannot tell", "cannot tell",
    ]  # fmt: skip

    world.adapter.holdings = [lost, lost, lost]
    with pytest.raises(Refusal, match="no answer"):
        await page_of(world)


async def test_a_page_ends_after_a_moment_and_goes_on_where_it_ended(world: LaneWorld) -> None:
    await world.deliver(*"abc")

    def slow() -> bool:
        world.clock.advance(PAGE_SECONDS + 1)
        return True

    world.adapter.holdings = [slow]

    first = await page_of(world)
    assert told(first) == {"a": "there"}
    assert list(told(await page_of(world, after=first.after))) == ["b", "c"]


async def test_a_backend_that_rests_or_is_paused_is_not_asked(world: LaneWorld) -> None:
    await world.deliver("a")
    world.adapter.script = [Unreachable("no route")]
    await world.accept("b")
    await world.step()

    with pytest.raises(Refusal, match="offline: no route") as refusal:
        await page_of(world)
    assert refusal.value.status == 503
    assert world.adapter.asked == []
    await world.lane.retry_now()
    assert told(await page_of(world)) == {"a": "there"}
    await world.live(20)
    world.lane.pausing.load(Pause("events", world.clock.now(), None, "test", ""))
    with pytest.raises(Refusal, match="paused"):
        await page_of(world)

    assert len(world.adapter.asked) == 1


async def test_it_is_asked_no_faster_than_its_rate(tmp_path: Path) -> None:
    with lane_world(tmp_path, rate_per_second=2.0) as world:
        world.on_pause = lambda: world.clock.advance(world.pauses[-1])
        for key in "abcd":
            await world.accept(an_entry(key))
        await world.live(10)
        begun = world.clock.monotonic()

        page = await page_of(world, limit=4)
        while page.after is not None:
            page = await page_of(world, limit=4, after=page.after)

        assert world.clock.monotonic() - begun >= 1.5
