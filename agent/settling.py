"""Settle what came back: verdicts become moves in the outbox, and rests of the backend.

Promises: every claim handed in is settled in one transaction; a confirm is the only thing
that ends a rest; in a reject storm nothing is buried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from adapters.base import DeliveryError, Rejected, Uncertain
from agent.clock import Clock
from agent.delivery import Outcome, Postponed
from agent.resting import WHOLE, Rests
from agent.retry import RestWish, decide
from agent.route import Progress, Route
from storage.entry import Bury, Claim, Confirm, GiveBack, Receipt
from storage.outbox import Outbox
from storage.settle import Settlement

STORM = 20  # different entries rejected in a row without a confirm


@dataclass(frozen=True, slots=True)
class Settled:
    """How one claim is going to be settled."""

    settlement: Settlement
    rest: RestWish | None = None
    rejected: bool = False


class Settling:
    """How one backend's claims end."""

    def __init__(
        self,
        route: Route,
        outbox: Outbox,
        *,
        rests: Rests,
        progress: Progress,
        clock: Clock,
        dice: Callable[[], float],
    ) -> None:
        self._route = route
        self._outbox = outbox
        self._rests = rests
        self._progress = progress
        self._clock = clock
        self._dice = dice
        self._log = structlog.get_logger().bind(backend=route.name)

    async def settle(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> None:
        """Settle claims by what became of them; let the backend rest or flow accordingly."""
        decisions = [self._judge(one, end) for one, end in zip(claims, outcomes, strict=True)]
        storm = self._notice_storm(decisions)
        if storm:
            decisions = [self._spare(one) for one in decisions]
        await self._outbox.settle(
            self._route.name, [one.settlement for one in decisions], now=self._clock.now()
        )
        self._progress.last_outcome = self._clock.monotonic()
        if storm:
            await self._dig_up()
        await self._rest_or_flow(decisions)
        self._tell(decisions)

    def _judge(self, claim: Claim, outcome: Outcome) -> Settled:
        match outcome:
            case Receipt():
                self._progress.uncertain_in_row = 0
                return Settled(Confirm(claim, outcome))
            case Postponed(due_at=due_at, absences=absences):
                return Settled(GiveBack(claim, due_at, claim.in_doubt, absences=absences))
            case _:
                return self._judge_error(claim, outcome)

    def _judge_error(self, claim: Claim, error: DeliveryError) -> Settled:
        progress = self._progress
        if isinstance(error, Uncertain):
            # After a rest one lost answer is enough: the backend is still not well.
            progress.uncertain_in_row += 3 if self._rests.get() else 1
        delivered = self._outbox.delivered[self._route.name]
        decision = decide(
            error,
            claim,
            self._route.policy,
            others_confirmed=claim.confirms_seen is not None and claim.confirms_seen < delivered,
            uncertain_in_row=progress.uncertain_in_row,
            now=self._clock.now(),
            dice=self._dice,
        )
        return Settled(decision.settlement, decision.rest, rejected=isinstance(error, Rejected))

    def _notice_storm(self, decisions: Sequence[Settled]) -> bool:
        """Has the backend begun to reject everything? Then it, not the entries, is at fault."""
        progress = self._progress
        if any(isinstance(one.settlement, Confirm) for one in decisions):
            progress.rejected_in_row.clear()
            progress.storm = False
            return False
        for one in decisions:
            id_ = one.settlement.claim.id
            if one.rejected and id_ not in progress.rejected_in_row:
                progress.rejected_in_row.append(id_)
        if len(progress.rejected_in_row) >= STORM:
            progress.storm = True
        return progress.storm and any(one.rejected for one in decisions)

    def _spare(self, one: Settled) -> Settled:
        """In a storm nothing is buried: the entry waits, and another one is tried next."""
        if not one.rejected or not isinstance(one.settlement, Bury):
            return one
        pause = self._route.policy.backoff(0, self._dice)
        failure = one.settlement.failure
        due = self._clock.now() + round(pause * 1000) + 1
        back = GiveBack(one.settlement.claim, due, in_doubt=False, failure=failure)
        reason = f"it rejects everything, last: {failure.detail}"
        return replace(one, settlement=back, rest=RestWish("refused", reason))

    async def _dig_up(self) -> None:
        """What was buried before the storm was noticed waits again."""
        buried, self._progress.rejected_in_row = self._progress.rejected_in_row, []
        await self._outbox.retry(buried, now=self._clock.now(), who="agent: reject storm")

    async def _rest_or_flow(self, decisions: Sequence[Settled]) -> None:
        confirmed = [
            one.settlement.claim for one in decisions if isinstance(one.settlement, Confirm)
        ]
        if confirmed:
            for scope in {WHOLE, *(claim.scope or WHOLE for claim in confirmed)}:
                await self._flow(scope)
        wishes = {one.rest.scope: one.rest for one in decisions if one.rest is not None}
        for wish in wishes.values():
            await self._rest(wish)
        if not wishes and not confirmed and (rest := self._rests.get()):
            rest.due = self._clock.monotonic()  # it answered: try the next entry at once

    async def _flow(self, scope: str) -> None:
        if self._rests.end(scope):
            await self._outbox.end_rest(self._route.name, scope)
            self._log.info("backend.flows", scope=scope or None)
            if scope == WHOLE:
                self._progress.slots = 1
        elif scope == WHOLE:
            self._progress.slots = min(self._route.concurrency, self._progress.slots * 2)

    async def _rest(self, wish: RestWish) -> None:
        before = self._rests.get(wish.scope)
        if before and before.state == wish.state and before.due > self._clock.monotonic():
            return  # its neighbours on the wire failed alike: one outage is one failure
        if wish.credentials:
            self._progress.credentials = self._route.credentials()
        stored = self._rests.begin(wish)
        await self._outbox.write_rest(stored)
        if before is None or (before.state, before.reason) != (wish.state, wish.reason):
            tell = self._log.error if wish.state == "refused" else self._log.info
            tell("backend.rests", state=wish.state, scope=wish.scope or None, reason=wish.reason)

    def _tell(self, decisions: Sequence[Settled]) -> None:
        for one in decisions:
            claim = one.settlement.claim
            match one.settlement:
                case Confirm(receipt=receipt):
                    self._log.info("entry.delivered", entry=claim.id, remote=receipt.remote_id)
                case Bury(failure=failure):
                    self._log.error("entry.buried", entry=claim.id, reason=failure.detail)
                case GiveBack(failure=failure) if failure is not None:
                    self._log.debug("entry.given_back", entry=claim.id, reason=failure.detail)
