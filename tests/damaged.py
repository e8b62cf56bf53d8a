"""A small outbox with everything in it, as a crash leaves it; what must be true after damage."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from storage.attachments import fault_of
from storage.entry import Claim, Receipt, Wanted
from storage.errors import DiskRefused
from storage.outbox import DATABASE, Outbox
from storage.settlement import Bury, Confirm, Failure, GiveBack
from tests.builders import NOW, an_entry

URLS = {"events": "http://events.test", "elog": "http://elog.test"}
FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "outbox.mark", "attachments")


@dataclass
class Original:
    """What was accepted, and what had become of it when the host crashed."""

    folder: Path
    payloads: dict[str, str]
    keys: dict[str, str]
    delivered: set[str]
    in_doubt: set[str]
    untried: set[str]
    dead: set[str]

    @property
    def live(self) -> set[str]:
        return self.payloads.keys() - self.delivered

    def copy(self, to: Path) -> Path:
        """The crashed state folder, to be damaged."""
        shutil.copytree(self.folder, to)
        return to


def make_original(home: Path, *, clean: bool = False) -> Original:
    """Entries in every state; a part of them only in the log, unless the end was a clean one."""
    return asyncio.run(_make(home, clean=clean))


async def _make(home: Path, *, clean: bool) -> Original:
    live = home / "live"
    live.mkdir(parents=True)
    outbox = Outbox(live, URLS)
    outbox.recover(NOW)
    entries = [await _entry(outbox, number) for number in range(120)]
    await outbox.accept(entries)
    await outbox.upkeep.checkpoint()
    entries += [await _entry(outbox, number) for number in range(120, 200)]
    for one in entries[120:]:
        await outbox.accept([one])
    ends = {"delivered": set[str](), "dead": set[str](), "in_doubt": set[str]()}
    for backend in URLS:
        for number, claim in enumerate(await _claims(outbox, backend)):
            await _end(outbox, backend, claim, ends, number)
    original = Original(
        home / "crashed",
        {one.id: one.payload for one in entries},
        {one.id: one.key for one in entries},
        untried=set(),
        **ends,
    )
    if clean:
        outbox.close()
    original.folder.mkdir()
    for name in FILES:
        source = live / name
        if source.is_dir():
            shutil.copytree(source, original.folder / name)
        elif source.exists():
            shutil.copy(source, original.folder / name)
    if not clean:
        outbox.close()
    original.untried = original.live - original.dead - original.in_doubt
    return original


async def _entry(outbox: Outbox, number: int) -> Any:
    backend = "elog" if number % 3 == 0 else "events"
    big = {"text": f"entry {number} ", "more": "x" * (9000 if number % 17 == 0 else 200)}
    files = ()
    if number % 20 == 0:
        files = (await outbox.files.stage(BytesIO(b"plot" * number), f"{number}.png", limit=10**6),)
    return an_entry(
        f"key-{number}",
        backend=backend,
        payload=big,
        stream=f"stream-{number % 7}" if number % 2 else None,
        labels={"experiment": "mfx1", "number": str(number)},
        attachments=files,
    )


async def _claims(outbox: Outbox, backend: str) -> list[Claim]:
    wanted = Wanted(requests=40, batch_size=1)
    return await outbox.claim(backend, wanted, now=NOW)


async def _end(
    outbox: Outbox, backend: str, claim: Claim, ends: dict[str, set[str]], number: int
) -> None:
    """Some are delivered, some judged, some lost their answer, some are on the wire."""
    failure = Failure("Uncertain", "network", "the answer was lost")
    if number % 4 == 0:
        ends["delivered"].add(claim.id)
        await outbox.settle(
            backend, [Confirm(claim, Receipt(claim.id, f"remote-{claim.key}"))], now=NOW
        )
    elif number % 4 == 1:
        ends["dead"].add(claim.id)
        await outbox.settle(backend, [Bury(claim, failure)], now=NOW)
    else:
        ends["in_doubt"].add(claim.id)
        if number % 4 == 2:
            back = GiveBack(claim, 0, in_doubt=True, sent=True, failure=failure)
            await outbox.settle(backend, [back], now=NOW)


@dataclass
class Found:
    """The outbox after the damage."""

    entries: dict[str, dict[str, Any]]
    receipts: set[str]
    salvages: list[dict[str, Any]]
    lost: set[str]
    sent: dict[str, str]  # what went out in the end: payloads
    damaged: set[str]  # what would not be sent, because the disk had altered it
    fileless: set[str]  # whose files are not what was accepted


async def reopened(folder: Path) -> Found:
    """Open, let it be salvaged, hand something in, deliver everything; what came of it."""
    outbox = Outbox(folder, URLS, now=lambda: NOW)
    sent: dict[str, str] = {}
    damaged: set[str] = set()
    fileless: set[str] = set()
    try:
        outbox.recover(NOW)
        fresh = an_entry("fresh", stream="stream-1")
        assert [one.state for one in await outbox.accept([fresh])] == ["accepted"]
        outbox.finish_salvage()
        found = look_into(folder)
        for backend in URLS:
            while some := await _claimed(outbox, backend):
                sent |= {one.id: one.payload for one in some if one.damage is None}
                fileless |= {one.id for one in some if any(map(fault_of, one.attachments))}
                damaged |= {one.id for one in some if one.damage is not None}
                ends = [Confirm(one, Receipt(one.id, one.id)) for one in some]
                assert all(await outbox.settle(backend, ends, now=NOW))
        # Something may have been found only now.
        again = look_into(folder)
    finally:
        outbox.close()
    return Found(found[0], again[1], again[2], again[3], sent, damaged, fileless)


async def _claimed(outbox: Outbox, backend: str) -> list[Claim]:
    wanted = Wanted(requests=50, batch_size=1)
    try:
        claims = await outbox.claim(backend, wanted, now=NOW + 1)
    except DiskRefused:
        claims = []
    if not claims and outbox.salvaging:
        outbox.finish_salvage()
        return await _claimed(outbox, backend)
    return claims


Looked = tuple[dict[str, dict[str, Any]], set[str], list[dict[str, Any]], set[str]]


def look_into(folder: Path) -> Looked:
    """Entries, ids of receipts, salvages, and the ids that they call lost."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda text: text.decode(errors="replace")
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        check_heads(connection)
        entries = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM entry")}
        receipts = {row["entry_id"] for row in connection.execute("SELECT * FROM receipt")}
        salvages = [dict(row) for row in connection.execute("SELECT * FROM salvage")]
    lost = {one["id"] for row in salvages for one in json.loads(row["detail"])["lost"]}
    return entries, receipts, salvages, lost


