"""Room on the disk that is kept for ending entries, when there is none left to take more in.

A confirm needs room before it gives any back: the log grows first. So some megabytes are taken
while there is room, and given up when a settlement needs them; entries that come in are refused
until they are there again.
"""

import os
from contextlib import suppress
from pathlib import Path

from storage.errors import full_disk, io_trouble

NAME = "reserve"
SIZE = 8 * 2**20  # thousands of settlements: the log is used again after every 4 MiB


class Reserve:
    """Used by one thread at a time: at the start, then by the writer's."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._size = SIZE
        self.held = self._is_whole()

    def hold(self) -> bool:
        """Take the room, if there is twice as much; is it held now?"""
        if not self.held and self._free() >= 2 * self._size:
            try:
                with self._path.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._size)
            except OSError:
                self.give_up()
            else:
                self.held = True
        return self.held

    def give_up(self) -> bool:
        """Let others have the room. False: there was none to give."""
        had = self._path.exists()
        self.held = False
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        return had

    def helps(self, raised: BaseException) -> bool:
        """Is there no room on the disk, so that this error would not be there with more?"""
        # For want of room SQLite cannot map its index either, and calls that an I/O error.
        return full_disk(raised) or (io_trouble(raised) and self._free() < self._size)

    def _free(self) -> int:
        try:
            room = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return room.f_bavail * room.f_frsize

    def _is_whole(self) -> bool:
        try:
            return self._path.stat().st_size == self._size
        except OSError:
            return False
