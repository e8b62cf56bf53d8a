"""Pauses: an operator lets a backend wait, beside the rests that it takes by itself.

Promises: a paused lane claims nothing, and gives back unharmed what it had not begun to send;
a pause is stored before it is in force, and so outlives a restart; durations are monotonic, so
a clock that is set neither ends nor lengthens a pause, and a stored end that is further away
than what was asked for is clamped.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from agent.clock import Clock
from storage.entry import Pause
from storage.outbox import Outbox

AGENT = "the agent"
OVER = "its time is over"
DRIFT_MS = 1000  # a stored end that is off by less is right
log = structlog.get_logger()


class Pausing:
    """Is one backend paused, and for how long?"""

    def __init__(self, *, now: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._pause: Pause | None = None
        self._due = math.inf
        self._ended = -math.inf

    def load(self, stored: Pause) -> None:
        """Take up a pause of an earlier life, or begin one that has just been stored."""
        self._pause = stored
        if stored.until is None:
            self._due = math.inf
            return
        left = min(max(stored.until - self._now(), 0), stored.until - stored.since)
        self._due = self._monotonic() + left / 1000

    def end(self) -> None:
        """An operator, or the clock, ended it."""
        if self._pause is not None:
            self._ended = min(self._due, self._monotonic())
        self._pause = None

    def ended(self) -> float:
        """When the last pause ended, in monotonic seconds; minus infinity: there was none."""
        over = self._pause is not None and self._due <= self._monotonic()
        return self._due if over else self._ended

    def get(self) -> Pause | None:
        """The pause in force, its times as the wall clock shows them now."""
        if self._pause is None or self._due <= self._monotonic():
            return None
        return self._timed(self._pause)

    def seconds_left(self) -> float:
        """How long no entry may leave; 0: they may. Infinite until somebody resumes."""
        return 0.0 if self._pause is None else max(0.0, self._due - self._monotonic())

    def take_over(self) -> Pause | None:
        """The pause that has come to its end, once: it is no more."""
        if self._pause is None or self._due > self._monotonic():
            return None
        over = self._pause
        self.end()
        return over

    def take_moved(self) -> tuple[Pause, Pause] | None:
        """The pause as it is stored, and as it should be because the clock was set; once."""
        stored, shown = self._pause, self.get()
        if stored is None or shown is None or shown == stored:
            return None
        self._pause = shown
        return stored, shown

    def _timed(self, pause: Pause) -> Pause:
        """Its times on the wall clock. As long as was asked for: that is what a load clamps to."""
        if pause.until is None:
            return pause
        until = self._now() + round((self._due - self._monotonic()) * 1000)
        if abs(until - pause.until) < DRIFT_MS:
            return pause
        return replace(pause, since=until - (pause.until - pause.since), until=until)


class Pauses:
    """Pause and resume, for all backends. `nudges` makes a backend's lane try now."""

    def __init__(
        self,
        outbox: Outbox,
        pausing: Mapping[str, Pausing],
        nudges: Mapping[str, Callable[[], Awaitable[None]]],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._pausing = pausing
        self._nudges = nudges
        self._clock = clock

    async def begin(self, name: str, *, seconds: float | None, who: str, reason: str) -> Pause:
        """Pause a backend, for so long or until it is resumed; replaces a pause in force."""
        now = self._clock.now()
        until = None if seconds is None else now + max(1, round(seconds * 1000))
        pause = Pause(name, now, until, who, reason)
        await self._outbox.waits.begin_pause(pause)
        self._pausing[name].load(pause)
        log.info("backend.paused", backend=name, who=who, seconds=seconds, reason=reason)
        return pause

    async def end(self, name: str, *, who: str, reason: str) -> bool:
        """Let a backend go on, and forget how long it wanted to rest. False: it was not paused."""
        await self._outbox.waits.end_pause(name, now=self._clock.now(), who=who, reason=reason)
        paused = self._pausing[name].get() is not None
        self._pausing[name].end()
        log.info("backend.resumed", backend=name, who=who, reason=reason)
        await self._nudges[name]()
        return paused


async def keep_true(outbox: Outbox, pausing: Iterable[Pausing], now: int) -> None:
    """Forget the pauses that are over; store the others anew where the clock was set."""
    for one in pausing:
        if over := one.take_over():
            await outbox.waits.forget_pause(over, now=now, who=AGENT, reason=OVER)
            log.info("backend.resumed", backend=over.backend, who=AGENT, reason=OVER)
        elif moved := one.take_moved():
            await outbox.waits.move_pause(*moved)


def in_force(stored: Iterable[Pause], now: int) -> list[Pause]:
    """Of pauses as they are stored, those that are in force at `now`: for a look at the files."""
    return [one for one in stored if one.until is None or one.until > now]
