"""What recurs: nudging the lanes, expiring, checkpointing, feeding the watchdog."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from agent.clock import Clock
from agent.lane import Lane
from agent.notify import Notifier
from agent.observing import Observer
from agent.pausing import keep_true
from agent.room import free_bytes
from agent.schedule import Body, Recurring
from config.settings import Settings
from storage.errors import DiskRefused
from storage.outbox import Outbox

DRAIN_SECONDS = 5
EXPIRY_SECONDS = 60
CLAMP_SECONDS = 60
CHECKPOINT_SECONDS = 60
CLOCK_SECONDS = 10
EXAMINE_SECONDS = 6 * 3600
RECEIPTS_SECONDS = 3600
ROOM_SECONDS = 10
DAY_MS = 86_400_000
log = structlog.get_logger()


class Duties:
    """The bodies of the schedule's table."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        lanes: Mapping[str, Lane],
        observer: Observer,
        notifier: Notifier,
        clock: Clock,
        *,
        more: Sequence[Recurring] = (),
    ) -> None:
        """`more`: what recurs beside what is done here."""
        self._settings = settings
        self._outbox = outbox
        self._lanes = lanes
        self._observer = observer
        self._notifier = notifier
        self._clock = clock
        self._more = more
        self._stepped_at = -math.inf

    def table(self) -> list[Recurring]:
        """Everything that recurs, in seconds."""
        rows = [
            Recurring(f"drain:{name}", DRAIN_SECONDS, self._tick(lane))
            for name, lane in self._lanes.items()
        ]
        rows += [
            Recurring("entries:expire", EXPIRY_SECONDS, self.expire_entries),
            Recurring("entries:clamp", CLAMP_SECONDS, self.clamp),
            Recurring("times:correct", CLOCK_SECONDS, self.correct_times),
            Recurring("database:examine", EXAMINE_SECONDS, self.examine, at_start=True),
            Recurring("receipts:expire", RECEIPTS_SECONDS, self.expire_receipts),
            *self._more,
            Recurring("payloads:room", ROOM_SECONDS, self.make_room),
            # At start as well: a kill leaves a long log behind.
            Recurring("database:checkpoint", CHECKPOINT_SECONDS, self.checkpoint, at_start=True),
        ]
        if self._notifier.watchdog_seconds:
            rows.append(Recurring("watchdog", self._notifier.watchdog_seconds / 3, self.feed))
        return rows

    async def feed(self) -> None:
        """Tell systemd that we live: only if the loops that do the work go round."""
        stopped = self._observer.stopped_loop()
        if stopped is None:
            # The writer thread answers only if it lives. It does when the disk refuses, too, and
            # a restart would lose what could not be written yet.
            with suppress(DiskRefused):
                async with asyncio.timeout(self._notifier.watchdog_seconds):
                    await self._outbox.ping()
            self._notifier.send("WATCHDOG=1")
        else:
            log.error("loop.stopped", loop=stopped)

    async def checkpoint(self) -> None:
        """Give back what the disk is not needed for any more."""
        with suppress(DiskRefused):  # the lanes say so; there will be another time
            await self._outbox.upkeep.checkpoint()

    async def examine(self) -> None:
        """Find damage before an entry meets it: big databases are not looked at when they open."""
        with suppress(DiskRefused):
            await self._outbox.upkeep.examine()

    async def expire_entries(self) -> None:
        """Entries that are no longer wanted become dead letters."""
        for id_ in await self._outbox.upkeep.expire(now=self._clock.now()):
            log.warning("entry.expired", entry=id_)

    async def correct_times(self) -> None:
        """Once the clock follows a time server: what it showed before was perhaps years off."""
        right = self._clock.stamp()
        if not right.synchronised:
            return
        done = await self._outbox.upkeep.correct_times(right)
        if done.corrected:
            log.warning("clock.corrected", entries=done.corrected, seconds=done.shift_ms / 1000)

    async def expire_receipts(self) -> None:
        """Forget what was delivered before the dedup window.

        Not soon after the clock was set: a year ahead by mistake, it would forget everything.
        """
        if self._clock.monotonic() - self._stepped_at < RECEIPTS_SECONDS:
            return
        now, kept = self._clock.now(), self._settings.receipts
        # Payloads first: without its receipt, one could not be asked for any more.
        before = now - round(kept.keep_payload_days * DAY_MS)
        while await self._outbox.upkeep.forget_payloads(before=before):
            pass
        before = now - round(kept.keep_days * DAY_MS)
        while await self._outbox.upkeep.expire_receipts(before=before):
            pass

    async def make_room(self) -> None:
        """What was delivered and is only kept gives way to what still has to be delivered."""
        least = self._settings.limits.min_free_bytes
        count = 0
        with suppress(DiskRefused):
            while free_bytes(self._outbox.attachments.root) < least:
                gone = await self._outbox.upkeep.forget_payloads()
                count += gone
                if not gone:
                    break
                await self._outbox.upkeep.checkpoint()
        if count:
            log.warning("payloads.given_up", count=count)

    async def clamp(self) -> None:
        """Nothing may be due further away than the longest delay: a clock was wrong, or is.

        Pauses, too, end when they should, whatever the clock says meanwhile.
        """
        now = self._clock.now()
        for name, lane in self._lanes.items():
            horizon = now + lane.route.longest_delay_ms
            await self._outbox.upkeep.clamp_due(name, now=now, horizon=horizon)
            lane.wake()
        await keep_true(self._outbox, [lane.pausing for lane in self._lanes.values()], now)

    async def follow_clock(self, step_seconds: float) -> None:
        """The wall clock was set: what is stored in its terms keeps its distance from now.

        So nothing freezes when it was set back, and nothing is due all at once when it was set
        forward; what expired by a clock that was ahead waits again.
        """
        self._stepped_at = self._clock.monotonic()
        now, by = self._clock.now(), round(step_seconds * 1000)
        for name, lane in self._lanes.items():
            await self._outbox.upkeep.shift_due(name, by=by)
            for rest in lane.rests.all_stored():
                await self._outbox.waits.write_rest(rest)
        for id_ in await self._outbox.upkeep.unexpire(now=now):
            log.info("entry.unexpired", entry=id_)
        await self.clamp()

    def _tick(self, lane: Lane) -> Body:
        async def tick() -> None:
            lane.tick()

        return tick
