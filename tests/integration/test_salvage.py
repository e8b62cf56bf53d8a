"""What comes in while an older life is still being salvaged, and meets it by its key."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from storage.entry import Receipt, Wanted
from storage.errors import DiskRefused
from storage.outbox import DATABASE, Outbox
from storage.settlement import Confirm
from storage.wrecks.damage import FOLDER, REPORT
from storage.wrecks.rescue import LOST
from storage.wrecks.wreck import Wreck
from tests.builders import NOW, a_claim, an_entry
from tests.damaged import URLS, Original, make_original

PAGE = 4096


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return make_original(tmp_path_factory.mktemp("salvage"), clean=True)


@asynccontextmanager
async def salvaged(original: Original, folder: Path, *coming: Any) -> AsyncIterator[Outbox]:
    """After damage that spares every row: what came in before anything older was back."""
    spoil(original.copy(folder))
    outbox = Outbox(folder, URLS, now=lambda: NOW)
    try:
        outcomes = await outbox.accept(coming)
        assert {one.state for one in outcomes} <= {"accepted"}
        outbox.recover(NOW)
        outbox.finish_salvage()
        counts = await outbox.looks.census(now=NOW)
        for backend, one in counts.items():
            held = (outbox.waiting[backend], outbox.size[backend], outbox.delivered[backend])
            assert held == (one.waiting, one.size, one.delivered)
        yield outbox
    finally:
        outbox.close()


def spoil(folder: Path, page: int = 3) -> None:
    with (folder / DATABASE).open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


def again(original: Original, id_: str, **changes: Any) -> Any:
    """The same entry as an older one, or one with the same key."""
    number = int(original.keys[id_].removeprefix("key-"))
    fields = {
        "backend": "elog" if number % 3 == 0 else "events",
        "payload": json.loads(original.payloads[id_]),
        "stream": f"stream-{number % 7}" if number % 2 else None,
    }
    return an_entry(original.keys[id_], **{**fields, **changes})


def one_of(original: Original, ids: set[str]) -> str:
    """One without files, which would make its digest another one."""
    return min(i for i in ids if int(original.keys[i].removeprefix("key-")) % 20)


async def test_the_same_again_is_the_older_one(original: Original, tmp_path: Path) -> None:
    older = one_of(original, original.untried)
    newer = again(original, older)

    async with salvaged(original, tmp_path / "state", newer) as outbox:
        page, _ = await outbox.looks.list_entries(limit=1000)
        told = await outbox.looks.show(newer.id)

    assert [one["id"] for one in page if one["key"] == newer.key] == [older]
    assert told is not None
    assert told["discarded"]["detail"].startswith(f"the same as {older}")


async def test_other_content_under_an_older_key_is_kept_beside_it(
    original: Original, tmp_path: Path
) -> None:
    older = one_of(original, original.untried)
    newer = again(original, older, payload={"other": "content"})

    async with salvaged(original, tmp_path / "state", newer) as outbox:
        page, _ = await outbox.looks.list_entries(limit=1000)

    keys = {one["id"]: one["key"] for one in page}
    assert keys[older] == original.keys[older]
    assert keys[newer.id] == f"{original.keys[older]}~{newer.id}"


async def test_what_was_delivered_before_is_not_sent_again(
    original: Original, tmp_path: Path
) -> None:
    older = one_of(original, original.delivered)
    newer = again(original, older)

    async with salvaged(original, tmp_path / "state", newer) as outbox:
        page, _ = await outbox.looks.list_entries(limit=1000)
        (after,) = await outbox.accept([again(original, older)])

    assert newer.key not in {one["key"] for one in page}
    assert (after.state, after.id) == ("duplicate", older)


async def test_a_dead_letter_that_comes_again_waits_again(
    original: Original, tmp_path: Path
) -> None:
    older = one_of(original, original.dead)
    newer = again(original, older)

    async with salvaged(original, tmp_path / "state", newer) as outbox:
        shown = await outbox.looks.show(older)

    assert shown is not None
    assert (shown["state"], shown["attempts"]) == ("pending", 0)


async def test_a_dead_letter_gives_way_to_other_content(original: Original, tmp_path: Path) -> None:
    older = one_of(original, original.dead)
    newer = again(original, older, payload={"corrected": True})

    async with salvaged(original, tmp_path / "state", newer) as outbox:
        shown = await outbox.looks.show(newer.id)
        gone = await outbox.looks.show(older)

    assert shown is not None
    assert gone is not None
    assert (shown["state"], shown["key"]) == ("pending", original.keys[older])
    assert gone["state"] == "discarded"


async def test_what_is_lost_is_named_and_what_is_left_of_it_is_kept(
    original: Original, tmp_path: Path
) -> None:
    folder = original.copy(tmp_path / "state")
    page = a_page_of(folder, "entry")
    spoil(folder, page)
    outbox = Outbox(folder, URLS, now=lambda: NOW)
    outbox.recover(NOW)
    outbox.finish_salvage()
    told = await outbox.looks.salvaged()
    outbox.close()

    (kept,) = (folder / FOLDER).iterdir()
    lost = [json.loads(line) for line in (kept / LOST).read_text().splitlines()]
    assert told is not None
    assert told.lost == len(lost) > 3
    for one in lost:
        assert one["payload"] == original.payloads[one["id"]]
        assert one["key"] == original.keys[one["id"]]


def a_page_of(folder: Path, table: str) -> int:
    wreck = Wreck(folder, DATABASE)
    try:
        return wreck._pages[table][2][1]
    finally:
        wreck.close()


async def test_an_entry_whose_payload_is_lost_is_a_dead_letter_that_its_producer_can_replace(
    original: Original, tmp_path: Path
) -> None:
    folder = original.copy(tmp_path / "state")
    spoil(folder, a_page_of(folder, "body"))
    outbox = Outbox(folder, URLS, now=lambda: NOW)
    outbox.recover(NOW)
    outbox.finish_salvage()
    page, _ = await outbox.looks.list_entries(limit=1000)
    bad = [one for one in page if (one["last_error"] or {}).get("class") == "Damaged"]
    told = await outbox.looks.salvaged()
    assert told is not None
    assert told.lost == len(bad) > 3

    wanted = next(one["id"] for one in bad if int(one["key"].removeprefix("key-")) % 20)
    (after,) = await outbox.accept([again(original, wanted)])

    assert (after.state, after.replaced_id) == ("accepted", wanted)
    outbox.close()


async def test_the_files_of_a_lost_entry_are_kept_beside_the_wreck(
    original: Original, tmp_path: Path
) -> None:
    folder = original.copy(tmp_path / "state")
    with_files = {path.name for path in (folder / "attachments").iterdir()} & original.live
    page = next(page for page, ids in entry_pages(folder) if ids & with_files)
    spoil(folder, page)
    for _ in range(2):  # the second start sweeps what no entry has
        outbox = Outbox(folder, URLS, now=lambda: NOW)
        outbox.recover(NOW)
        outbox.finish_salvage()
        outbox.close()

    (kept,) = (folder / FOLDER).iterdir()
    told = json.loads((kept / REPORT).read_text())["detail"]["lost"]
    lost = {one["id"] for one in told} & with_files
    assert lost
    assert {path.name for path in (kept / "attachments").iterdir()} == lost
    assert with_files - lost <= {path.name for path in (folder / "attachments").iterdir()}


def entry_pages(folder: Path) -> list[tuple[int, set[str]]]:
    wreck = Wreck(folder, DATABASE)
    try:
        return [
            (page, {str(cell.values[1]) for cell in wreck._image.rows(page)})
            for _, page in wreck._pages["entry"]
        ]
    finally:
        wreck.close()


async def test_nothing_leaves_before_everything_is_back(original: Original, tmp_path: Path) -> None:
    spoil(original.copy(tmp_path / "state"))
    outbox = Outbox(tmp_path / "state", URLS, now=lambda: NOW)
    await outbox.accept([an_entry("fresh")])
    waited: list[str] = []
    outbox.before_deliveries(lambda: waited.append(f"{outbox.salvaging}"))

    assert outbox.salvaging
    assert await outbox.claim("events", Wanted(), now=NOW) == []
    with pytest.raises(DiskRefused, match="brought back"):
        await outbox.holds_receipt("events", ["remote"])
    with pytest.raises(DiskRefused, match="brought back"):
        await outbox.settle("events", [Confirm(a_claim(), Receipt("a", "b"))], now=NOW)
    outbox.recover(NOW)
    outbox.finish_salvage()

    assert waited == ["True"]
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    assert claim.id in original.live
    outbox.close()


def test_rows_on_pages_that_were_given_up_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("CREATE TABLE label (entry_id TEXT, name TEXT, value TEXT)")
        row = ("01J0000000000000000000000A", "experiment", "x" * 1000)
        connection.executemany("INSERT INTO label VALUES (?, ?, ?)", [row] * 50)
        connection.execute("DELETE FROM label WHERE rowid > 3")
        assert path.read_bytes().count(b"x" * 1000) > 20

    wreck = Wreck(tmp_path, DATABASE)

    assert len(list(wreck.rows("label"))) == 3
    wreck.close()
