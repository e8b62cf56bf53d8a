"""The spool: folders in which any program can leave entries, also while nothing else runs.

Promises (design, section 4): a file is removed only after its entries are durably accepted,
and only if it still is the file that was read; what is not acceptable is moved aside with
its reason, never deleted; a crash between any two steps repeats work and nothing else,
because the same file gives the same key. One file in trouble never stops the others.

`step` is one pass over all folders. Events only wake and tell what arrived; whoever misses
them all is found by the next pass.
"""

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import structlog

from agent.intake import Intake
from agent.spool import files, formats, listing
from agent.spool.listing import ENTRY, Form, Look, Survey
from agent.spool.notes import Image, finish_removals
from agent.spool.parting import Fate
from agent.spool.passing import Queue, Taker, Threads
from agent.spool.pauses import Pauses
from agent.spool.readiness import Due, Happening, Readiness
from agent.spool.rejects import Aside
from agent.spool.taking import BATCH_ENTRIES, Terms

SCAN_SECONDS = 30.0  # design, section 4: events are hints, and may be lost
LONGEST_BREATH_SECONDS = 0.2
LOOKS_AT_ONCE = 1000  # decided between two turns of the event loop: 2 ms
STILL_WRITTEN = "unfinished for minutes: rename it when it is complete, or remove it"
UNSHOWN = "no note shows it: write ![](its name) into a .md beside it, or remove it"

log = structlog.get_logger(__name__)


def _nothing(*_: object) -> None:
    """For hooks that nobody set."""


def _wall() -> datetime:
    return datetime.now(UTC)


