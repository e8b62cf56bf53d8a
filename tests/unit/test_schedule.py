"""What recurs: windows, failing duties, and a clock that is set."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from agent import schedule
from agent.schedule import Recurring, Schedule, window
from tests.builders import NOW
from tests.lane_world import FakeClock


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("crontab", "moment", "is_open"),
    [
        ("* * * * *", "2026-07-01T12:00:00", True),
        ("* 20-23,0-6 * * *", "2026-07-01T21:59:59", True),
        ("* 20-23,0-6 * * *", "2026-07-01T06:59:59", True),
        ("* 20-23,0-6 * * *", "2026-07-01T07:00:00", False),
        ("* 20-23,0-6 * * *", "2026-07-01T19:59:59", False),
        ("* * * * sat,sun", "2026-07-04T12:00:00", True),
        ("* * * * sat,sun", "2026-07-03T23:59:59", False),
        ("*/10 * * * *", "2026-07-01T12:20:30", True),
        ("*/10 * * * *", "2026-07-01T12:21:00", False),
    ],
)
def test_a_window_is_open_in_the_minutes_that_it_names_in_local_time(
    crontab: str, moment: str, is_open: bool
) -> None:
    assert window(crontab)(at(moment, "Europe/Berlin")) is is_open


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("hour", "is_open"), [(0, True), (1, True), (3, True), (4, True), (5, False)]
)
def test_an_hour_that_comes_twice_is_twice_in_the_window(hour: int, is_open: bool) -> None:
    night = at(f"2026-10-25T{hour:02}:30:00", "UTC")  # 2:30 in Berlin at 0:30 and at 1:30

    assert window("* 0-5 * * *")(night) is is_open


@pytest.mark.parametrize("wrong", ["", "* * * *", "* 25 * * *", "always", "@daily"])
def test_what_is_no_window_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are APScheduler's
        window(wrong)


async def test_a_duty_that_fails_is_told_and_comes_round_again() -> None:
    runs = 0
    again = asyncio.Event()

    async def fail() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            again.set()
        raise RuntimeError("no")

    async def never(_: float) -> None:
        raise AssertionError

    with capture_logs() as logs:
        made = Schedule([Recurring("fails", 0.01, fail)], clock=FakeClock(), on_step=never)
        made.begin()
        async with asyncio.timeout(10):
            await again.wait()
        await made.end()

    assert [line["duty"] for line in logs if line["event"] == "schedule.failed"] == ["fails"] * 3


async def test_what_was_missed_in_a_year_is_one_run() -> None:
    async def nothing(_: float = 0) -> None: ...

    made = Schedule([Recurring("often", 5, nothing)], clock=FakeClock(), on_step=nothing)
    made.begin()
    (job,) = made._scheduler.get_jobs()
    in_a_week = datetime.now(UTC) + timedelta(days=7)

    # What APScheduler asks when it wakes up after the clock was set.
    assert len(job._get_run_times(in_a_week)) <= 2
    assert job.trigger.get_next_fire_time(in_a_week, in_a_week) == in_a_week + timedelta(seconds=5)
    await made.end()


class ForwardClock(FakeClock):
    """A monotonic clock that goes on by a tick at each look, and a wall that was set once."""

    def __init__(self, step_seconds: float) -> None:
        super().__init__()
        self._looks = 0
        self._step = round(step_seconds * 1000)

    def now(self) -> int:
        self._looks += 1
        if self._looks == 3:
            self.wall += self._step
        return self.wall


@pytest.mark.parametrize("step_seconds", [-86_400.0, 86_400.0, 6.0])
async def test_after_a_step_of_the_clock_everything_is_armed_again(
    monkeypatch: pytest.MonkeyPatch, step_seconds: float
) -> None:
    monkeypatch.setattr(schedule, "TICK_SECONDS", 0.001)
    stepped, ran = asyncio.Event(), asyncio.Event()

    steps: list[float] = []

    async def on_step(seconds: float) -> None:
        steps.append(round(seconds, 1))
        stepped.set()

    async def body() -> None:
        ran.set()

    with capture_logs() as logs:
        made = Schedule(
            [Recurring("hourly", 3600, body)], clock=ForwardClock(step_seconds), on_step=on_step
        )
        made.begin()
        async with asyncio.timeout(10):
            await stepped.wait()
            await ran.wait()
        await made.end()

    (line,) = [line for line in logs if line["event"] == "clock.stepped"]
    assert line["seconds"] == step_seconds
    assert steps == [step_seconds]


async def test_a_step_that_cannot_be_answered_does_not_end_the_watch_over_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "TICK_SECONDS", 0.001)
    clock = FakeClock()
    steps = 0
    twice = asyncio.Event()

    async def on_step(_: float) -> None:
        nonlocal steps
        steps += 1
        if steps == 2:
            twice.set()
        raise OSError("the disk")

    class Jumping(FakeClock):
        def now(self) -> int:
            clock.wall += 60_000
            return clock.wall

    with capture_logs():
        made = Schedule([], clock=Jumping(), on_step=on_step)
        made.begin()
        async with asyncio.timeout(10):
            await twice.wait()
        await made.end()


async def test_small_drift_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "TICK_SECONDS", 0.001)
    seen = asyncio.Event()

    class Drifting(FakeClock):
        def now(self) -> int:
            self.wall += 4000
            if self.wall >= NOW + 20 * 4000:
                seen.set()
            return self.wall

    async def never(_: float) -> None:
        raise AssertionError

    with capture_logs() as logs:
        made = Schedule([], clock=Drifting(), on_step=never)
        made.begin()
        async with asyncio.timeout(10):
            await seen.wait()
        await made.end()

    assert logs == []
