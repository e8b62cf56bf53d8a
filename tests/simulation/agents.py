"""An agent as its backend sees it: one lane's decisions, made by the agent's own code.

Policy, decide, Rests and Pace are the real ones; what is simulated is the outbox (a count of
fresh entries, and those in doubt) and the loop of agent/lane.py.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from adapters.verdict import DeliveryError, Uncertain
from agent.delivery import sign_of
from agent.pace import Pace, Terms
from agent.resting import Rests
from agent.retry import Policy, decide
from storage.entry import Receipt
from storage.settlement import GiveBack
from tests.builders import a_claim
from tests.simulation.backend import Backend
from tests.simulation.world import EPOCH_MS, Time

SETTLES_SECONDS, ABSENT_ANSWERS = 5.0, 2  # as of the eLog and the Event Manager
CLAIM = a_claim()
PROOF = Receipt("entry", "remote")


@dataclass(slots=True)
class Entry:
    """`due` is monotonic."""

    due: float = 0.0
    in_doubt: bool = False
    sent_at: float = 0.0
    absences: int = 0
    attempts: int = 0
    confirms_seen: int | None = None

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@dataclass(frozen=True)
class Behaviour:
    """How agents behave: ours, or one to compare with. `pace` None: always all requests."""

    name: str
    policy: Policy = field(default_factory=Policy)
    jitter: bool = True
    paced: bool = True
    concurrency: int = 2


@dataclass
class Tally:
    """What all agents together have seen."""

    accepted: int = 0
    confirmed: list[float] = field(default_factory=list)  # when
    dead: int = 0


class Flat:
    """No pace at all: as many at once as allowed, at any time."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.window = float(concurrency)

    def wait(self) -> float:
        return 0.0

    def free(self, on_wire: int) -> int:
        return self._concurrency - on_wire

    def heard(self, *_: object, **__: object) -> None: ...

    def rest_ended(self) -> None: ...

    def begin(self) -> None: ...

    def end(self) -> None: ...


class Agent:
    """One lane."""

    def __init__(
        self,
        behaviour: Behaviour,
        backend: Backend,
        time: Time,
        dice: random.Random,
        tally: Tally,
        arrivals: Callable[[], float],
    ) -> None:
        self._policy = behaviour.policy
        self._backend = backend
        self._time = time
        self._tally = tally
        self._jitter: Callable[[], float] = dice.random if behaviour.jitter else lambda: 1.0
        self._arrival = arrivals
        self._next_arrival = arrivals()
        self.rests = Rests(
            "shared", self._policy, now=time.now, monotonic=time.monotonic, dice=self._jitter
        )
        terms = Terms(behaviour.concurrency, self._policy.first_delay_seconds)
        self.pace = (
            Pace(terms, monotonic=time.monotonic, dice=self._jitter)
            if behaviour.paced
            else Flat(behaviour.concurrency)
        )
        self._fresh: deque[Entry] = deque()
        self._again: list[Entry] = []
        self._on_wire = 0
        self._uncertain_in_row = 0
        self._confirms = 0
        self._woken_at = -1.0
        self.wake_at(self._next_arrival)

    def wake_at(self, seconds: float) -> None:
        """Look around then; an earlier look that is coming is enough."""
        if self._time.seconds < self._woken_at <= seconds:
            return
        self._woken_at = seconds
        self._time.at(seconds, self._wake)

    def accept(self) -> None:
        self._fresh.append(Entry())
        self._tally.accepted += 1

    def _wake(self) -> None:
        now = self._time.seconds
        while self._next_arrival <= now:
            self.accept()
            self._next_arrival += self._arrival()
        self.step()

    def step(self) -> None:
        """As Lane.step: send what may go now, and say when to look again."""
        now = self._time.seconds
        nap = self._send_what_may_go(now)
        self.wake_at(min(self._next_arrival, now + nap) if nap is not None else self._next_arrival)

    def _send_what_may_go(self, now: float) -> float | None:
        while True:
            rest = self.rests.get()
            wait = self.pace.wait()
            if wait > 0:
                return wait
            if rest is not None:
                if self._on_wire:
                    return None
                if rest.due > now:
                    return rest.due - now
            elif self.pace.free(self._on_wire) < 1:
                return None
            entry = self._claim(now)
            if entry is None:
                due = min((one.due for one in self._again), default=None)
                return None if due is None else max(due - now, 0.001)
            self._send(entry)

    def _claim(self, now: float) -> Entry | None:
        for place, entry in enumerate(self._again):
            if entry.due <= now:
                return self._again.pop(place)
        return self._fresh.popleft() if self._fresh else None

    def _send(self, entry: Entry) -> None:
        now = self._time.seconds
        if entry.in_doubt and entry.absences < ABSENT_ANSWERS:
            if now < entry.sent_at + SETTLES_SECONDS:
                entry.due = entry.sent_at + SETTLES_SECONDS
                self._again.append(entry)
                return
            ask = self._backend.find
        else:
            ask = self._backend.deliver
        self._on_wire += 1
        self.pace.begin()
        ask(entry, lambda answer: self._heard(entry, now, answer))

    def _heard(self, entry: Entry, began: float, answer: bool | DeliveryError) -> None:
        now = self._time.seconds
        self._on_wire -= 1
        self.pace.end()
        outcome = answer if isinstance(answer, DeliveryError) else PROOF if answer else None
        took = now - began
        sign = sign_of([outcome]) if outcome is not None else "neither"
        self.pace.heard(sign, began=began, took=took, resting=self.rests.get() is not None)
        if outcome is PROOF:
            self._confirmed()
        elif outcome is None:
            entry.absences += 1
            entry.due = now if entry.absences >= ABSENT_ANSWERS else now + SETTLES_SECONDS
            self._again.append(entry)
        else:
            self._failed(entry, outcome, began)
        self.step()

    def _confirmed(self) -> None:
        self._uncertain_in_row = 0
        self._confirms += 1
        self._tally.confirmed.append(self._time.seconds)
        if self.rests.end(""):
            self.pace.rest_ended()

    def _failed(self, entry: Entry, error: DeliveryError, began: float) -> None:
        if isinstance(error, Uncertain):
            self._uncertain_in_row += 3 if self.rests.get() else 1
        searching = entry.in_doubt and entry.absences < ABSENT_ANSWERS
        claim = replace(CLAIM, in_doubt=entry.in_doubt, attempts=entry.attempts)
        decision = decide(
            error,
            claim,
            self._policy,
            others_confirmed=entry.confirms_seen is not None
            and entry.confirms_seen < self._confirms,
            uncertain_in_row=self._uncertain_in_row,
            now=self._time.now(),
            dice=self._jitter,
        )
        if decision.rest is not None:
            self.rests.begin(decision.rest, tried_at=began)
        settlement = decision.settlement
        if isinstance(settlement, GiveBack):
            entry.in_doubt = settlement.in_doubt
            entry.attempts += settlement.counted
            entry.confirms_seen = self._confirms
            entry.due = (settlement.due_at - EPOCH_MS) / 1000 if settlement.due_at else 0.0
            if settlement.sent and not searching:
                entry.sent_at, entry.absences = self._time.seconds, 0
            self._again.append(entry)
        else:
            self._tally.dead += 1
