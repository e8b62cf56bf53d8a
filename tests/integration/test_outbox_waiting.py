"""A reply waits for the post that it answers, and for nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import Parked, Rejected
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, concurrency=4) as made:
        yield made


async def test_a_reply_is_sent_after_its_parent_and_told_its_remote_id(world: LaneWorld) -> None:
    post = an_entry("post")
    await world.accept(post, an_entry("by id", waits_for=post.id))
    await world.accept(an_entry("by key", waits_for="post"))

    await world.step()
    assert world.adapter.sent == [["post"]]
    await world.live(5)

    assert [one.parent_id for one in world.adapter.claims] == [None, "remote-post", "remote-post"]
    assert (await world.shown("by key"))["state"] == "delivered"


async def test_a_reply_to_what_was_delivered_goes_at_once(world: LaneWorld) -> None:
    await world.accept("post")
    await world.step()

    await world.accept(an_entry("reply", waits_for="post"))
    await world.step()

    assert world.adapter.claims[-1].parent_id == "remote-post"


@pytest.mark.parametrize("name", ["nobody", "self", "later"])
async def test_a_reply_to_nothing_that_came_before_is_not_stored(
    world: LaneWorld, name: str
) -> None:
    outcomes = await world.accept(an_entry("self", waits_for=name), an_entry("later"))

    assert [one.state for one in outcomes] == ["orphan", "accepted"]
    assert [one["key"] for one in (await world.outbox.looks.list_entries())[0]] == ["later"]


async def test_a_reply_whose_parent_is_buried_holds_up_nothing_else(world: LaneWorld) -> None:
    await world.accept(
        an_entry("post", stream="exp", scope="exp"),
        an_entry("reply", stream="exp", scope="exp", waits_for="post"),
        an_entry("other", stream="exp", scope="exp"),
    )
    world.adapter.script = [Rejected("no such tag")]

    await world.live(5)

    assert [await world.state(key) for key in ("post", "reply", "other")] == [
        "dead",
        "pending",
        "delivered",
    ]
    post = await world.shown("post")
    await world.outbox.retry([post["id"]], now=world.clock.now(), who="test")
    await world.live(5)
    receipts, _ = await world.outbox.looks.list_receipts()
    assert [one["key"] for one in receipts] == ["other", "post", "reply"]


async def test_a_reply_to_another_stream_holds_up_nothing_of_its_own(world: LaneWorld) -> None:
    await world.accept(
        an_entry("post", stream="last", scope="last"),
        an_entry("reply", stream="today", scope="today", waits_for="post"),
        an_entry("other", stream="today", scope="today"),
    )
    world.adapter.script = [Parked("not active", scope="last")]

    await world.steps(2)

    assert await world.state("other") == "delivered"
    assert await world.state("reply") == "pending"


async def test_a_reply_whose_parent_was_discarded_is_told_so(world: LaneWorld) -> None:
    await world.accept("post", an_entry("reply", waits_for="post"))
    post = await world.shown("post")
    await world.outbox.discard([post["id"]], now=world.clock.now(), who="test")

    await world.step()

    (claim,) = world.adapter.claims
    assert (claim.key, claim.parent_id) == ("reply", None)
    assert claim.waits_for == post["id"]


async def test_a_dead_reply_is_not_replaced_by_one_that_waits_for_nothing(
    world: LaneWorld,
) -> None:
    await world.accept("post", an_entry("reply", waits_for="post", payload={"v": 1}))
    world.adapter.script = [Rejected("a"), Rejected("b")]
    await world.step()
    post = await world.shown("post")
    await world.outbox.discard([post["id"]], now=world.clock.now(), who="test")
    await world.step()
    assert await world.state("reply") == "dead"

    (outcome,) = await world.accept(an_entry("reply", waits_for="nobody", payload={"v": 2}))

    assert outcome.state == "orphan"
    assert (await world.shown("reply"))["payload"] == {"v": 1}
