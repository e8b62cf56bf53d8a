"""One part of a backend that cannot take entries now rests by itself; the others flow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adapters.verdict import Parked
from storage.entry import Claim, Wanted
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, looks, proof

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def test_a_parked_scope_rests_and_other_scopes_flow(world: LaneWorld) -> None:
    await world.accept(an_entry("locked", scope="exp1"), an_entry("open", scope="exp2"))
    world.adapter.script = [Parked("the experiment is locked", scope="exp1")]

    await world.steps(3)

    shown = await world.shown("locked")
    assert (shown["state"], shown["attempts"]) == ("pending", 0)
    assert await world.state("open") == "delivered"
    assert await world.rest() is None
    assert (await world.rest("exp1")) is not None


async def test_a_parked_scope_is_tried_with_one_entry_and_then_flows(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4) as world:
        await world.accept(*[an_entry(f"e{n}", scope="exp1") for n in range(8)])
        world.adapter.script = [Parked("not active", scope="exp1")] * 4
        await world.step()
        assert len(world.adapter.sent) == 4

        world.adapter.script = [Parked("not active", scope="exp1")]
        world.clock.advance(2)
        await world.step()
        assert len(world.adapter.sent) == 5
        await world.live(60)

        assert len(world.adapter.sent) == 5 + 8


async def test_a_scope_that_is_not_the_entrys_own_makes_the_entry_wait_by_itself(
    world: LaneWorld,
) -> None:
    await world.accept("a")
    world.adapter.script = [Parked("the run has not begun", scope="run 5")] * 1000

    await world.live(HOUR)

    assert 1 < len(world.adapter.sent) < 100
    assert (await world.shown("a"))["attempts"] == 0


async def test_a_part_of_a_scope_that_is_parked_lets_the_rest_of_it_flow(world: LaneWorld) -> None:
    posts = [an_entry(key, stream="exp", scope="exp") for key in ("for run 9", "b", "c")]
    await world.accept(*posts)
    world.adapter.script = [Parked("run 9 has not begun", scope="exp/9")]

    await world.steps(3)

    assert [await world.state(key) for key in ("for run 9", "b", "c")] == [
        "pending",
        "delivered",
        "delivered",
    ]
    shown = await world.shown("for run 9")
    assert (shown["stream"], shown["attempts"]) == ("exp/9", 0)
    assert (await world.rest("exp/9")) is not None
    assert (await world.rest("exp")) is None


async def test_what_stepped_aside_keeps_its_order_and_leaves_when_its_part_works(
    world: LaneWorld,
) -> None:
    await world.accept(
        an_entry("post", stream="exp", scope="exp"),
        an_entry("params", stream="exp/9", scope="exp/9", kind="update"),
        an_entry("later post", stream="exp", scope="exp"),
    )
    begun = world.clock.monotonic() + 10

    def answer(claims: Sequence[Claim]) -> object:
        if claims[0].key == "later post" or world.clock.monotonic() >= begun:
            return proof(claims)
        return Parked("run 9 has not begun", scope="exp/9")

    world.adapter.script = [answer] * 100
    await world.live(60)

    receipts, _ = await world.outbox.looks.list_receipts()
    assert [one["key"] for one in receipts] == ["later post", "post", "params"]
    assert await world.rest("exp/9") is None


async def test_a_parked_scope_holds_its_parts_too(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4) as world:
        await world.accept(an_entry("post", stream="exp", scope="exp"))
        world.adapter.script = [Parked("not active", scope="exp")]
        await world.step()

        await world.accept(
            *[an_entry(f"run {n}", stream=f"exp/{n}", scope=f"exp/{n}") for n in range(5)]
        )
        await world.step()
        assert world.adapter.sent == [["post"]]

        # When the rest is due one entry goes first, of whichever part.
        world.adapter.script = [Parked("not active", scope="exp")]
        world.clock.advance(2)
        await world.step()
        assert len(world.adapter.sent) == 2
        await world.live(60)
        assert await world.rest("exp") is None
        assert (await world.outbox.looks.list_entries())[0] == []


async def test_a_scope_that_the_backend_has_never_known_rejects_its_entries(
    world: LaneWorld,
) -> None:
    await world.accept(an_entry("typo", scope="exp0"))
    world.adapter.script = [Parked("no such experiment", scope="exp0", unknown=True, status=404)]

    await world.step()

    shown = await world.shown("typo")
    assert (shown["state"], shown["last_error"]["class"]) == ("dead", "Rejected")
    assert await world.rest("exp0") is None


async def test_a_scope_that_has_worked_before_waits_when_it_is_unknown(world: LaneWorld) -> None:
    await world.accept(an_entry("first", scope="exp"))
    await world.step()
    await world.accept(an_entry("second", scope="exp"), an_entry("third", scope="exp/7"))
    world.adapter.script = [Parked("no such experiment", scope="exp", unknown=True, status=404)]

    await world.step()
    assert await world.state("second") == "pending"
    assert (await world.rest("exp")) is not None
    await world.live(60)

    assert await world.state("second") == "delivered"
    assert await world.state("third") == "delivered"


async def test_forty_posts_of_last_week_hold_nothing_of_today(world: LaneWorld) -> None:
    await world.accept(*[an_entry(f"old {n}", stream="last", scope="last") for n in range(40)])
    await world.accept(an_entry("fresh", stream="today", scope="today"))

    def answer(claims: Sequence[Claim]) -> object:
        if claims[0].scope == "last":
            return Parked("last is not the active experiment", scope="last")
        return proof(claims)

    world.adapter.script = [answer] * 1000
    await world.live(5)

    assert await world.state("fresh") == "delivered"
    kept, _ = await world.outbox.looks.list_entries(backend="events")
    assert {one["key"] for one in kept} == {f"old {n}" for n in range(40)}
    rest = await world.rest("last")
    assert rest is not None
    assert rest.reason == "last is not the active experiment"
    assert len(world.adapter.sent) < 10


async def test_an_entry_of_a_kind_that_the_settings_no_longer_know_is_kept_and_told(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path) as world:
        await world.accept(an_entry("old", kind="workflow"), an_entry("new"))

        await world.live(4 * HOUR)

        assert await world.state("new") == "delivered"
        shown = await world.shown("old")
        assert (shown["state"], shown["in_doubt"]) == ("pending", False)
        assert "takes no 'workflow'" in shown["last_error"]["detail"]
        rest = await world.rest("kind workflow")
        assert rest is not None
        assert rest.state == "refused"
        assert world.adapter.sent == [["new"]]
        told = world.told("backend.rests")
        assert [line["log_level"] for line in told] == ["error"]
        assert looks(world) < 4 * HOUR


async def test_a_rest_that_becomes_due_while_nothing_is_claimed_goes_on(world: LaneWorld) -> None:
    await world.accept(an_entry("a", scope="exp1"))
    world.adapter.script = [Parked("locked", scope="exp1")] * 9
    await world.step()
    claim = world.outbox.claim

    async def slow(backend: str, wanted: Wanted, *, now: int) -> list[Claim]:
        claims = await claim(backend, wanted, now=now)
        world.clock.advance(1)
        return claims

    world.outbox.claim = slow  # type: ignore[method-assign]
    world.clock.advance(0.5)  # due in half a second: while the claim is under way
    await world.step()
    assert len(world.adapter.sent) == 1
    rest = await world.rest("exp1")
    assert rest is not None
    await world.step()

    after = await world.rest("exp1")
    assert after is not None
    assert (after.since, after.failures) == (rest.since, rest.failures + 1)


async def test_a_scope_keeps_its_reason_while_what_is_left_waits_for_an_operator(
    world: LaneWorld,
) -> None:
    await world.accept(an_entry("a", scope="exp1"))
    world.adapter.script = [Parked("locked", scope="exp1")]
    await world.step()
    id_ = (await world.shown("a"))["id"]
    now = world.clock.now()
    await world.outbox.hold([id_], now=now, who="uid 7")

    await world.live(60)
    assert (await world.rest("exp1")) is not None
    await world.outbox.discard([id_], now=now, who="uid 7")
    await world.live(60)

    assert await world.rest("exp1") is None
