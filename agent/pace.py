"""Pace: how fast one lane may send. Knows no entries, only what it is told of requests.

One number says it: the *window*, how many requests are in flight on average. From one on it is
how many may be out at once; a window of 1/8 means that a request which took a second is
followed by seven seconds of silence. It grows with every confirm and is halved when the
backend is pressed: it asks for time, it loses an answer, or it takes a good part of
the time that we would have waited. Beside the window stand limits that are kept exactly.

Promises: no limit of the backend is ever exceeded, wherever the network delays a request; a
new secret is tried by one request until it is known to be good; after a rest the window begins
far below one. Time and dice come in as arguments; times are monotonic seconds. All of it may
be forgotten by a restart.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.base import Limit

SMALLEST = 1 / 32  # also the window after a rest, and at a start with a backlog
STEP = 1 / 16  # what a confirm adds to the window, once it has been halved
SHORTEST_TURN = 1 / 16  # of `first_delay_seconds`: a round trip counts as no shorter
# An answer is late beyond some part of `timeout_seconds` between these two, drawn each time: one
# fixed part would make many agents slow down, and speed up, together.
LATE_FROM, LATE_TO = 0.2, 0.6
UNUSUAL = 3  # times what it takes in calm times: a backend may be slow and well
MEMORY = 8  # calm answers
CLOCK_MARGIN = 1.01  # the backend's clock may run a little slower than ours
REMEMBERED_SECONDS = 60.0  # of requests, for limits that an adapter has yet to learn

Sign = Literal["confirmed", "pressed", "neither"]
"""What a request tells of the backend: it works, it is asked too much, or none of these."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings and the backend allow.

    `rate_per_second` counts entries, `limits` counts requests. `secret`: one is sent along.
    """

    concurrency: int
    first_delay_seconds: float = 1.0
    max_delay_seconds: float = 300.0
    timeout_seconds: float = 10.0
    rate_per_second: float | None = None
    limits: Callable[[], Sequence[Limit]] = lambda: ()
    secret: bool = False


class Pace:
    """The pace of one lane."""

    def __init__(
        self, terms: Terms, *, monotonic: Callable[[], float], dice: Callable[[], float]
    ) -> None:
        self._terms = terms
        self._monotonic = monotonic
        self._dice = dice
        self._window = float(terms.concurrency)
        self._knee = self._window  # up to here the window doubles with every round trip
        self.proven = not terms.secret
        self._slowed_at = -math.inf
        self._turn = 0.0  # how long the last request took
        self._usual = 0.0  # how long one takes in calm times; 0: not known
        self._not_before = 0.0
        self._open = 0
        self._ended: deque[float] = deque()

    @property
    def window(self) -> float:
        """Requests in flight on average."""
        return self._window

    def wait(self) -> float:
        """Seconds until a request may begin; not above zero: now."""
        return max(self._not_before - self._monotonic(), self.limited())

    def limited(self) -> float:
        """Seconds until the backend's limits allow a request; not above zero: now."""
        return max((self._leaves(one) for one in self._terms.limits()), default=0.0)

    def free(self, on_wire: int) -> int:
        """How many requests may begin now beside those that are out."""
        slots = max(1, int(self._window)) if self.proven else 1
        rooms = (one.requests - self._used(one) for one in self._terms.limits())
        return max(0, min(slots - on_wire, *rooms, slots))

    def most_entries(self, requests: int, batch_size: int) -> int:
        """How many entries may go out together: a second's worth where the rate is limited."""
        rate = self._terms.rate_per_second
        return requests * batch_size if rate is None else max(1, int(rate))

    def sent(self, entries: int) -> None:
        """So many entries go out now."""
        if self._terms.rate_per_second:
            begin = max(self._not_before, self._monotonic())
            self._not_before = begin + entries / self._terms.rate_per_second

    def begin(self) -> None:
        """A request begins."""
        self._open += 1

    def end(self) -> None:
        """A request has ended. It reached the backend between its begin and now: only what
        began later than a limit's time after now is surely outside of that limit.
        """
        self._open -= 1
        now = self._monotonic()
        self._ended.append(now)
        seconds = max(REMEMBERED_SECONDS, *(one.seconds for one in self._terms.limits()), 0.0)
        while self._ended[0] + seconds * CLOCK_MARGIN <= now:
            self._ended.popleft()

    def heard(
        self,
        sign: Sign,
        *,
        began: float,
        took: float | None,
        resting: bool,
        elsewhere: bool = False,
    ) -> None:
        """What became of one request that began at `began`. `elsewhere`: of another service.

        `took` None: it says nothing about the backend's load (a large file, a search). What
        fails while the backend rests only says that it is still away.
        """
        pressed = sign == "pressed" or (took is not None and self._is_late(took))
        if sign == "confirmed":
            self.proven |= not elsewhere  # that one was not shown our secret
            self._learn(took)
        if pressed and not resting:
            self._shrink(began)
        elif sign == "confirmed" and not pressed:
            self._grow()
        self._turn = took or 0.0
        if not resting or sign == "pressed":
            self._be_silent()

    def rest_ended(self) -> None:
        """A confirm ended the backend's rest: many agents were waiting for the same moment."""
        self._window = min(self._window, SMALLEST)
        self._be_silent()

    def start(self, *, backlog: bool, spent: int) -> None:
        """The agent starts, and finds a backlog or none.

        With one it begins gently, and not at once: every agent of a site may be starting just
        now. `spent`: requests of the minute before the start, which a limit may still count.
        """
        now = self._monotonic()
        self._ended.extend([now] * spent)
        if backlog:
            self._window = min(self._window, SMALLEST)
            self._not_before = now + self._terms.first_delay_seconds * self._dice()

    def try_now(self) -> None:
        """An operator's wish: forget how long was to be waited."""
        self._not_before = 0.0

    def _is_late(self, took: float) -> bool:
        part = LATE_FROM + (LATE_TO - LATE_FROM) * self._dice()
        return took > max(self._terms.timeout_seconds * part, self._usual * UNUSUAL)

    def _learn(self, took: float | None) -> None:
        if took is not None and self._window >= self._terms.concurrency:
            self._usual += (took - self._usual) / (MEMORY if self._usual else 1)

    def _shrink(self, began: float) -> None:
        # What began before the last halving was sent at the old pace: one sign is enough.
        if began > self._slowed_at:
            self._slowed_at = self._monotonic()
            self._window = max(SMALLEST, self._window / 2)
            self._knee = self._window

    def _grow(self) -> None:
        step = min(self._window, 1.0) if self._window < self._knee else STEP
        self._window = min(self._terms.concurrency, self._window + step)

    def _be_silent(self) -> None:
        """Less than one request in flight on average: a pause after each."""
        if self._window < 1:
            terms = self._terms
            turn = max(
                terms.first_delay_seconds * SHORTEST_TURN, min(self._turn, terms.timeout_seconds)
            )
            silence = turn * (1 / self._window - 1) * (0.5 + self._dice())
            self._not_before = max(
                self._not_before, self._monotonic() + min(silence, terms.max_delay_seconds)
            )

    def _used(self, limit: Limit) -> int:
        """Requests that count in the limit's time, as far as we can know."""
        recent = 0
        for ended in reversed(self._ended):
            if self._left(ended, limit) <= 0:
                break
            recent += 1
        return self._open + recent

    def _leaves(self, limit: Limit) -> float:
        """Seconds until the limit has room for one more."""
        kept = limit.requests - self._open  # so many of those that have ended fill it
        if kept <= 0:
            return limit.seconds
        return self._left(self._ended[-kept], limit) if len(self._ended) >= kept else 0.0

    def _left(self, ended: float, limit: Limit) -> float:
        """How long a request that ended then still counts."""
        return ended + limit.seconds * CLOCK_MARGIN - self._monotonic()
