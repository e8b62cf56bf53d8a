"""A lane: everything that happens between one backend and its part of the outbox.

Claim -> find if in doubt -> deliver -> settle, in a loop that a new entry wakes at once.
Promises: a claim is committed before its first byte is sent; every claim is settled, also
when the adapter has a bug; a lane waits for nothing that belongs to another backend; after a
rest one real entry goes first, then more and more at the same time.
"""

import asyncio
from collections.abc import Callable, Sequence
from math import ceil

import structlog

from agent.clock import Clock
from agent.delivery import Delivery, Postponed, groups
from agent.resting import Rests
from agent.route import Progress, Route
from agent.settling import Settling
from storage.entry import Claim, GiveBack
from storage.outbox import Outbox

LONGEST_NAP_SECONDS = 5.0  # a lane looks around at least this often, and so feeds the watchdog


class Lane:
    """One backend's deliveries."""

    def __init__(
        self, route: Route, outbox: Outbox, *, clock: Clock, dice: Callable[[], float]
    ) -> None:
        self.route = route
        self.beat = clock.monotonic()
        self.progress = Progress(slots=route.concurrency, last_outcome=self.beat)
        self.rests = Rests(
            route.name, route.policy, now=clock.now, monotonic=clock.monotonic, dice=dice
        )
        self._outbox = outbox
        self._clock = clock
        self._awake = asyncio.Event()
        self._trips: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._log = structlog.get_logger().bind(backend=route.name)
        self._delivery = Delivery(route, outbox, clock)
        self._settling = Settling(
            route, outbox, rests=self.rests, progress=self.progress, clock=clock, dice=dice
        )

    def wake(self) -> None:
        """Something may be due."""
        self._awake.set()

    def tick(self) -> None:
        """The schedule's regular nudge: notices changed credentials, too."""
        rest = self.rests.get()
        if rest and rest.credentials and self.route.credentials() != self.progress.credentials:
            self.rests.try_now()
        self.wake()

    async def retry_now(self) -> None:
        """An operator's wish: forget how long was to be waited, not why."""
        self.rests.try_now()
        self.wake()

    async def run(self) -> None:
        """Drain until `stop`."""
        while not self._stopping:
            self._awake.clear()
            nap = await self.step()
            if not self._stopping:
                await self._sleep(nap)

    async def step(self) -> float:
        """One pass: claim what may go now and send it off; seconds until there may be more."""
        self.beat = self._clock.monotonic()
        room, wait = self._room()
        if room == 0:
            return wait
        claims = await self._outbox.claim(
            self.route.name,
            limit=room,
            now=self._clock.now(),
            resting=self.rests.closed_scopes(),
        )
        if not claims:
            return await self._seconds_to_due()
        self._pace(len(claims))
        share = ceil(len(claims) / max(1, self.progress.slots - len(self._trips)))
        for start in range(0, len(claims), share):
            part = claims[start : start + share]
            trip = asyncio.create_task(self._trip(part), name=f"trip:{self.route.name}")
            self._trips.add(trip)
            trip.add_done_callback(self._trip_done)
        return 0.0 if self._room()[0] else LONGEST_NAP_SECONDS

    async def settled(self) -> None:
        """Wait until nothing is on the wire."""
        while self._trips:
            await asyncio.wait(set(self._trips))

    async def stop(self, grace_seconds: float) -> None:
        """Claim no more; settle what is on the wire; what takes longer is left in doubt."""
        self._stopping = True
        self.wake()
        if self._trips:
            await asyncio.wait(set(self._trips), timeout=grace_seconds)
        for trip in set(self._trips):
            trip.cancel()
        if self._trips:
            await asyncio.wait(set(self._trips))
        await self.route.adapter.close()

    def _trip_done(self, trip: "asyncio.Task[None]") -> None:
        self._trips.discard(trip)
        self._awake.set()
        if not trip.cancelled() and (error := trip.exception()) is not None:
            # Settling failed: the disk refused. The claim stays leased, and a restart finds it.
            self._log.error("settle.failed", error=str(error), exc_info=error)

    def _room(self) -> tuple[int, float]:
        """How many entries may be claimed now; and when none, for how long."""
        if not self.route.open_at(self._clock.now()):
            return 0, LONGEST_NAP_SECONDS
        pause = self.progress.next_send - self._clock.monotonic()
        if pause > 0:
            return 0, pause
        rest = self.rests.get()
        if rest is not None:
            wait = rest.due - self._clock.monotonic()
            if wait > 0 or self._trips:
                return 0, max(wait, 0.0) if not self._trips else LONGEST_NAP_SECONDS
            return 1, 0.0
        free = self.progress.slots - len(self._trips)
        return max(0, free) * self.route.batch_size, LONGEST_NAP_SECONDS

    def _pace(self, count: int) -> None:
        if self.route.rate_per_second:
            earliest = max(self.progress.next_send, self._clock.monotonic())
            self.progress.next_send = earliest + count / self.route.rate_per_second

    async def _seconds_to_due(self) -> float:
        due = await self._outbox.next_due(self.route.name)
        waits = [LONGEST_NAP_SECONDS]
        if due:
            waits.append(max(0.01, (due - self._clock.now()) / 1000))
        rest = self.rests.seconds_to_next()
        if rest:
            waits.append(rest)
        return min(waits)

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)  # let trips begin before the next claim
            return
        try:
            async with asyncio.timeout(min(seconds, LONGEST_NAP_SECONDS)):
                await self._awake.wait()
        except TimeoutError:
            pass

    async def _trip(self, claims: Sequence[Claim]) -> None:
        """Bring claims to the backend, group by group, and settle them."""
        waiting = groups(claims, self.route.batch_size, self.route.kind.kinds)
        while waiting:
            group = waiting.pop(0)
            try:
                outcomes = await self._delivery.bring(group)
            except asyncio.CancelledError:
                await self._abandon(group, waiting)
                raise
            await self._settling.settle(group, outcomes)
            if waiting and (self._stopping or self.rests.get() is not None):
                await self._give_back(waiting)
                return

    async def _abandon(self, begun: Sequence[Claim], waiting: Sequence[Sequence[Claim]]) -> None:
        """A stop that would not wait: the bytes may be out, so what has begun is in doubt."""
        given = [GiveBack(one, 0, in_doubt=True, absences=one.absences) for one in begun]
        await self._outbox.settle(self.route.name, given, now=self._clock.now())
        await self._give_back(waiting)

    async def _give_back(self, waiting: Sequence[Sequence[Claim]]) -> None:
        """What was claimed and not begun waits again as if nothing had been."""
        claims = [claim for group in waiting for claim in group]
        if claims:
            await self._settling.settle(claims, [Postponed(0, one.absences) for one in claims])
