"""What an adapter says of an attempt: a receipt, or one of these, named by what must happen next.

    DeliveryError
    +-- Unreachable    nothing was sent                   -> the backend rests
    +-- Refused        the backend refuses *us*           -> the backend rests, in words
    +-- Parked         it refuses one scope, for now      -> that scope rests
    +-- Throttled      it asks us to come back later      -> the backend rests as long as asked
    +-- Uncertain      sent, and the outcome is unknown   -> in doubt: look before sending again
    +-- Rejected       it judged this entry               -> dead letter
    +-- BatchRefused   a batch was refused, nothing kept  -> the lane halves it
    +-- Held           only a person can say what to do   -> held, with the reason

Two more verdicts are no errors: Resolved (what an open payload leaves out was found; nothing was
sent yet) and Superseded (a newer entry of its slot waits, this one is worth nothing any more).
"""

from dataclasses import dataclass
from typing import Literal

from storage.entry import Alike, Receipt, Resolution

EXCERPT_LENGTH = 500  # characters of a backend's answer that a dead letter keeps


Side = Literal["entry", "backend", "credentials", "network", "agent"]


class DeliveryError(Exception):
    """Delivery did not end in proof. `detail` is for the person at 3 am.

    `side` says whose trouble it is; `status` and `excerpt` keep what the backend answered.
    `shown_to`: who saw a credential of ours, at most; what nobody saw locks no account.
    """

    side: Side = "backend"
    shown_to: Literal["nobody", "kdc", "token server", "backend"] = "backend"

    def __init__(
        self, detail: str, *, status: int | None = None, excerpt: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.excerpt = excerpt[:EXCERPT_LENGTH] if excerpt else None


class Unreachable(DeliveryError):
    """Nothing was sent: refused connection, name look-up, TLS, connect timeout."""

    side: Side = "network"


class Refused(DeliveryError):
    """The backend, or something in front of it, refuses us and not this entry.

    `landed` is True when the entry may have been stored all the same (a foreign 200).
    `credentials` is True when the same secret must not be tried again at once.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        excerpt: str | None = None,
        landed: bool = False,
        credentials: bool = False,
    ) -> None:
        super().__init__(detail, status=status, excerpt=excerpt)
        self.landed = landed
        self.credentials = credentials
        if credentials:
            self.side = "credentials"


class Parked(DeliveryError):
    """One scope of the backend cannot take entries now; others can.

    A scope "a/b" is a part of the scope "a": an entry of "a" that is parked for "a/b" leaves
    its stream, so that the rest of "a" flows. `unknown`: the backend says that there is no such
    scope; an entry of one that has never worked is rejected. `retry_after`: seconds, if it was
    asked for a time.
    """

    def __init__(
        self,
        detail: str,
        *,
        scope: str,
        unknown: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(detail, status=status, excerpt=excerpt)
        self.scope = scope
        self.unknown = unknown
        self.retry_after = retry_after


class Throttled(DeliveryError):
    """The backend asked us to come back later, after `retry_after` seconds if it said so."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(detail, status=status, excerpt=excerpt)
        self.retry_after = retry_after


class Uncertain(DeliveryError):
    """The request went out and nothing proves what became of it."""

    side: Side = "network"


class Rejected(DeliveryError):
    """The backend judged this entry, and will judge it the same way again."""

    side: Side = "entry"


class BatchRefused(DeliveryError):
    """A batch was refused as a whole: nothing of it was stored, the culprit is unknown."""

    side: Side = "entry"


class Held(DeliveryError):
    """Only a person can say what is to become of the entry. Nothing was sent.

    `proposal`: what the entry becomes if the operator releases it; None: released, it is judged
    again as it is.
    """

    side: Side = "entry"

    def __init__(self, detail: str, *, proposal: Resolution | None = None) -> None:
        super().__init__(detail)
        self.proposal = proposal


@dataclass(frozen=True, slots=True)
class Resolved:
    """Nothing was sent yet: first it has to be stored what was found out of the open payload.

    The entry comes again at once, with `Claim.resolved`.
    """

    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Superseded:
    """Nothing was sent, and nothing will be: `reason` says for which newer entry's sake.

    `alike`: which of the entries behind it, but for the newest, it is true of as well; they
    leave without being claimed, so that a backlog of them costs no time.
    """

    reason: str
    alike: Alike | None = None


Verdict = Receipt | DeliveryError | Resolved | Superseded
