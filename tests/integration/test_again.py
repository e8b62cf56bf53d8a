"""Sending again, verifying and forgetting, as lanes, duties and the admin socket do it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Held, Parked, Refused, Throttled, Uncertain, Unreachable
from agent.draft import Bounds
from agent.duties import DAY_MS, Duties
from agent.notify import Notifier
from agent.refusal import Refusal
from agent.retry import Policy
from agent.route import Route
from agent.verifying import PAGE_SECONDS, VerifiedPage, Verifier
from config.settings import Settings, judge
from config.sources import SettingsError, Sources
from storage.delivered import Meant
from storage.entry import Delivered, Pause
from tests.builders import an_entry
from tests.door import Door
from tests.door_client import Answer, event, post
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


class Remembering(FakeAdapter):
    """Says of each receipt what its script says: True at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.holdings: list[Any] = []
        self.asked: list[Delivered] = []

    async def holds(self, receipt: Delivered) -> bool | None:
        self.asked.append(receipt)
        answer = self.holdings.pop(0) if self.holdings else True
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, keeps_payloads=True) as made:
        made.adapter = Remembering()
        made.lane = made.make_lane()
        yield made


async def deliver(world: LaneWorld, *keys: str) -> None:
    for key in keys:
        await world.accept(key)
        await world.step()
        world.clock.advance(1)


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
    await deliver(world, "a")
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
    await deliver(world, "a")
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
        await deliver(world, "a")
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
    await deliver(world, "a")
    world.clock.advance(DAY_MS / 1000)
    await deliver(world, "b")

    await duties(world, receipts={"keep_payload_days": days}).expire_receipts()

    assert await kept(world) == left
    assert len((await world.outbox.looks.list_receipts())[0]) == 2


@pytest.mark.parametrize(("least", "left"), [(0, "ab"), (2**60, "")])
async def test_where_room_is_short_what_is_only_kept_gives_way(
    world: LaneWorld, least: int, left: str
) -> None:
    await deliver(world, "a", "b")

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


# Verifying


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
    await deliver(world, *"abcdef")
    parked, held, bug = Parked("no reader", scope="x"), Held("who knows"), ValueError("a bug")
    world.adapter.holdings = [True, False, None, parked, held, bug]  # type: ignore[attr-defined]

    page = await page_of(world)

    answers = ["there", "missing", *["cannot tell"] * 4]
    assert told(page) == dict(zip("abcdef", answers, strict=True))
    assert page.after is None
    assert page.found[3].why == "no reader"
    asked = world.adapter.asked  # type: ignore[attr-defined]
    assert [json.loads(one.payload) for one in asked] == [{"n": key} for key in "abcdef"]
    assert world.adapter.sent == [[key] for key in "abcdef"], "nothing was sent"


@pytest.mark.parametrize(
    "trouble", [Unreachable("no route"), Refused("who are you"), Throttled("later")]
)
async def test_trouble_of_the_backend_ends_a_page_and_is_told_by_the_next(
    world: LaneWorld, trouble: Exception
) -> None:
    await deliver(world, *"abc")
    world.adapter.holdings = [True, trouble, trouble]  # type: ignore[attr-defined]

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
    await deliver(world, *"abcde")
    lost = Uncertain("no answer")
    world.adapter.holdings = [lost, lost, True, lost, lost]  # type: ignore[attr-defined]
    assert list(told(await page_of(world)).values()) == [
        "cannot tell", "cannot tell", "there", "cannot tell", "cannot tell",
    ]  # fmt: skip

    world.adapter.holdings = [lost, lost, lost]  # type: ignore[attr-defined]
    with pytest.raises(Refusal, match="no answer"):
        await page_of(world)


async def test_a_page_ends_after_a_moment_and_goes_on_where_it_ended(world: LaneWorld) -> None:
    await deliver(world, *"abc")

    def slow() -> bool:
        world.clock.advance(PAGE_SECONDS + 1)
        return True

    world.adapter.holdings = [slow]  # type: ignore[attr-defined]

    first = await page_of(world)
    assert told(first) == {"a": "there"}
    assert list(told(await page_of(world, after=first.after))) == ["b", "c"]


async def test_a_backend_that_rests_or_is_paused_is_not_asked(world: LaneWorld) -> None:
    await deliver(world, "a")
    world.adapter.script = [Unreachable("no route")]
    await world.accept("b")
    await world.step()

    with pytest.raises(Refusal, match="offline: no route") as refusal:
        await page_of(world)
    assert refusal.value.status == 503
    assert world.adapter.asked == []  # type: ignore[attr-defined]
    await world.lane.retry_now()
    assert told(await page_of(world)) == {"a": "there"}
    await world.live(20)
    world.lane.pausing.load(Pause("events", world.clock.now(), None, "test", ""))
    with pytest.raises(Refusal, match="paused"):
        await page_of(world)

    assert len(world.adapter.asked) == 1  # type: ignore[attr-defined]


