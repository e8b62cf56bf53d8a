"""Which types of events one server knows, asked only when an event's type depends on it.

Promises: nothing is asked for events whose type every version knows. What was learnt is
forgotten when the server has been away, and after ten minutes: a server that was upgraded while
nothing was sent must not get its new types as `unknown` for long. A server that tells nothing is
sent the type as it is, since its refusal then lists what it knows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from adapters.answer import Answer, refusal_of_us
from adapters.event_manager.event_types import (
    COMMON,
    in_definition,
    in_description,
    in_health,
    spelled,
)
from adapters.verdict import Refused, Throttled, Uncertain

KEPT_MS = 600_000
# The first is exact for every version; the others tell it by the version, where a proxy or an
# operator has closed the first.
SOURCES = (
    ("/openapi.json", in_description),
    ("/health", in_health),
    ("/definition", in_definition),
)

Get = Callable[[str], Awaitable[Answer]]


class Dialect:
    """How to speak to the server at `url`. `get` asks it for a path; `now` gives epoch ms."""

    def __init__(self, url: str, get: Get, now: Callable[[], int]) -> None:
        self._url = url
        self._get = get
        self._now = now
        self._known: frozenset[str] | None = None
        self._learnt_at: int | None = None
        self._asking = asyncio.Lock()  # events go out side by side; one of them asks for all

    async def spelled(self, event_type: str) -> str:
        """The type as this server says it.

        Raises Unreachable, Throttled or Refused (our credentials) when nobody can be asked: nothing
        of the event was sent.
        """
        if event_type in COMMON:
            return event_type
        async with self._asking:
            if not self._is_fresh():
                self.learn(await self._ask())
            return spelled(event_type, self._known)

    def learn(self, known: frozenset[str] | None) -> None:
        """The server has told what it knows; None: it would not."""
        self._known = known
        self._learnt_at = self._now()

    def forget(self) -> None:
        """Whoever answers next may be another version."""
        self._learnt_at = None

    def _is_fresh(self) -> bool:
        return self._learnt_at is not None and 0 <= self._now() - self._learnt_at < KEPT_MS

    async def _ask(self) -> frozenset[str] | None:
        try:
            for place, read in SOURCES:
                answer = await self._get(place)
                if (known := read(answer)) is not None:
                    return known
                refusal = refusal_of_us(answer, self._url + place)
                if isinstance(refusal, Throttled) or (
                    isinstance(refusal, Refused) and refusal.credentials
                ):
                    raise refusal
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    return None  # it is not well; the event itself will tell
        except Uncertain:
            return None  # only this answer was lost, and no event with it
        return None
