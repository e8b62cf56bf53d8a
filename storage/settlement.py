"""How a claim ends: the values that a lane hands to `settle`. Frozen; no I/O."""

from dataclasses import dataclass

from storage.entry import Alike, Claim, Receipt, Resolution


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt ended without a receipt, as kept in an entry's history."""

    outcome: str
    side: str
    detail: str
    status: int | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Settle a claim without proof: the entry waits again, from `due_at` on.

    `counted`: this attempt counts against it. `sent`: bytes may have left until now, so the
    window in which a lost copy may be found ends now. `failure` None: nothing was sent, and
    nothing is held against it. `aside`: it leaves its stream for one of this name, which is
    also its new scope, so that what is behind it can go on. `resolution`: what was found out of
    an open payload; it belongs there from now on.
    """

    claim: Claim
    due_at: int
    in_doubt: bool
    counted: bool = False
    sent: bool = False
    absences: int = 0
    failure: Failure | None = None
    aside: str | None = None
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Bury:
    """Settle a claim for good without delivery: a dead letter, kept with its reason."""

    claim: Claim
    failure: Failure
    stop_stream: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Settle a claim by leaving it to an operator: it is held, with the reason.

    What is behind it in its stream goes on. `proposal`: what an operator agrees to by a release.
    """

    claim: Claim
    failure: Failure
    proposal: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Supersede:
    """Settle a claim whose worth has passed to a newer one of its slot: it leaves, undelivered.

    An audit row says so and `reason` names why; nobody counts it as delivered. `alike`: what
    waits behind it, is not the newest either, and may leave with it.
    """

    claim: Claim
    reason: str
    alike: Alike | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """Settle a claim by the backend's receipt: the entry leaves, the receipt stays.

    `keep`: its payload and files stay, too, so that it can be sent again.
    """

    claim: Claim
    receipt: Receipt
    keep: bool = False


Settlement = Confirm | GiveBack | Bury | Hold | Supersede
