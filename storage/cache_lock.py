"""The lock beside the read cache: shared to use the file, alone to put another in its place."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_SECONDS = 0.01


class Hanging(Exception):
    """Another process did not let go of the lock in time."""


class CacheLock:
    """Used by one thread at a time. The kernel lets go of it when the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @contextmanager
    def held(self, *, alone: bool, patience_ms: int) -> Iterator[None]:
        """Hold it for a while. Raises Hanging.

        Who cannot open its file goes on without: he can put nothing in the place of another, and
        what he reads is checked row by row.
        """
        descriptor = self._open()
        if descriptor is None:
            yield
            return
        deadline = time.monotonic() + patience_ms / 1000
        while not _taken(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                raise Hanging
            time.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close its file, which stays: to remove it would let two processes lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int | None:
        for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            if self._descriptor is None:
                with suppress(OSError):
                    self._descriptor = os.open(self._path, flags | os.O_CLOEXEC, 0o640)
        return self._descriptor


def _taken(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
