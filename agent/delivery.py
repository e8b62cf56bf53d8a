"""Bring claims to the backend: look for what is in doubt, send the rest.

Promises: one outcome per claim, whatever the adapter does; what the disk has altered since it
was accepted is not sent; nothing is settled here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from adapters.base import EntryKind
from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Rejected,
    Resolved,
    Superseded,
    Throttled,
    Uncertain,
    Unreachable,
    Verdict,
)
from agent.clock import Clock
from agent.pace import Pace, Sign
from agent.patience import DISK_SECONDS
from agent.retry import Bug, Damaged, UnknownKind
from agent.route import Route
from storage import crash
from storage.attachments import fault_of
from storage.entry import Claim, Delivered, Doubt, Receipt
from storage.errors import DiskRefused
from storage.outbox import Outbox

T = TypeVar("T")

SERVER_ERROR = 500  # says nothing about load: a single entry can cause it
LONGEST_WAIT_SECONDS = 1.0  # between two looks whether a limit has room


@dataclass(frozen=True, slots=True)
class Postponed:
    """No verdict yet: nothing was sent, and the lane looks again at `due_at`.

    `asked`: the backend has answered that the entry is not there, `absences` times in a row.
    """

    due_at: int
    absences: int
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """The backend could not be asked whether it holds the entry. Nothing was sent."""

    error: DeliveryError


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A stop that would not wait longer: the bytes may be out."""


Outcome = Verdict | Postponed | Unclear | Abandoned


