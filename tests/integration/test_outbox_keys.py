"""Keys: what is the same, what is taken, and for how long a delivered entry is remembered."""

from pathlib import Path
from typing import Any

import pytest

from storage.entry import Accepted, Receipt, Wanted
from storage.outbox import Outbox
from storage.settlement import Bury, Confirm, Failure
from storage.states import State
from tests.builders import NOW, an_entry
from tests.conftest import URLS

NO = Failure("Rejected", "entry", "no")
DAY = 86_400_000


async def put(outbox: Outbox, key: str, content: str = "x", **changes: Any) -> Accepted:
    one = an_entry(key, payload={"content": content}, **changes)
    (outcome,) = await outbox.accept([one])
    return outcome


async def deliver_all(outbox: Outbox, backend: str = "events", now: int = NOW) -> None:
    while claims := await outbox.claim(backend, Wanted(requests=1000), now=now):
        ends = [Confirm(one, Receipt(one.id, f"r-{one.key}")) for one in claims]
        await outbox.settle(backend, ends, now=now)


async def bury_all(outbox: Outbox) -> None:
    claims = await outbox.claim("events", Wanted(requests=1000), now=NOW)
    await outbox.settle("events", [Bury(one, NO) for one in claims], now=NOW)


@pytest.mark.parametrize(("content", "state"), [("x", "duplicate"), ("y", "conflict")])
@pytest.mark.parametrize("where", ["waiting", "in flight", "delivered"])
async def test_a_key_again_is_the_same_or_taken(
    outbox: Outbox, where: str, content: str, state: str
) -> None:
    first = await put(outbox, "a")
    if where == "in flight":
        await outbox.claim("events", Wanted(), now=NOW)
    if where == "delivered":
        await deliver_all(outbox)

    again = await put(outbox, "a", content)

    assert (again.state, again.id) == (state, first.id)
    assert (await outbox.looks.show(first.id)) is not None
    assert len((await outbox.looks.list_entries())[0]) == (where != "delivered")


async def test_a_dead_key_again_is_tried_again_or_replaced(outbox: Outbox) -> None:
    first, second = await put(outbox, "a"), await put(outbox, "b")
    await bury_all(outbox)

    same, other = await put(outbox, "a"), await put(outbox, "b", "corrected")

    assert (same.state, same.id) == ("retried", first.id)
    assert other.state == "accepted"
    assert other.id != second.id
    gone = await outbox.looks.show(second.id)
    assert gone is not None
    assert gone["state"] == "discarded"
    assert gone["discarded"]["detail"] == f"replaced by {other.id}: same key, other content"


async def test_a_discarded_key_is_free(outbox: Outbox) -> None:
    first = await put(outbox, "a")
    await outbox.discard([first.id], now=NOW, who="an operator")

    again = await put(outbox, "a", "other")

    assert again.state == "accepted"


@pytest.mark.parametrize("changes", [{"backend": "elog"}, {"kind": "alarm"}])
async def test_a_key_is_of_one_backend_and_one_kind(
    outbox: Outbox, changes: dict[str, str]
) -> None:
    await put(outbox, "a")

    other = await put(outbox, "a", "other", **changes)

    assert other.state == "accepted"


async def test_receipts_belong_to_the_address(tmp_path: Path) -> None:
    before = Outbox(tmp_path, URLS)
    before.recover(NOW)
    await put(before, "a")
    await deliver_all(before)
    before.close()

    after = Outbox(tmp_path, {**URLS, "events": "http://production.test"})
    after.recover(NOW)
    outcome = await put(after, "a")

    assert outcome.state == "accepted"
    assert await after.holds_receipt("events", ["r-a"]) == set()
    after.close()


async def test_entries_of_a_backend_that_left_the_settings_are_kept(tmp_path: Path) -> None:
    before = Outbox(tmp_path, URLS)
    before.recover(NOW)
    await put(before, "a", backend="elog")
    await before.claim("elog", Wanted(), now=NOW)
    before.close()

    after = Outbox(tmp_path, {"events": URLS["events"]})
    reclaimed, _ = after.recover(NOW)

    assert reclaimed == 1
    counts = (await after.looks.census(now=NOW))["elog"]
    assert (counts.pending, counts.in_doubt) == (1, 1)
    after.close()


async def test_equal_keys_in_one_list_are_met_in_order(outbox: Outbox) -> None:
    contents = ["x", "x", "y"]
    entries = [an_entry("a", payload={"content": one}) for one in contents]

    outcomes = await outbox.accept([*entries, an_entry("b")])

    assert [one.state for one in outcomes] == ["accepted", "duplicate", "conflict", "accepted"]
    assert {one.id for one in outcomes[:3]} == {entries[0].id}


