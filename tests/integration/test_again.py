"""What is kept of delivered entries, how lanes send it again, and when it is forgotten."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.duties import DAY_MS, Duties
from agent.notify import Notifier
from agent.retry import Policy
from agent.route import Route
from config.settings import Settings, judge
from config.sources import SettingsError, Sources
from storage.delivered import Meant
from tests.lane_world import (
    SETTLES_SECONDS,
    URLS,
    FakeAdapter,
    LaneWorld,
    a_kind,
    lane_world,
    receipt,
)

WIDE = 2**62


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, keeps_payloads=True) as made:
        yield made


async def send_again(world: LaneWorld, *keys: str) -> None:
    receipts, _ = await world.outbox.looks.list_receipts()
    ids = [one["entry_id"] for one in receipts if one["key"] in keys]
    again = await world.outbox.rework.send_again(
        ids, backend="events", from_url=URLS["events"], now=world.clock.now(), who="test"
    )
    assert len(again.back) == len(keys), again


async def test_what_the_backend_still_holds_is_found_and_not_sent_a_second_time(
    world: LaneWorld,
) -> None:
    await world.deliver("a")
    world.clock.advance(3600)
    sent_at = world.clock.now()
    await send_again(world, "a")
    world.adapter.finds = [receipt("remote-a")]

    await world.step()

    assert world.adapter.sent == [["a"]]
    (doubt,) = world.adapter.doubts
    assert doubt.last_sent_at < sent_at, "it is looked for where it was"
    assert await world.state("a") == "delivered"


async def test_what_is_lost_is_looked_for_twice_and_sent_as_it_was(world: LaneWorld) -> None:
    await world.deliver("a")
    (first,) = world.adapter.claims
    world.clock.advance(3600)
    await send_again(world, "a")

    await world.live(3 * SETTLES_SECONDS)

    assert len(world.adapter.doubts) == 2
    assert world.adapter.sent == [["a"], ["a"]]
    again = world.adapter.claims[-1]
    assert (again.id, again.key, again.payload) == (first.id, first.key, first.payload)
    assert await world.state("a") == "delivered"


async def test_without_the_setting_nothing_is_kept(tmp_path: Path) -> None:
    with lane_world(tmp_path) as world:
        await world.deliver("a")
        page = await world.outbox.looks.delivered(meant(), limit=9)

    assert [one.kept for one in page.receipts] == [False]


def test_neither_a_producers_credential_nor_what_would_be_done_again_is_kept() -> None:
    kinds = a_kind().kinds
    more = {
        "workflow": replace(kinds["event"], takes_attachments=True, secret="keytab"),
        "run_start": replace(kinds["event"], once=True),
    }
    route = Route(
        name="elog",
        kind=a_kind(kinds={**kinds, **more}),
        adapter=FakeAdapter(),  # type: ignore[arg-type]
        policy=Policy(),
        batch_size=1,
        concurrency=1,
        keeps_payloads=True,
    )

    assert [kind for kind in (*route.kind.kinds, "unknown") if route.keeps(kind)] == [*kinds]


# Forgetting


def duties(world: LaneWorld, **settings: Any) -> Duties:
    return Duties(
        Settings(**settings),
        world.outbox,
        {"events": world.lane},
        None,  # type: ignore[arg-type]
        Notifier({}),
        world.clock,  # type: ignore[arg-type]
    )


async def kept(world: LaneWorld) -> str:
    page = await world.outbox.looks.delivered(meant(), limit=99)
    return "".join(one.key for one in page.receipts if one.kept)


@pytest.mark.parametrize(("days", "left"), [(2, "ab"), (1, "b"), (0, "")])
async def test_payloads_stay_for_their_days_and_receipts_longer(
    world: LaneWorld, days: float, left: str
) -> None:
    await world.deliver("a")
    world.clock.advance(DAY_MS / 1000)
    await world.deliver("b")

    await duties(world, receipts={"keep_payload_days": days}).expire_receipts()

    assert await kept(world) == left
    assert len((await world.outbox.looks.list_receipts())[0]) == 2


@pytest.mark.parametrize(("least", "left"), [(0, "ab"), (2**60, "")])
async def test_where_room_is_short_what_is_only_kept_gives_way(
    world: LaneWorld, least: int, left: str
) -> None:
    await world.deliver("a", "b")

    await duties(world, limits={"min_free_bytes": least}).make_room()

    assert await kept(world) == left
    assert [line["count"] for line in world.told("payloads.given_up")] == ([] if left else [2])


def test_payloads_are_kept_no_longer_than_receipts(tmp_path: Path) -> None:
    values = {"receipts": {"keep_days": 7, "keep_payload_days": 7}}
    assert judge(Sources(values, tmp_path)).receipts.keep_payload_days == 7
    for days in (7.5, -1):
        values = {"receipts": {"keep_days": 7, "keep_payload_days": days}}
        with pytest.raises(SettingsError) as wrong:
            judge(Sources(values, tmp_path))
        (problem,) = wrong.value.problems
        assert problem.startswith("receipts.keep_payload_days: ")


def meant(**changes: Any) -> Meant:
    return Meant(**{"backend": "events", "url": URLS["events"], "until": WIDE, **changes})
