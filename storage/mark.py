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
    fresh = folder / f".{NAME}"
    try:
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(asdict(mark), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / NAME)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
