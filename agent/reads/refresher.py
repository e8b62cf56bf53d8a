"""Refreshing in the background: what is pinned, and what had to be said from the cache.

Promises: one question at a time; a backend that is away is left alone for longer and longer; what
is settled is asked for again once a day only, since even that can change.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from adapters.base import BackendKind
from adapters.reading import Misasked, Question
from agent.clock import Clock
from agent.reads.answer import Unanswerable
from agent.reads.engine import Engine
from agent.reads.manner import Manner
from agent.reads.subject import question_of
from agent.schedule import Recurring
from storage.cache import Cache
from storage.cached import OpenQuestion
from storage.pins import Pin, Pins

STEP_SECONDS = 15.0
DAY_SECONDS = 86_400.0
FIRST_REST_SECONDS = 30.0
LONGEST_REST_SECONDS = 900.0
AT_ONCE = 50  # of the answers that are wanted, in one round

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Of:
    """A backend that can be asked. `url`: what its kept answers are kept under."""

    kind: BackendKind
    url: str


def open_question(backend: str, question: Question) -> dict[str, Any]:
    """A question as JSON, to be asked again when its backend is back."""
    parameters = [list(one) for one in question.parameters]
    return {"backend": backend, "resource": question.resource, "parameters": parameters}


class Refresher:
    """Asks again what has to be at hand."""

    def __init__(
        self,
        engine: Engine,
        backends: Mapping[str, Of],
        cache: Cache,
        pins: Pins,
        clock: Clock,
        *,
        refresh_seconds: float,
    ) -> None:
        self._engine = engine
        self._kinds = {name: one.kind for name, one in backends.items()}
        self._urls = {name: one.url for name, one in backends.items()}
        self._cache = cache
        self._pins = pins
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._rests: dict[str, tuple[float, float]] = {}  # until when, and for how long
        self._round: asyncio.Task[None] | None = None

    def recurring(self) -> Recurring:
        """For the schedule's table."""
        return Recurring("answers:refresh", STEP_SECONDS, self.step, at_start=True)

    async def step(self) -> None:
        """Begin a round, unless the last one still goes on."""
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._go_round(), name="refresh")

    async def rested(self) -> None:
        """Wait for the end of the round."""
        if self._round is not None:
            await self._round

    async def end(self) -> None:
        """Stop in the middle: what was fetched is kept."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)

    async def refresh_all(self, told: Callable[[Pin, str], None]) -> None:
        """Ask for every pin once, due or not; `told` hears how each went ("" is well)."""
        for pin in await self._hold_pins():
            told(pin, await self._ask(pin.backend, pin.resource, pin.parameters))

    async def _go_round(self) -> None:
        try:
            for pin in await self._hold_pins():
                if not self._rests_now(pin.backend) and await self._is_due(pin):
                    await self._ask(pin.backend, pin.resource, pin.parameters)
            for one in await self._cache.wanted(AT_ONCE):
                await self._make_good(one)
        except Exception:
            log.exception("refresh.failed")

    async def _hold_pins(self) -> tuple[Pin, ...]:
        """The pins, after the cache was told whose answers are the last to make room."""
        pins = await asyncio.to_thread(self._pins.list)
        held: dict[str, list[str]] = {name: [] for name in self._kinds}
        for pin in pins:
            with suppress(Misasked):  # the settings have changed since
                question = Question(pin.resource, pin.parameters)
                plan = self._engine.plan(pin.backend, question)
                held[pin.backend].append(plan.key)
        for name, keys in held.items():
            await self._cache.pinned(self._urls[name], keys)
        return pins

    async def _make_good(self, one: OpenQuestion) -> None:
        """Ask again what had to be said from the cache, once; a wrong question is given up."""
        asked = one.question
        backend = asked["backend"]
        if self._urls.get(backend) != one.scope:
            await self._cache.unwant(one.scope, one.key)
        elif not self._rests_now(backend):
            parameters = tuple((name, value) for name, value in asked["parameters"])
            await self._ask(backend, asked["resource"], parameters)
            if not self._rests_now(backend):
                await self._cache.unwant(one.scope, one.key)

    async def _is_due(self, pin: Pin) -> bool:
        try:
            question = question_of(self._kinds, pin.backend, pin.resource, pin.parameters)
            label = await self._engine.label(pin.backend, question)
        except Misasked:
            return False  # the settings have changed since
        if label is None:
            return True
        age = (self._clock.now() - label.fetched_at) / 1000
        whole = label.complete and label.settled
        return not 0 <= age < (DAY_SECONDS if whole else self._refresh_seconds)

    async def _ask(
        self, backend: str, resource: str, parameters: tuple[tuple[str, str], ...]
    ) -> str:
        """Why there is no new answer; "" when there is one."""
        try:
            question = question_of(self._kinds, backend, resource, parameters)
            await self._engine.query(backend, question, Manner("live"))
        except Misasked as wrong:
            return wrong.detail
        except Unanswerable as none:
            self._rest(backend)
            return none.detail
        self._rests.pop(backend, None)
        return ""

    def _rests_now(self, backend: str) -> bool:
        until, _ = self._rests.get(backend, (0.0, 0.0))
        return self._clock.monotonic() < until

    def _rest(self, backend: str) -> None:
        _, last = self._rests.get(backend, (0.0, FIRST_REST_SECONDS / 2))
        length = min(2 * last, LONGEST_REST_SECONDS)
        self._rests[backend] = (self._clock.monotonic() + length, length)
