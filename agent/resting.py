"""Rests of one backend and of its scopes: who waits, until when, and what ends it.

Promises: neighbours that fail together are one failure; only a confirm ends a rest. Durations
are monotonic; what is stored is wall time, and a stored time that is further away than the
longest delay is clamped, so that a wrong clock freezes nothing.
"""

import hashlib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from agent.retry import Policy, RestState, RestWish
from storage.entry import Rest
from storage.scopes import covers

WHOLE = ""  # the scope that is the backend itself
MARK_LENGTH = 3  # hexadecimal digits


@dataclass(slots=True)
class Resting:
    """One rest in force. `due` and `begun` are monotonic seconds.

    From `due` on one real entry may be tried. `begun`: when its last failure was noted.
    """

    state: RestState
    reason: str
    since: int
    due: float
    failures: int
    begun: float
    mark: str = ""


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
        state: RestState = stored.state  # type: ignore[assignment]  # written by stored()
        left = min(max(left, 0.0), self._policy.longest(state, secret=bool(stored.mark)))
        self._rests[stored.scope] = Resting(
            state,
            stored.reason,
            stored.since,
            self._monotonic() + left,
            stored.failures,
            begun=-math.inf,
            mark=stored.mark,
        )

    def begin(self, wish: RestWish, *, tried_at: float, fingerprint: str = "") -> Rest | None:
        """Rest (longer); what to store. None: a rest that covers this failure is in force.

        `tried_at`: when the attempt began that failed. One that began before the rest did is a
        neighbour of what failed then: it may lengthen the rest, it is no further failure.
        """
        now = self._monotonic()
        before = self._rests.get(wish.scope)
        neighbour = before is not None and tried_at <= before.begun
        failures = 0 if before is None else before.failures + (not neighbour)
        seconds = wish.seconds
        if before is not None and neighbour and now + (seconds or 0.0) <= before.due:
            return None
        seconds = self._policy.rest(wish, failures, self._dice)
        since = before.since if before else self._now()
        secret = mark(since, fingerprint) if wish.credentials else ""
        self._rests[wish.scope] = Resting(
            wish.state, wish.reason, since, now + seconds, failures, now, secret
        )
        return self.stored(wish.scope)

    def stored(self, scope: str) -> Rest:
        """A rest as the database keeps it."""
        rest = self._rests[scope]
        until = self._now() + round((rest.due - self._monotonic()) * 1000)
        return Rest(
            self._backend,
            scope,
            rest.state,
            rest.reason,
            rest.since,
            until,
            rest.failures,
            rest.mark,
        )

    def all_stored(self) -> list[Rest]:
        """Every rest as the database keeps it, by what the clock shows now."""
        return [self.stored(scope) for scope in self._rests]

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

    def notice_credentials(self, fingerprint: Callable[[], str]) -> None:
        """Where a secret was refused and is another one now, try it at once."""
        rest = self._rests.get(WHOLE)
        if rest and rest.mark and rest.mark != mark(rest.since, fingerprint()):
            self.try_now()

    def closed_scopes(self, on_wire: Collection[str]) -> tuple[str, ...]:
        """Scopes that may not be tried: not yet, or because one of their entries is out."""
        return tuple(
            scope
            for scope, rest in self.scopes().items()
            if rest.due > self._monotonic() or any(covers(scope, one) for one in on_wire)
        )

    def due_scopes(self) -> frozenset[str]:
        """Scopes that may be tried with one entry."""
        now = self._monotonic()
        return frozenset(scope for scope, rest in self.scopes().items() if rest.due <= now)

    def scopes(self) -> dict[str, Resting]:
        """The scopes at rest, for `status`."""
        return {scope: rest for scope, rest in self._rests.items() if scope != WHOLE}

    def seconds_to_next(self) -> float | None:
        """Until the next rest becomes due; None when none will."""
        now = self._monotonic()
        return min((r.due - now for r in self._rests.values() if r.due > now), default=None)


def mark(since: int, fingerprint: str) -> str:
    """A few bits of a secret's fingerprint: enough to notice a change over a restart, too few
    to find the secret by. `since` salts it.
    """
    return hashlib.sha256(f"{since}:{fingerprint}".encode()).hexdigest()[:MARK_LENGTH]
