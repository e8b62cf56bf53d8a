"""A clock for tests of questions."""

from agent.clock import Clock


class SetClock(Clock):
    """Says what it is set to."""

    def __init__(self) -> None:
        super().__init__()
        self.wall = 2_000_000_000_000
        self.running = 1000.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def advance(self, seconds: float) -> None:
        """Both go on."""
        self.wall += round(seconds * 1000)
        self.running += seconds
