"""A damaged database: moved aside, and everything readable of it delivered all the same.

`make damage` damages every page in every way (minutes); otherwise a seeded choice.
"""

import json
import os
import random
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Text
from sqlalchemy.exc import OperationalError

from storage.engine import has_wal_reset_race
from storage.entry import Receipt, Wanted
from storage.errors import DiskRefused
from storage.outbox import DATABASE, Outbox
from storage.settlement import Confirm
from storage.wrecks.damage import FOLDER, REPORT
from storage.wrecks.shapes import SHAPES, Shape
from storage.wrecks.wal import read_index
from tests.builders import NOW, an_entry
from tests.damaged import URLS, Original, check, make_original, reopened
from tests.lane_world import until

PAGE = 4096
PAGES = 125  # about as many as the original has
EVERY = bool(os.environ.get("ALL_PAGES"))
WAL, SHM = f"{DATABASE}-wal", f"{DATABASE}-shm"
dice = random.Random("pages")


def some(number: int) -> list[int]:
    """Pages to damage: all, or a choice."""
    every = range(1, PAGES + 1)
    return list(every) if EVERY else sorted(dice.sample(every, number))


def garbage(page: bytearray, roll: random.Random) -> bytes:
    return roll.randbytes(len(page))


def zeros(page: bytearray, _: random.Random) -> bytes:
    return bytes(len(page))


def a_sector(page: bytearray, roll: random.Random) -> bytes:
    start = roll.randrange(8) * 512
    page[start : start + 512] = roll.randbytes(512)
    return bytes(page)


def a_bit(page: bytearray, roll: random.Random) -> bytes:
    page[roll.randrange(PAGE)] ^= 1 << roll.randrange(8)
    return bytes(page)


CASES = [
    *((garbage, page) for page in (1, 2)),  # the schema, and which pages are given up
    *((garbage, page) for page in some(5)),
    *((zeros, page) for page in some(1)),
    *((a_sector, page) for page in some(4)),
    *((a_bit, page) for page in some(4)),
]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """A database that was closed in order: every page is in the file."""
    return make_original(tmp_path_factory.mktemp("closed"), clean=True)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """As a kill leaves it: much of it is only in the log."""
    return make_original(tmp_path_factory.mktemp("crashed"))


def overwrite(
    path: Path, page: int, way: Callable[[bytearray, random.Random], bytes], head: int = 0
) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE + head)
        content = bytearray(file.read(PAGE))
        file.seek((page - 1) * PAGE + head)
        file.write(way(content, random.Random(page)))


@pytest.mark.parametrize(("way", "page"), CASES, ids=lambda one: getattr(one, "__name__", str(one)))
async def test_whatever_page_is_damaged_nothing_is_silently_missing(
    closed: Original, tmp_path: Path, way: Callable[..., bytes], page: int
) -> None:
    folder = closed.copy(tmp_path / "state")
    overwrite(folder / DATABASE, page, way)

    check(closed, await reopened(folder))


@pytest.mark.parametrize("page", some(2))
async def test_a_file_that_ends_too_early_loses_only_what_lay_behind(
    closed: Original, tmp_path: Path, page: int
) -> None:
    folder = closed.copy(tmp_path / "state")
    os.truncate(folder / DATABASE, (page - 1) * PAGE + page % 3)

    found = await reopened(folder)

    check(closed, found)
    assert len(found.salvages) == 1


@pytest.mark.parametrize("content", [b"", b"these are my notes\n" * 100, bytes(8192)])
async def test_a_file_without_any_database_in_it_is_moved_aside_and_told(
    closed: Original, tmp_path: Path, content: bytes
) -> None:
    folder = closed.copy(tmp_path / "state")
    (folder / DATABASE).write_bytes(content)

    found = await reopened(folder)

    (told,) = found.salvages
    assert (told["entries"], told["lost"]) == (0, None)
    assert (Path(told["moved_to"]) / DATABASE).read_bytes() == content


async def test_a_database_that_is_gone_is_told(closed: Original, tmp_path: Path) -> None:
    folder = closed.copy(tmp_path / "state")
    (folder / DATABASE).unlink()

    (told,) = (await reopened(folder)).salvages

    assert (told["reason"], told["entries"], told["lost"]) == ("it is gone", 0, None)


async def test_a_crash_alone_is_no_damage(crashed: Original, tmp_path: Path) -> None:
    found = await reopened(crashed.copy(tmp_path / "state"))

    assert found.salvages == []
    check(crashed, found)


def frames(folder: Path) -> int:
    """How many pages of the log count: behind them lie those of an earlier round."""
    index = read_index(folder / SHM)
    assert index is not None
    return index.frames


