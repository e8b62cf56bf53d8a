"""Moving aside what cannot be taken: `<root>/.rejected/<backend>/[<kind>/]NAME`.

Beside it NAME.reason.json says why. The reason is on the disk before the file moves, and a
bad line is on the disk before its file goes: nothing is ever deleted here. Who corrects the
file and moves it back has it tried again.

Raises OSError when moving is not possible: then the file stays where it is.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePath
from typing import BinaryIO
from uuid import uuid4

from agent.spool import files
from agent.spool.formats import Flaw
from agent.spool.listing import REASON, REJECTED, Folder

COPYING = ".aside-"  # copies of bad lines, not complete yet
LONGEST_NAME = 180  # bytes; leaves room for a number and ".reason.json" within 255
MOST_FLAWS = 1000  # reasons written down for one file: a megabyte of them helps nobody


class Aside:
    """The place for what was refused, for one spool."""

    def __init__(self, root: Path, checkpoint: Callable[[str], None]) -> None:
        self._root = root
        self._checkpoint = checkpoint

    def move(
        self, folder: Folder, name: str, flaws: Sequence[Flaw], *, hint: str, at: datetime
    ) -> str:
        """Move `name` out of `folder`, its reason first. Returns where it lies now."""
        with self._opened(folder) as place:
            target = _free_name(name, place)
            _write_reason(target, name, flaws, hint=hint, at=at, identity=None, place=place)
            self._checkpoint("spool.reason")
            try:
                os.rename(name, target, src_dir_fd=folder.fd, dst_dir_fd=place)
            except OSError:
                os.unlink(target + REASON, dir_fd=place)
                raise
            os.fsync(place)
            os.fsync(folder.fd)
        return files.readable(f"{REJECTED}/{folder.path}/{target}")

    def begin_copy(self, folder: Folder) -> "Copy":
        """A file for the bad lines of a file whose good lines are taken."""
        with self._opened(folder) as place:
            return Copy(place, folder)

    def keep_copy(
        self,
        copy: "Copy",
        name: str,
        flaws: Sequence[Flaw],
        *,
        hint: str,
        at: datetime,
        identity: str,
    ) -> str:
        """Give the copied lines the name of their file. Durable when this returns.

        `identity` of the file they are from: after a crash the same lines are not kept twice.
        """
        with self._opened(copy.folder) as place:
            target = _free_name(name, place, identity)
            copy.finish()
            _write_reason(target, name, flaws, hint=hint, at=at, identity=identity, place=place)
            os.rename(copy.name, target, src_dir_fd=place, dst_dir_fd=place)
            os.fsync(place)
        return files.readable(f"{REJECTED}/{copy.folder.path}/{target}")

    def drop_copy(self, copy: "Copy") -> None:
        """The lines are not needed: their file stays, or moves as a whole."""
        copy.finish()
        with self._opened(copy.folder) as place:
            os.unlink(copy.name, dir_fd=place)

    def clean(self) -> None:
        """Remove what an earlier run has half made: the files it is from still exist."""
        for begun in (COPYING, files.WRITING):
            for leftover in (self._root / REJECTED).glob(f"**/{begun}*"):
                leftover.unlink()

    @contextmanager
    def _opened(self, folder: Folder) -> Iterator[int]:
        """The place for what comes from `folder`, made if it is missing."""
        above = files.open_root(self._root)
        try:
            for step in (REJECTED, *PurePath(folder.path).parts):
                files.make_folder(step, above)
                below = files.open_folder(step, above)
                os.close(above)
                above = below
            yield above
        finally:
            os.close(above)


class Copy:
    """Bad lines on their way aside."""

    def __init__(self, place: int, folder: Folder) -> None:
        self.folder = folder
        self.name = f"{COPYING}{uuid4().hex}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._target: BinaryIO = os.fdopen(os.open(self.name, flags, 0o660, dir_fd=place), "wb")

    def add(self, raw: bytes, *, ended: bool = True) -> None:
        """One bad line; `ended` is False for a piece that goes on."""
        self._target.write(raw + b"\n" if ended else raw)

    def finish(self) -> None:
        """On the disk when this returns. Repeating it does nothing."""
        if not self._target.closed:
            self._target.flush()
            os.fsync(self._target.fileno())
            self._target.close()


def _free_name(name: str, place: int, identity: str | None = None) -> str:
    """`name`, or NAME.1, NAME.2 with the same ending, if something else has it already."""
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    if len(os.fsencode(name)) > LONGEST_NAME:
        suffix = suffix[:20]
        stem = os.fsdecode(os.fsencode(stem)[: LONGEST_NAME - len(os.fsencode(suffix))])
    number, candidate = 0, stem + suffix
    while files.look_at(candidate, place) is not None:
        if identity and _identity_in(candidate + REASON, place) == identity:
            break
        number += 1
        candidate = f"{stem}.{number}{suffix}"
    return candidate


def _identity_in(reason: str, place: int) -> object:
    try:
        with os.fdopen(files.open_regular(reason, place), "rb") as source:
            return json.load(source).get("identity")
    except (OSError, ValueError, AttributeError):
        return None


def _write_reason(
    target: str,
    name: str,
    flaws: Sequence[Flaw],
    *,
    hint: str,
    at: datetime,
    identity: str | None,
    place: int,
) -> None:
    reason: dict[str, object] = {
        "file": files.readable(name),
        "rejected_at": at.isoformat(timespec="milliseconds"),
        "errors": [_as_json(flaw) for flaw in flaws[:MOST_FLAWS]],
        "hint": hint,
    }
    if len(flaws) > MOST_FLAWS:
        reason["more_errors"] = len(flaws) - MOST_FLAWS
    if identity:
        reason["identity"] = identity
    files.write_durably(target + REASON, json.dumps(reason, indent=1).encode() + b"\n", place)


def _as_json(flaw: Flaw) -> dict[str, object]:
    told = {"line": flaw.line, "pointer": flaw.pointer, "detail": flaw.detail}
    return {name: value for name, value in told.items() if value is not None}
