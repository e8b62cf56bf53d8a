"""The instance lock: proof that at most one agent lives on a state folder.

It is what allows a start-up to take back every claim, to unlink a stale socket and to sweep
orphaned attachments. The kernel drops it when the process dies, however it dies.
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

READERS_SECONDS = 10.0  # how long a start waits for somebody who is reading
LOOK_SECONDS = 0.05


class AlreadyRunning(Exception):
    """Another agent holds the lock. `pid` is what it wrote into the file, if readable."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(f"another agent (pid {pid or 'unknown'}) runs on {path.parent}")
        self.pid = pid


class InstanceLock:
    """Exclusive for a daemon, shared for a reader that must know that no daemon lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Become the one agent. Raises AlreadyRunning.

        A `status` that reads just now is waited for: it must not keep an agent from starting.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        looks = round(READERS_SECONDS / LOOK_SECONDS)
        while not (taken := _flock(descriptor, fcntl.LOCK_EX)):
            if looks == 0 or not _flock(descriptor, fcntl.LOCK_SH):
                break
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            looks -= 1
            pause(LOOK_SECONDS)
        if not taken:
            pid = _pid(descriptor)
            os.close(descriptor)
            raise AlreadyRunning(self.path, pid)
        with suppress(OSError):  # a full disk: the lock counts, the number is for people
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def share(self) -> bool:
        """Hold off a start while reading. False: an agent lives, or the file cannot be read."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        if not _flock(descriptor, fcntl.LOCK_SH):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go. The file stays: removing it would let two agents lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else None