def cuts() -> list[tuple[float, int]]:
    places = [number / 40 for number in range(41)] if EVERY else [0.0, 0.5, 1.0]
    inside = (0, 1000) if EVERY else (1000,)
    return [(place, one) for place in places for one in inside] + [(0.8, 0)]


@pytest.mark.parametrize(("place", "inside"), cuts())
async def test_a_log_that_ends_too_early_is_noticed(
    crashed: Original, tmp_path: Path, place: float, inside: int
) -> None:
    folder = crashed.copy(tmp_path / "state")
    kept = round((frames(folder) - 1) * place)
    os.truncate(folder / WAL, 32 + kept * (PAGE + 24) + inside)

    found = await reopened(folder)

    assert [row["lost"] for row in found.salvages] == [None]
    check(crashed, found)
    assert found.sent.keys() <= found.entries.keys()
    # What is older than the cut may have been settled behind it.
    assert all(found.entries[id_]["in_doubt"] for id_ in found.sent if id_ in crashed.payloads)


@pytest.mark.parametrize("frame", [1, 40])
async def test_a_torn_page_in_the_log_hides_nothing_that_comes_behind_it(
    crashed: Original, tmp_path: Path, frame: int
) -> None:
    folder = crashed.copy(tmp_path / "state")
    (folder / SHM).unlink()  # as after a power cut: only the log itself can tell
    place = 32 + (frame - 1) * (PAGE + 24) + 24
    with (folder / WAL).open("r+b") as file:
        file.seek(place + 100)
        file.write(b"torn")

    found = await reopened(folder)

    assert len(found.salvages) == 1
    check(crashed, found)
    assert len(found.entries) > 150


async def test_a_damaged_head_of_the_log_is_noticed(crashed: Original, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "state")
    with (folder / WAL).open("r+b") as file:
        file.write(bytes(32))

    found = await reopened(folder)

    assert len(found.salvages) == 1
    check(crashed, found)
    assert len(found.entries) > 150


@pytest.mark.parametrize("gone", [[WAL], [WAL, SHM]])
async def test_a_log_that_is_gone_is_noticed(
    crashed: Original, tmp_path: Path, gone: list[str]
) -> None:
    folder = crashed.copy(tmp_path / "state")
    for name in gone:
        (folder / name).unlink()

    found = await reopened(folder)

    assert [row["lost"] for row in found.salvages] == [None]
    check(crashed, found)


async def test_a_last_commit_that_was_never_acknowledged_is_no_damage(
    crashed: Original, tmp_path: Path
) -> None:
    folder = crashed.copy(tmp_path / "state")
    with (folder / WAL).open("ab") as file:
        salts = (folder / WAL).read_bytes()[16:24]
        file.write(bytes([0, 0, 0, 3, 0, 0, 0, 0]) + salts + bytes(8) + b"half a page")

    assert (await reopened(folder)).salvages == []


