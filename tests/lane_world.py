"""One lane over a real outbox: the network, the clock and the dice are ours.

The adapter answers as its script says and proves everything once the script is at its end;
time passes only when a test says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import event
from structlog.testing import capture_logs

from adapters.base import BackendKind, EntryKind
from adapters.verdict import Verdict
from agent.lane import Lane
from agent.retry import Policy
from agent.route import Route
from storage.entry import (
    Accepted,
    Address,
    Claim,
    Delivered,
    Doubt,
    Entry,
    Receipt,
    Rest,
    Stamp,
    Wanted,
)
from storage.outbox import Outbox
from tests.builders import NOW, an_entry
from tests.fresh import put_database

URLS = {"events": "http://events.test", "elog": "http://elog.test"}
SETTLES_SECONDS = 5.0

Answer = Verdict | Exception | Callable[[Sequence[Claim]], Any]


class FakeClock:
    """Stands still until it is told to go on. The wall can be set, as real ones are."""

    def __init__(self) -> None:
        self.wall = NOW
        self.seconds = 1000.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def stamp(self) -> Stamp:
        return Stamp(self.wall, round(self.seconds * 1000), "boot", True)

    def advance(self, seconds: float) -> None:
        self.wall += round(seconds * 1000)
        self.seconds += seconds


class FakeAdapter:
    """Answers as its script says: one answer per request; none left: everything is proven."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.finds: list[Any] = []
        self.sent: list[list[str]] = []
        self.claims: list[Claim] = []
        self.doubts: list[Doubt] = []
        self.holdings: list[Any] = []  # what it says of receipts; none left: that it holds them
        self.asked: list[Delivered] = []
        self.closed = False

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        self.sent.append([claim.key for claim in claims])
        self.claims += claims
        answer = self.script.pop(0) if self.script else proof
        if callable(answer):
            answer = answer(claims)
            if isinstance(answer, Awaitable):
                answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return [answer] * len(claims) if isinstance(answer, Receipt) else answer

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        self.doubts.append(doubt)
        answer = self.finds.pop(0) if self.finds else []
        if callable(answer):
            answer = answer(doubt.claim)
        if isinstance(answer, Exception):
            raise answer
        return [answer] if isinstance(answer, Receipt) else answer

    async def holds(self, receipt: Delivered) -> bool | None:
        self.asked.append(receipt)
        answer = self.holdings.pop(0) if self.holdings else True
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def close(self) -> None:
        self.closed = True


def proof(claims: Sequence[Claim]) -> list[Verdict]:
    """What a backend says that holds everything."""
    return [Receipt(claim.id, f"remote-{claim.key}") for claim in claims]


def receipt(remote_id: str) -> Receipt:
    return Receipt("whatever", remote_id)


class CountingOutbox(Outbox):
    """Counts how often a lane comes by."""

    claims = 0

    def claim(self, backend: str, wanted: Wanted, *, now: int) -> Awaitable[list[Claim]]:
        self.claims += 1
        return super().claim(backend, wanted, now=now)


class AnyPayload(BaseModel):
    pass


def a_kind(**changes: Any) -> BackendKind:
    def nowhere(_: BaseModel) -> Address:
        return Address()

    fields: dict[str, Any] = {
        "options": AnyPayload,
        "adapter": lambda _: FakeAdapter(),
        "kinds": {
            "event": EntryKind(AnyPayload, nowhere, in_doubt="find"),
            "record": EntryKind(AnyPayload, nowhere, in_doubt="resend", batched=True),
            "update": EntryKind(AnyPayload, nowhere, in_doubt="resend"),
        },
        "main_kind": "event",
        "settles_after_seconds": SETTLES_SECONDS,
        "absent_answers": 2,
    }
    return BackendKind(**{**fields, **changes})


