"""Pauses, as values over an injected clock that may be set."""

import math

import pytest

from agent.pausing import Pausing, in_force
from storage.entry import Pause
from tests.lane_world import FakeClock

YEAR = 366 * 86_400
HOUR = 3600


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def paused(clock: FakeClock, seconds: float | None = HOUR) -> Pausing:
    made = Pausing(now=clock.now, monotonic=clock.monotonic)
    made.load(a_pause(clock, seconds))
    return made


def a_pause(clock: FakeClock, seconds: float | None = HOUR) -> Pause:
    until = None if seconds is None else clock.now() + round(seconds * 1000)
    return Pause("events", clock.now(), until, "uid 7", "new disks")


def test_a_pause_without_an_end_lasts_until_it_is_ended(clock: FakeClock) -> None:
    made = paused(clock, None)

    clock.advance(10 * YEAR)
    assert made.seconds_left() == math.inf
    assert made.get() is not None
    assert made.take_over() is None
    made.end()

    assert (made.seconds_left(), made.get()) == (0, None)
    assert made.ended() == clock.monotonic()


def test_a_pause_with_an_end_ends_by_itself_and_is_taken_over_once(clock: FakeClock) -> None:
    made = paused(clock)
    stored = made.get()
    begun = clock.monotonic()

    clock.advance(HOUR - 0.5)
    assert (made.seconds_left(), made.get(), made.take_over()) == (0.5, stored, None)
    clock.advance(0.5)
    assert (made.seconds_left(), made.get()) == (0, None)
    assert made.ended() == begun + HOUR
    clock.advance(50)

    assert made.take_over() == stored
    assert made.take_over() is None
    assert made.ended() == begun + HOUR


@pytest.mark.parametrize("step", [YEAR, -YEAR], ids=["forward", "back"])
def test_a_clock_that_is_set_neither_ends_nor_lengthens_a_pause(
    clock: FakeClock, step: int
) -> None:
    made = paused(clock)
    stored = made.get()
    clock.advance(600)

    clock.wall += step * 1000

    assert made.seconds_left() == HOUR - 600
    shown = made.get()
    assert shown is not None
    assert stored is not None
    assert (shown.since, shown.until) == (clock.now() - 600_000, clock.now() + 3_000_000)
    assert made.take_moved() == (stored, shown)
    assert made.take_moved() is None
    assert made.get() == shown


def test_a_pause_whose_times_are_right_is_not_stored_again(clock: FakeClock) -> None:
    made = paused(clock)
    clock.advance(600.0004)

    assert made.take_moved() is None
    assert paused(clock, None).take_moved() is None


@pytest.mark.parametrize(
    ("down", "left"),
    [(0, HOUR), (600, HOUR - 600), (HOUR, 0), (YEAR, 0), (-60, HOUR), (-YEAR, HOUR)],
)
def test_a_later_life_goes_on_with_what_is_left_and_never_more_than_was_asked_for(
    clock: FakeClock, down: int, left: int
) -> None:
    stored = a_pause(clock)
    clock.wall += down * 1000
    made = Pausing(now=clock.now, monotonic=clock.monotonic)

    made.load(stored)

    assert made.seconds_left() == left
    shown = made.get()
    if left:
        assert shown is not None
        assert shown.until == clock.now() + left * 1000
    else:
        assert shown is None
        assert made.take_over() == stored


def test_files_show_the_pauses_that_are_not_over(clock: FakeClock) -> None:
    timed, open_ended = a_pause(clock, 1), a_pause(clock, None)

    assert in_force([timed, open_ended], clock.now() + 999) == [timed, open_ended]
    assert in_force([timed, open_ended], clock.now() + 1000) == [open_ended]
