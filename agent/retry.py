"""What an error means: the pure decision between an attempt and its settlement (design 5).

Takes values, returns values; the lane does the I/O. Times are milliseconds of the wall clock
for entries and seconds for rests; `dice()` gives [0, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Held,
    Parked,
    Refused,
    Rejected,
    Side,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Claim
from storage.scopes import covers
from storage.settlement import Bury, Failure, GiveBack, Hold

UNCERTAIN_IN_A_ROW = 3  # then the backend rests: it takes requests and answers none
RETRY_AFTER_SPREAD = 0.5  # of the time asked for; with less, those who were told come in waves
SHORTEST_REST_SECONDS = 0.05  # full jitter may draw zero; a lane must not spin


@dataclass(frozen=True, slots=True)
class Policy:
    """The retry settings of one backend. Seconds and counts.

    `has_secret`: we send credentials, so trying refused ones again may lock an account.
    """

    first_delay_seconds: float = 1
    max_delay_seconds: float = 300
    max_attempts: int = 8
    max_retry_after_seconds: float = 3600
    auth_retry_seconds: float = 3600
    on_dead: Literal["continue", "stop"] = "continue"
    has_secret: bool = True

    def longest(self, state: "RestState", *, secret: bool = False) -> float:
        """No stored rest of this state can rightly be longer. `secret`: one was refused."""
        if state == "throttled":
            return max(self.max_delay_seconds, self.max_retry_after_seconds)
        return self.auth_retry_seconds if secret else self.max_delay_seconds

    def backoff(self, failures: int, dice: Callable[[], float]) -> float:
        """Full jitter below a cap that doubles: many agents must not come back together."""
        cap = min(self.max_delay_seconds, self.first_delay_seconds * 2.0 ** min(failures, 32))
        return max(SHORTEST_REST_SECONDS, cap * dice())

    def obey(self, retry_after: float | None) -> float | None:
        """How long we were asked to rest; None: nothing sensible was asked."""
        if retry_after is None or not retry_after > 0:
            return None
        return min(retry_after, self.max_retry_after_seconds)

    def rest(self, wish: "RestWish", failures: int, dice: Callable[[], float]) -> float:
        """How long to rest after so many failures before this one.

        Where a time was asked for, up to half as long again, and ever longer: thousands were told
        the same second.
        """
        drawn = self.backoff(failures, dice)
        if wish.seconds is None:
            return drawn
        if wish.state != "throttled":
            return wish.seconds
        later = max(drawn, wish.seconds * RETRY_AFTER_SPREAD * dice())
        return min(wish.seconds + later, self.max_retry_after_seconds)


RestState = Literal["offline", "refused", "throttled", "parked"]


@dataclass(frozen=True, slots=True)
class RestWish:
    """The backend (scope "") or a scope should rest. `seconds` None: as the backoff draws."""

    state: RestState
    reason: str
    scope: str = ""
    seconds: float | None = None
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """How to settle the claim, and what it means for the backend."""

    settlement: GiveBack | Bury | Hold
    rest: RestWish | None = None


def decide(
    error: DeliveryError,
    claim: Claim,
    policy: Policy,
    *,
    others_confirmed: bool,
    uncertain_in_row: int,
    now: int,
    dice: Callable[[], float],
) -> Decision:
    """What `error` means for its entry and its backend.

    `others_confirmed`: another entry of the backend was confirmed since this one's last try.
    `uncertain_in_row`: Uncertain verdicts without a confirm, this one included.
    """
    failure = failure_of(error)
    kept = GiveBack(claim, 0, claim.in_doubt, absences=claim.absences, failure=failure)
    match error:
        case Unreachable():
            return Decision(kept, RestWish("offline", error.detail))
        case Refused():
            return _refused(error, claim, policy)
        case Parked():
            return _parked(error, kept, policy, now, dice)
        case Throttled():
            return Decision(
                kept, RestWish("throttled", error.detail, "", policy.obey(error.retry_after))
            )
        case Held() | Rejected() | BatchRefused() | Damaged():
            return Decision(_end(error, claim, policy))
        case _:
            return _uncertain(error, claim, policy, others_confirmed, uncertain_in_row, now, dice)


def _end(error: DeliveryError, claim: Claim, policy: Policy) -> Bury | Hold:
    """It is not tried again by itself."""
    failure = failure_of(error)
    if isinstance(error, Held):
        return Hold(claim, failure, error.proposal)
    return Bury(claim, failure, stop_stream=policy.on_dead == "stop")


def _refused(error: Refused, claim: Claim, policy: Policy) -> Decision:
    failure = failure_of(error)
    settlement = GiveBack(
        claim, 0, claim.in_doubt or error.landed, sent=error.landed, failure=failure
    )
    secret = error.credentials and policy.has_secret
    # What was shown to nobody locks no account: a command that needs the network, too, is tried on.
    seconds = policy.auth_retry_seconds if secret and error.shown_to != "nobody" else None
    return Decision(settlement, RestWish("refused", error.detail, "", seconds, secret))


def _parked(
    error: Parked, kept: GiveBack, policy: Policy, now: int, dice: Callable[[], float]
) -> Decision:
    if isinstance(error, UnknownKind):
        seconds = policy.max_delay_seconds
        wish = RestWish("refused", error.detail, error.scope, seconds)
    else:
        asked = policy.obey(error.retry_after)
        seconds = policy.backoff(kept.claim.tries, dice) if asked is None else asked
        state: RestState = "parked" if asked is None else "throttled"
        wish = RestWish(state, error.detail, error.scope, asked)
    own = kept.claim.scope
    if own is not None and covers(error.scope, own):
        return Decision(kept, wish)
    if own is not None and covers(own, error.scope):
        # It waits with its own part of the scope, and what is behind it goes on.
        return Decision(replace(kept, aside=error.scope), wish)
    # The rest of another scope does not hold this entry back: it has to wait by itself.
    return Decision(replace(kept, due_at=now + round(seconds * 1000)), wish)


def _uncertain(
    error: DeliveryError,
    claim: Claim,
    policy: Policy,
    others_confirmed: bool,  # noqa: FBT001 - handed through from decide
    uncertain_in_row: int,
    now: int,
    dice: Callable[[], float],
) -> Decision:
    failure = failure_of(error)
    attempts = claim.attempts + int(others_confirmed)
    if attempts >= policy.max_attempts:
        return Decision(Bury(claim, failure, stop_stream=policy.on_dead == "stop"))
    silent = uncertain_in_row >= UNCERTAIN_IN_A_ROW
    # Where the backend rests, its rest sets the time, and this entry is the next to be tried:
    # otherwise every probe of a backend that swallows answers would put another one in doubt.
    pause = 0.0 if silent else policy.backoff(attempts, dice)
    due_at = now + round(pause * 1000)
    settlement = GiveBack(
        claim, due_at, in_doubt=True, counted=others_confirmed, sent=True, failure=failure
    )
    return Decision(settlement, RestWish("offline", error.detail) if silent else None)


def failure_of(error: DeliveryError) -> Failure:
    """An error as the entry's history keeps it."""
    return Failure(type(error).__name__, error.side, error.detail, error.status, error.excerpt)


class Damaged(DeliveryError):
    """What was accepted is not on the disk any more as it was: it must not be sent."""

    side: Side = "agent"


class Bug(Uncertain):
    """An adapter raised something that is no DeliveryError: our fault, the outcome unknown."""

    side: Side = "agent"


class UnknownKind(Parked):
    """The settings name an adapter that does not know this kind of entry: kept, and told."""

    side: Side = "agent"

    def __init__(self, backend: str, adapter: str, kind: str) -> None:
        taken = (
            f"is of kind {adapter}, which takes no" if adapter else "can only be asked; it takes no"
        )
        super().__init__(
            f"{backend} {taken} {kind!r}: such entries were accepted under other"
            f" settings. Set backends.{backend}.kind right, or discard them",
            scope=f"kind {kind}",
        )
