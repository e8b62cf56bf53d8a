"""Virtual time: what happens when, in order. Nothing here sleeps, or reads a clock."""

import heapq
import itertools
from collections.abc import Callable

EPOCH_MS = 1_700_000_000_000


class Time:
    """A clock that jumps from one event to the next."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> int:
        return EPOCH_MS + round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(seconds, self.seconds), next(self._order), event))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.seconds, _, event = heapq.heappop(self._events)
            event()
        self.seconds = until
