"""Taking what is ready, in order, in bounded transactions; one failure never stops the rest.

Files of one entry share a transaction, up to the bounds in `agent.spool.taking`; a large
NDJSON file takes several. Whatever happens to one file ends as its Fate.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from agent.intake import Outcome
from agent.refusal import Refusal
from agent.spool.folder_entry import open_entry
from agent.spool.listing import Form, Look
from agent.spool.notes import Images, is_note, open_note
from agent.spool.parting import Fate, conclude, fate_of, release
from agent.spool.readiness import Due
from agent.spool.staging import Postponed
from agent.spool.taking import (
    BATCH_BYTES,
    BATCH_FILES,
    Taking,
    Terms,
    open_file,
)
from storage.entry import Entry

T = TypeVar("T")
Queue = deque[tuple[Look, Due]]
Fates = list[tuple[Look, Fate]]


class Threads:
    """Runs file work beside the event loop.

    A cancelled caller waits for the work to end: the descriptors that it uses are closed
    afterwards, and a number closed too early may by then mean another file.
    """

    def __init__(self, run: Callable[..., Awaitable[Any]]) -> None:
        self._run = run

    async def __call__(self, work: Callable[..., T], *arguments: Any) -> T:
        """The result of `work(*arguments)`."""
        running = asyncio.ensure_future(self._run(work, *arguments))
        try:
            result: T = await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
        return result


def _goes_alone(look: Look) -> bool:
    """Its files are copied in before it is judged."""
    return look.form is Form.ENTRY or is_note(look)


class Taker:
    """Takes files, one bundle at a time."""

    def __init__(self, terms: Terms, threads: Threads, images: Images) -> None:
        """`images`: what notes may show, as it lies in the spool now."""
        self._terms = terms
        self._threads = threads
        self._images = images

    async def take(self, queue: Queue) -> Fates:
        """Take the first files of the queue. Returns the fates of those taken off it."""
        if _goes_alone(queue[0][0]):
            takings, fates = await self._open_entry(*queue.popleft())
        else:
            takings, fates = await self._threads(self._open_files, queue)
        try:
            while takings:
                outcomes = await self._accept(takings)
                self._terms.checkpoint("spool.accepted")
                ended = await self._threads(self._go_on, takings, outcomes)
                fates += ended
                gone = {look.path for look, _ in ended}
                takings = [taking for taking in takings if taking.look.path not in gone]
        finally:
            for taking in takings:
                taking.close()
        return fates

    async def _open_entry(self, look: Look, due: Due) -> tuple[list[Taking], Fates]:
        try:
            if look.form is Form.ENTRY:
                return [await open_entry(look, due, self._terms, self._threads)], []
            return [await open_note(look, due, self._terms, self._threads, self._images)], []
        except Postponed as postponed:
            return [], [(look, Fate("waits", str(postponed), pause=True))]
        except Exception as error:  # noqa: BLE001 - its fate; the other files go on
            return [], [(look, await self._threads(fate_of, look, error, self._terms))]

    def _open_files(self, queue: Queue) -> tuple[list[Taking], Fates]:
        """Open and judge files until the bundle is full; a file with more lines ends it."""
        takings: list[Taking] = []
        fates: Fates = []
        weight = entries = 0
        while queue and not _goes_alone(queue[0][0]):
            weight += queue[0][0].size
            if takings and (weight > BATCH_BYTES or len(takings) >= BATCH_FILES):
                break
            look, due = queue.popleft()
            try:
                takings.append(open_file(look, due, self._terms))
            except Exception as error:  # noqa: BLE001 - its fate; the other files go on
                fates.append((look, fate_of(look, error, self._terms)))
                continue
            entries += len(takings[-1].items)
            if not takings[-1].ended or entries >= self._terms.batch_entries:
                break
        return takings, fates

    async def _accept(self, takings: Sequence[Taking]) -> dict[str, Outcome | Exception]:
        """What became of each judged entry, by its id; durable when this returns."""
        entries = [
            item.verdict
            for taking in takings
            for item in taking.items
            if isinstance(item.verdict, Entry)
        ]
        if not entries:
            return {}
        try:
            outcomes = await self._terms.intake.accept(entries)
        except Exception as error:  # noqa: BLE001 - whose it is shows when each goes alone
            if len(takings) == 1:
                return {entry.id: error for entry in entries}
            alone: dict[str, Outcome | Exception] = {}
            for taking in takings:
                alone |= await self._accept([taking])
            return alone
        return {entry.id: outcome for entry, outcome in zip(entries, outcomes, strict=True)}

    def _go_on(self, takings: Sequence[Taking], outcomes: dict[str, Outcome | Exception]) -> Fates:
        """Conclude the files that have ended, read on in the others."""
        fates: Fates = []
        for taking in takings:
            try:
                fate = self._next(taking, outcomes)
            except Exception as error:  # noqa: BLE001 - its fate; the other files go on
                release(taking, self._terms)
                fate = fate_of(taking.look, error, self._terms)
            if fate:
                fates.append((taking.look, fate))
        return fates

    def _next(self, taking: Taking, outcomes: dict[str, Outcome | Exception]) -> Fate | None:
        for item in taking.items:
            verdict = item.verdict
            outcome = outcomes[verdict.id] if isinstance(verdict, Entry) else verdict
            if isinstance(outcome, Refusal) and outcome.temporary:
                release(taking, self._terms)
                return Fate("waits", outcome.detail, pause=True)
            if isinstance(outcome, Exception) and not isinstance(outcome, Refusal):
                raise outcome
            known = outcome if isinstance(outcome, Refusal) else outcome.id
            taking.note(item, known, self._terms.aside)
        if taking.ended:
            return conclude(taking, self._terms)
        taking.fill()
        return None
