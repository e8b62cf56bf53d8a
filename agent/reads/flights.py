"""Equal questions in flight are one: whoever asks meanwhile waits for the same answer.

Promises: a flight goes on when those who wait for it leave, so that its answer is kept; each
passenger hears how far it is; it ends within its time limit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from adapters.reading import Progress

T = TypeVar("T")


class Flight(Generic[T]):
    """One question on its way. `ended` is awaited by all who asked it."""

    def __init__(self) -> None:
        self.ended: asyncio.Task[T]
        self.last: tuple[int, int | None] | None = None
        self._listeners: list[Progress] = []

    @property
    def is_silent(self) -> bool:
        """Has nothing been heard of it yet?"""
        return self.last is None and not self.ended.done()

    def listen(self, progress: Progress) -> None:
        """Tell `progress` how far it is, now and from now on."""
        if self.last is not None:
            progress(*self.last)
        self._listeners.append(progress)

    def leave(self, progress: Progress) -> None:
        """Tell `progress` no more."""
        self._listeners.remove(progress)

    def advanced(self, rows: int, of: int | None) -> None:
        """So far it is."""
        self.last = (rows, of)
        for listener in list(self._listeners):
            listener(rows, of)


class Flights(Generic[T]):
    """The questions that are on their way, by what they ask."""

    def __init__(self) -> None:
        self._flights: dict[object, Flight[T]] = {}

    def join(self, key: object, depart: Callable[[Progress], Awaitable[T]]) -> Flight[T]:
        """The flight of `key`; it departs now if there is none."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            flight.ended = asyncio.create_task(self._fly(key, flight, depart), name="question")
            flight.ended.add_done_callback(_heard)
        return flight

    async def landed(self) -> None:
        """Wait for all that is on its way now, however it ends."""
        tasks = [flight.ended for flight in self._flights.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self) -> None:
        """Give up whatever is on its way."""
        for flight in self._flights.values():
            flight.ended.cancel()
        await self.landed()

    async def _fly(
        self, key: object, flight: Flight[T], depart: Callable[[Progress], Awaitable[T]]
    ) -> T:
        try:
            return await depart(flight.advanced)
        finally:
            del self._flights[key]


def _heard(ended: asyncio.Task[T]) -> None:
    """Those who waited may all have left; then nobody wants to know how it failed."""
    if not ended.cancelled():
        ended.exception()
