"""Pace: how fast one lane may send. Knows no entries and no backend, only what it is told.

Promises: after a rest requests go one at a time, with pauses that become shorter by every
confirm, and only then more and more at once; `rate_per_second` is kept. Time and dice come in
as arguments; times are monotonic seconds.
"""

from collections.abc import Callable

from agent.retry import SHORTEST_REST_SECONDS


class Pace:
    """The pace of one lane. All of it may be forgotten by a restart."""

    def __init__(
        self,
        concurrency: int,
        *,
        first_delay_seconds: float,
        rate_per_second: float | None,
        monotonic: Callable[[], float],
        dice: Callable[[], float],
    ) -> None:
        self._concurrency = concurrency
        self._first_delay = first_delay_seconds
        self._rate = rate_per_second
        self._monotonic = monotonic
        self._dice = dice
        self._slots = concurrency
        self._pause = 0.0
        self._next_send = 0.0

    def wait(self) -> float:
        """Seconds until a request may begin; not above zero: now."""
        return self._next_send - self._monotonic()

    def free(self, on_wire: int) -> int:
        """How many requests may begin now beside those that are out."""
        return max(0, self._slots - on_wire)

    def most_entries(self, requests: int, batch_size: int) -> int:
        """How many entries may go out together: a second's worth where the rate is limited."""
        return requests * batch_size if self._rate is None else max(1, int(self._rate))

    def sent(self, entries: int) -> None:
        """So many entries go out now."""
        if self._rate:
            self._next_send = max(self._next_send, self._monotonic()) + entries / self._rate

    def rest_ended(self) -> None:
        """A confirm ended the backend's rest."""
        self._slots = 1
        self._pause = self._first_delay
        self._hold()

    def confirmed(self) -> None:
        """A request of a backend that does not rest was confirmed."""
        if not self._pause:
            self._slots = min(self._concurrency, self._slots + 1)
            return
        self._pause /= 2
        if self._pause < SHORTEST_REST_SECONDS:
            self._pause = 0.0
        self._hold()

    def _hold(self) -> None:
        """Below one request in flight: many agents were waiting for the same moment."""
        if self._pause:
            later = self._monotonic() + self._pause * (1 + self._dice()) / 2
            self._next_send = max(self._next_send, later)
