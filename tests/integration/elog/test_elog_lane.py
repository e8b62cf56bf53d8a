"""A lane, an outbox and an eLog that loses answers: every post is there once, and mailed once.

The lane, the outbox, the adapter and the sockets are real; only the lane's clock is ours.
"""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.elog import KIND
from storage.entry import Entry
from tests.builders import an_entry
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_lane import OPERATOR, a_post_entry, elog_world
from tests.emulators.elog_site import EXPERIMENT
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld, until

EXPERIMENTS = tuple(f"mfxl100{number}" for number in range(4))
LOST = ("drop_after", "truncate", "hang_after", "status_after")
MARKERS = ("jira_ticket", "tag", "content")
LONGEST = 200  # rounds of ten minutes


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(ElogEmulator(experiments=(EXPERIMENT, *EXPERIMENTS)))
    return server


@pytest.fixture(params=MARKERS)
def marker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def world(served: Served, tmp_path: Path, marker: str) -> AsyncIterator[LaneWorld]:
    async with elog_world(served, tmp_path, marker=marker) as made:
        yield made


@pytest.fixture
async def hasty(served: Served, tmp_path: Path, marker: str) -> AsyncIterator[LaneWorld]:
    """A lane that soon gives up waiting for an answer."""
    async with elog_world(served, tmp_path, patience=0.25, marker=marker) as made:
        yield made


def params(run: int) -> Entry:
    place = f"{EXPERIMENT}/{run}"
    payload = {"experiment": EXPERIMENT, "run": run, "params": {"a": run}}
    fields = {"backend": "elog", "kind": "run_params", "payload": payload}
    return an_entry(f"params {run}", stream=place, scope=place, **fields)


async def drained(world: LaneWorld) -> None:
    """Let time pass until nothing waits."""
    for _ in range(LONGEST):
        if not world.outbox.waiting["elog"]:
            return
        await world.live(600)
    raise AssertionError(await world.outbox.looks.list_entries(backend="elog"))


async def remote_ids(world: LaneWorld) -> list[str]:
    receipts, _ = await world.outbox.looks.list_receipts(limit=1000)
    return [one["remote_id"] for one in receipts]


def posts(served: Served) -> dict[str, dict[str, int]]:
    """Posts and mails of each text."""
    return dict(served.emulator.counts()["content"])


async def test_with_a_third_of_all_answers_lost_every_post_is_there_once_and_mailed_once(
    served: Served, hasty: LaneWorld
) -> None:
    texts = [f"post {number}" for number in range(24)]
    await hasty.accept(*[a_post_entry(text, EXPERIMENTS[n % 4]) for n, text in enumerate(texts)])
    for mode in LOST:
        served.fault(mode, path="/ws/", probability=0.09)

    await drained(hasty)

    assert posts(served) == {text: {"posts": 1, "mails": 1} for text in texts}
    assert sorted(await remote_ids(hasty)) == sorted(e["_id"] for e in served.emulator.ledger())
    for number, experiment in enumerate(EXPERIMENTS):
        arrived = [e["content"] for e in served.emulator.ledger() if e["experiment"] == experiment]
        assert arrived == texts[number::4]
    asked = Counter(path.rpartition("/")[2] for path in served.faulty.requests.elements())
    assert asked["search_elog"] > 3, "no answer was lost"


@pytest.mark.parametrize(
    ("faults", "landed"),
    [
        (("drop_after", "drop_after"), 2),
        (("drop_after", "drop_before"), 1),
        (("drop_before", "drop_after"), 1),
        (("drop_before", "drop_before"), 0),
    ],
    ids=str,
)
async def test_two_equal_posts_in_doubt_at_the_same_time_are_two_posts_at_the_end(
    served: Served, world: LaneWorld, faults: tuple[str, str], landed: int
) -> None:
    await world.accept(
        a_post_entry("same", key="a", stream="1"), a_post_entry("same", key="b", stream="2")
    )
    for mode in faults:
        served.fault(mode, path="new_elog_entry", times=1)
    await world.steps(2)
    assert [(await world.shown(key))["in_doubt"] for key in "ab"] == [True, True]
    assert len(served.emulator.ledger()) == landed

    await drained(world)

    assert posts(served) == {"same": {"posts": 2, "mails": 2}}
    assert sorted(await remote_ids(world)) == sorted(e["_id"] for e in served.emulator.ledger())


async def test_what_the_server_inserts_after_we_gave_up_is_not_sent_again(
    served: Served, hasty: LaneWorld
) -> None:
    served.emulator.may_insert.clear()
    await hasty.accept(a_post_entry("late"))
    await hasty.step()
    hasty.clock.advance(KIND.settles_after_seconds)
    await hasty.step()  # looks, and finds nothing yet

    served.emulator.may_insert.set()
    await until(lambda: bool(served.emulator.ledger()))
    await drained(hasty)

    assert posts(served) == {"late": {"posts": 1, "mails": 1}}
    assert served.faulty.requests[f"GET /ws-jwt/lgbk/lgbk/{EXPERIMENT}/ws/search_elog"] >= 2


async def test_a_post_is_sent_again_only_after_two_looks_and_twenty_seconds(
    served: Served, world: LaneWorld
) -> None:
    await world.accept(a_post_entry("lost"))
    served.fault("drop_before", path="new_elog_entry", times=1)
    sent_at = world.clock.monotonic()
    await world.step()
    while not served.emulator.ledger():
        world.clock.advance(1)
        await world.step()

    assert 20 <= world.clock.monotonic() - sent_at <= 22
    looks = served.faulty.requests[f"GET /ws-jwt/lgbk/lgbk/{EXPERIMENT}/ws/search_elog"]
    assert looks >= KIND.absent_answers == 2


