"""In doubt: an entry whose answer was lost is looked for before it is sent again."""

import asyncio
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from adapters.verdict import (
    BatchRefused,
    Refused,
    Rejected,
    Uncertain,
    Unreachable,
    Verdict,
)
from storage.entry import Claim, Receipt, Wanted
from storage.settlement import Bury, Failure, GiveBack
from tests.builders import NOW, an_entry
from tests.lane_world import SETTLES_SECONDS, LaneWorld, a_kind, lane_world, proof, receipt

LOST = Uncertain("read timed out")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def lose_the_answer(world: LaneWorld, key: str = "a", **changes: object) -> None:
    await world.accept(an_entry(key, **changes))
    world.adapter.script = [LOST]
    await world.step()


async def test_what_is_found_is_delivered_and_never_sent_again(world: LaneWorld) -> None:
    await lose_the_answer(world)
    world.adapter.finds = [receipt("post-1")]

    await world.live(60)

    shown = await world.shown("a")
    assert (shown["state"], shown["receipt"]["remote_id"]) == ("delivered", "post-1")
    assert world.adapter.sent == [["a"]]


async def test_an_empty_search_counts_only_after_the_backend_has_settled(world: LaneWorld) -> None:
    await lose_the_answer(world)

    world.clock.advance(SETTLES_SECONDS - 0.01)
    await world.step()
    assert world.adapter.doubts == []
    world.clock.advance(0.02)
    await world.step()

    assert len(world.adapter.doubts) == 1


async def test_the_backend_settles_from_the_end_of_the_attempt_not_from_its_begin(
    world: LaneWorld,
) -> None:
    def slow(_: object) -> Uncertain:
        world.clock.advance(60)
        return LOST

    await world.accept("a")
    world.adapter.script = [slow]
    await world.step()
    world.lane.pace.try_now()

    world.clock.advance(SETTLES_SECONDS - 0.01)
    await world.step()
    assert world.adapter.doubts == []
    world.clock.advance(0.02)
    await world.step()

    (doubt,) = world.adapter.doubts
    assert (doubt.first_sent_at, doubt.last_sent_at) == (NOW, NOW + 60_000)


async def test_two_empty_searches_apart_come_before_a_resend(world: LaneWorld) -> None:
    await lose_the_answer(world)
    world.clock.advance(SETTLES_SECONDS)

    await world.step()
    await world.step()
    assert (len(world.adapter.doubts), len(world.adapter.sent)) == (1, 1)
    world.clock.advance(SETTLES_SECONDS)
    await world.step()

    assert (len(world.adapter.doubts), len(world.adapter.sent)) == (2, 2)
    assert await world.state("a") == "delivered"


async def test_a_resend_that_is_lost_too_is_searched_for_from_the_first_attempt_on(
    world: LaneWorld,
) -> None:
    await lose_the_answer(world)
    world.clock.advance(SETTLES_SECONDS)
    await world.step()
    world.clock.advance(SETTLES_SECONDS)
    world.adapter.script = [LOST]
    await world.step()
    again = world.clock.now()
    world.clock.advance(SETTLES_SECONDS + 1)

    await world.step()

    doubt = world.adapter.doubts[-1]
    assert (len(world.adapter.sent), len(world.adapter.doubts)) == (2, 3)
    assert (doubt.first_sent_at, doubt.last_sent_at) == (NOW, again)
    assert doubt.claim.absences == 0


async def test_a_crash_during_a_resend_is_searched_for_as_if_it_were_the_first(
    world: LaneWorld,
) -> None:
    await lose_the_answer(world)
    world.clock.advance(SETTLES_SECONDS)
    await world.step()
    world.clock.advance(SETTLES_SECONDS)
    on_disk: list[object] = []

    async def resent(claims: Sequence[Claim]) -> list[Verdict]:
        query = text("SELECT last_sent_at, absences FROM entry")
        on_disk.append(await world.outbox._call(lambda c: tuple(c.execute(query).one())))
        return proof(claims)

    world.adapter.script = [resent]
    await world.step()

    assert on_disk == [(world.clock.now(), 0)]


async def test_a_search_that_fails_lengthens_nothing_but_the_wait(world: LaneWorld) -> None:
    await lose_the_answer(world)
    world.clock.advance(SETTLES_SECONDS)
    world.adapter.finds = [LOST, receipt("post-1")]

    await world.step()
    world.clock.advance(2)
    await world.step()

    assert [doubt.last_sent_at for doubt in world.adapter.doubts] == [NOW, NOW]
    assert await world.state("a") == "delivered"


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no route"),
        Refused("search is forbidden"),
        Rejected("the search was malformed", status=400),
        BatchRefused("nonsense"),
        LOST,
        RuntimeError("a bug of the search"),
    ],
    ids=repr,
)
async def test_what_cannot_be_searched_stays_in_doubt_and_is_not_sent(
    world: LaneWorld, error: Exception
) -> None:
    await lose_the_answer(world)
    world.adapter.finds = [error] * 10_000

    await world.live(6 * 3600)

    shown = await world.shown("a")
    assert (shown["state"], shown["in_doubt"], shown["attempts"]) == ("pending", True, 0)
    assert len(world.adapter.sent) == 1
    assert len(world.adapter.doubts) > 10


async def test_candidates_that_are_other_entries_already_are_passed_over(world: LaneWorld) -> None:
    await world.accept("x")
    world.adapter.script = [[receipt("post-1")]]
    await world.step()
    await lose_the_answer(world)
    world.adapter.finds = [[receipt("post-1"), receipt("post-2"), receipt("post-3")]]

    await world.live(60)

    assert (await world.shown("a"))["receipt"]["remote_id"] == "post-2"