async def test_it_is_asked_no_faster_than_its_rate(tmp_path: Path) -> None:
    with lane_world(tmp_path, rate_per_second=2.0) as world:
        world.adapter = Remembering()
        world.lane = world.make_lane()
        world.on_pause = lambda: world.clock.advance(world.pauses[-1])
        for key in "abcd":
            await world.accept(an_entry(key))
        await world.live(10)
        begun = world.clock.monotonic()

        page = await page_of(world, limit=4)
        while page.after is not None:
            page = await page_of(world, limit=4, after=page.after)

        assert world.clock.monotonic() - begun >= 1.5


# The socket


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def resend(door: Door, *, admin: bool = True, backend: str = "events", **wish: Any) -> Answer:
    return door.ask("POST", f"/v1/backends/{backend}/resend", admin=admin, said=wish)


def test_receipts_come_back_page_by_page_and_wake_their_lane(door: Door) -> None:
    ids = []
    for number in range(5):
        door.hand_in(event(key=f"k{number}", labels={"even": str(number % 2 == 0)}))
        ids.append(door.confirm(keep=number != 4))
    door.hand_in(post())
    door.confirm("elog", keep=True)
    door.woken.clear()
    until = "2099-01-01T00:00:00Z"

    dry = resend(door, until=until, dry_run=True, limit=3).json
    assert dry["resent"] == ids[:3]
    assert door.rows() == [(0,)]
    first = resend(door, until=until, limit=3).json
    rest = resend(door, after=first["next"], reason="a dump").json

    assert (first["resent"], rest["resent"], rest["next"]) == (ids[:3], [ids[3]], None)
    assert [(one["id"], one["why"]) for one in rest["left"]] == [(ids[4], "no payload kept")]
    assert door.woken == ["events", "events"]
    shown = door.ask("GET", f"/v1/entries/{ids[3]}").json
    assert (shown["state"], shown["in_doubt"]) == ("pending", True)
    assert shown["operators"][0]["detail"].endswith("; a dump")
    assert resend(door, until=until).json["resent"] == []


@pytest.mark.parametrize(
    "bounds", [Bounds(max_outbox_bytes=80), Bounds(max_backend_bytes={"events": 80})]
)
def test_what_comes_back_keeps_to_the_budgets(bounds: Bounds) -> None:
    with Door(bounds=bounds) as door:
        for number in range(2):
            assert door.hand_in(event(key=f"k{number}")).status == 202
            door.confirm(keep=True)
        wish = {"until": "2099-01-01T00:00:00Z", "limit": 1}

        first = resend(door, **wish)
        assert door.hand_in(event(key="fresh")).status == 507
        second = resend(door, **wish, after=first.json["next"])

        assert (first.status, second.status) == (200, 507)
        assert "may hold 80 bytes and has 4" in second.json["detail"]
        assert len(door.rows("SELECT entry_id FROM receipt")) == 1
        assert resend(door, **wish, after=first.json["next"], dry_run=True).status == 200


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"labels": {"even": "True"}}, [0, 2]),
        ({"keys": ["k1"]}, [1]),
        ({"since": "2099-01-01T00:00:00Z", "until": "2099-01-01T00:00:01Z"}, []),
        ({"from_url": "http://old.test"}, []),
    ],
)
def test_only_what_is_meant_comes_back(
    door: Door, wish: dict[str, Any], expected: list[int]
) -> None:
    ids = []
    for number in range(3):
        door.hand_in(event(key=f"k{number}", labels={"even": str(number % 2 == 0)}))
        ids.append(door.confirm(keep=True))

    answer = resend(door, **{"until": "2098-01-01T00:00:00Z", **wish})

    assert answer.json["resent"] == [ids[one] for one in expected]


@pytest.mark.parametrize("verb", ["resend", "verify"])
@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"since": "yesterday"}, 422),
        ({"labels": {"a b": "c"}}, 422),
        ({"limit": 0}, 422),
        ({"limit": 1001}, 422),
        ({"after": "7"}, 422),
        ({"ids": ["x"] * 1001}, 422),
        ({"unknown": 1}, 422),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(
    standing: Door, verb: str, wish: dict[str, Any], status: int
) -> None:
    target = f"/v1/backends/events/{verb}"

    assert standing.ask("POST", target, admin=True, said=wish).status == status


@pytest.mark.parametrize("verb", ["resend", "verify"])
def test_only_operators_may_and_only_known_backends(standing: Door, verb: str) -> None:
    assert standing.ask("POST", f"/v1/backends/events/{verb}", said={}).status == 403
    assert standing.ask("POST", f"/v1/backends/no/{verb}", admin=True, said={}).status == 404


@pytest.fixture(scope="module")
def standing() -> Iterator[Door]:
    """For what changes nothing."""
    with Door() as served:
        yield served
