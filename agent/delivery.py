"""Bring claims to the backend: look for what is in doubt, send, halve a refused batch.

Promises: one outcome per claim, whatever the adapter does; nothing is settled here.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from adapters.base import (
    BatchRefused,
    DeliveryError,
    EntryKind,
    Refused,
    Throttled,
    Unreachable,
    Verdict,
)
from agent.clock import Clock
from agent.retry import Bug
from agent.route import Route
from storage.entry import Claim, Doubt
from storage.outbox import Outbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Postponed:
    """No verdict yet: the lane looks again at `due_at`, or it has not begun at all."""

    due_at: int
    absences: int


Outcome = Verdict | Postponed


class Delivery:
    """How one backend's claims reach it."""

    def __init__(self, route: Route, outbox: Outbox, clock: Clock) -> None:
        self._route = route
        self._outbox = outbox
        self._clock = clock
        self._log = structlog.get_logger().bind(backend=route.name)

    async def bring(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """One outcome per claim, all of one kind. An entry in doubt comes alone."""
        if claims[0].in_doubt:
            return [await self._resolve(claims[0])]
        return await self._deliver(claims)

    async def _deliver(self, claims: Sequence[Claim]) -> list[Outcome]:
        """One verdict per claim; a refused batch is halved until the culprit stands alone."""
        verdicts: list[Outcome] = list(await self._ask(claims))
        if not isinstance(verdicts[0], BatchRefused) or len(claims) == 1:
            return verdicts
        middle = len(claims) // 2
        first = await self._deliver(claims[:middle])
        if any(isinstance(one, Unreachable | Refused | Throttled) for one in first):
            # The backend went away in between: the other half has not begun.
            return [*first, *(Postponed(0, one.absences) for one in claims[middle:])]
        return [*first, *await self._deliver(claims[middle:])]

    async def _ask(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        verdicts = await self._guarded(self._route.adapter.deliver(claims), claims)
        if isinstance(verdicts, DeliveryError):
            return [verdicts] * len(claims)
        if len(verdicts) != len(claims):
            return [Bug("the adapter gave another number of verdicts than claims")] * len(claims)
        return verdicts

    async def _guarded(self, call: Awaitable[T], claims: Sequence[Claim]) -> T | DeliveryError:
        """The one place where a bug of an adapter is caught: it must not end the lane."""
        try:
            return await call
        except DeliveryError as error:
            return error
        except Exception as exc:  # noqa: BLE001 - the reason is the line above
            self._log.exception("adapter.bug", entries=[one.id for one in claims])
            return Bug(f"{type(exc).__name__}: {exc}")

    async def _resolve(self, claim: Claim) -> Outcome:
        """An earlier attempt may have landed: look, or send the same again where that is safe."""
        kind = self._route.kind
        if kind.kinds[claim.kind].in_doubt == "find":
            last = claim.last_sent_at or claim.accepted_at
            settles = last + round(kind.settles_after_seconds * 1000)
            now = self._clock.now()
            # A clock that was set back must not hold the entry: then `last` lies in the future.
            if last <= now < settles:
                return Postponed(settles, claim.absences)
            found = await self._find(claim, last)
            if not isinstance(found, int):
                return found
            if found < kind.absent_answers:
                return Postponed(now + round(kind.settles_after_seconds * 1000), found)
        await self._outbox.note_send([claim], now=self._clock.now())
        return (await self._deliver([claim]))[0]

    async def _find(self, claim: Claim, last: int) -> Verdict | int:
        """A receipt, an error, or how often in a row the backend has said "not there"."""
        first = claim.first_sent_at or claim.accepted_at
        doubt = Doubt(claim, min(first, last), last)
        found = await self._guarded(self._route.adapter.find(doubt), [claim])
        if isinstance(found, DeliveryError):
            return found
        known = await self._outbox.holds_receipt(self._route.name, [one.remote_id for one in found])
        unclaimed = [one for one in found if one.remote_id not in known]
        return unclaimed[0] if unclaimed else claim.absences + 1


def groups(
    claims: Sequence[Claim], batch_size: int, kinds: Mapping[str, EntryKind]
) -> list[list[Claim]]:
    """What goes out together: one kind, at most a batch; an entry in doubt goes alone."""
    made: list[list[Claim]] = []
    for claim in claims:
        last = made[-1] if made else None
        if (
            last is None
            or claim.in_doubt
            or last[0].in_doubt
            or last[0].kind != claim.kind
            or not kinds[claim.kind].batched
            or len(last) >= batch_size
        ):
            made.append([claim])
        else:
            last.append(claim)
    return made
