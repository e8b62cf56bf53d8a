"""The engine: from a question and a manner to an answer.

Promises: the backend is asked when it is there, what it said is kept, and what was kept is said
when it is not there, always with where it is from and how old it is; equal questions in flight
are asked once; no question takes longer than its time limit; an answer is never lost because it
could not be kept; nothing here touches the outbox.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from adapters.finite import finite, finite_notes
from adapters.reading import (
    Fetched,
    Misasked,
    NotKept,
    Plan,
    Progress,
    Question,
    Reader,
    Shelf,
)
from adapters.verdict import DeliveryError, Rejected, Uncertain
from agent.clock import Clock
from agent.reads.answer import Answer, Unanswerable
from agent.reads.asked import Asked
from agent.reads.flights import Flights
from agent.reads.keeping import keep
from agent.reads.manner import Manner
from agent.reads.wary import Wary
from storage.cached import Label
from storage.queued import QueuedPage

PATIENCE_SECONDS = 10.0  # for a backend that does not answer, while an older answer is at hand
FETCH_SECONDS = 900.0  # for all pages of an answer
SILENT_SECONDS = 60.0  # for so long it is remembered that a backend did not answer
AHEAD_MS = 5_000  # an answer from further in the future was fetched by a clock that was wrong

log = structlog.get_logger()

Waiting = Callable[[str, Sequence[str]], Awaitable[QueuedPage]]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the questions to one backend are asked. `wary`: remembers refused secrets."""

    reader: Reader
    shelf: Shelf
    wary: Wary


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a question may take, in seconds."""

    patience_seconds: float = PATIENCE_SECONDS
    fetch_seconds: float = FETCH_SECONDS


def silent(rows: int, of: int | None) -> None:
    """Nobody wants to know how far it is."""


class Engine:
    """Answers questions to the backends of `desks`.

    `waiting` gives the entries of kinds that wait for a backend; None: our outbox cannot be read
    here. `missed` is told of each answer that had to be given from the cache.
    """

    def __init__(
        self,
        desks: Mapping[str, Desk],
        *,
        clock: Clock,
        limits: Limits,
        waiting: Waiting | None,
        missed: Callable[[str, Plan], Awaitable[None]] | None = None,
    ) -> None:
        self._desks = desks
        self._clock = clock
        self._limits = limits
        self._waiting = waiting
        self._missed = missed
        self._flights: Flights[tuple[Fetched, int]] = Flights()
        self._silent: dict[str, float] = {}

    def now(self) -> int:
        """Epoch ms."""
        return self._clock.now()

    def plan(self, backend: str, question: Question) -> Plan:
        """Judge a question, and ask nobody. Raises Misasked."""
        return self._desk(backend).reader.plan(question)

    def shown(self, backend: str, question: Question) -> str:
        """The request that it would send first. Raises Misasked."""
        reader = self._desk(backend).reader
        return reader.shown(reader.plan(question))

    async def label(self, backend: str, question: Question) -> Label | None:
        """What is known of the kept answer to a question. Raises Misasked."""
        desk = self._desk(backend)
        plan = desk.reader.plan(question)
        labels = await desk.shelf.family(plan.family)
        return next((one for one in labels if one.key == plan.key), None)

    async def query(
        self, backend: str, question: Question, manner: Manner, progress: Progress = silent
    ) -> Answer:
        """The answer. Raises Misasked, Unanswerable."""
        desk = self._desk(backend)
        plan = desk.reader.plan(question)
        asked = Asked(backend, plan, manner)
        try:
            answer = await self._answer(desk, asked, progress)
        except Unanswerable:
            answer_of_ours = await self._only_ours(desk, asked)
            if answer_of_ours is None:
                raise
            return answer_of_ours
        return await self._with_ours(desk, asked, answer) if manner.include_queued else answer

    async def landed(self) -> None:
        """Wait until nothing is on its way any more."""
        await self._flights.landed()

    async def close(self) -> None:
        """Give up what is on its way, and close connections."""
        await self._flights.end()
        await asyncio.gather(*(desk.reader.close() for desk in self._desks.values()))

    def _desk(self, backend: str) -> Desk:
        if backend not in self._desks:
            known = ", ".join(sorted(self._desks)) or "none"
            said = f"there is no backend {backend!r} that can be asked; there are: {known}"
            raise Misasked(said, parameter="backend", status=404)
        return self._desks[backend]

    async def _answer(self, desk: Desk, asked: Asked, progress: Progress) -> Answer:
        manner = asked.manner
        if manner.mode == "offline":
            return await self._recalled(desk, asked, "it was not asked")
        if manner.max_age_seconds is not None:
            young = await self._young(desk, asked, manner.max_age_seconds)
            if young is not None:
                return young
        try:
            return await self._live(desk, asked, progress)
        except DeliveryError as error:
            if isinstance(error, Rejected):
                raise Misasked(f"{asked.backend} does not take this: {error.detail}") from error
            why = f"{asked.backend} gives no answer now: {error.detail}"
            if manner.mode == "live":
                raise Unanswerable(why) from error
        answer = await self._recalled(desk, asked, why)
        if self._missed is not None:
            await self._missed(asked.backend, asked.plan)
        return answer

    async def _young(self, desk: Desk, asked: Asked, max_age: float) -> Answer | None:
        try:
            kept = await desk.reader.recall(asked.plan, desk.shelf, partial=False)
        except NotKept:
            return None
        age = self._clock.now() - kept.fetched_at
        if not kept.complete or not -AHEAD_MS <= age <= max_age * 1000:
            return None
        return asked.recalled(kept, stale=False)

    async def _live(self, desk: Desk, asked: Asked, progress: Progress) -> Answer:
        """Ask, but not for ever when an older answer is at hand. Raises DeliveryError, Misasked."""
        desk.wary.check(asked.backend)
        plan = asked.plan
        flight = self._flights.join(
            (asked.backend, plan.key), lambda told: self._fetch(desk, asked, told)
        )
        flight.listen(progress)
        try:
            if asked.manner.mode == "auto":
                patience = self._patience(asked.backend)
                await asyncio.wait({flight.ended}, timeout=patience)
                late = await self._instead(desk, asked, patience) if flight.is_silent else None
                # It may have answered meanwhile, and what was just kept is no older answer.
                if late is not None and flight.is_silent:
                    self._silent[asked.backend] = self._clock.monotonic()
                    return late
            fetched, since = await asyncio.shield(flight.ended)
        finally:
            flight.leave(progress)
        return asked.live(fetched, since)

    def _patience(self, backend: str) -> float:
        """Seconds. A backend that was just now waited for in vain is not waited for so long again.

        Where packets vanish, as in a tunnel, each question would take its time otherwise.
        """
        patience, silent = self._limits.patience_seconds, self._silent.get(backend)
        if silent is None or self._clock.monotonic() - silent > SILENT_SECONDS:
            return patience
        return patience / 20

    async def _instead(self, desk: Desk, asked: Asked, patience: float) -> Answer | None:
        """A kept answer in the place of one that is slow to come, and will be kept, too."""
        why = f"{asked.backend} has not answered within {patience:g} s, and is still waited for"
        try:
            return await self._recalled(desk, asked, why)
        except Unanswerable:
            return None

    async def _fetch(self, desk: Desk, asked: Asked, progress: Progress) -> tuple[Fetched, int]:
        since = self._clock.now()
        plan = asked.plan
        try:
            async with asyncio.timeout(self._limits.fetch_seconds):
                fetched = await desk.reader.fetch(plan, desk.shelf, progress)
        except TimeoutError as exc:
            said = f"the whole answer did not come within {self._limits.fetch_seconds:g} s"
            raise Slow(said) from exc
        except DeliveryError as error:
            desk.wary.refused(error)
            raise
        except Misasked:
            raise
        except Exception as exc:
            log.exception("question.failed", backend=asked.backend, resource=plan.question.resource)
            said = f"an error inside Holdfast ({type(exc).__name__}); it is in the log"
            raise Uncertain(said) from exc
        self._silent.pop(asked.backend, None)
        rows = len(fetched.data) if isinstance(fetched.data, list) else 1
        progress(rows, rows)
        fetched = await asyncio.to_thread(_strict, fetched)  # it takes a while for many rows
        if plan.kept:
            await keep(desk.shelf, plan, fetched, since)
        return fetched, since

    async def _recalled(self, desk: Desk, asked: Asked, why: str) -> Answer:
        """From the cache. Raises Unanswerable saying why the backend was no help."""
        try:
            kept = await desk.reader.recall(asked.plan, desk.shelf, partial=asked.manner.partial)
        except NotKept as none:
            raise Unanswerable(f"{why}; and in the cache: {none.detail}", none.missing) from none
        return asked.recalled(kept, stale=not kept.settled, why=why)

    async def _ours(self, asked: Asked, desk: Desk) -> QueuedPage:
        kinds = desk.reader.queued(asked.plan)
        if kinds is None:
            said = f"it cannot be told what waits for {asked.plan.question.resource!r}"
            raise Misasked(f"{said}: leave include_queued out", parameter="include_queued")
        if not kinds:
            return QueuedPage([])
        if self._waiting is None:
            raise Unanswerable("the outbox cannot be read here: ask the agent that it belongs to")
        return await self._waiting(asked.backend, kinds)

    async def _with_ours(self, desk: Desk, asked: Asked, answer: Answer) -> Answer:
        ours = await self._ours(asked, desk)
        data, count = desk.reader.merged(asked.plan, answer.data, ours.entries)
        notes = (*answer.notes, *_cut(ours))
        return replace(answer, data=data, queued=count, notes=notes)

    async def _only_ours(self, desk: Desk, asked: Asked) -> Answer | None:
        """What waits here is an answer of a kind, where the backend's own cannot be had."""
        if not asked.manner.include_queued:
            return None
        try:
            ours = await self._ours(asked, desk)
        except (Misasked, Unanswerable):
            return None
        data, count = desk.reader.merged(asked.plan, None, ours.entries)
        if not count:
            return None
        note = f"only what waits here: {asked.backend} cannot be asked, and nothing was kept"
        return replace(asked.ours(data), queued=count, notes=(note, *_cut(ours)))


def _strict(fetched: Fetched) -> Fetched:
    """As JSON has it: some servers write NaN, which whoever asks us may not be able to read."""
    data, count = finite(fetched.data)
    if not count:
        return fetched
    return replace(fetched, data=data, notes=(*fetched.notes, *finite_notes(count)))


def _cut(ours: QueuedPage) -> Iterator[str]:
    """What of our own outbox is not among the entries."""
    if ours.after is not None:
        yield f"of what waits here only the first {len(ours.entries)} entries were looked at"
    if not ours.whole:
        yield "some entries that wait here cannot be read any more, and are not shown"


class Slow(DeliveryError):
    """The backend answers, but too slowly to be waited for."""
