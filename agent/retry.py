"""What an error means: the pure decision between an attempt and its settlement (design 5).

Takes values, returns values; the lane does the I/O. Times are milliseconds of the wall clock
for entries and seconds for rests; `dice()` gives [0, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adapters.base import (
    BatchRefused,
    DeliveryError,
    Parked,
    Refused,
    Rejected,
    Side,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Bury, Claim, Failure, GiveBack

UNCERTAIN_IN_A_ROW = 3  # then the backend rests: it takes requests and answers none
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

    def longest(self) -> float:
        """No stored time can rightly be further away than this."""
        return max(self.max_delay_seconds, self.max_retry_after_seconds, self.auth_retry_seconds)

    def backoff(self, failures: int, dice: Callable[[], float]) -> float:
        """Full jitter below a cap that doubles: many agents must not come back together."""
        cap = min(self.max_delay_seconds, self.first_delay_seconds * 2.0 ** min(failures, 32))
        return max(SHORTEST_REST_SECONDS, cap * dice())


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

    settlement: GiveBack | Bury
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
            doubtful = GiveBack(claim, 0, claim.in_doubt or error.landed, failure=failure)
            secret = error.credentials and policy.has_secret
            seconds = policy.auth_retry_seconds if secret else None
            wish = RestWish("refused", error.detail, "", seconds, secret)
            return Decision(doubtful, wish)
        case Parked():
            return Decision(kept, RestWish("parked", error.detail, error.scope))
        case Throttled():
            asked = error.retry_after
            seconds = None if asked is None else min(asked, policy.max_retry_after_seconds)
            return Decision(kept, RestWish("throttled", error.detail, "", seconds))
        case Rejected() | BatchRefused():
            return Decision(Bury(claim, failure, stop_stream=policy.on_dead == "stop"))
        case _:
            return _uncertain(error, claim, policy, others_confirmed, uncertain_in_row, now, dice)


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
    pause = policy.backoff(attempts, dice)
    settlement = GiveBack(
        claim, now + round(pause * 1000), in_doubt=True, counted=others_confirmed, failure=failure
    )
    silent = uncertain_in_row >= UNCERTAIN_IN_A_ROW
    return Decision(settlement, RestWish("offline", error.detail) if silent else None)


def failure_of(error: DeliveryError) -> Failure:
    """An error as the entry's history keeps it."""
    return Failure(type(error).__name__, error.side, error.detail, error.status, error.excerpt)


class Bug(Uncertain):
    """An adapter raised something that is no DeliveryError: our fault, the outcome unknown."""

    side: Side = "agent"
