"""After a backlog has drained the disk is given back, and nobody waits for that."""

import asyncio
from pathlib import Path

from storage.entry import Receipt, Wanted
from storage.outbox import DATABASE, Outbox
from storage.settlement import Confirm
from tests.builders import NOW, an_entry

MIB = 2**20
WANTED = Wanted(requests=1, batch_size=1000, batched=frozenset({"event"}))


async def accept(outbox: Outbox, number: int) -> None:
    more = "x" * 3000
    for _ in range(0, number, 2000):
        await outbox.accept([an_entry(payload={"more": more}) for _ in range(2000)])


async def deliver(outbox: Outbox) -> None:
    while claims := await outbox.claim("events", WANTED, now=NOW):
        ends = [Confirm(one, Receipt(one.id, one.id)) for one in claims]
        await outbox.settle("events", ends, now=NOW)


def sizes(folder: Path) -> tuple[int, int]:
    """Of the database, and of its log."""
    database = folder / DATABASE
    return database.stat().st_size, database.with_name(f"{DATABASE}-wal").stat().st_size


async def test_a_drained_backlog_gives_the_disk_back_within_one_duty(
    outbox: Outbox, tmp_path: Path
) -> None:
    await accept(outbox, 6000)
    await outbox.upkeep.checkpoint()
    full, _ = sizes(tmp_path)
    await deliver(outbox)
    await outbox.upkeep.expire_receipts(before=NOW + 1)
    while await outbox.upkeep.expire_receipts(before=NOW + 1):
        pass

    await outbox.upkeep.checkpoint()

    database, log = sizes(tmp_path)
    assert full > 20 * MIB
    assert database < 2 * MIB
    assert log == 0


async def test_producers_are_answered_while_the_disk_is_given_back(
    outbox: Outbox, tmp_path: Path
) -> None:
    await accept(outbox, 2000)
    await outbox.upkeep.checkpoint()
    await deliver(outbox)

    giving = asyncio.create_task(outbox.upkeep.checkpoint())
    await asyncio.sleep(0)
    outcomes = await outbox.accept([an_entry("in between")])

    assert outcomes[0].state == "accepted"
    assert not giving.done()
    await giving
    assert sizes(tmp_path)[0] < 3 * MIB
