"""Rests of one backend and of its scopes: who waits, until when, and what ends it.

Durations are monotonic; what is stored is wall time, and a stored time that is further away
than the longest delay is clamped, so that a wrong clock freezes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from agent.retry import Policy, RestState, RestWish
from storage.entry import Rest

WHOLE = ""  # the scope that is the backend itself


@dataclass(slots=True)
class Resting:
    """One rest in force. `due`: monotonic seconds at which one real entry may be tried."""

    state: RestState
    reason: str
    since: int
    due: float
    failures: int
    credentials: bool = False


class Rests:
    """All rests of one backend, in memory; the lane writes what `stored` describes."""

    def __init__(
        self,
        backend: str,
        policy: Policy,
        *,
        now: Callable[[], int],
        monotonic: Callable[[], float],
        dice: Callable[[], float],
    ) -> None:
        self._backend = backend
        self._policy = policy
        self._now = now
        self._monotonic = monotonic
        self._dice = dice
        self._rests: dict[str, Resting] = {}

    def load(self, stored: Rest) -> None:
        """Take up a rest of an earlier life."""
        left = (stored.until - self._now()) / 1000
        left = min(max(left, 0.0), self._policy.longest())
        state: RestState = stored.state  # type: ignore[assignment]  # written by stored()
        self._rests[stored.scope] = Resting(
            state, stored.reason, stored.since, self._monotonic() + left, stored.failures
        )

    def begin(self, wish: RestWish) -> Rest:
        """Rest (longer); returns what to store."""
        before = self._rests.get(wish.scope)
        failures = before.failures + 1 if before else 0
        seconds = wish.seconds
        if seconds is None:
            seconds = self._policy.backoff(failures, self._dice)
        since = before.since if before else self._now()
        due = self._monotonic() + seconds
        self._rests[wish.scope] = Resting(
            wish.state, wish.reason, since, due, failures, wish.credentials
        )
        return self.stored(wish.scope)

    def stored(self, scope: str) -> Rest:
        """A rest as the database keeps it."""
        rest = self._rests[scope]
        until = self._now() + round((rest.due - self._monotonic()) * 1000)
        return Rest(self._backend, scope, rest.state, rest.reason, rest.since, until, rest.failures)

    def end(self, scope: str) -> bool:
        """A confirm ended the rest. False: there was none."""
        return self._rests.pop(scope, None) is not None

    def get(self, scope: str = WHOLE) -> Resting | None:
        """The rest of the backend, or of a scope, if any."""
        return self._rests.get(scope)

    def try_now(self) -> None:
        """Make every rest due: an operator asked, or the credentials changed."""
        for rest in self._rests.values():
            rest.due = self._monotonic()

    def closed_scopes(self) -> list[str]:
        """Scopes that may not be tried yet."""
        now = self._monotonic()
        return [s for s, rest in self._rests.items() if s != WHOLE and rest.due > now]

    def scopes(self) -> dict[str, Resting]:
        """The scopes at rest, for `status`."""
        return {scope: rest for scope, rest in self._rests.items() if scope != WHOLE}

    def seconds_to_next(self) -> float | None:
        """Until the first rest is due, at least 0; None when nothing rests."""
        waits = [rest.due - self._monotonic() for rest in self._rests.values()]
        return max(0.0, min(waits)) if waits else None
