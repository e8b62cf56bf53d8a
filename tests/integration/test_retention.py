"""How long what was delivered is remembered, and what is remembered of it."""

from typing import Any

from storage.entry import Accepted, Receipt, Wanted
from storage.history import HISTORY
from storage.outbox import Outbox
from storage.retention import CHUNK
from storage.settlement import Bury, Confirm, Failure, GiveBack
from tests.builders import NOW, an_entry

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


async def test_after_the_dedup_window_a_key_is_free(outbox: Outbox) -> None:
    first = await put(outbox, "a", labels={"run": "7"})
    await deliver_all(outbox)

    assert await outbox.upkeep.expire_receipts(before=NOW) == 0
    assert (await put(outbox, "a")).state == "duplicate"
    assert await outbox.upkeep.expire_receipts(before=NOW + 1) == 1

    assert (await put(outbox, "a", "other")).state == "accepted"
    assert await outbox.looks.show(first.id) is None
    left = outbox._writer.call(
        lambda c: c.exec_driver_sql("SELECT COUNT(*) FROM label").scalar()
    ).result()
    assert left == 0


async def test_receipts_are_forgotten_in_portions(outbox: Outbox) -> None:
    await outbox.accept([an_entry(f"k{n}") for n in range(CHUNK + 10)])
    await deliver_all(outbox)

    gone = [await outbox.upkeep.expire_receipts(before=NOW + 1) for _ in range(3)]

    assert gone == [CHUNK, 10, 0]


async def test_a_discarded_entry_is_told_of_as_long_as_a_delivered_one(outbox: Outbox) -> None:
    first = await put(outbox, "a")
    await outbox.discard([first.id], now=NOW, who="uid 1000")

    told = await outbox.looks.show(first.id)
    assert told is not None
    assert told["discarded"]["who"] == "uid 1000"
    await outbox.upkeep.expire_receipts(before=NOW + 1)

    assert await outbox.looks.show(first.id) is None


async def test_the_receipt_says_what_the_backend_said(outbox: Outbox) -> None:
    await put(outbox, "a", labels={"run": "7"})
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    receipt = Receipt(claim.id, "post-1", "http://elog.test/post-1", duplicate=True)
    await outbox.settle("events", [Confirm(claim, receipt)], now=NOW + 5)

    ((shown,), _) = await outbox.looks.list_receipts(backend="events", key="a", labels={"run": "7"})

    assert (shown["remote_id"], shown["url"], shown["duplicate"]) == (
        "post-1",
        "http://elog.test/post-1",
        True,
    )
    assert shown["delivered_at"].endswith(".005Z")


async def test_a_history_is_bounded_whatever_a_backend_says(outbox: Outbox) -> None:
    first = await put(outbox, "a")
    for number in range(HISTORY + 20):
        (claim,) = await outbox.claim("events", Wanted(), now=NOW)
        said = Failure("Unreachable", "network", f"port {number}")
        await outbox.settle("events", [GiveBack(claim, 0, in_doubt=False, failure=said)], now=NOW)

    shown = await outbox.looks.show(first.id)
    assert shown is not None
    assert len(shown["history"]) == HISTORY
    assert shown["history"][-1]["detail"] == f"port {HISTORY + 19}"
    assert shown["tries"] == HISTORY + 20
