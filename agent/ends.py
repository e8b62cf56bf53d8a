"""Ends of a claim that need no decision: a receipt, what was found out, what rode along. Pure."""

from collections.abc import Sequence

from adapters.verdict import Resolved, Superseded
from storage.entry import Claim, Receipt
from storage.settlement import Confirm, GiveBack, Settlement, Supersede


def without_failure(
    claim: Claim, verdict: Receipt | Resolved | Superseded, *, keep: bool
) -> Settlement:
    """How a claim ends of which the adapter says no error. `keep`: its payload stays a while."""
    match verdict:
        case Receipt():
            return Confirm(claim, verdict, keep)
        case Resolved(resolution=resolution):
            return GiveBack(claim, 0, claim.in_doubt, resolution=resolution)
        case Superseded(reason=reason, alike=alike):
            return Supersede(claim, reason, alike)


def is_found_out(settlement: Settlement) -> bool:
    """Is it known now what the scope of open entries was waiting for?"""
    return isinstance(settlement, GiveBack) and settlement.resolution is not None


def ridden(settlement: Settlement) -> Sequence[Settlement]:
    """What becomes of the entry that travelled along: confirmed with its claim, or untouched."""
    rider = settlement.claim.rider
    if rider is None:
        return ()
    if isinstance(settlement, Confirm) and settlement.receipt.with_rider:
        proof = settlement.receipt
        told = Receipt(rider.id, f"{proof.remote_id}@{rider.id}", proof.url)
        return (Confirm(rider, told, keep=settlement.keep),)
    return (untouched(rider),)


def with_rider(claim: Claim) -> Sequence[Claim]:
    """The claim, and what was claimed with it."""
    return (claim,) if claim.rider is None else (claim, claim.rider)


def untouched(claim: Claim) -> GiveBack:
    """It waits again as if nothing had been."""
    return GiveBack(claim, 0, claim.in_doubt, absences=claim.absences)
