"""The error table of the design, line by line: what becomes of the entry, and of the backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import Refused, Rejected, Throttled, Uncertain, Unreachable
from agent.retry import Policy
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, proof, receipt

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def test_a_night_offline_costs_no_attempt(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route")] * 2000

    await world.live(14 * HOUR)

    shown = await world.shown("a")
    assert len(world.adapter.sent) > 100
    assert (shown["state"], shown["attempts"], shown["in_doubt"]) == ("pending", 0, False)
    assert [(line["class"], line["times"]) for line in shown["history"]] == [
        ("Unreachable", len(world.adapter.sent))
    ]
    rest = await world.rest()
    assert rest is not None
    assert (rest.state, rest.reason) == ("offline", "no route")


async def test_after_a_weekend_offline_everything_arrives(world: LaneWorld) -> None:
    await world.accept("a", "b", "c")
    world.adapter.script = [Unreachable("no route")] * 500
    while world.adapter.script:
        await world.live(HOUR)
    assert world.clock.monotonic() > 36 * HOUR

    await world.live(600)

    assert world.adapter.sent[-3:] == [["a"], ["b"], ["c"]]
    assert await world.rest() is None


async def test_a_backend_that_refuses_us_rests_and_says_so_once(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a")
        world.adapter.script = [Refused("404 on the endpoint")] * 50

        await world.live(HOUR)

        shown = await world.shown("a")
        assert (shown["state"], shown["attempts"], shown["in_doubt"]) == ("pending", 0, False)
        told = world.told("backend.rests")
        assert [(line["log_level"], line["reason"]) for line in told] == [
            ("error", "404 on the endpoint")
        ]


async def test_a_foreign_success_may_have_landed(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Refused("a login page", landed=True)]

    await world.step()

    shown = await world.shown("a")
    assert (shown["in_doubt"], shown["last_error"]["class"]) == (True, "Refused")


@pytest.mark.parametrize(
    ("asked", "rests"),
    [(30.0, 45.0), (7200.0, 3600.0), (None, 1.0), (0.0, 1.0), (-5.0, 1.0), (float("nan"), 1.0)],
)
async def test_a_throttled_backend_rests_as_long_as_it_asks(
    world: LaneWorld, asked: float | None, rests: float
) -> None:
    await world.accept("a")
    world.adapter.script = [Throttled("429", retry_after=asked)]

    await world.step()
    world.clock.advance(rests - 0.01)
    await world.step()
    assert len(world.adapter.sent) == 1
    world.clock.advance(0.02)
    await world.step()

    assert await world.state("a") == "delivered"


async def test_a_lost_answer_leaves_the_entry_in_doubt(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Uncertain("read timed out")]

    await world.step()

    shown = await world.shown("a")
    assert (shown["state"], shown["in_doubt"], shown["attempts"]) == ("pending", True, 0)
    assert await world.rest() is None


async def test_the_third_lost_answer_in_a_row_makes_the_backend_rest(world: LaneWorld) -> None:
    await world.accept("a", "b", "c")
    world.adapter.script = [Uncertain("read timed out")] * 3

    await world.steps(2, seconds=0.3)
    assert await world.rest() is None
    await world.step()

    rest = await world.rest()
    assert rest is not None
    assert rest.state == "offline"


async def test_a_confirm_between_lost_answers_keeps_the_backend_flowing(world: LaneWorld) -> None:
    await world.accept(*[f"e{n}" for n in range(6)])
    lost = Uncertain("read timed out")
    world.adapter.script = [lost, lost, proof, lost, lost, proof]

    await world.steps(6)

    assert await world.rest() is None


async def test_after_a_rest_one_lost_answer_is_enough(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Unreachable("no route"), Uncertain("read timed out")]
    await world.step()
    world.clock.advance(2)

    await world.step()

    rest = await world.rest()
    assert rest is not None
    assert rest.failures == 1


async def test_a_backend_that_swallows_answers_leaves_few_entries_in_doubt(
    world: LaneWorld,
) -> None:
    await world.accept(*[f"e{n}" for n in range(200)])
    silent = Uncertain("read timed out")
    world.adapter.script = [silent] * 10_000
    world.adapter.finds = [silent] * 10_000

    await world.live(14 * HOUR)

    counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
    assert counts.pending == 200
    assert counts.in_doubt < 20


async def test_a_rejected_entry_is_buried_with_what_was_said(world: LaneWorld) -> None:
    await world.accept("bad", "good")
    world.adapter.script = [Rejected("no such tag", status=422, excerpt='{"detail": "tag"}')]

    await world.steps(2)

    shown = await world.shown("bad")
    assert shown["state"] == "dead"
    assert shown["last_error"]["detail"] == "no such tag"
    (line,) = shown["history"]
    assert (line["class"], line["side"]) == ("Rejected", "entry")
    assert (line["status"], line["excerpt"]) == (422, '{"detail": "tag"}')
    assert await world.state("good") == "delivered"
    assert await world.rest() is None


@pytest.mark.parametrize(("on_dead", "delivered"), [("continue", True), ("stop", False)])
async def test_a_dead_letter_lets_its_stream_go_on_or_stops_it(
    tmp_path: Path, on_dead: str, delivered: bool
) -> None:
    policy = Policy(on_dead=on_dead)  # type: ignore[arg-type]
    with lane_world(tmp_path, policy=policy) as world:
        await world.accept(an_entry("bad", stream="s"), an_entry("next", stream="s"))
        world.adapter.script = [Rejected("no such tag")]

        await world.steps(3)

        assert (await world.state("next") == "delivered") is delivered


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("our fault"),
        [],
        [None],
        "not a list of verdicts",
        [receipt(5)],  # type: ignore[arg-type]
    ],
)
async def test_a_bug_of_an_adapter_is_a_lost_answer_and_the_lane_lives(
    tmp_path: Path, bug: object
) -> None:
    with lane_world(tmp_path) as world:
        await world.accept("a", "b")
        world.adapter.script = [bug]  # type: ignore[list-item]

        await world.steps(2)

        shown = await world.shown("a")
        assert (shown["in_doubt"], shown["last_error"]["side"]) == (True, "agent")
        assert await world.state("b") == "delivered"
        (line,) = world.told("adapter.bug")
        assert line["exc_info"]


async def test_attempts_count_only_when_others_were_confirmed_meanwhile(world: LaneWorld) -> None:
    await world.accept(an_entry("bad", kind="update"))
    lost = Uncertain("500, and nothing proves that it was not stored")
    world.adapter.script = [lost] * 1000

    await world.live(2 * HOUR)

    assert (await world.shown("bad"))["attempts"] == 0


async def test_an_entry_that_fails_while_others_pass_becomes_a_dead_letter(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path, policy=Policy(max_attempts=3)) as world:
        await world.accept(an_entry("bad", kind="update"))
        goods = [f"good{number}" for number in range(8)]

        def judge(claims: object) -> object:
            if any(claim.key == "bad" for claim in claims):  # type: ignore[attr-defined]
                return Uncertain("500")
            return proof(claims)  # type: ignore[arg-type]

        world.adapter.script = [judge] * 1000
        for good in goods:
            await world.accept(good)
            await world.live(30)
            assert await world.state(good) == "delivered"

        shown = await world.shown("bad")
        assert (shown["state"], shown["in_doubt"], shown["attempts"]) == ("dead", True, 2)


async def test_text_that_no_database_takes_is_kept_all_the_same(world: LaneWorld) -> None:
    await world.accept("bad", "good")
    lone = "\ud800"
    world.adapter.script = [
        Rejected(f"no {lone}", excerpt=lone),
        [receipt(f"r{lone}")],
    ]

    await world.steps(2)

    assert (await world.shown("bad"))["last_error"]["detail"] == "no \\ud800"
    assert (await world.shown("good"))["receipt"]["remote_id"] == "r\\ud800"
