"""Pace, over an injected clock: the window, its pauses, and limits that are never exceeded."""

import heapq
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import Limit
from adapters.verdict import Rejected, Throttled, Uncertain, Unreachable
from agent.delivery import Outcome, Postponed, Unclear, sign_of
from agent.pace import LATE_FROM, LATE_TO, SMALLEST, STEP, UNUSUAL, Pace, Sign, Terms
from agent.retry import Bug
from storage.entry import Receipt
from tests.lane_world import FakeClock

PROOF = Receipt("entry", "remote")
BURST, LONG = Limit(50, 1), Limit(300, 60)  # an Event Manager's, since 0.6


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def a_pace(clock: FakeClock, concurrency: int = 8, roll: float = 0.5, **terms: Any) -> Pace:
    return Pace(Terms(concurrency, **terms), monotonic=clock.monotonic, dice=lambda: roll)


def hear(pace: Pace, clock: FakeClock, *signs: Sign, took: float | None = 0.0) -> None:
    """One request after the other."""
    for sign in signs:
        clock.advance(0.001)
        began = clock.monotonic()
        clock.advance(took or 0.0)
        pace.heard(sign, began=began, took=took, resting=False)


def test_a_lane_begins_with_everything_it_may(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)

    assert (pace.free(0), pace.free(3), pace.free(8)) == (8, 5, 0)
    assert pace.wait() <= 0


def test_each_sign_of_pressure_halves_the_window(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)
    windows = []
    for _ in range(5):
        hear(pace, clock, "pressed")
        windows.append(pace.window)

    assert windows == [4, 2, 1, 0.5, 0.25]


def test_neighbours_that_feel_the_same_pressure_halve_it_once(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)
    began = clock.monotonic()
    clock.advance(1)
    for _ in range(8):
        pace.heard("pressed", began=began, took=1.0, resting=False)

    assert pace.window == 4


def test_the_window_never_closes(clock: FakeClock) -> None:
    pace = a_pace(clock)

    hear(pace, clock, *["pressed"] * 50)

    assert pace.window == SMALLEST
    assert pace.free(0) == 1


def test_what_fails_while_the_backend_is_away_says_nothing_of_its_load(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)

    pace.heard("pressed", began=clock.monotonic(), took=0.0, resting=True)

    assert pace.window == 8


def test_after_a_halving_each_confirm_adds_the_same_small_step(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)
    hear(pace, clock, "pressed")
    windows = []
    for _ in range(3):
        hear(pace, clock, "confirmed")
        windows.append(pace.window)

    assert windows == [4 + STEP, 4 + 2 * STEP, 4 + 3 * STEP]


def test_the_window_grows_back_to_what_the_settings_allow_and_no_further(clock: FakeClock) -> None:
    pace = a_pace(clock, 3)
    hear(pace, clock, "pressed")

    hear(pace, clock, *["confirmed"] * 100)

    assert pace.window == 3


def test_after_a_rest_the_window_doubles_up_to_half_of_what_was_too_much(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)
    hear(pace, clock, "pressed")
    pace.rest_ended()
    windows = [pace.window]
    for _ in range(11):
        hear(pace, clock, "confirmed")
        windows.append(pace.window)

    assert windows[:9] == [SMALLEST, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 3, 4]
    assert windows[9:] == [4 + STEP, 4 + 2 * STEP, 4 + 3 * STEP]


def test_a_small_window_is_an_average_of_requests_in_flight(clock: FakeClock) -> None:
    pace = a_pace(clock, 1)
    hear(pace, clock, "pressed", "pressed", took=0.0)
    clock.advance(10)

    hear(pace, clock, "neither", took=2.0)

    assert pace.window == 1 / 4
    assert pace.wait() == pytest.approx(6.0)  # two seconds out of eight


@pytest.mark.parametrize("took", [10.0, 1000.0])
def test_no_silence_is_longer_than_the_longest_delay(clock: FakeClock, took: float) -> None:
    pace = a_pace(clock, 1, roll=1.0, max_delay_seconds=100)

    hear(pace, clock, *["pressed"] * 20, took=took)

    assert pace.wait() == pytest.approx(100)


def test_silences_are_drawn(clock: FakeClock) -> None:
    waits = []
    for roll in (0.0, 0.5, 0.999):
        pace = a_pace(clock, 1, roll=roll)
        hear(pace, clock, "pressed", took=1.0)
        waits.append(round(pace.wait(), 2))

    assert waits == [0.5, 1.0, 1.5]


