"""The rows of a damaged database file, read page by page without SQLite.

SQL reaches a row only by the pages above it, so one bad page can hide thousands of good rows.
Here every leaf page is read for itself: what is lost is what lies on the bad pages. Which
table a page belongs to is told by the shape of its rows (storage/wrecks/shapes.py). The format is
documented (sqlite.org/fileformat2.html) and will not change.

Promises: changes no file; pages that the database had given up are not read (they hold rows
that are gone); a row that cannot be whole is left out, never guessed.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage.wrecks.wal import Log, read_log

PAGE_SIZE = 4096  # where the header does not say: SQLite's default, never changed by us
LEAF, INTERIOR = 0x0D, 0x05
INDEX_LEAF, INDEX_INTERIOR = 0x0A, 0x02
FIRST_HEADER = 100  # page 1 begins with the file's header
MAP_ENTRY = 5  # bytes that the pointer map keeps of a page
FREE = 2  # what the pointer map says of a page that is given up
INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

Value = int | float | str | bytes | None
Values = tuple[Value, ...]


class Unreadable(Exception):
    """These bytes are no whole row, or no page."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of a table, or an entry of an index (then `rowid` is its last value)."""

    rowid: int
    values: Values


class Image:
    """All pages of a database as its last readable commit left them, the log included."""

    def __init__(self, database: Path) -> None:
        """Blocks. Raises OSError when not even the file can be opened."""
        self.log: Log = read_log(database)
        self._file = os.open(database, os.O_RDONLY | os.O_CLOEXEC)
        self._wal = -1
        with suppress(FileNotFoundError):
            self._wal = os.open(database.with_name(database.name + "-wal"), os.O_RDONLY)
        header = self._read(self._file, 0, FIRST_HEADER)
        self.page_size = self.log.page_size or _page_size(header)
        self._newest = self.log.pages
        self.count = self._count(header)
        self._free: set[int] = set()
        self._free = self._mapped_free() | self._listed_free()

    def close(self) -> None:
        """Let the files go."""
        for one in (self._file, self._wal):
            if one >= 0:
                os.close(one)

    def page(self, number: int) -> bytes:
        """The newest image of a page. Raises Unreadable."""
        if number in self._newest and self._wal >= 0:
            content = self._read(self._wal, self._newest[number], self.page_size)
        else:
            content = self._read(self._file, (number - 1) * self.page_size, self.page_size)
        if len(content) < self.page_size:
            raise Unreadable(f"page {number} is not there")
        return content

    def in_use(self) -> Iterator[int]:
        """Every page that is neither given up nor kept for SQLite itself."""
        for number in range(1, self.count + 1):
            if number not in self._free and not self._is_map(number):
                yield number

    def rows(self, number: int) -> Iterator[Cell]:
        """The readable rows of a table's leaf page; none of any other page."""
        if self.kind(number) == LEAF:
            yield from (cell for cell in self.cells(number) if cell is not None)

    def cells(self, number: int) -> Iterator[Cell | None]:
        """What a page holds; None for what cannot be read. Raises Unreadable."""
        kind = self.kind(number)
        if kind not in (LEAF, INDEX_LEAF, INDEX_INTERIOR):
            raise Unreadable(f"page {number} holds no rows")
        content = self.page(number)
        for place in self._places(content, FIRST_HEADER if number == 1 else 0):
            try:
                yield self._cell(content, place, kind)
            except (Unreadable, IndexError, struct.error, UnicodeDecodeError):
                yield None

    def kind(self, number: int) -> int:
        """The first byte of a page, which says what it is. Raises Unreadable."""
        return self.page(number)[FIRST_HEADER if number == 1 else 0]

    def walk(self, root: int) -> Iterator[int | None]:
        """The pages of a tree that hold rows; a None for each that is not what it should be."""
        seen: set[int] = set()
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in seen or not 0 < number <= self.count:
                yield None
                continue
            seen.add(number)
            try:
                kind, below = self._below(number)
            except (Unreadable, IndexError, struct.error):
                yield None
                continue
            waiting += below
            if kind != INTERIOR:
                yield number

    def _below(self, number: int) -> tuple[int, list[int]]:
        content = self.page(number)
        base = FIRST_HEADER if number == 1 else 0
        kind = content[base]
        if kind not in (LEAF, INTERIOR, INDEX_LEAF, INDEX_INTERIOR):
            raise Unreadable(f"page {number} is no part of a tree")
        if kind in (LEAF, INDEX_LEAF):
            return kind, []
        below = [
            struct.unpack_from(">I", content, place)[0] for place in self._places(content, base)
        ]
        return kind, [*below, struct.unpack_from(">I", content, base + 8)[0]]

    def _places(self, content: bytes, base: int) -> list[int]:
        """Where the cells of a page begin."""
        kind = content[base]
        number = struct.unpack_from(">H", content, base + 3)[0]
        start = base + (8 if kind in (LEAF, INDEX_LEAF) else 12)
        if start + 2 * number > self.page_size:
            raise Unreadable("more rows than fit on a page")
        return list(struct.unpack_from(f">{number}H", content, start))

    def _cell(self, content: bytes, place: int, kind: int) -> Cell:
        if kind == INDEX_INTERIOR:
            place += 4
        length, place = varint(content, place)
        rowid = 0
        if kind == LEAF:
            rowid, place = varint(content, place)
            rowid -= (rowid >> 63) << 64
        values = record(self._payload(content, place, length, kind))
        if kind != LEAF:
            last = values[-1] if values else None
            if not isinstance(last, int):
                raise Unreadable("an index without a rowid")
            rowid = last
        return Cell(rowid, values)

    def _payload(self, content: bytes, place: int, length: int, kind: int) -> bytes:
        """A row's bytes, those on overflow pages included."""
        usable = self.page_size
        most = usable - 35 if kind == LEAF else (usable - 12) * 64 // 255 - 23
        if length <= most:
            local = length
        else:
            least = (usable - 12) * 32 // 255 - 23
            fitting = least + (length - least) % (usable - 4)
            local = fitting if fitting <= most else least
        if place + local > usable or length > self.count * usable:
            raise Unreadable("a row that ends outside of its page")
        parts = [content[place : place + local]]
        missing = length - local
        following = struct.unpack_from(">I", content, place + local)[0] if missing else 0
        while missing:
            if not 0 < following <= self.count:
                raise Unreadable("a row whose end is not there")
            rest = self.page(following)
            parts.append(rest[4 : 4 + missing])
            missing -= len(parts[-1])
            following = struct.unpack_from(">I", rest)[0]
        return b"".join(parts)

    def _count(self, header: bytes) -> int:
        if self.log.database_pages:
            return self.log.database_pages
        size = os.fstat(self._file).st_size
        held = -(-size // self.page_size)
        if len(header) < FIRST_HEADER or header[24:28] != header[92:96]:
            return held
        stated = int(struct.unpack_from(">I", header, 28)[0])
        # More than there are: the end was cut off, and what lay there is to be missed.
        return stated if 0 < stated <= 2 * held + 1024 else held

    def _is_map(self, number: int) -> bool:
        return number > 1 and (number - 2) % (self.page_size // MAP_ENTRY + 1) == 0

    def _mapped_free(self) -> set[int]:
        """What the pointer map says is given up."""
        free: set[int] = set()
        per_map = self.page_size // MAP_ENTRY
        for place in range(2, self.count + 1, per_map + 1):
            try:
                content = self.page(place)
            except Unreadable:
                continue
            free |= {place + 1 + one for one in range(per_map) if content[one * MAP_ENTRY] == FREE}
        return free

    def _listed_free(self) -> set[int]:
        """What the list of free pages says is given up."""
        free: set[int] = set()
        with suppress(Unreadable, struct.error):
            following = struct.unpack_from(">I", self.page(1), 32)[0]
            while 0 < following <= self.count and following not in free:
                free.add(following)
                content = self.page(following)
                following, number = struct.unpack_from(">II", content)
                number = min(number, self.page_size // 4 - 2)
                free |= set(struct.unpack_from(f">{number}I", content, 8))
        return free

    @staticmethod
    def _read(file: int, start: int, length: int) -> bytes:
        try:
            return os.pread(file, length, start)
        except OSError:
            return b""


def _page_size(header: bytes) -> int:
    size = struct.unpack_from(">H", header, 16)[0] if len(header) > 17 else 0  # noqa: PLR2004
    size = 65536 if size == 1 else size
    return size if size in {2**power for power in range(9, 17)} else PAGE_SIZE


def varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for _ in range(8):
        byte = content[place]
        place += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that another byte follows
            return value, place
    return value << 8 | content[place], place + 1


def record(content: bytes) -> Values:
    """The values of a row. Raises Unreadable, IndexError, UnicodeDecodeError."""
    end, place = varint(content, 0)
    types = []
    while place < end:
        one, place = varint(content, place)
        types.append(one)
    if place != end:
        raise Unreadable("a row whose header is not whole")
    values: list[Value] = []
    for one in types:
        value, place = _value(content, place, one)
        values.append(value)
    if place != len(content):
        raise Unreadable("a row that is longer or shorter than it says")
    return tuple(values)


def _value(content: bytes, place: int, kind: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), place
    if kind in INTEGERS:
        end = place + INTEGERS[kind]
        return int.from_bytes(content[place:end], signed=True), end
    if kind == 7:  # noqa: PLR2004 - a float
        return struct.unpack_from(">d", content, place)[0], place + 8
    if kind < 12:  # noqa: PLR2004 - kept for SQLite itself
        raise Unreadable("a value of no known kind")
    end = place + (kind - 12) // 2
    part = content[place:end]
    return (part.decode() if kind % 2 else part), end
