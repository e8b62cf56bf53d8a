"""inotify over the spool, through watchdog: it wakes, and tells what arrived. Nothing else.

Events are hints. After a restart, an overflow or on a network file system there are none;
the spool's own pass over its folders finds every file all the same.

watchdog calls from a thread of its own: what it says is handed to the event loop.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import ObservedWatch
from watchdog.observers.inotify import InotifyObserver

from agent.spool.readiness import Happening

# Opening and reading are left out: our own looks would wake us without end.
EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
HAPPENINGS: dict[type[FileSystemEvent], Happening] = {
    DirCreatedEvent: Happening.CREATED,
    FileClosedEvent: Happening.CLOSED,
    FileCreatedEvent: Happening.CREATED,
    FileModifiedEvent: Happening.WRITTEN,
}

log = structlog.get_logger(__name__)


class Noting(Protocol):
    """Who wants to know: the spool."""

    def note(self, happening: Happening, path: str) -> None:
        """Something happened to the file at this absolute path."""

    def note_moved(self, source: str, target: str) -> None:
        """It was renamed; an empty name stands for outside the watched folders."""

    def note_lost(self) -> None:
        """Events were lost."""


class Watch:
    """The one observer. `start` first; `ensure` from the thread that lists the spool."""

    def __init__(self, root: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._root = root
        self._teller = _Teller(loop)
        self._overflow = _Overflow(self._teller)
        self._observer: InotifyObserver | None = None
        self._watch: ObservedWatch | None = None
        self._watched: tuple[int, int] | None = None
        self._complained = False

    def start(self, spool: Noting) -> None:
        """Begin to tell `spool`. The folder is watched from the next `ensure` on."""
        self._teller.spool = spool
        try:
            self._observer = InotifyObserver(generate_full_events=True)
        except OSError as error:  # no inotify instance left for this user
            log.warning("watch.unavailable", reason=error.strerror)
            return
        logging.getLogger("watchdog").addHandler(self._overflow)
        self._observer.start()

    def ensure(self) -> bool:
        """Watch the spool, again if it was deleted and made anew. False: only passes find files."""
        if self._observer is None:
            return False
        try:
            there = self._root.stat()
            inode = (there.st_dev, there.st_ino)
            if inode != self._watched or not alive(self._observer):
                self._schedule(self._observer)
                self._watched = inode
        except OSError as error:
            if not self._complained:
                log.warning("watch.unavailable", reason=error.strerror)
            self._complained, self._watched = True, None
            return False
        self._complained = False
        return True

    async def look(self) -> None:
        """Notice a thread of watchdog's that has ended by itself; the next `ensure` makes another.

        Seen once on a busy host: the system refused a sleep of it. Without this, files would lie
        until the next pass over all folders.
        """
        if self._observer is None or self._watched is None or alive(self._observer):
            return
        if self._root.is_dir():  # else it was deleted, and `ensure` waits for it
            self._watched = None
            log.warning("watch.unavailable", reason="its thread ended; it is made anew")
            self._teller.tell(lambda spool: spool.note_lost())

    def stop(self) -> None:
        """End the threads; nothing is told afterwards. Blocks shortly."""
        self._teller.spool = None
        logging.getLogger("watchdog").removeHandler(self._overflow)
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def _schedule(self, observer: InotifyObserver) -> None:
        if self._watch is not None:
            observer.unschedule(self._watch)
            self._watch = None
        self._watch = observer.schedule(
            self._teller, str(self._root), recursive=True, event_filter=EVENTS
        )


def alive(observer: InotifyObserver) -> bool:
    """Whether it still watches: its thread ends when the folder is deleted."""
    return any(emitter.is_alive() for emitter in observer.emitters)


class _Teller(FileSystemEventHandler):
    """From watchdog's thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.spool: Noting | None = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        if isinstance(event, DirMovedEvent | FileMovedEvent):
            self.tell(lambda spool: spool.note_moved(source, target))
        else:
            happening = HAPPENINGS[type(event)]
            self.tell(lambda spool: spool.note(happening, source))

    def tell(self, what: Callable[[Noting], Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._told, what)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self.spool = None

    def _told(self, what: Callable[[Noting], Any]) -> None:
        if self.spool is not None:
            what(self.spool)


class _Overflow(logging.Handler):
    """Hears of a lost event where watchdog tells it: in its log, and nowhere else."""

    def __init__(self, teller: _Teller) -> None:
        super().__init__(logging.WARNING)
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self._teller.tell(lambda spool: spool.note_lost())