class LaneWorld:
    """A lane, its backend, its part of the outbox."""

    def __init__(
        self, outbox: Outbox, clock: FakeClock, backend: str = "events", **route: Any
    ) -> None:
        self.outbox = outbox
        self.clock = clock
        self.backend = backend
        self.adapter = FakeAdapter()
        self.roll = 1.0  # the highest that the dice show: a rest is as long as its cap
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        self.policy = route.pop("policy", None) or Policy()
        self.proven = route.pop("proven", True)  # its secret, if it has one, has worked before
        self.route_changes = route
        self.logs: Sequence[Any] = []
        self.lane = self.make_lane()

    def make_lane(self) -> Lane:
        fields: dict[str, Any] = {
            "name": self.backend,
            "kind": a_kind(),
            "adapter": self.adapter,
            "policy": self.policy,
            "batch_size": 1,
            "concurrency": 1,
        }
        lane = Lane(
            Route(**{**fields, **self.route_changes}),
            self.outbox,
            clock=self.clock,
            dice=lambda: self.roll,
            pause=self._pause,
        )
        lane.pace.proven |= self.proven
        return lane

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()

    async def accept(self, *entries: Entry | str) -> Sequence[Accepted]:
        made = [
            an_entry(one, backend=self.backend) if isinstance(one, str) else one for one in entries
        ]
        return await self.outbox.accept(made)

    async def step(self) -> float:
        """One pass, and everything that it sent off; seconds until the next would come."""
        asked = len(self.adapter.sent) + len(self.adapter.doubts)
        nap = await self.lane.step()
        await self.lane.settled()
        # An outcome wakes the lane.
        return nap if asked == len(self.adapter.sent) + len(self.adapter.doubts) else 0.0

    async def steps(self, number: int, *, seconds: float = 0.0) -> None:
        for _ in range(number):
            await self.step()
            self.clock.advance(seconds)

    async def live(self, seconds: float, *, most_steps: int = 100_000) -> int:
        """Run as `Lane.run` does, on our clock, for so long. How often it went round."""
        end = self.clock.monotonic() + seconds
        rounds = 0
        while self.clock.monotonic() < end:
            rounds += 1
            assert rounds < most_steps, "the lane spins"
            self.clock.advance(await self.step())
        return rounds

    async def deliver(self, *keys: str) -> None:
        """Entries of these keys come in and go out, one after the other, a second apart."""
        for key in keys:
            await self.accept(key)
            await self.step()
            self.clock.advance(1)

    async def restart(self) -> None:
        """Another lane of the same backend, as after a restart of the agent."""
        self.lane = self.make_lane()
        for rest in await self.outbox.looks.rests():
            if rest.backend == self.backend:
                self.lane.rests.load(rest)

    async def shown(self, key: str) -> dict[str, Any]:
        """The entry with this key, whole."""
        page, _ = await self.outbox.looks.list_entries(limit=1000)
        ids = [one["id"] for one in page if one["key"] == key]
        receipts, _ = await self.outbox.looks.list_receipts(key=key)
        ids += [one["entry_id"] for one in receipts]
        shown = await self.outbox.looks.show(ids[0])
        assert shown is not None
        return shown

    async def state(self, key: str) -> str:
        return str((await self.shown(key))["state"])

    def told(self, event: str) -> list[Any]:
        """The log lines about `event`."""
        return [line for line in self.logs if line["event"] == event]

    async def rest(self, scope: str = "") -> Rest | None:
        """What the database says of a rest."""
        for one in await self.outbox.looks.rests():
            if (one.backend, one.scope) == (self.backend, scope):
                return one
        return None


@contextmanager
def lane_world(state_dir: Path, **route: Any) -> Iterator[LaneWorld]:
    """A world of its own, on an outbox of its own; what is logged is kept in `logs`."""
    put_database(state_dir)
    outbox = CountingOutbox(state_dir, URLS)
    outbox.recover(NOW)
    try:
        with capture_logs() as logs:
            world = LaneWorld(outbox, FakeClock(), **route)
            world.logs = logs
            yield world
    finally:
        outbox.close()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let everything run until it is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is nothing to wait on but the loop
            await asyncio.sleep(0)


class Disk:
    """The disk below an outbox: SQLite itself refuses to write as long as we say so."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._refusing = False
        event.listen(outbox._engine, "connect", self._connected)

    def refuse(self) -> None:
        self._set(refusing=True)

    def heal(self) -> None:
        self._set(refusing=False)

    def _set(self, *, refusing: bool) -> None:
        self._refusing = refusing
        self._outbox._writer.between(self._outbox._engine.dispose).result()

    def _connected(self, connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA query_only = {int(self._refusing)}")


def looks(world: LaneWorld) -> int:
    """How often the lane has asked the outbox for something to do."""
    assert isinstance(world.outbox, CountingOutbox)
    return world.outbox.claims
