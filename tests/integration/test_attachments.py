"""Files that travel with entries: no accepted entry without them, none left over."""

import asyncio
import hashlib
import io
import resource
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from storage import attachments
from storage.amend import look_up
from storage.attachments import INCOMING, AttachmentStore, TooLarge
from storage.entry import Attachment, Receipt, Wanted
from storage.errors import DiskRefused
from storage.outbox import Outbox
from storage.settlement import Bury, Confirm, Failure
from tests.builders import NOW, an_entry
from tests.lane_world import Disk

PLOT = b"a plot" * 100_000


def files_below(outbox: Outbox) -> set[str]:
    root = outbox.attachments.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def staged(outbox: Outbox, content: bytes = PLOT, name: str = "plot.png") -> Attachment:
    return await outbox.files.stage(io.BytesIO(content), name, limit=10**7)


async def test_an_accepted_entry_has_its_files(outbox: Outbox) -> None:
    parts = (await staged(outbox), await staged(outbox, b"x", "x.txt"))

    (accepted,) = await outbox.accept([an_entry("a", attachments=parts)])

    assert files_below(outbox) == {f"{accepted.id}/0", f"{accepted.id}/1"}
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    assert [part.path.read_bytes() for part in claim.attachments] == [PLOT, b"x"]
    assert [part.name for part in claim.attachments] == ["plot.png", "x.txt"]
    assert claim.attachments[0].sha256 == hashlib.sha256(PLOT).hexdigest()