async def test_if_all_candidates_are_other_entries_ours_is_absent(world: LaneWorld) -> None:
    await world.accept("x")
    world.adapter.script = [[receipt("post-1")]]
    await world.step()
    await lose_the_answer(world)
    world.adapter.finds = [[receipt("post-1")]] * 2

    await world.live(60)

    assert world.adapter.sent == [["x"], ["a"], ["a"]]


async def test_two_entries_in_doubt_never_take_the_same_candidate(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=2) as world:
        await world.accept("a", "b")
        world.adapter.script = [LOST, LOST]
        await world.step()
        same = [receipt("post-1"), receipt("post-2")]
        world.adapter.finds = [same, same]

        await world.live(60)

        taken = {(await world.shown(key))["receipt"]["remote_id"] for key in ("a", "b")}
        assert taken == {"post-1", "post-2"}


async def test_two_entries_that_are_looked_for_at_the_same_time_find_two_things(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path, concurrency=2) as world:
        await world.accept("a", "b")
        world.adapter.script = [LOST, LOST]
        await world.step()
        world.clock.advance(60)
        claims = await world.outbox.claim("events", Wanted(requests=2), now=world.clock.now())
        world.adapter.finds = [[receipt("post-1"), receipt("post-2")]] * 2

        # No receipt is written meanwhile: neither can know of the other by the database.
        bring = world.lane._delivery.bring
        (one,), (other,) = await asyncio.gather(*(bring([claim]) for claim in claims))

        assert isinstance(one, Receipt)
        assert isinstance(other, Receipt)
        assert {one.remote_id, other.remote_id} == {"post-1", "post-2"}


async def test_an_entry_in_doubt_never_rides_in_a_batch(tmp_path: Path) -> None:
    with lane_world(tmp_path, batch_size=10) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(3)])
        world.adapter.script = [LOST]

        await world.live(30)

        assert world.adapter.sent[0] == ["e0", "e1", "e2"]
        assert sorted(world.adapter.sent[1:]) == [["e0"], ["e1"], ["e2"]]


async def test_where_resending_proves_itself_nothing_is_searched(world: LaneWorld) -> None:
    await lose_the_answer(world, kind="update")

    await world.live(5)

    assert (world.adapter.sent, world.adapter.doubts) == ([["a"], ["a"]], [])


async def test_after_a_crash_what_was_claimed_is_looked_for(world: LaneWorld) -> None:
    await world.accept("a")
    await world.outbox.claim("events", Wanted(), now=world.clock.now())

    reclaimed, _ = world.outbox.recover(world.clock.now())
    world.adapter.finds = [receipt("post-1")]
    await world.live(30)

    assert (reclaimed, world.adapter.sent) == (1, [])
    assert await world.state("a") == "delivered"


async def test_a_clock_that_was_set_back_does_not_hold_an_entry_in_doubt(world: LaneWorld) -> None:
    await lose_the_answer(world)
    world.clock.advance(2)
    world.clock.wall -= 365 * 86_400_000
    world.adapter.finds = [receipt("post-1")]

    await world.outbox.upkeep.clamp_due(
        "events", now=world.clock.now(), horizon=world.clock.now() + 3_600_000
    )
    await world.live(10)

    assert await world.state("a") == "delivered"


async def test_what_is_newest_of_its_slot_is_decided_once(world: LaneWorld) -> None:
    await lose_the_answer(world, slot="weather", stream="s")
    await world.accept(an_entry("b", slot="weather", stream="s"))

    await world.live(60)

    newest = [(one.key, one.newest_of_slot) for one in world.adapter.claims]
    assert newest == [("a", True), ("a", True), ("b", True)]


async def test_an_entry_that_never_left_learns_of_a_newer_one(world: LaneWorld) -> None:
    await world.accept(an_entry("a", slot="weather"))
    world.adapter.script = [Unreachable("no route")]
    await world.step()
    await world.accept(an_entry("b", slot="weather"))

    await world.live(60)

    newest = [(one.key, one.newest_of_slot) for one in world.adapter.claims]
    assert newest == [("a", True), ("a", False), ("b", True)]


async def test_a_later_dead_letter_does_not_make_an_entry_old(world: LaneWorld) -> None:
    await world.accept(an_entry("early", slot="weather"), an_entry("late", slot="weather"))
    early, late = await world.outbox.claim("events", Wanted(requests=2), now=NOW)
    ended = [GiveBack(early, 0, in_doubt=False), Bury(late, Failure("Rejected", "entry", "no"))]
    await world.outbox.settle("events", ended, now=NOW)

    (again,) = await world.outbox.claim("events", Wanted(), now=NOW)

    assert (early.newest_of_slot, again.newest_of_slot) == (False, True)


async def test_what_carries_files_may_take_longer_to_appear(tmp_path: Path) -> None:
    kind = a_kind(settles_per_file_seconds=30)
    with lane_world(tmp_path, kind=kind) as world:
        part = await world.outbox.files.stage(io.BytesIO(b"x"), "plot.png", limit=10)
        await lose_the_answer(world, attachments=(part,))

        world.clock.advance(SETTLES_SECONDS + 29.99)
        await world.step()
        assert world.adapter.doubts == []
        world.clock.advance(0.02)
        await world.step()
        world.clock.advance(SETTLES_SECONDS)
        await world.step()

        assert (len(world.adapter.doubts), len(world.adapter.sent)) == (2, 2)


async def test_how_many_empty_answers_are_proof_is_the_backends_kind(tmp_path: Path) -> None:
    with lane_world(tmp_path, kind=a_kind(absent_answers=3, settles_after_seconds=1)) as world:
        await lose_the_answer(world)

        await world.live(60)

        assert (len(world.adapter.doubts), len(world.adapter.sent)) == (3, 2)