def test_an_operator_who_cannot_wait_ends_the_silence(clock: FakeClock) -> None:
    pace = a_pace(clock, 1)
    hear(pace, clock, "pressed", took=5.0)

    pace.try_now()

    assert pace.wait() <= 0


@pytest.mark.parametrize(
    ("took", "roll", "window"),
    [
        (10 * LATE_FROM - 0.1, 0.0, 8.0),
        (10 * LATE_FROM + 0.1, 0.0, 4.0),
        (10 * LATE_TO - 0.1, 1.0, 8.0),
        (10 * LATE_TO + 0.1, 1.0, 4.0),
        (None, 0.0, 8.0),
    ],
)
def test_an_answer_that_takes_a_good_part_of_our_patience_is_pressure(
    clock: FakeClock, took: float | None, roll: float, window: float
) -> None:
    pace = a_pace(clock, 8, roll=roll, timeout_seconds=10)

    hear(pace, clock, "confirmed", took=took)

    assert pace.window == window


@pytest.mark.parametrize(("more", "window"), [(-0.1, 2.0), (0.1, 1.0)])
def test_a_backend_that_is_always_slow_is_not_under_pressure(
    clock: FakeClock, more: float, window: float
) -> None:
    pace = a_pace(clock, 2, timeout_seconds=10)
    hear(pace, clock, *["confirmed"] * 100, took=1.9)
    assert pace.window == 2

    hear(pace, clock, "confirmed", took=1.9 * UNUSUAL + more)

    assert pace.window == window


def test_what_is_usual_is_learnt_in_calm_times_only(clock: FakeClock) -> None:
    pace = a_pace(clock, 2, timeout_seconds=10)
    hear(pace, clock, "pressed")

    hear(pace, clock, *["confirmed"] * 3, took=1.0)
    assert pace._usual == 0.0
    hear(pace, clock, *["confirmed"] * 50, took=1.0)

    assert pace._usual == pytest.approx(1.0)


def test_the_pauses_after_a_rest_are_as_long_as_the_probe_took(clock: FakeClock) -> None:
    pace = a_pace(clock, 1)
    began = clock.monotonic()
    clock.advance(2)
    pace.heard("confirmed", began=began, took=2.0, resting=True)

    pace.rest_ended()

    assert pace.wait() == pytest.approx(2.0 * (1 / SMALLEST - 1))


def test_an_unproven_secret_is_tried_by_one_request(clock: FakeClock) -> None:
    pace = a_pace(clock, 4, secret=True)
    assert (pace.free(0), pace.free(1)) == (1, 0)

    hear(pace, clock, "neither")
    assert pace.free(0) == 1
    hear(pace, clock, "confirmed")

    assert pace.free(0) == 4


def test_a_start_with_a_backlog_is_late_by_a_random_moment_and_gentle(clock: FakeClock) -> None:
    waits = []
    for roll in (0.0, 0.5, 0.999):
        pace = a_pace(clock, roll=roll, first_delay_seconds=2)
        pace.start(backlog=True, spent=0)
        waits.append(pace.wait())
        assert pace.window == SMALLEST

    assert waits == pytest.approx([0.0, 1.0, 2.0], abs=0.01)


def test_a_start_without_a_backlog_delays_nobody(clock: FakeClock) -> None:
    pace = a_pace(clock, 8)

    pace.start(backlog=False, spent=0)

    assert pace.wait() <= 0
    assert pace.free(0) == 8


def test_requests_from_before_the_start_still_count(clock: FakeClock) -> None:
    pace = a_pace(clock, limits=lambda: [LONG])
    pace.start(backlog=False, spent=300)

    assert 60 <= pace.wait() <= 61
    clock.advance(61)

    assert pace.wait() <= 0
    assert pace.free(0) == 8


def test_a_request_counts_as_long_as_it_may_still_arrive(clock: FakeClock) -> None:
    pace = a_pace(clock, limits=lambda: [Limit(1, 10)])
    pace.begin()
    clock.advance(25)
    assert pace.free(0) == 0
    assert pace.limited() > 0
    pace.end()

    clock.advance(9.9)
    assert pace.limited() > 0
    clock.advance(0.3)

    assert pace.limited() <= 0
    assert pace.free(0) == 1


