"""One shared backend: so many requests per second, a queue, and an outage.

It works through its queue in order, whether or not anybody still waits for the answer: that is
how a backend that is asked too much loses its capacity to work that nobody wants any more.
What it has stored stays stored, also when the answer was lost.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from adapters.verdict import DeliveryError, Throttled, Uncertain, Unreachable
from tests.simulation.world import Time

ROUND_TRIP = 0.01
LOST, GONE = Uncertain("no answer in time"), Unreachable("connection refused")
RESET = Uncertain("connection reset")

Answer = Callable[[bool | DeliveryError], None]


@dataclass(frozen=True)
class Shape:
    """`sheds_above`: with so many waiting it answers 503 and Retry-After instead of queueing."""

    capacity: float
    down: tuple[float, float]
    timeout_seconds: float = 10.0
    sheds_above: int | None = None
    retry_after: float = 30.0


class Backend:
    """Answers through callbacks: True, False (a search that found nothing), or an error."""

    def __init__(self, shape: Shape, time: Time) -> None:
        self._shape = shape
        self._time = time
        self._free_at = 0.0
        self.stored: set[object] = set()
        self.asked: Counter[int] = Counter()  # requests, by the second in which they came
        self.late = 0

    def is_down(self, at: float) -> bool:
        return self._shape.down[0] <= at < self._shape.down[1]

    def deliver(self, entry: object, answer: Answer) -> None:
        self._ask(answer, lambda: self._store(entry))

    def find(self, entry: object, answer: Answer) -> None:
        self._ask(answer, lambda: entry in self.stored)

    def _store(self, entry: object) -> bool:
        self.stored.add(entry)
        return True

    def _ask(self, answer: Answer, work: Callable[[], bool]) -> None:
        now, shape = self._time.seconds, self._shape
        self.asked[int(now)] += 1
        if self.is_down(now):
            self._later(ROUND_TRIP, lambda: answer(GONE))
            return
        begin = max(now, self._free_at)
        if shape.sheds_above is not None and (begin - now) * shape.capacity > shape.sheds_above:
            asked = Throttled("503", retry_after=shape.retry_after)
            self._later(ROUND_TRIP, lambda: answer(asked))
            return
        self._free_at = done = begin + 1 / shape.capacity
        if now < shape.down[0] <= done:
            self._free_at = now
            self._later(shape.down[0] - now, lambda: answer(RESET))
            return
        self._time.at(done, lambda: self._work(done, now, answer, work))
        if done + ROUND_TRIP - now > shape.timeout_seconds:
            self.late += 1
            self._later(shape.timeout_seconds, lambda: answer(LOST))

    def _work(self, done: float, asked_at: float, answer: Answer, work: Callable[[], bool]) -> None:
        worked = work()
        if done + ROUND_TRIP - asked_at <= self._shape.timeout_seconds:
            self._later(ROUND_TRIP, lambda: answer(worked))

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        self._time.at(self._time.seconds + seconds, event)