async def test_files_go_when_their_entry_is_delivered(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a", attachments=(await staged(outbox),))])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)

    await outbox.settle("events", [Confirm(claim, Receipt(claim.id, "r"))], now=NOW)

    assert files_below(outbox) == set()


async def test_files_stay_with_a_dead_letter_and_go_when_it_is_discarded(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a", attachments=(await staged(outbox),))])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    await outbox.settle("events", [Bury(claim, Failure("Rejected", "entry", "no"))], now=NOW)
    assert files_below(outbox) == {f"{claim.id}/0"}

    await outbox.discard([claim.id], now=NOW, who="test")

    assert files_below(outbox) == set()


async def test_files_of_an_entry_in_flight_are_not_discarded(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a", attachments=(await staged(outbox),))])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)

    await outbox.discard([claim.id], now=NOW, who="test")

    assert files_below(outbox) == {f"{claim.id}/0"}


@pytest.mark.parametrize("content", ["same", "other"])
async def test_files_of_what_is_not_stored_go_at_once(outbox: Outbox, content: str) -> None:
    first = an_entry("a", attachments=(await staged(outbox),))
    await outbox.accept([first])
    digest = first.digest if content == "same" else "another"
    again = an_entry("a", digest=digest, attachments=(await staged(outbox),))

    (outcome,) = await outbox.accept([again])

    assert outcome.state == ("duplicate" if content == "same" else "conflict")
    assert files_below(outbox) == {f"{first.id}/0"}


async def test_files_of_a_dead_letter_that_is_replaced_go(outbox: Outbox) -> None:
    await outbox.accept([an_entry("a", attachments=(await staged(outbox),))])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    await outbox.settle("events", [Bury(claim, Failure("Rejected", "entry", "no"))], now=NOW)

    part = await staged(outbox, b"corrected")
    (outcome,) = await outbox.accept([an_entry("a", digest="another", attachments=(part,))])

    assert (outcome.state, outcome.replaced_id) == ("accepted", claim.id)
    assert files_below(outbox) == {f"{outcome.id}/0"}


async def test_files_of_what_the_disk_refuses_go(outbox: Outbox) -> None:
    part = await staged(outbox)
    disk = Disk(outbox)
    disk.refuse()

    with pytest.raises(DiskRefused):
        await outbox.accept([an_entry("a", attachments=(part,))])
    disk.heal()

    assert files_below(outbox) == set()


async def test_when_one_entry_cannot_keep_its_files_none_is_stored(outbox: Outbox) -> None:
    good, bad = await staged(outbox), await staged(outbox)
    bad.path.unlink()

    with pytest.raises(FileNotFoundError):
        await outbox.accept([an_entry(attachments=(good,)), an_entry(attachments=(bad,))])

    assert files_below(outbox) == set()
    assert (await outbox.looks.list_entries())[0] == []


async def test_a_caller_that_gives_up_leaves_entry_and_files_together(outbox: Outbox) -> None:
    one = an_entry("a", attachments=(await staged(outbox),))

    accepting = asyncio.create_task(outbox.accept([one]))
    await asyncio.sleep(0)
    accepting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await accepting
    while outbox._accepting:
        await asyncio.wait(set(outbox._accepting))

    page, _ = await outbox.looks.list_entries()
    assert [held["id"] for held in page] == [one.id]
    assert files_below(outbox) == {f"{one.id}/0"}
    assert outbox.waiting["events"] == 1


async def test_an_accept_that_is_cut_while_it_is_written_keeps_its_files(outbox: Outbox) -> None:
    one = an_entry("a", attachments=(await staged(outbox),))
    writing, go_on = threading.Event(), threading.Event()
    verb = outbox._accept_verb

    def slow(*given: Any) -> Any:
        writing.set()
        go_on.wait()
        return verb(*given)

    outbox._accept_verb = slow  # type: ignore[assignment]
    accepting = asyncio.create_task(outbox.accept([one]))
    await asyncio.to_thread(writing.wait)
    (inner,) = outbox._accepting
    inner.cancel()  # as the end of the event loop does
    with pytest.raises(asyncio.CancelledError):
        await accepting
    go_on.set()

    await outbox.ping()
    assert [held["id"] for held in (await outbox.looks.list_entries())[0]] == [one.id]
    assert files_below(outbox) == {f"{one.id}/0"}


def test_what_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    store = AttachmentStore(tmp_path)

    with pytest.raises(TooLarge, match=r"plot\.png"):
        store.stage(io.BytesIO(PLOT), "plot.png", limit=len(PLOT) - 1)

    assert list((tmp_path / INCOMING).iterdir()) == []


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("the cable")
            return super().read(size)

    store = AttachmentStore(tmp_path)

    with pytest.raises(OSError, match="cable"):
        store.stage(Torn(PLOT), "plot.png", limit=10**7)

    assert list((tmp_path / INCOMING).iterdir()) == []


def test_bytes_and_names_are_durable_before_they_are_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AttachmentStore(tmp_path)
    done: list[str] = []
    fsync, rename = attachments.os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(attachments.os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    part = store.stage(io.BytesIO(b"x"), "x", limit=10)
    store.keep("entry", [part])

    assert done == [
        f"fsync {part.path.name}",
        "rename",
        "fsync entry",
        f"fsync {tmp_path.name}",
        f"fsync {INCOMING}",
    ]


@pytest.mark.parametrize("number", [3, 2000])
def test_the_sweep_keeps_what_entries_hold(tmp_path: Path, number: int) -> None:
    store = AttachmentStore(tmp_path)
    (tmp_path / INCOMING / "left").write_bytes(b"x")
    for name in range(number):
        (tmp_path / str(name)).mkdir()
    asked: list[int] = []

    def held(ids: Iterable[str]) -> set[str]:
        asked.append(1)
        return {"1"} & set(ids)

    assert store.sweep(held) == number - 1
    assert sorted(child.name for child in tmp_path.iterdir()) == ["1", INCOMING]
    assert list((tmp_path / INCOMING).iterdir()) == []


async def test_a_start_asks_for_more_folders_than_one_statement_takes(outbox: Outbox) -> None:
    ids = [f"id{n}" for n in range(40_000)]
    await outbox.accept([an_entry("a", id="id7")])

    found = outbox._writer.call(lambda connection: look_up(connection, ids)).result()

    assert list(found) == ["id7"]


async def test_a_file_that_the_disk_takes_only_a_part_of_leaves_nothing_behind(
    outbox: Outbox,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            await staged(outbox)
        piecewise = outbox.files.open_staged("plot.png", limit=10**7)
        with pytest.raises(OSError, match="too large"):
            piecewise.write(PLOT)
        piecewise.drop()
        small = outbox.files.open_staged("plot.png", limit=10**7)
        small.write(b"x" * 4000)  # still in memory, and never to be written
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        small.drop()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert files_below(outbox) == set()