async def test_a_dead_key_twice_in_one_list(outbox: Outbox) -> None:
    await put(outbox, "a")
    await put(outbox, "b")
    await bury_all(outbox)

    outcomes = await outbox.accept(
        [an_entry(key, payload={"content": one}) for key in "ab" for one in ("y", "x", "y")]
    )

    assert [one.state for one in outcomes] == ["accepted", "conflict", "duplicate"] * 2
    assert outbox.waiting["events"] == 2


async def test_a_dead_key_is_tried_again_once_in_one_list(outbox: Outbox) -> None:
    await put(outbox, "a")
    await bury_all(outbox)

    outcomes = await outbox.accept([an_entry("a", payload={"content": one}) for one in "xxy"])

    assert [one.state for one in outcomes] == ["retried", "duplicate", "conflict"]
    assert outbox.waiting["events"] == 1


async def test_a_delivered_key_takes_no_place_in_its_stream(outbox: Outbox) -> None:
    await put(outbox, "a", stream="s")
    await deliver_all(outbox)

    again = an_entry("a", payload={"content": "x"}, stream="s")
    outcomes = await outbox.accept([again, an_entry("b", stream="s"), an_entry("c", stream="s")])

    assert [one.state for one in outcomes] == ["duplicate", "accepted", "accepted"]
    claims = await outbox.claim("events", Wanted(requests=9), now=NOW)
    assert [one.key for one in claims] == ["b"]


async def test_a_long_list_is_taken_whole(outbox: Outbox) -> None:
    entries = [an_entry(f"k{n % 4000}", payload={"n": n % 4000}) for n in range(9000)]

    outcomes = await outbox.accept(entries)

    states = [one.state for one in outcomes]
    assert states[:4000] == ["accepted"] * 4000
    assert states[4000:] == ["duplicate"] * 5000


async def test_long_lists_of_ids_are_moved_whole(outbox: Outbox) -> None:
    entries = [an_entry(f"k{n}") for n in range(400)]
    await outbox.accept(entries)
    await bury_all(outbox)
    ids = [one.id for one in entries] + [f"nobody{n}" for n in range(40_000)]

    assert (await outbox.retry(ids, now=NOW, who="test")).count(State.DEAD) == 400
    assert (await outbox.discard(ids, now=NOW, who="test")).count(State.PENDING) == 400
    assert await outbox.holds_receipt("events", ids) == set()


async def test_an_id_named_twice_moves_once(outbox: Outbox) -> None:
    first = await put(outbox, "a")

    found = await outbox.discard([first.id, first.id], now=NOW, who="test")

    assert found == [State.PENDING, State.PENDING]
    assert (outbox.waiting["events"], outbox.size["events"]) == (0, 0)


async def test_entries_past_their_time_become_dead_letters_and_their_stream_goes_on(
    outbox: Outbox,
) -> None:
    late = NOW + 1000
    await outbox.accept(
        [
            an_entry("head", stream="s", expires_at=late),
            an_entry("middle", stream="s", expires_at=late),
            an_entry("last", stream="s"),
            an_entry("out", expires_at=late),
        ]
    )
    claims = await outbox.claim("events", Wanted(requests=9), now=NOW)
    assert [one.key for one in claims] == ["head", "out"]

    gone = await outbox.upkeep.expire(now=late)
    assert len(gone) == 1  # what is in flight is not touched
    await outbox.settle("events", [Bury(claims[0], NO)], now=late)

    (follower,) = await outbox.claim("events", Wanted(requests=9), now=late)
    assert follower.key == "last"
    assert outbox.waiting["events"] == 2


async def test_behind_an_expired_head_the_next_one_goes(outbox: Outbox) -> None:
    await put(outbox, "head", stream="s", expires_at=NOW + 1000)
    await put(outbox, "next", stream="s")

    await outbox.upkeep.expire(now=NOW + 1000)

    (claim,) = await outbox.claim("events", Wanted(requests=9), now=NOW + 1000)
    assert claim.key == "next"


async def test_what_has_expired_is_not_sent_even_before_it_is_swept(outbox: Outbox) -> None:
    await put(outbox, "a", expires_at=NOW + 1000)

    assert await outbox.claim("events", Wanted(), now=NOW + 1000) == []


async def test_a_reply_waits_for_its_parent(outbox: Outbox) -> None:
    parent = await put(outbox, "parent")
    await put(outbox, "reply", waits_for=parent.id)

    claims = await outbox.claim("events", Wanted(requests=9), now=NOW)
    assert [one.key for one in claims] == ["parent"]
    assert await outbox.claim("events", Wanted(requests=9), now=NOW) == []
    await outbox.settle("events", [Confirm(claims[0], Receipt(parent.id, "r"))], now=NOW)

    (reply,) = await outbox.claim("events", Wanted(requests=9), now=NOW)
    assert reply.key == "reply"
