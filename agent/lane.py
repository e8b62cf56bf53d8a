"""A lane: everything that happens between one backend and its part of the outbox.

Claim -> find if in doubt -> deliver -> settle, in a loop that a new entry wakes at once.
Promises: a claim is committed before its first byte is sent; every claim is settled once,
also when the adapter has a bug, the disk is full or the agent stops; a lane waits for nothing
that belongs to another backend, and never spins; after a rest one real entry goes first, then
more and more at the same time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from agent.clock import Clock
from agent.delivery import Abandoned, Delivery, Outcome, groups, halves, sign_of
from agent.pace import Pace
from agent.patience import DISK_SECONDS, Patience
from agent.pausing import Pausing
from agent.resting import Rests
from agent.retry import Bug
from agent.route import Progress, Route
from agent.settling import Settling
from storage import crash
from storage.entry import Claim, Delivered, Place, Wanted
from storage.errors import DiskRefused
from storage.outbox import Outbox

LONGEST_NAP_SECONDS = 5.0  # a lane looks around at least this often, and so feeds the watchdog
# Where a backlog is looked at first, in turn: what is fresh and what is tried again get a share.
TURNS: tuple[Place, ...] = (
    "oldest",
    "retried",
    "oldest",
    "newest",
)


class Lane:
    """One backend's deliveries."""

    def __init__(
        self,
        route: Route,
        outbox: Outbox,
        *,
        clock: Clock,
        dice: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` waits between two tries of a disk that refuses."""
        self.route = route
        self.beat = clock.monotonic()
        self.progress = Progress(last_outcome=self.beat)
        self.pace = Pace(route.terms(), monotonic=clock.monotonic, dice=dice)
        self.rests = Rests(
            route.name, route.policy, now=clock.now, monotonic=clock.monotonic, dice=dice
        )
        self.pausing = Pausing(now=clock.now, monotonic=clock.monotonic)
        self._outbox = outbox
        self._clock = clock
        self._awake = asyncio.Event()
        self._stepping = asyncio.Lock()
        self._trips: dict[asyncio.Task[None], set[str]] = {}  # with the scopes that are out
        self._bringing: set[asyncio.Task[Sequence[Outcome]]] = set()
        self._turn = 0
        self._stopping = False
        self._log = structlog.get_logger().bind(backend=route.name)
        self._patience = Patience(self._log, pause)
        self._delivery = Delivery(route, outbox, clock=clock, pace=self.pace, pause=pause)
        self._settling = Settling(
            route,
            outbox,
            rests=self.rests,
            progress=self.progress,
            pace=self.pace,
            patience=self._patience,
            clock=clock,
            dice=dice,
        )

    def wake(self) -> None:
        """Something may be due."""
        self._awake.set()

    def tick(self) -> None:
        """The schedule's regular nudge: notices changed credentials, too."""
        self.rests.notice_credentials(self.route.credentials)
        self.wake()

    async def retry_now(self) -> None:
        """An operator's wish: forget how long was to be waited, not why."""
        self.rests.try_now()
        self.pace.try_now()
        self.wake()

    async def holds(self, receipt: Delivered) -> bool | None:
        """Ask whether the backend still holds it; raises what the adapter raises."""
        return await self._delivery.holds(receipt)

    async def look_back(self) -> None:
        """Before the first step: what an earlier life has left to do, and what it has just sent."""
        name, now = self.route.name, self._clock.now()
        backlog = await self._outbox.next_due(name) is not None
        rates = await self._outbox.looks.rates(now=now)
        self.pace.start(backlog=backlog, spent=round(rates.get(name, 0)))

    async def run(self) -> None:
        """Drain until `stop`."""
        while not self._stopping:
            self._awake.clear()
            try:
                nap = await self.step()
            except DiskRefused as refused:
                self._patience.tell(refused)
                nap = DISK_SECONDS
            if not self._stopping:
                await self._sleep(nap)

    async def step(self) -> float:
        """One pass: claim what may go now and send it off; seconds until there may be more."""
        async with self._stepping:
            self.beat = self._clock.monotonic()
            wanted, wait = self._wanted()
            if wanted is None or self._stopping:
                return wait
            now = self._clock.now()
            claims = await self._outbox.claim(self.route.name, wanted, now=now)
            if self._stopping or self.pausing.seconds_left():
                await self._settling.give_back(claims)
                return wait
            if not claims:
                await self._end_idle_rests()
                return await self._seconds_to_due(now)
            crash.point("claim.committed")
            self._send_off(claims)
            return 0.0 if self._wanted()[0] else LONGEST_NAP_SECONDS

    async def settled(self) -> None:
        """Wait until nothing is on the wire."""
        while self._trips:
            await asyncio.wait(set(self._trips))

    async def stop(self, grace_seconds: float) -> None:
        """Claim no more; settle what is on the wire; what takes longer is left in doubt."""
        self._stopping = True
        self.wake()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._still()
        except TimeoutError:
            pass
        self._patience.end()
        for one in set(self._bringing):
            one.cancel()
        await self._still()
        await self._delivery.close()

    async def _still(self) -> None:
        """Wait until no claim is under way, and nothing is on the wire."""
        async with self._stepping:
            pass
        await self.settled()

    def _wanted(self) -> tuple[Wanted | None, float]:
        """What may be claimed now; and when nothing may, for how long."""
        if not self.route.open_at(self._clock.now()):
            return None, LONGEST_NAP_SECONDS
        if (paused := self.pausing.seconds_left()) > 0:
            return None, min(paused, LONGEST_NAP_SECONDS)
        rest = self.rests.get()
        pause = self.pace.wait()
        if pause > 0:
            return None, pause
        if rest is None:
            free = self.pace.free(len(self._trips))
            return self._load(free) if free else None, LONGEST_NAP_SECONDS
        if self._trips:
            return None, LONGEST_NAP_SECONDS
        wait = rest.due - self._clock.monotonic()
        return self._probe(rest.failures) if wait <= 0 else self._apart(), max(wait, 0.0)

    def _apart(self) -> Wanted | None:
        """While the backend rests: what another service takes, one by one."""
        kinds = self.route.kinds_elsewhere
        if not kinds:
            return None
        return Wanted(
            kinds=kinds, closed=self.rests.closed_scopes(()), probing=self.rests.due_scopes()
        )

    def _load(self, free: int) -> Wanted:
        """As much as the free slots take, and a second's worth where the rate is limited."""
        most = self.pace.most_entries(free, self.route.batch_size)
        batch_size = min(self.route.batch_size, most)
        return Wanted(
            requests=min(free, most // batch_size),
            batch_size=batch_size,
            batched=frozenset(n for n, kind in self.route.kind.kinds.items() if kind.batched),
            riders={n: kind.rider for n, kind in self.route.kind.kinds.items() if kind.rider},
            closed=self.rests.closed_scopes(set().union(*self._trips.values())),
            probing=self.rests.due_scopes(),
            first=TURNS[self._turn % len(TURNS)],
        )

    def _probe(self, failures: int) -> Wanted:
        """One real entry: the one that was tried before, so that few come into doubt.

        Ever more seldom (after 1, 2, 4, 8 failures) another one: if only that entry fails, the
        backend is well. In a reject storm always the one that was not tried for longest.
        """
        first: Place = "newest" if failures.bit_count() == 1 else "retried"
        return Wanted(
            closed=self.rests.closed_scopes(()), first="oldest" if self.progress.storm else first
        )

    def _send_off(self, claims: Sequence[Claim]) -> None:
        self._turn += 1
        self.pace.sent(len(claims))
        for group in groups(claims, self.route.batch_size, self.route.kind.kinds):
            trip = asyncio.create_task(self._trip(group), name=f"trip:{self.route.name}")
            self._trips[trip] = {claim.scope for claim in group if claim.scope is not None}
            trip.add_done_callback(self._trip_done)

    def _trip_done(self, trip: "asyncio.Task[None]") -> None:
        del self._trips[trip]
        self._awake.set()
        if not trip.cancelled() and (error := trip.exception()) is not None:
            # The disk refused to the end. The claim stays leased, and the next start finds it.
            self._log.error("settle.failed", error=str(error), exc_info=error)

    async def _trip(self, claims: list[Claim]) -> None:
        """Bring claims to the backend, a refused batch in ever smaller parts, and settle them."""
        waiting = [claims]
        while waiting:
            group = waiting.pop(0)
            tried_at = self._clock.monotonic()
            outcomes = await self._bring(group)
            self._mind(group, outcomes, tried_at)
            again = halves(group, outcomes)
            waiting[:0] = again
            unsettled = {one.id for part in again for one in part}
            ended = [
                (one, end)
                for one, end in zip(group, outcomes, strict=True)
                if one.id not in unsettled
            ]
            if ended:
                await self._settling.settle(*zip(*ended, strict=True), tried_at=tried_at)
            if waiting and (
                self._stopping or self.pausing.seconds_left() or self.rests.get() is not None
            ):
                await self._settling.give_back([one for part in waiting for one in part])
                return

    def _mind(self, group: Sequence[Claim], outcomes: Sequence[Outcome], tried_at: float) -> None:
        """Let the pace know what came of one request."""
        if (sign := sign_of(outcomes)) is not None:
            elsewhere = self.route.elsewhere(group[0].kind)
            # A large file takes long without any haste of ours.
            plain = not elsewhere and not any(one.attachments for one in group)
            took = self._clock.monotonic() - tried_at if plain else None
            resting = self.rests.get() is not None
            self.pace.heard(sign, began=tried_at, took=took, resting=resting, elsewhere=elsewhere)

    async def _bring(self, claims: list[Claim]) -> Sequence[Outcome]:
        """Bring them in a task of its own, so that a stop cuts the sending and not the settling."""
        bringing = asyncio.create_task(self._delivery.bring(claims))
        self._bringing.add(bringing)
        try:
            return await bringing
        except asyncio.CancelledError:
            if not bringing.cancelled():
                raise
            cut = Abandoned() if self._stopping else Bug("the adapter cancelled its own request")
            return [cut] * len(claims)
        finally:
            self._bringing.discard(bringing)

    async def _end_idle_rests(self) -> None:
        """A scope whose rest is due, and of which nothing is left, rests no more.

        What could not be claimed just now is left all the same: it keeps its rest, and with it
        the reason that people are told.
        """
        name = self.route.name
        idle = [] if self._trips else sorted(self.rests.due_scopes())
        waiting = (
            await self._outbox.looks.waiting_in([(name, scope) for scope in idle]) if idle else {}
        )
        for scope in idle:
            if not waiting[name, scope]:
                await self._outbox.waits.end_rest(name, scope)
                self.rests.end(scope)

    async def _seconds_to_due(self, now: int) -> float:
        """After a claim at `now` found nothing: what was due waits for something else."""
        due = await self._outbox.next_due(self.route.name, after=now)
        waits = [LONGEST_NAP_SECONDS]
        if due:
            waits.append(max(0.001, (due - self._clock.now()) / 1000))
        if (rest := self.rests.seconds_to_next()) is not None:
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
