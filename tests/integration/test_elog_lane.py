"""A lane, an outbox and an eLog that loses answers: every post is there once, and mailed once.

The lane, the outbox, the adapter and the sockets are real; only the lane's clock is ours.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.base import AuthOptions
from adapters.elog import KIND, Options
from storage.entry import Entry
from tests.builders import an_entry
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import EXPERIMENT, a_site
from tests.emulators.kit import Served
from tests.lane_world import FakeClock, LaneWorld, lane_world, until

EXPERIMENTS = tuple(f"mfxl100{number}" for number in range(4))
LOST = ("drop_after", "truncate", "hang_after", "status_after")
MARKERS = ("jira_ticket", "tag", "content")
LONGEST = 200  # rounds of ten minutes


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(ElogEmulator(experiments=(EXPERIMENT, *EXPERIMENTS)))
    return server


@pytest.fixture(params=MARKERS)
async def world(
    served: Served, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[LaneWorld]:
    async with elog_world(served, tmp_path, marker=request.param) as made:
        yield made


@asynccontextmanager
async def elog_world(served: Served, tmp_path: Path, **options: Any) -> AsyncIterator[LaneWorld]:
    """A lane to the emulated server, as somebody who may write to every experiment."""
    clocks: list[FakeClock] = []

    def now() -> int:
        return clocks[0].now()

    site = a_site(
        served.url,
        options=Options(instrument="mfx", **options),
        auth=AuthOptions(method="bearer", token_file="token"),
        attempt_timeout_seconds=0.25,
        now=now,
    )
    adapter = KIND.adapter(site)
    with lane_world(
        tmp_path, backend="elog", kind=KIND, adapter=adapter, concurrency=KIND.concurrency
    ) as world:
        clocks.append(world.clock)
        served.emulator.store.now = world.clock.now
        try:
            yield world
        finally:
            await adapter.close()


def a_post(text: str, experiment: str = EXPERIMENT, **changes: Any) -> Entry:
    payload = {"experiment": experiment, "text": text, "emails": ["pi@lab"], "tags": ["SHIFT"]}
    stream = changes.pop("stream", experiment)
    fields = {"backend": "elog", "kind": "post", "payload": payload, "scope": experiment}
    return an_entry(changes.pop("key", text), stream=stream, **fields, **changes)


async def drained(world: LaneWorld) -> None:
    """Let time pass until nothing waits."""
    for _ in range(LONGEST):
        if not world.outbox.waiting["elog"]:
            return
        await world.live(600)
    raise AssertionError(await world.outbox.list_entries(backend="elog"))


async def remote_ids(world: LaneWorld) -> list[str]:
    receipts, _ = await world.outbox.list_receipts(limit=1000)
    return [one["remote_id"] for one in receipts]


def posts(served: Served) -> dict[str, dict[str, int]]:
    """Posts and mails of each text."""
    return dict(served.emulator.counts()["content"])


async def test_with_a_third_of_all_answers_lost_every_post_is_there_once_and_mailed_once(
    served: Served, world: LaneWorld
) -> None:
    texts = [f"post {number}" for number in range(24)]
    await world.accept(*[a_post(text, EXPERIMENTS[n % 4]) for n, text in enumerate(texts)])
    for mode in LOST:
        served.fault(mode, path="/ws/", probability=0.09)

    await drained(world)

    assert posts(served) == {text: {"posts": 1, "mails": 1} for text in texts}
    assert sorted(await remote_ids(world)) == sorted(e["_id"] for e in served.emulator.ledger())
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
    await world.accept(a_post("same", key="a", stream="1"), a_post("same", key="b", stream="2"))
    for mode in faults:
        served.fault(mode, path="new_elog_entry", times=1)
    await world.steps(2)
    assert [(await world.shown(key))["in_doubt"] for key in "ab"] == [True, True]
    assert len(served.emulator.ledger()) == landed

    await drained(world)

    assert posts(served) == {"same": {"posts": 2, "mails": 2}}
    assert sorted(await remote_ids(world)) == sorted(e["_id"] for e in served.emulator.ledger())


async def test_what_the_server_inserts_after_we_gave_up_is_not_sent_again(
    served: Served, world: LaneWorld
) -> None:
    served.emulator.may_insert.clear()
    await world.accept(a_post("late"))
    await world.step()
    world.clock.advance(KIND.settles_after_seconds)
    await world.step()  # looks, and finds nothing yet

    served.emulator.may_insert.set()
    await until(lambda: bool(served.emulator.ledger()))
    await drained(world)

    assert posts(served) == {"late": {"posts": 1, "mails": 1}}
    assert served.faulty.requests[f"GET /ws-jwt/lgbk/lgbk/{EXPERIMENT}/ws/search_elog"] >= 2


async def test_a_post_is_sent_again_only_after_two_looks_and_twenty_seconds(
    served: Served, world: LaneWorld
) -> None:
    await world.accept(a_post("lost"))
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
    await world.accept(a_post("first"))
    await drained(world)
    await world.accept(a_post("first", key="other"))
    served.fault("drop_before", path="new_elog_entry", times=1)

    await drained(world)

    assert posts(served) == {"first": {"posts": 2, "mails": 2}}
