"""Files that travel with entries, beside the database: one folder per entry.

Written in this order, so that no crash leaves an accepted entry without its file: bytes to
`incoming/`, fsync; rename into `<entry id>/`, fsync of the folders; only then the row. Dropped
after the row is gone. What a crash leaves without a row is swept at the next start.

All functions block on the disk: call them from an executor. Raise OSError when the disk
refuses, and TooLarge.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ulid import ULID

from storage import crash
from storage.entry import Attachment

BLOCK = 256 * 1024
INCOMING = "incoming"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class TooLarge(Exception):
    """More bytes came than `limit` allows. Nothing of it is kept."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"the attachment {name!r} is larger than {limit} bytes")
        self.name = name
        self.limit = limit


class StagedFile:
    """One file on its way in: written in pieces, then sealed (durable) or dropped."""

    def __init__(self, folder: Path, name: str, *, limit: int) -> None:
        self.path = folder / str(ULID())
        self._name = name
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0
        # Closed by seal or drop; a with-block would end with the function.
        # Nobody else's: among them are credentials of producers.
        self._file = os.fdopen(os.open(self.path, NEW_FILE, 0o600), "wb")

    def write(self, piece: bytes) -> None:
        """Add bytes. Raises TooLarge."""
        self._size += len(piece)
        if self._size > self._limit:
            self.drop()
            raise TooLarge(self._name, self._limit)
        self._hash.update(piece)
        self._file.write(piece)

    def seal(self, *, media_type: str | None, description: str | None) -> Attachment:
        """Make the bytes durable and describe them."""
        self._file.flush()
        crash.point("attachment.written")
        os.fsync(self._file.fileno())
        self._file.close()
        crash.point("attachment.sealed")
        return Attachment(
            self._name, media_type, description, self._size, self._hash.hexdigest(), self.path
        )

    def drop(self) -> None:
        """Forget the bytes."""
        try:
            # It still has bytes to write, and a full disk refuses them once more.
            with suppress(OSError):
                self._file.close()
        finally:
            self.path.unlink(missing_ok=True)


class AttachmentStore:
    """The folder of all attachments."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / INCOMING
        self._incoming.mkdir(mode=0o750, parents=True, exist_ok=True)

    def open(self, name: str, *, limit: int) -> StagedFile:
        """Begin to take a file in."""
        return StagedFile(self._incoming, name, limit=limit)

    def stage(
        self,
        source: BinaryIO,
        name: str,
        *,
        limit: int,
        media_type: str | None = None,
        description: str | None = None,
    ) -> Attachment:
        """Copy `source` in to its end, durably."""
        staged = self.open(name, limit=limit)
        try:
            while piece := source.read(BLOCK):
                staged.write(piece)
            return staged.seal(media_type=media_type, description=description)
        except BaseException:
            staged.drop()
            raise

    def keep(self, entry_id: str, parts: Iterable[Attachment]) -> tuple[Attachment, ...]:
        """Give staged files to an entry that is about to be accepted."""
        home = self.root / entry_id
        home.mkdir(mode=0o750)
        kept = []
        for position, part in enumerate(parts):
            target = home / str(position)
            part.path.rename(target)
            kept.append(replace(part, path=target))
        crash.point("attachment.renamed")
        for folder in (home, self.root, self._incoming):
            fsync_folder(folder)
        crash.point("attachment.kept")
        return tuple(kept)

    def drop(self, entry_ids: Iterable[str]) -> None:
        """Delete the files of entries that are gone."""
        for entry_id in entry_ids:
            shutil.rmtree(self.root / entry_id, ignore_errors=True)
            crash.point("attachment.dropped")

    def drop_staged(self, parts: Iterable[Attachment]) -> None:
        """Delete staged files that no entry took."""
        for part in parts:
            part.path.unlink(missing_ok=True)

    def sweep(self, held: Callable[[list[str]], set[str]]) -> int:
        """At start: delete what no entry holds. `held` says which of the ids still live."""
        for left in self._incoming.iterdir():
            left.unlink(missing_ok=True)
        found = [child.name for child in self.root.iterdir() if child.name != INCOMING]
        orphans = sorted(set(found) - held(found))
        self.drop(orphans)
        return len(orphans)


def fault_of(part: Attachment) -> str | None:
    """Why a kept file is not what was accepted; None: it is. Blocks: reads the whole of it."""
    digest = hashlib.sha256()
    size = 0
    try:
        with part.path.open("rb") as file:
            while piece := file.read(BLOCK):
                digest.update(piece)
                size += len(piece)
    except FileNotFoundError:
        return f"the attachment {part.name!r} is gone from {part.path}"
    except OSError as exc:
        return f"the attachment {part.name!r} cannot be read from {part.path}: {exc.strerror}"
    if size != part.size:
        return f"the attachment {part.name!r} has {size} bytes of {part.size}: see {part.path}"
    if digest.hexdigest() != part.sha256:
        return f"the attachment {part.name!r} was altered on the disk: see {part.path}"
    return None


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