async def test_an_equal_post_that_is_another_entry_already_does_not_count(
    served: Served, world: LaneWorld
) -> None:
    await world.accept(a_post_entry("first"))
    await drained(world)
    await world.accept(a_post_entry("first", key="other"))
    served.fault("drop_before", path="new_elog_entry", times=1)

    await drained(world)

    assert posts(served) == {"first": {"posts": 2, "mails": 2}}


# A refusal has a scope


async def test_last_weeks_experiment_does_not_hold_todays_post(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path, OPERATOR) as world:
        old = [a_post_entry(f"old {number}", EXPERIMENTS[0]) for number in range(40)]
        await world.accept(*old, a_post_entry("today", EXPERIMENT))

        await world.live(30)

        assert set(posts(served)) == {"today"}
        shown = await world.shown("old 0")
        assert (shown["state"], shown["attempts"]) == ("pending", 0)
        rest = await world.rest(EXPERIMENTS[0])
        assert rest is not None
        assert "active" in rest.reason
        served.emulator.world.switch(EXPERIMENTS[0])
        await drained(world)

    assert [e["content"] for e in served.emulator.ledger()] == ["today", *[e.key for e in old]]


async def test_a_lost_post_that_nobody_may_look_for_is_held_and_holds_up_nothing(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path, OPERATOR) as world:
        await world.accept(a_post_entry("lost"), a_post_entry("behind"))
        served.fault("drop_after", path="new_elog_entry", times=1)
        await world.step()
        served.emulator.world.switch(EXPERIMENTS[0])
        await world.accept(a_post_entry("today", EXPERIMENTS[0]))
        await world.live(60)

        shown = await world.shown("lost")
        assert (shown["state"], shown["in_doubt"]) == ("held", True)
        assert "mfxopr may not read" in shown["last_error"]["detail"]
        assert set(posts(served)) == {"lost", "today"}

        served.emulator.world.switch(EXPERIMENT)
        await world.live(1200)
        assert await world.state("behind") == "delivered"
        await world.outbox.release([shown["id"]], now=world.clock.now(), who="x")
        await drained(world)

    assert posts(served) == {text: {"posts": 1, "mails": 1} for text in ("lost", "today", "behind")}


async def test_a_run_that_has_not_begun_holds_only_its_own_entries(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path) as world:
        await world.accept(
            a_post_entry("first", more={"run": 2}),
            a_post_entry("early", more={"run": 3}),
            params(3),
            a_post_entry("never", more={"run": 0}),
            params(2),
            a_post_entry("last"),
        )
        await world.live(60)
        states = {key: await world.state(key) for key in ("first", "early", "never", "last")}
        assert states == {
            "first": "delivered",
            "early": "pending",
            "never": "dead",
            "last": "delivered",
        }
        assert [await world.state(f"params {run}") for run in (2, 3)] == ["delivered", "pending"]
        assert await world.rest(EXPERIMENT) is None

        served.emulator.world.begin_run(EXPERIMENT, 3)
        await world.live(1200)

        assert [await world.state(key) for key in ("early", "params 3")] == ["delivered"] * 2


async def test_an_unknown_experiment_is_a_dead_letter_unless_it_has_worked(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path) as world:
        await world.accept(a_post_entry("typo", "mfxl1000l23"), a_post_entry("good"))
        await world.live(60)
        assert [await world.state(key) for key in ("typo", "good")] == ["dead", "delivered"]
        assert (
            "knows no experiment mfxl1000l23" in (await world.shown("typo"))["last_error"]["detail"]
        )

        gone = served.emulator.store.experiments.pop(EXPERIMENT)
        await world.accept(a_post_entry("more"))
        await world.live(60)
        assert await world.state("more") == "pending"
        served.emulator.store.experiments[EXPERIMENT] = gone
        await drained(world)

        assert await world.state("more") == "delivered"


async def test_a_reply_follows_its_parent_also_through_lost_answers(
    served: Served, world: LaneWorld
) -> None:
    await world.accept(a_post_entry("question"))
    answers = [
        a_post_entry(
            f"answer {n}", stream=f"{n}", more={"reply_to": "question"}, waits_for="question"
        )
        for n in range(3)
    ]
    await world.accept(*answers)
    served.fault("drop_after", path="new_elog_entry", times=1)
    served.fault("drop_after", path="search_elog", times=1)

    await drained(world)

    question, *others = served.emulator.ledger()
    assert question["content"] == "question"
    assert sorted(one["content"] for one in others) == [f"answer {n}" for n in range(3)]
    assert {one["parent"] for one in others} == {question["_id"]}
    assert all(count == {"posts": 1, "mails": 1} for count in posts(served).values())


async def test_a_reply_to_what_was_discarded_is_a_dead_letter_that_says_so(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path) as world:
        (question,) = await world.accept(a_post_entry("question", "nowhere"))
        reply = {"more": {"reply_to": "question"}, "waits_for": "question"}
        await world.accept(a_post_entry("answer", **reply))
        await world.live(60)
        assert [await world.state(key) for key in ("question", "answer")] == ["dead", "pending"]

        await world.outbox.discard([question.id], now=world.clock.now(), who="test")
        await world.live(60)

        assert await world.state("answer") == "dead"
        assert "discarded" in (await world.shown("answer"))["last_error"]["detail"]
