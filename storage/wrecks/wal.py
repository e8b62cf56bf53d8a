"""SQLite's write-ahead log, read without SQLite: is all of it there, and what do its pages say?

SQLite stops reading a log at the first frame that is not right, and takes everything behind it
for never written: right after a power cut, and the silent loss of acknowledged entries after
damage. Here the two are told apart. The format is documented (sqlite.org/fileformat2.html#wal,
sqlite.org/walformat.html) and will not change.

Promises: changes no file; only frames of committed transactions whose checksum is right count.
"""

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER = 32
FRAME_HEADER = 24
MAGIC = 0x377F0682  # the lowest bit says in which order the words of checksums are read
PAGE_SIZES = frozenset(2**power for power in range(9, 17))
INDEX_HEADER = struct.Struct("=IIIBBHII8s8s8s")  # of the -shm file, in the host's byte order

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in the log. `ends`: pages of the database after the commit that it ends, or 0."""

    page: int
    ends: int
    offset: int  # of the page's bytes
    sound: bool


@dataclass(frozen=True, slots=True)
class Index:
    """What the -shm file knows about the log: frames that were durable, and copied back."""

    salts: bytes
    frames: int
    copied: int


@dataclass(frozen=True, slots=True)
class Log:
    """A log as it lies on the disk. `frames`: of the present round, up to the last commit.

    `damage`: why acknowledged commits in it would be passed over; None: nothing of it is lost.
    """

    frames: tuple[Frame, ...] = ()
    page_size: int = 0
    damage: str | None = None

    @property
    def pages(self) -> dict[int, int]:
        """Where the newest committed image of each page begins."""
        return {one.page: one.offset for one in self.frames if one.sound}

    @property
    def database_pages(self) -> int:
        """How many pages the database has after the last commit; 0: the log does not say."""
        return next((one.ends for one in reversed(self.frames) if one.sound and one.ends), 0)


def read_log(database: Path) -> Log:
    """The log of a database that nobody has open."""
    wal = database.with_name(database.name + "-wal")
    index = read_index(database.with_name(database.name + "-shm"))
    try:
        content = wal.read_bytes()
    except FileNotFoundError:
        if index is not None and index.frames > index.copied:
            lost = index.frames - index.copied
            return Log(damage=f"its log is gone, with {lost} pages that lay nowhere else")
        return Log()
    return _judge(content, index)


def read_index(path: Path) -> Index | None:
    """What the -shm file says; None where it is not there or not right."""
    try:
        content = path.read_bytes()[:136]
    except OSError:
        return None
    if len(content) < 100:  # noqa: PLR2004 - two headers of 48 bytes, and how much was copied
        return None
    fields = INDEX_HEADER.unpack_from(content)
    sums = checksum(content[:40], (0, 0), sys.byteorder)
    if not fields[3] or struct.pack("=II", *sums) != fields[-1] or content[:48] != content[48:96]:
        return None
    return Index(fields[9], fields[6], struct.unpack_from("=I", content, 96)[0])


def checksum(content: bytes, start: Sums, order: str) -> Sums:
    """SQLite's checksum of whole pairs of words."""
    first, second = start
    mark = "<" if order == "little" else ">"
    words = iter(struct.unpack(f"{mark}{len(content) // 4}I", content))
    for one in words:
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + next(words) + first) & 0xFFFFFFFF
    return first, second


def _judge(content: bytes, index: Index | None) -> Log:
    if len(content) <= HEADER:
        if index is not None and index.frames > index.copied:
            return Log(damage="its log was cut off whole")
        return Log()
    head = _head(content, index)
    if head is None:
        return Log()
    frames = list(_frames(content, *head))
    _, right = _start(content)
    followed = _followed(frames) if right else 0
    if index is not None and index.salts == head[1]:
        damage = _cut(followed, index.frames)
    else:
        damage = _passed_over(frames, followed)
    last = max((n for n, one in enumerate(frames, 1) if one.sound and one.ends), default=0)
    return Log(tuple(frames[: last if damage else followed]), head[0], damage)


def _cut(followed: int, durable: int) -> str | None:
    """By the index: every frame that it counts was durable."""
    if followed >= durable:
        return None
    return f"its log can be read up to page {followed} of {durable}"


def _passed_over(frames: list[Frame], followed: int) -> str | None:
    """Without the index: a commit behind the tear, and more behind that, was acknowledged.

    The very last commit was perhaps not: a power cut may tear it before it is answered.
    """
    behind = frames[followed:]
    ends = [n for n, one in enumerate(behind, 1) if one.sound and one.ends]
    if not ends or (len(ends) == 1 and ends[0] == len(behind)):
        return None
    return f"its log can be read up to page {followed} of {followed + ends[-1]}"


def _followed(frames: list[Frame]) -> int:
    """How many frames SQLite would take: whole transactions up to the first that is not right."""
    taken = 0
    for number, one in enumerate(frames, 1):
        if not one.sound:
            break
        if one.ends:
            taken = number
    return taken


def _start(content: bytes) -> tuple[Sums, bool]:
    """The checksum that the first frame goes on from, and whether the header is right."""
    order = _order(content)
    kept = struct.unpack_from(">II", content, 24)
    magic = struct.unpack_from(">I", content)[0] & ~1 == MAGIC
    return kept, magic and checksum(content[:24], (0, 0), order) == kept


def _order(content: bytes) -> str:
    return "big" if content[3] & 1 else "little"


def _head(content: bytes, index: Index | None) -> tuple[int, bytes, Sums, str] | None:
    """Page size, salts, first checksum and byte order; guessed where the header is damaged."""
    sums, right = _start(content)
    page_size = struct.unpack_from(">I", content, 8)[0]
    salts = content[16:24]
    if right:
        return page_size, salts, sums, _order(content)
    # The salts stand in each frame, too; a header that was never finished has no frames.
    if page_size not in PAGE_SIZES:
        page_size = 4096
    if len(content) < HEADER + FRAME_HEADER + page_size:
        return None
    salts = index.salts if index is not None else content[HEADER + 8 : HEADER + 16]
    return page_size, salts, sums, sys.byteorder


def _frames(
    content: bytes, page_size: int, salts: bytes, sums: Sums, order: str
) -> Iterator[Frame]:
    """Every frame of this round. Each goes on from the checksum that its neighbour states."""
    step = FRAME_HEADER + page_size
    for start in range(HEADER, len(content) - step + 1, step):
        page, ends = struct.unpack_from(">II", content, start)
        stated = struct.unpack_from(">II", content, start + 16)
        body = start + FRAME_HEADER
        same_round = content[start + 8 : start + 16] == salts
        sound = (
            same_round
            and checksum(
                content[body : body + page_size], _over(content, start, sums, order), order
            )
            == stated
        )
        if not same_round and not _any_follow(content, start + step, step, salts):
            return
        yield Frame(page, ends, body, sound)
        sums = stated


def _over(content: bytes, start: int, sums: Sums, order: str) -> Sums:
    return checksum(content[start : start + 8], sums, order)


def _any_follow(content: bytes, start: int, step: int, salts: bytes) -> bool:
    """Is there a frame of this round further on? Older rounds lie behind the present one."""
    later = range(start, len(content) - step + 1, step)
    return any(content[one + 8 : one + 16] == salts for one in later)
