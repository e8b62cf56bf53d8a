"""Settle what came back: verdicts become moves in the outbox, and rests of the backend.

Promises: every claim handed in is settled in one transaction, as soon as the disk takes it; a
confirm is the only thing that ends a rest; in a reject storm nothing is buried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Parked,
    Rejected,
    Resolved,
    Superseded,
    Uncertain,
)
from agent.clock import Clock
from agent.delivery import Abandoned, Outcome, Postponed, Unclear
from agent.ends import is_found_out, ridden, untouched, with_rider, without_failure
from agent.pace import Pace
from agent.patience import Patience
from agent.resting import WHOLE, Rests
from agent.retry import RestWish, decide
from agent.route import Progress, Route
from storage.entry import Claim, Receipt
from storage.errors import DiskRefused
from storage.outbox import Outbox
from storage.scopes import outer
from storage.settlement import (
    Bury,
    Confirm,
    Failure,
    GiveBack,
    Hold,
    Settlement,
    Supersede,
)

STORM = 20  # different entries rejected in a row without a confirm
MOST_SWEEPS = 20  # in a row, of some hundred entries each: a stop does not wait for a million
ABANDONED = Failure("Abandoned", "agent", "the agent stopped before the backend had answered")
UNSETTLED = Failure("Bug", "agent", "its outcome could not be stored: see the agent's log")


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
        pace: Pace,
        patience: Patience,
        clock: Clock,
        dice: Callable[[], float],
    ) -> None:
        self._route = route
        self._outbox = outbox
        self._rests = rests
        self._progress = progress
        self._pace = pace
        self._patience = patience
        self._clock = clock
        self._dice = dice
        self._log = structlog.get_logger().bind(backend=route.name)

    async def settle(
        self, claims: Sequence[Claim], outcomes: Sequence[Outcome], *, tried_at: float
    ) -> None:
        """Settle claims of one request by what became of them; rest or flow accordingly.

        `tried_at`: when the request began (monotonic). Raises DiskRefused at a stop only.
        """
        outcomes = await self._place(outcomes)
        self._count_uncertain(claims, outcomes)
        decisions = [self._judge(one, end) for one, end in zip(claims, outcomes, strict=True)]
        storm = self._notice_storm(decisions)
        if storm:
            decisions = [self._spare(one) for one in decisions]
        settlements = [one.settlement for one in decisions]
        riders = [part for one in settlements for part in ridden(one)]
        if not await self._write([*settlements, *riders]):
            return
        await self._sweep(settlements)
        self._note_elsewhere(settlements)
        if any(not isinstance(one, Postponed) or one.asked for one in outcomes):
            self._progress.last_outcome = self._clock.monotonic()
        if storm:
            await self._dig_up({one.settlement.claim.id for one in decisions})
        await self._rest_or_flow(decisions, tried_at)
        self._tell([*settlements, *riders])

    async def give_back(self, claims: Sequence[Claim]) -> None:
        """What was claimed and not begun waits again as if nothing had been."""
        if claims:
            await self._write([untouched(one) for claim in claims for one in with_rider(claim)])

    async def _place(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """A scope that the backend does not know is no scope, unless it has worked before."""
        named = {one.scope for one in outcomes if isinstance(one, Parked) and one.unknown}
        if not named:
            return outcomes
        worked = await self._patience.write(
            lambda: self._outbox.have_worked(self._route.name, named)
        )
        return [
            Rejected(one.detail, status=one.status, excerpt=one.excerpt)
            if isinstance(one, Parked) and one.unknown and one.scope not in worked
            else one
            for one in outcomes
        ]

    async def _write(self, settlements: Sequence[Settlement]) -> bool:
        """False: they could not be stored as they are, and were given back in doubt instead."""
        name, now = self._route.name, self._clock.now
        try:
            await self._patience.write(lambda: self._outbox.settle(name, settlements, now=now()))
        except DiskRefused:
            raise
        except Exception:  # noqa: BLE001 - a claim must not stay leased until a restart
            self._log.exception("settle.failed", entries=[one.claim.id for one in settlements])
            due = now() + round(self._route.policy.max_delay_seconds * 1000)
            given = [
                GiveBack(one.claim, due, in_doubt=True, sent=True, failure=UNSETTLED)
                for one in settlements
            ]
            await self._patience.write(lambda: self._outbox.settle(name, given, now=now()))
            return False
        return True

    async def _sweep(self, settlements: Sequence[Settlement]) -> None:
        """What is as worthless as an entry that was superseded leaves without being claimed."""
        for one in settlements:
            if isinstance(one, Supersede) and one.alike is not None:
                await self._sweep_behind(one)

    async def _sweep_behind(self, one: Supersede) -> None:
        name, now = self._route.name, self._clock.now
        for _ in range(MOST_SWEEPS):
            count = await self._patience.write(
                lambda: self._outbox.supersede_alike(name, one, now=now())
            )
            if not count:
                return
            self._log.debug("entry.superseded", entries=count, reason=one.reason)

    def _note_elsewhere(self, settlements: Sequence[Settlement]) -> None:
        """Remember which confirms are no word of the backend's own."""
        delivered = self._outbox.delivered[self._route.name]
        for one in settlements:
            if isinstance(one, Confirm) and self._route.elsewhere(one.claim.kind):
                self._progress.elsewhere.append(delivered)

    def _count_uncertain(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> None:
        if any(self._route.elsewhere(one.kind) for one in claims):
            return
        errors = [one.error if isinstance(one, Unclear) else one for one in outcomes]
        if any(isinstance(one, Receipt) for one in errors):
            self._progress.uncertain_in_row = 0
        elif any(isinstance(one, Uncertain) for one in errors):
            # One request is one lost answer. After a rest, one is enough.
            self._progress.uncertain_in_row += 3 if self._rests.get() else 1

    def _judge(self, claim: Claim, outcome: Outcome) -> Settled:
        match outcome:
            case Receipt() | Resolved() | Superseded():
                keep = self._route.keeps(claim.kind)
                return Settled(without_failure(claim, outcome, keep=keep))
            case Postponed(due_at=due_at, absences=absences):
                return Settled(GiveBack(claim, due_at, claim.in_doubt, absences=absences))
            case Abandoned():
                return Settled(GiveBack(claim, 0, in_doubt=True, sent=True, failure=ABANDONED))
            case Unclear(error=error):
                settled = self._judge_error(claim, error)
                if isinstance(settled.settlement, GiveBack):
                    unsent = replace(settled.settlement, sent=False)
                    return replace(settled, settlement=unsent)
                return settled
            case _:
                return self._judge_error(claim, outcome)

    def _judge_error(self, claim: Claim, error: DeliveryError) -> Settled:
        delivered = self._outbox.delivered[self._route.name]
        decision = decide(
            error,
            claim,
            self._route.policy,
            others_confirmed=self._progress.others_confirmed(claim.confirms_seen, delivered),
            uncertain_in_row=self._progress.uncertain_in_row,
            now=self._clock.now(),
            dice=self._dice,
        )
        rejected = isinstance(error, Rejected | BatchRefused)
        return Settled(decision.settlement, decision.rest, rejected)

    def _notice_storm(self, decisions: Sequence[Settled]) -> bool:
        """Has the backend begun to reject everything? Then it, not the entries, is at fault."""
        progress = self._progress
        if any(self._proves(one.settlement) for one in decisions):
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

    def _proves(self, settlement: Settlement) -> bool:
        """Does it prove that the backend itself takes entries?"""
        return isinstance(settlement, Confirm) and not self._route.elsewhere(settlement.claim.kind)

    def _spare(self, one: Settled) -> Settled:
        """In a storm nothing is buried: the entry waits, and another one is tried next."""
        if not isinstance(one.settlement, Bury) or not one.rejected:
            return one
        claim, failure = one.settlement.claim, one.settlement.failure
        due = self._clock.now() + round(self._route.policy.backoff(0, self._dice) * 1000)
        back = GiveBack(claim, due, claim.in_doubt, failure=failure)
        reason = f"it rejects everything, last: {failure.detail}"
        return replace(one, settlement=back, rest=RestWish("refused", reason))

    async def _dig_up(self, spared: set[str]) -> None:
        """What was buried before the storm was noticed waits again, behind what is fresh."""
        buried = [id_ for id_ in self._progress.rejected_in_row if id_ not in spared]
        self._progress.rejected_in_row = []
        if buried:
            now = self._clock.now()
            who = "agent: reject storm"
            await self._patience.write(
                lambda: self._outbox.retry(buried, now=now, who=who, due_at=now)
            )

    async def _rest_or_flow(self, decisions: Sequence[Settled], tried_at: float) -> None:
        confirmed = [
            one.settlement.claim for one in decisions if isinstance(one.settlement, Confirm)
        ]
        if confirmed:
            scopes = {claim.scope for claim in confirmed if claim.scope is not None}
            whole = {WHOLE} if any(self._proves(one.settlement) for one in decisions) else set()
            for scope in {*whole, *scopes, *map(outer, scopes)}:
                await self._flow(scope)
        for claim in [one.settlement.claim for one in decisions if is_found_out(one.settlement)]:
            if claim.scope is not None:
                await self._flow(claim.scope)
        wishes = {one.rest.scope: one.rest for one in decisions if one.rest is not None}
        for wish in wishes.values():
            await self._rest(wish, tried_at)

    async def _flow(self, scope: str) -> None:
        if self._rests.end(scope):
            await self._patience.write(lambda: self._outbox.waits.end_rest(self._route.name, scope))
            self._log.info("backend.flows", scope=scope or None)
            if scope == WHOLE:
                self._pace.rest_ended()

    async def _rest(self, wish: RestWish, tried_at: float) -> None:
        before = self._rests.get(wish.scope)
        fingerprint = self._route.credentials() if wish.credentials else ""
        stored = self._rests.begin(wish, tried_at=tried_at, fingerprint=fingerprint)
        if stored is None:
            return
        await self._patience.write(lambda: self._outbox.waits.write_rest(stored))
        if before is None or (before.state, before.reason) != (wish.state, wish.reason):
            tell = self._log.error if wish.state == "refused" else self._log.info
            tell("backend.rests", state=wish.state, scope=wish.scope or None, reason=wish.reason)

    def _tell(self, settlements: Sequence[Settlement]) -> None:
        for one in settlements:
            claim = one.claim
            match one:
                case Confirm(receipt=receipt):
                    self._log.info("entry.delivered", entry=claim.id, remote=receipt.remote_id)
                    if receipt.compared == "differs":
                        found = {"remote": receipt.remote_id, "url": receipt.url}
                        self._log.warning("entry.differs", entry=claim.id, **found)
                case Bury(failure=failure):
                    self._log.error("entry.buried", entry=claim.id, reason=failure.detail)
                case Hold(failure=failure):
                    self._log.warning("entry.held", entry=claim.id, reason=failure.detail)
                case Supersede(reason=reason):
                    self._log.debug("entry.superseded", entry=claim.id, reason=reason)
                case GiveBack(failure=failure) if failure is not None:
                    self._log.debug("entry.given_back", entry=claim.id, reason=failure.detail)
