"""The table of everything that recurs. The one door to APScheduler.

No delivery runs here: bodies set an event or await something short. APScheduler drops runs
that come late and sleeps through a clock that is set back (facts 3); hence the settings below,
and a tick on the monotonic clock that re-arms everything after a step of the wall clock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from agent.clock import Clock

STEP_SECONDS = 5.0  # a difference between wall and monotonic time that is no drift any more
TICK_SECONDS = 5.0
log = structlog.get_logger()

Body = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Recurring:
    """One row of the table."""

    name: str
    seconds: float
    body: Body
    at_start: bool = False


class Schedule:
    """Runs each row of the table every so many seconds, one run at a time."""

    def __init__(
        self,
        rows: Iterable[Recurring],
        *,
        clock: Clock,
        on_step: Callable[[float], Awaitable[None]],
    ) -> None:
        """`on_step` is awaited after the wall clock was set, with by how many seconds."""
        # It logs every run; what matters is logged by the bodies.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._clock = clock
        self._on_step = on_step
        self._scheduler: Any = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._ticking: asyncio.Task[None] | None = None
        self.beat = clock.monotonic()
        rows = list(rows)
        for row in rows:
            every = _Every(seconds=row.seconds, timezone=UTC)
            self._scheduler.add_job(_guarded(row), every, id=row.name, name=row.name)
        self._at_start = [row.name for row in rows if row.at_start]

    def begin(self) -> None:
        """Start; the first runs come after their interval, save those that are due at start."""
        self._scheduler.start()
        for name in self._at_start:
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))
        self._ticking = asyncio.create_task(self._tick(), name="clock-tick")

    async def end(self) -> None:
        """Stop. A body in flight is cancelled: all of them may be."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=False)

    async def _tick(self) -> None:
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now_wall, now_monotonic = self._clock.now(), self._clock.monotonic()
            self.beat = now_monotonic
            step = (now_wall - wall) / 1000 - (now_monotonic - monotonic)
            wall, monotonic = now_wall, now_monotonic
            if abs(step) > STEP_SECONDS:
                log.warning("clock.stepped", seconds=round(step, 1))
                rearm = partial(self._rearm, step)
                await _guarded(Recurring("clock-step", TICK_SECONDS, rearm))()

    async def _rearm(self, step: float) -> None:
        await self._on_step(step)
        for job in self._scheduler.get_jobs():
            self._scheduler.modify_job(job.id, next_run_time=datetime.now(UTC))


class _Every(IntervalTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Every so many seconds; whatever was missed is one run.

    The library's own goes through all missed times one by one: after a clock was set a year
    ahead, that is a minute and more in which nothing else happens.
    """

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> Any:
        due = super().get_next_fire_time(previous_fire_time, now)
        return None if due is None else max(due, now)


def _guarded(row: Recurring) -> Body:
    """A recurring duty that fails is logged and comes round again."""

    async def run() -> None:
        try:
            await row.body()
        except Exception:
            log.exception("schedule.failed", duty=row.name)

    return run


def window(crontab: str) -> Callable[[int], bool]:
    """Is a minute (epoch ms) among those that five cron fields name, in local time?

    Raises ValueError when they are not cron fields.
    """
    trigger: Any = CronTrigger.from_crontab(crontab)

    fields = [field for field in trigger.fields if field.name != "second"]

    def is_open(now: int) -> bool:
        # Not by the trigger's next time: it leaves out the hour that comes twice in autumn.
        local = datetime.fromtimestamp(now / 1000, tz=trigger.timezone)
        return all(field.get_next_value(local) == field.get_value(local) for field in fields)

    return is_open