def check_heads(connection: sqlite3.Connection) -> None:
    """Each stream with a live entry has one head: its first."""
    query = (
        "SELECT backend, stream, min(seq) AS first, sum(head) AS heads,"
        " min(CASE WHEN head = 1 THEN seq END) AS head"
        " FROM entry WHERE stream IS NOT NULL AND state <> 3 GROUP BY backend, stream"
    )
    for row in connection.execute(query):
        assert row["heads"] == 1, tuple(row)
        assert row["head"] == row["first"], tuple(row)


def check(original: Original, found: Found) -> None:
    """Nothing is silently missing, nothing is altered, nothing is there twice."""
    known = found.entries.keys() | found.receipts | found.lost | found.damaged
    missing = original.live - known
    unknowable = any(row["lost"] is None for row in found.salvages)
    assert not missing or unknowable, missing
    for row in found.salvages:
        detail = json.loads(row["detail"])
        assert row["lost"] in (None, detail["known_lost"])
        assert detail["known_lost"] == len(detail["lost"])
    # An id that the damage has altered is kept as a dead letter, and the true one is called lost.
    (fresh,) = found.entries.keys() - original.payloads.keys() - found.lost
    assert found.entries[fresh]["seq"] == max(row["seq"] for row in found.entries.values())
    delivered = found.sent.keys() - {fresh}
    assert {id_: found.sent[id_] for id_ in delivered} == {
        id_: original.payloads[id_] for id_ in delivered
    }
    assert not delivered & original.delivered or unknowable or not_all_receipts(original, found)
    if not unknowable:
        assert delivered >= original.live - original.dead - found.lost - found.damaged
    # With the end of the log gone it is forgotten that they were delivered; their files went then.
    assert found.fileless <= original.delivered
    for id_, row in found.entries.items():
        if id_ in original.in_doubt and row["state"] == 0:
            assert row["in_doubt"] == 1


def not_all_receipts(original: Original, found: Found) -> bool:
    """Receipts lay on the damaged page: then the entries are in doubt, if they came back."""
    return not original.delivered <= found.receipts