class Spool:
    """One spool directory with a folder per backend. All methods belong to the event loop."""

    def __init__(
        self,
        root: Path,
        backends: Sequence[str],
        intake: Intake,
        *,
        settle_seconds: float = 5.0,
        max_request_bytes: int = 64 * 2**20,
        max_attachments: int = 100,
        batch_entries: int = BATCH_ENTRIES,
        text_defaults: Mapping[str, Mapping[str, Any]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _wall,
        run: Callable[..., Awaitable[Any]] = asyncio.to_thread,
        ensure_watch: Callable[[], object] = _nothing,
        checkpoint: Callable[[str], None] = _nothing,
    ) -> None:
        """`text_defaults`: payload fields for the posts of a backend that .txt files mean.

        `batch_entries`: entries of one transaction, and of one file in memory.
        `run(function, *arguments)` runs blocking work; `ensure_watch` is called there before
        each listing; `checkpoint` is told each step taken, for tests that stop there.
        """
        self._root = root
        self._backends = tuple(backends)
        self._settle = settle_seconds
        self._monotonic = monotonic
        self._ensure_watch = ensure_watch
        self._threads = Threads(run)
        self._terms = Terms(
            intake=intake,
            aside=Aside(root, checkpoint),
            max_request_bytes=max_request_bytes,
            max_attachments=max_attachments,
            text_defaults=text_defaults or {},
            now=now,
            checkpoint=checkpoint,
            batch_entries=batch_entries,
        )
        self._readiness = Readiness(settle_seconds)
        self._pauses = Pauses()
        self._waiting: set[str] = set()
        self._blocked: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._rejected = 0
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._begun = False
        self.beat = monotonic()
        self._stopping = False

    def note(self, happening: Happening, path: str) -> None:
        """Something happened to the file at this absolute path: see it soon."""
        place = self._place(path)
        if place:
            self._readiness.note(place[0], happening, self._monotonic(), part=place[1])
            self._woken.set()

    def note_moved(self, source: str, target: str) -> None:
        """A file was renamed; `source` is empty when it came from outside the spool."""
        old, new = self._place(source), self._place(target)
        if old and new and not old[1] and not new[1]:
            # Both names are visible: renaming it says nothing about its being complete.
            self._readiness.renamed(old[0], new[0])
            self._woken.set()
        elif new:
            self.note(Happening.ARRIVED, target)

    def note_lost(self) -> None:
        """Events were lost: what was concluded from them is worth nothing."""
        self._readiness.forget_happenings()
        self._woken.set()

    def counts(self) -> dict[str, int]:
        """Files that wait, that nobody can take, and that were moved aside."""
        waiting = len(self._waiting - self._blocked.keys())
        return {"waiting": waiting, "blocked": len(self._blocked), "rejected": self._rejected}

    def blocked_files(self) -> list[tuple[str, str]]:
        """(path below the spool, what a person has to do) of everything blocked."""
        return [(files.readable(path), why) for path, why in sorted(self._blocked.items())]

    async def prepare(self) -> None:
        """Make the folders, so that producers find them as soon as the agent is ready."""
        await self._threads(listing.prepare, self._root, self._backends)

    async def drain(self, *, every: float = SCAN_SECONDS) -> None:
        """Scan until `stop`: at start, when woken, when a file is due, and `every` so often."""
        while not self._stopping:
            begun = self._monotonic()
            due = await self.step()
            now = self._monotonic()
            if not self._stopping:
                # Under a rain of small files the next pass takes many of them at once.
                await asyncio.sleep(min(now - begun, LONGEST_BREATH_SECONDS))
            await self.wait(min(due - now, every))

    async def stop(self) -> None:
        """End `drain`. What is being taken now is taken to its end first; the rest stays."""
        self._stopping = True
        self._woken.set()
        async with self._passing:
            pass

    async def wait(self, seconds: float) -> None:
        """Return when something was noted; after `seconds`, or SCAN_SECONDS, at the latest."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), min(max(0.0, seconds), SCAN_SECONDS))

    async def step(self) -> float:
        """One pass: list, decide, read, judge, accept, remove.

        Returns the monotonic time at which something may become ready; inf when nothing.
        """
        async with self._passing:
            self.beat = self._monotonic()
            self._woken.clear()
            before = self._readiness.notes
            with ExitStack() as opened:
                try:
                    seen = await self._threads(self._survey, opened)
                except OSError as error:
                    return self._see_nothing(error)
                self._note_blocked(seen)
                ready, images, due = await self._sort_out(seen, before)
                return min(due, await self._take(ready, images))

    def _survey(self, opened: ExitStack) -> Survey:
        kinds = self._terms.intake.kinds
        listing.prepare(self._root, self._backends)
        if not self._begun:
            self._begin()
        self._ensure_watch()
        return listing.survey(self._root, self._backends, kinds, opened)

    def _begin(self) -> None:
        listing.sweep(self._root, self._backends)
        for backend in self._backends:
            finish_removals(self._root, backend)
        self._terms.aside.clean()
        top = files.open_root(self._root)
        try:
            leases = files.leases_tell_the_truth(top)
        finally:
            os.close(top)
        self._terms = replace(self._terms, leases=leases)
        self._begun = True

    def _see_nothing(self, error: OSError) -> float:
        why = f"the spool cannot be read: {error.strerror}"
        self._note_blocked(Survey(blocked={".": why}))
        return self._monotonic() + SCAN_SECONDS

    def _note_blocked(self, seen: Survey) -> None:
        """Take over what the survey found; files blocked at the last pass are tried again."""
        before, self._blocked = self._blocked, {}
        present = seen.paths | seen.blocked.keys()
        self._said = {path: why for path, why in before.items() if path in present}
        self._waiting = seen.paths
        self._rejected = seen.rejected
        for path, why in seen.blocked.items():
            self._block(path, why)

    def _block(self, path: str, why: str, cause: Exception | None = None) -> None:
        self._blocked[path] = why
        if self._said.get(path) != why:
            self._said[path] = why
            log.warning("spool.blocked", path=files.readable(path), reason=why, exc_info=cause)

    async def _sort_out(
        self, seen: Survey, before: int
    ) -> tuple[dict[str, Queue], dict[str, Image], float]:
        """What is ready, by backend, order kept; the images; when the next of the rest is due."""
        ready: dict[str, Queue] = {}
        images: dict[str, Image] = {}
        next_due = math.inf
        now = self._monotonic()
        for count, look in enumerate(seen.looks):
            if count % LOOKS_AT_ONCE == 0:
                await asyncio.sleep(0)
            due = self._look(look, now)
            if self._is_image(look):
                images[look.path] = Image(look, due, ready=due.at <= now)
                next_due = min(next_due, due.at if due.at > now else math.inf)
                continue
            at = max(due.at, self._pauses.until(look.folder.backend, due.at))
            if at <= now:
                ready.setdefault(look.folder.backend, deque()).append((look, due))
            else:
                next_due = min(next_due, at)
                if due.stuck and due.at == math.inf:
                    self._block(look.path, STILL_WRITTEN)
        self._readiness.keep(self._waiting, before)
        return ready, images, next_due

    def _is_image(self, look: Look) -> bool:
        folder = look.folder
        kinds = self._terms.intake.kinds(folder.backend)
        return look.form is Form.FILE and formats.is_image(look.name, kinds, folder.kind)

    def _look(self, look: Look, now: float) -> Due:
        parts = [part.name for part in look.parts] if look.form is Form.ENTRY else [""]
        return self._readiness.look(
            look.path, look.fingerprint, now, parts=parts, unfinished=look.unfinished
        )

    async def _take(self, ready: dict[str, Queue], images: dict[str, Image]) -> float:
        """Take all that is ready, the backends in turn. Returns when to look again."""
        taker = Taker(self._terms, self._threads, images)
        again = math.inf
        while ready and not self._stopping:
            for backend, queue in list(ready.items()):
                fates = await taker.take(queue)
                for look, fate in fates:
                    self._settle_fate(look, fate)
                if any(fate.pause for _, fate in fates):
                    again = min(again, self._pauses.begin(backend, self._monotonic()))
                    del ready[backend]
                    continue
                self._pauses.end(backend)
                if any(fate.word == "waits" for _, fate in fates):
                    again = min(again, self._monotonic() + self._settle)
                if not queue:
                    del ready[backend]
        for path, image in images.items():
            if image.due.alone and not image.shown and path in self._waiting:
                self._block(path, UNSHOWN)
        return again

    def _settle_fate(self, look: Look, fate: Fate) -> None:
        path = files.readable(look.path)
        match fate.word:
            case "accepted":
                self._waiting -= {look.path, *fate.images}
                log.info("spool.accepted", path=path, entries=len(fate.ids), id=fate.ids[0])
            case "rejected":
                self._waiting.discard(look.path)
                self._rejected += 1
                log.warning("spool.rejected", path=path, reason=fate.detail, entries=len(fate.ids))
            case "blocked":
                self._block(look.path, fate.detail, fate.cause)

    def _place(self, path: str) -> tuple[str, str] | None:
        """(path of the file below the spool, name inside a folder entry); None: no concern."""
        below = PurePath(os.path.relpath(path, self._root)).parts if path else ()
        if not below or below[0] not in self._backends or any(map(listing.ignored, below)):
            return None
        for depth, name in enumerate(below):
            if name.endswith(ENTRY) and depth:
                return "/".join(below[: depth + 1]), "/".join(below[depth + 1 :])
        return ("/".join(below), "") if len(below) in (2, 3) else None
