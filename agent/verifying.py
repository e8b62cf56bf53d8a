"""verify: does a backend still hold what we hold receipts for?

Promises: only asks, one receipt after the other and no faster than the backend's lane may send; a
backend that rests, is paused or outside of its window is not asked; what nobody can tell is never
called missing; a page ends after a moment, so that whoever waits sees it go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import structlog

from adapters.verdict import DeliveryError, Refused, Throttled, Uncertain, Unreachable
from agent.clock import Clock
from agent.lane import Lane
from agent.refusal import Refusal
from storage.delivered import Meant, Place
from storage.entry import Delivered
from storage.outbox import Outbox

PAGE_SECONDS = 2.0  # of asking, until the page is told
DOUBTS_IN_A_ROW = 3  # lost answers after which it is the backend that is in trouble
NO_WAY = "this kind of entry cannot be looked up there"

Answer = Literal["there", "missing", "cannot tell"]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of one receipt; `why`: where nobody can tell."""

    receipt: Delivered
    answer: Answer
    why: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedPage:
    """Some receipts in order of delivery. `after`: where to go on; None: the end."""

    found: list[Verified]
    after: Place | None


class Verifier:
    """Asks the backends. One for all of them."""

    def __init__(self, outbox: Outbox, lanes: Mapping[str, Lane], clock: Clock) -> None:
        self._outbox = outbox
        self._lanes = lanes
        self._clock = clock

    async def page(self, meant: Meant, *, limit: int, after: Place | None) -> VerifiedPage:
        """Ask about the receipts behind `after`. Raises Refusal (503) where nobody can be asked.

        Trouble in the middle ends the page early; the next one then meets it.
        """
        lane = self._lanes[meant.backend]
        self._check_flows(lane)
        page = await self._outbox.looks.delivered(meant, limit=limit, after=after, payloads=True)
        begun = self._clock.monotonic()
        found: list[Verified] = []
        doubts = 0
        for one in page.receipts:
            if found and self._clock.monotonic() - begun > PAGE_SECONDS:
                return VerifiedPage(found, _place(found))
            try:
                verified = await self._ask(lane, one)
                doubts = 0
            except Uncertain as lost:
                doubts += 1
                if doubts == DOUBTS_IN_A_ROW:
                    raise _unanswered(lane, lost) from lost
                verified = Verified(one, "cannot tell", lost.detail)
            except (Unreachable, Refused, Throttled) as trouble:
                if not found:
                    raise _unanswered(lane, trouble) from trouble
                return VerifiedPage(found, _place(found))
            found.append(verified)
        return VerifiedPage(found, page.after)

    async def _ask(self, lane: Lane, one: Delivered) -> Verified:
        """Raises Unreachable, Refused, Throttled, Uncertain: the backend's trouble."""
        try:
            there = await lane.holds(one)
        except (Unreachable, Refused, Throttled, Uncertain):
            raise
        except DeliveryError as error:
            return Verified(one, "cannot tell", error.detail)
        except Exception as exc:
            log.exception("adapter.bug", backend=lane.route.name, entries=[one.id])
            return Verified(one, "cannot tell", f"an error inside Holdfast: {type(exc).__name__}")
        if there is None:
            return Verified(one, "cannot tell", NO_WAY)
        return Verified(one, "there" if there else "missing")

    def _check_flows(self, lane: Lane) -> None:
        name = lane.route.name
        if lane.pausing.seconds_left() > 0:
            raise _not_now(f"{name} is paused: it is not asked; holdfast resume {name}")
        rest = lane.rests.get()
        # One that is due may be tried, and where nothing waits nobody else does.
        if rest is not None and rest.due > self._clock.monotonic():
            raise _not_now(f"{name} is {rest.state}: {rest.reason}; it is not asked meanwhile")
        if not lane.route.open_at(self._clock.now()):
            raise _not_now(f"{name} is outside of its window: it is not asked before that opens")


def _place(found: list[Verified]) -> Place:
    last = found[-1].receipt
    return Place(last.delivered_at, last.number)


def _not_now(detail: str) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def _unanswered(lane: Lane, trouble: DeliveryError) -> Refusal:
    return _not_now(f"{lane.route.name} could not be asked: {trouble.detail}")