class Delivery:
    """How one backend's claims reach it."""

    def __init__(
        self,
        route: Route,
        outbox: Outbox,
        *,
        clock: Clock,
        pace: Pace,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._route = route
        self._outbox = outbox
        self._clock = clock
        self._pace = pace
        self._pause = pause
        self._spoken_for: dict[str, str] = {}  # remote id -> the entry that was told to be it
        self._log = structlog.get_logger().bind(backend=route.name)

    async def bring(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """One outcome per claim, all of one kind. An entry in doubt comes alone."""
        try:
            return await self._bring(claims)
        except DeliveryError as error:
            return [error] * len(claims)
        except DiskRefused:
            # Asked before anything is sent: see _resolve.
            later = self._clock.now() + round(DISK_SECONDS * 1000)
            return [Postponed(later, one.absences) for one in claims]
        except Exception as exc:  # noqa: BLE001 - it must not end the lane
            return [self._bug(exc, claims)] * len(claims)

    async def holds(self, receipt: Delivered) -> bool | None:
        """Ask whether the backend still holds it, when the lane could send as well.

        Raises what the adapter raises.
        """
        while (wait := self._pace.wait()) > 0:
            await self._pause(min(wait, LONGEST_WAIT_SECONDS))
        self._pace.sent(1)
        return await self._ask(lambda: self._route.adapter.holds(receipt))

    async def close(self) -> None:
        """Close the adapter, whatever it thinks of that."""
        try:
            await self._route.adapter.close()
        except Exception as exc:  # noqa: BLE001 - it must not keep the agent from stopping
            self._bug(exc, [])

    async def _bring(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        name = claims[0].kind
        kind = self._route.kind.kinds.get(name)
        if kind is None:
            unknown = UnknownKind(self._route.name, self._route.kind.main_kind, name)
            return [unknown] * len(claims)
        if claims[0].in_doubt and claims[0].damage is None:
            return [await self._resolve(claims[0], kind)]
        return await self._deliver(claims)

    async def _deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Send what is still as it was accepted, and only that."""
        faults = {one.id: fault for one in claims if (fault := await self._fault(one))}
        intact = [_with_sound_rider(one) for one in claims if one.id not in faults]
        verdicts = await self._ask(lambda: self._send(intact)) if intact else []
        if len(verdicts) != len(intact):
            raise TypeError(f"{len(verdicts)} verdicts for {len(intact)} claims")
        for one in verdicts:
            _check(one)
        given = dict(zip((one.id for one in intact), verdicts, strict=True))
        return [given[one.id] if one.id in given else faults[one.id] for one in claims]

    async def _fault(self, claim: Claim) -> Damaged | None:
        """What the disk has made of an entry since it was accepted."""
        if claim.damage is not None:
            self._log.error("entry.damaged", entry=claim.id, reason=claim.damage)
            return Damaged(claim.damage)
        for part in claim.attachments:
            fault = await self._outbox.files.run(partial(fault_of, part))
            if fault is not None:
                self._log.error("attachment.damaged", entry=claim.id, reason=fault)
                return Damaged(fault)
        return None

    async def _send(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        crash.point("send.begun")
        verdicts = await self._route.adapter.deliver(claims)
        crash.point("send.answered")
        return verdicts

    async def _ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """One request to the backend, as soon as its limits allow."""
        await self._turn()
        self._pace.begin()
        try:
            return await request()
        finally:
            self._pace.end()

    async def _turn(self) -> None:
        # The lane claims no more than may go out; a search and the parts of a batch come on top.
        while (wait := self._pace.limited()) > 0:
            await self._pause(min(wait, LONGEST_WAIT_SECONDS))

    async def _resolve(self, claim: Claim, kind: EntryKind) -> Outcome:
        """An earlier attempt may have landed: look, or send the same again where that is safe."""
        if kind.in_doubt == "find":
            found = await self._look(claim)
            if not isinstance(found, int):
                return found
            if found < self._route.kind.absent_answers:
                return Postponed(self._settled_at(self._clock.now()), found, asked=True)
        await self._turn()
        await self._outbox.note_send([claim], now=self._clock.now())
        return (await self._deliver([claim]))[0]

    async def _look(self, claim: Claim) -> Outcome | int:
        """A receipt, why there is none yet, or how often in a row the answer was "not there"."""
        last = claim.last_sent_at or claim.accepted_at
        settled = self._settled_at(last, files=len(claim.attachments))
        # A clock that was set back must not hold the entry: then `last` lies in the future.
        if last <= self._clock.now() < settled:
            return Postponed(settled, claim.absences)
        first = claim.first_sent_at or claim.accepted_at
        try:
            doubt = Doubt(claim, min(first, last), last)
            found = await self._ask(lambda: self._route.adapter.find(doubt))
        except DeliveryError as error:
            return Unclear(cannot_tell(error))
        except Exception as exc:  # noqa: BLE001 - it must not end the lane
            return Unclear(self._bug(exc, [claim]))
        return await self._first_free(claim, found) or claim.absences + 1

    async def _first_free(self, claim: Claim, found: Sequence[Receipt]) -> Receipt | None:
        """The oldest candidate that is no other entry: by its receipt, or about to have one."""
        for one in found:
            _check(one)
        known = await self._outbox.holds_receipt(self._route.name, [one.remote_id for one in found])
        for one in found:
            free = one.remote_id not in known
            if free and self._spoken_for.setdefault(one.remote_id, claim.id) == claim.id:
                return one
        return None

    def _bug(self, exc: Exception, claims: Sequence[Claim]) -> Bug:
        """An adapter did what no adapter should."""
        self._log.error("adapter.bug", entries=[one.id for one in claims], exc_info=exc)
        return Bug(f"{type(exc).__name__}: {exc}")

    def _settled_at(self, sent: int, *, files: int = 0) -> int:
        """When an empty answer starts to count for what was sent at `sent`, with `files`."""
        kind = self._route.kind
        seconds = kind.settles_after_seconds + kind.settles_per_file_seconds * files
        return sent + round(seconds * 1000)


def sign_of(outcomes: Sequence[Outcome]) -> Sign | None:
    """What one request tells of the backend's load. None: nothing was asked."""
    errors = [one.error if isinstance(one, Unclear) else one for one in outcomes]
    if any(_is_pressed(one) for one in errors):
        return "pressed"
    if any(isinstance(one, Receipt) for one in errors):
        return "confirmed"
    quiet = (Postponed, Resolved, Superseded)
    asked = any(not isinstance(one, quiet) or getattr(one, "asked", False) for one in errors)
    return "neither" if asked else None


def _is_pressed(outcome: Outcome) -> bool:
    if isinstance(outcome, Uncertain):
        return not isinstance(outcome, Bug) and outcome.status != SERVER_ERROR
    return isinstance(outcome, Throttled | Unreachable)


def _with_sound_rider(claim: Claim) -> Claim:
    """A damaged rider stays behind, to be told of when it comes alone."""
    return replace(claim, rider=None) if claim.rider and claim.rider.damage else claim


def cannot_tell(error: DeliveryError) -> DeliveryError:
    """A search that was judged unfit is no judgement of the entry."""
    if not isinstance(error, Rejected | BatchRefused):
        return error
    said = f"it could not be asked whether it holds the entry: {error.detail}"
    return Uncertain(said, status=error.status, excerpt=error.excerpt)


def _check(verdict: object) -> None:
    if not isinstance(verdict, Receipt | DeliveryError | Resolved | Superseded):
        raise TypeError(f"a verdict is a Receipt or a DeliveryError, not {type(verdict).__name__}")
    if isinstance(verdict, Receipt) and not isinstance(verdict.remote_id, str):
        raise TypeError(f"a remote id is text, not {type(verdict.remote_id).__name__}")


def groups(
    claims: Sequence[Claim], batch_size: int, kinds: Mapping[str, EntryKind]
) -> list[list[Claim]]:
    """What goes out together: one kind, at most a batch; an entry in doubt goes alone.

    Claims are of different streams, so entries of one kind may pass others.
    """
    made: list[list[Claim]] = []
    open_groups: dict[str, list[Claim]] = {}
    for claim in claims:
        group = open_groups.get(claim.kind)
        kind = kinds.get(claim.kind)
        if claim.in_doubt or kind is None or not kind.batched:
            made.append([claim])
        elif group is None or len(group) >= batch_size:
            open_groups[claim.kind] = [claim]
            made.append(open_groups[claim.kind])
        else:
            group.append(claim)
    return made


def halves(claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> list[list[Claim]]:
    """What of a refused batch has to be sent again in smaller parts; none when it was one."""
    if len(claims) == 1:
        return []
    refused = [
        one for one, end in zip(claims, outcomes, strict=True) if isinstance(end, BatchRefused)
    ]
    middle = (len(refused) + 1) // 2
    return [part for part in (refused[:middle], refused[middle:]) if part]
