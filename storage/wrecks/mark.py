"""What one life of the agent leaves behind for the next: a small file beside the database.

It says that there was a database, of which revision, and whether it was closed in order. So a
database that is gone, or one that lost its log, is not taken for one that never was.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "outbox.mark"
LENGTH = 64  # bytes: of every mark the same


@dataclass(frozen=True, slots=True)
class Mark:
    """`clean`: the database was closed in order, so no log has to lie beside it."""

    revision: str
    clean: bool


def read_mark(folder: Path) -> Mark | None:
    """The mark of an earlier life; None: there was none, or it cannot be read."""
    try:
        said = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return Mark(str(said["revision"]), said["clean"] is True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mark(folder: Path, mark: Mark) -> None:
    """Leave a mark, durably. A disk that refuses it is told about elsewhere."""
    content = json.dumps(asdict(mark)).ljust(LENGTH).encode()
    with suppress(OSError):
        if not _overwritten(folder / NAME, content):
            _write_anew(folder, content)


def _overwritten(place: Path, content: bytes) -> bool:
    """Write over a mark of the same length: that takes no room, so a full disk takes it too.

    A stop on a full disk would otherwise look like a log that was lost.
    """
    if not place.exists() or place.stat().st_size != len(content):
        return False
    with place.open("r+b") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return True


def _write_anew(folder: Path, content: bytes) -> None:
    fresh = folder / f".{NAME}"
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / NAME)
    finally:
        fresh.unlink(missing_ok=True)