async def test_damage_while_the_agent_runs_interrupts_no_producer(tmp_path: Path) -> None:
    told: list[str] = []
    outbox = Outbox(tmp_path, URLS, now=lambda: NOW, tell=lambda event, **_: told.append(event))
    outbox.recover(NOW)
    entries = [an_entry(f"key-{number}", stream="s") for number in range(300)]
    await outbox.accept(entries)
    await outbox.upkeep.checkpoint()
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    for page in range(3, (tmp_path / DATABASE).stat().st_size // PAGE, 4):
        overwrite(tmp_path / DATABASE, page, garbage)
    outbox._writer.between(outbox._engine.dispose).result()  # forget what is in memory

    again = [an_entry(f"key-{number}", stream="s") for number in range(300)]
    fresh = [an_entry(f"fresh-{number}", stream="s") for number in range(20)]
    outcomes = await outbox.accept([*again, *fresh])
    await until(lambda: not outbox.salvaging)

    assert {one.state for one in outcomes} == {"accepted"}
    assert told == ["database.damaged", "database.salvaged"]
    page, _ = await outbox.looks.list_entries(limit=1000)
    assert sorted(one["key"] for one in page) == sorted(one.key for one in [*entries, *fresh])
    assert [one["key"] for one in page][-20:] == [one.key for one in fresh]
    census = (await outbox.looks.census(now=NOW))["events"]
    assert outbox.waiting["events"] == census.waiting == 320
    assert outbox.size["events"] == census.size
    assert claim.id in {one["id"] for one in page} | set(told)
    outbox.close()


async def test_what_is_on_the_wire_is_settled_when_all_is_back(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, URLS, now=lambda: NOW)
    outbox.recover(NOW)
    await outbox.accept([an_entry("a", stream="s"), an_entry("b", stream="s")])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    proof = sqlite3.OperationalError("Could not decode to UTF-8 column 'key'")
    outbox._writer.between(lambda: outbox._mend(proof)).result()
    await until(lambda: not outbox.salvaging)

    assert await outbox.claim("events", Wanted(), now=NOW) == []
    confirm = Confirm(claim, Receipt(claim.id, "remote-a"))
    assert await outbox.settle("events", [confirm], now=NOW) == [True]

    (after,) = await outbox.claim("events", Wanted(), now=NOW)
    assert (after.key, after.in_doubt) == ("b", False)
    outbox.close()


async def test_a_crash_in_the_middle_of_a_salvage_only_means_that_it_is_done_again(
    closed: Original, tmp_path: Path
) -> None:
    folder = closed.copy(tmp_path / "state")
    overwrite(folder / DATABASE, 3, garbage)
    await reopened_without_deliveries(folder)
    (report,) = (folder / FOLDER).glob(f"*/{REPORT}")
    report.unlink()

    found = await reopened(folder)

    assert [(row["entries"], row["lost"]) for row in found.salvages] == [(180, 0), (0, 0)]
    assert found.entries.keys() >= closed.live


async def reopened_without_deliveries(folder: Path) -> None:
    outbox = Outbox(folder, URLS, now=lambda: NOW)
    outbox.recover(NOW)
    outbox.finish_salvage()
    outbox.close()


async def test_what_was_moved_aside_is_never_overwritten(closed: Original, tmp_path: Path) -> None:
    folder = closed.copy(tmp_path / "state")
    for _ in range(3):
        overwrite(folder / DATABASE, 3, garbage)
        await reopened_without_deliveries(folder)

    kept = sorted((folder / FOLDER).iterdir())
    assert [one.name[16:] for one in kept] == ["", "-2", "-3"]
    assert all((one / DATABASE).stat().st_size for one in kept)
    assert len(json.loads((kept[0] / REPORT).read_text())["detail"]["lost"]) == 0


def test_a_row_has_the_shape_of_one_table_only(tmp_path: Path) -> None:
    make_original(tmp_path)
    path = tmp_path / "crashed" / DATABASE
    with closing(sqlite3.connect(path)) as connection:
        for name, shape in SHAPES.items():
            there = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            assert there == [one.name for one in shape.columns]
            made = {other for other, one in SHAPES.items() if one.fits(sample(shape))}
            assert made == {name}


def sample(shape: Shape) -> tuple[object, ...]:
    """A row of this table, with as few values as the first revision had."""
    return tuple(example(one) for one in shape.columns[: shape.least])


def example(column: Column[Any]) -> object:
    if column.autoincrement is True:
        return None
    return "01J0000000000000000000000A" if isinstance(column.type, Text) else 7


async def test_an_examination_finds_what_no_statement_has_met(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, URLS, now=lambda: NOW)
    outbox.recover(NOW)
    await outbox.accept([an_entry(f"key-{number}", stream="s") for number in range(200)])
    await outbox.upkeep.checkpoint()
    await outbox.upkeep.examine()
    assert await outbox.looks.salvaged() is None

    overwrite(tmp_path / DATABASE, 6, garbage)  # an index that only `list` would use
    await outbox.upkeep.examine()
    outbox.finish_salvage()

    told = await outbox.looks.salvaged()
    assert told is not None
    assert (told.entries, told.lost) == (200, 0)
    assert await outbox.see_salvaged(now=NOW) == 1
    assert await outbox.looks.salvaged() is None
    outbox.close()


@pytest.mark.parametrize(
    ("version", "race"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_versions_of_sqlite_with_the_wal_reset_bug_are_known(
    version: tuple[int, ...], race: bool
) -> None:
    assert has_wal_reset_race(version) is race


async def test_a_bug_of_ours_moves_no_database_aside(outbox: Outbox, tmp_path: Path) -> None:
    def misspelt(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT no_such_column FROM entry")

    for _ in range(3):
        with pytest.raises(OperationalError, match="no such column"):
            await outbox._call(misspelt)

    assert not (tmp_path / FOLDER).exists()


async def test_a_write_that_fails_with_an_io_error_is_repeated_and_stored_once(
    outbox: Outbox,
) -> None:
    await outbox.accept([an_entry("a")])
    (claim,) = await outbox.claim("events", Wanted(), now=NOW)
    confirm = Confirm(claim, Receipt(claim.id, "remote-a"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))  # any longer file: an I/O error
    try:
        for _ in range(2):
            with pytest.raises(DiskRefused, match="I/O"):
                await outbox.settle("events", [confirm], now=NOW)
        with pytest.raises(DiskRefused, match="I/O"):
            await outbox.accept([an_entry("b")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert await outbox.settle("events", [confirm], now=NOW) == [True]
    assert (await outbox.looks.list_entries())[0] == []
    assert await outbox.looks.salvaged() is None