def test_a_limit_that_is_learnt_late_counts_what_was_sent_before(clock: FakeClock) -> None:
    known: list[Limit] = []
    pace = a_pace(clock, limits=lambda: known)
    for _ in range(5):
        pace.begin()
        pace.end()

    known.append(Limit(5, 60))

    assert pace.limited() > 59


def test_what_is_sent_is_forgotten_when_no_limit_can_count_it_any_more(clock: FakeClock) -> None:
    pace = a_pace(clock)
    for _ in range(1000):
        pace.begin()
        clock.advance(1)
        pace.end()

    assert len(pace._ended) < 100


class Wire:
    """Requests as they go out under a pace, each reaching the backend some time on its way."""

    def __init__(self, limits: Sequence[Limit], slots: int) -> None:
        self.clock = FakeClock()
        self.pace = a_pace(self.clock, slots, limits=lambda: limits)
        self.arrived: list[float] = []
        self._out: list[float] = []

    def send(self, takes: float, place: float) -> None:
        """As soon as the pace allows, and on its way for `takes` seconds."""
        while (wait := self.pace.wait()) > 0 or not self.pace.free(len(self._out)):
            self._until(self.clock.monotonic() + wait if wait > 0 else self._out[0])
        self.pace.begin()
        heapq.heappush(self._out, self.clock.monotonic() + takes)
        self.arrived.append(self.clock.monotonic() + place * takes)

    def idle(self, seconds: float) -> None:
        self._until(self.clock.monotonic() + seconds)

    def _until(self, moment: float) -> None:
        while self._out and self._out[0] <= moment:
            self.clock.seconds = heapq.heappop(self._out)
            self.pace.end()
        self.clock.seconds = max(self.clock.seconds, moment)


requests = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 0.3, 5.0]),  # idle before
        st.floats(0.0, 3.0),  # takes
        st.floats(0.0, 1.0),  # reaches the backend at this part of it
    ),
    max_size=60,
)
some_limits = st.lists(
    st.builds(Limit, st.integers(1, 8), st.sampled_from([0.5, 1.0, 7.0])), min_size=1, max_size=3
)


@given(limits=some_limits, slots=st.integers(1, 6), sent=requests)
def test_no_limit_is_ever_exceeded_wherever_the_network_delays_a_request(
    limits: list[Limit], slots: int, sent: list[tuple[float, float, float]]
) -> None:
    wire = Wire(limits, slots)
    for idle, takes, place in sent:
        wire.idle(idle)
        wire.send(takes, place)

    for limit in limits:
        assert most_within(limit.seconds, wire.arrived) <= limit.requests


def most_within(seconds: float, arrived: Sequence[float]) -> int:
    """The most requests that any window of so many seconds has seen, as the backend counts."""
    return max((sum(at - seconds < other <= at for other in arrived) for at in arrived), default=0)


def test_the_limits_are_used_to_the_full() -> None:
    wire = Wire([BURST, LONG], 4)
    begin = wire.clock.monotonic()
    for _ in range(600):
        wire.send(0.02, 0.5)

    assert wire.arrived[49] - begin < 0.3
    assert 60 < wire.arrived[-1] - begin < 68
    assert (most_within(1, wire.arrived), most_within(60, wire.arrived)) == (50, 300)


def test_the_rate_of_the_settings_counts_entries(clock: FakeClock) -> None:
    pace = a_pace(clock, rate_per_second=5)

    pace.sent(10)

    assert pace.wait() == pytest.approx(2)
    assert pace.most_entries(8, 100) == 5


@pytest.mark.parametrize(
    ("outcomes", "sign"),
    [
        ([PROOF], "confirmed"),
        ([Throttled("429")], "pressed"),
        ([Unreachable("refused")], "pressed"),
        ([Uncertain("no answer")], "pressed"),
        ([Uncertain("503", status=503)], "pressed"),
        ([Unclear(Uncertain("no answer"))], "pressed"),
        ([PROOF, Uncertain("no answer")], "pressed"),
        ([Uncertain("500", status=500)], "neither"),
        ([Bug("ours")], "neither"),
        ([Rejected("422")], "neither"),
        ([Postponed(0, 1, asked=True)], "neither"),
        ([Postponed(0, 0)], None),
    ],
    ids=repr,
)
def test_what_a_request_tells_of_the_backend(outcomes: list[Outcome], sign: Sign | None) -> None:
    assert sign_of(outcomes) == sign
