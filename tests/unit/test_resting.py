"""Rests, as values over an injected clock."""

from typing import Any

import pytest

from agent.resting import MARK_LENGTH, Rests, mark
from agent.retry import Policy, RestWish
from storage.entry import Rest
from tests.lane_world import FakeClock

OFFLINE = RestWish("offline", "no route")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def rests(clock: FakeClock, **policy: Any) -> Rests:
    return Rests(
        "events",
        Policy(**policy),
        now=clock.now,
        monotonic=clock.monotonic,
        dice=lambda: 1.0,
    )


def test_failures_in_a_row_double_the_rest(clock: FakeClock) -> None:
    made = rests(clock)
    lengths = []
    for _ in range(4):
        stored = made.begin(OFFLINE, tried_at=clock.monotonic())
        assert stored is not None
        lengths.append((stored.until - clock.now()) / 1000)
        clock.advance(400)

    assert lengths == [1, 2, 4, 8]


def test_a_rest_keeps_the_time_at_which_it_began(clock: FakeClock) -> None:
    made = rests(clock)
    first = made.begin(OFFLINE, tried_at=clock.monotonic())
    clock.advance(60)

    second = made.begin(OFFLINE, tried_at=clock.monotonic())

    assert first is not None
    assert second is not None
    assert second.since == first.since


@pytest.mark.parametrize("after", [0.0, 0.5, 30.0])
def test_an_attempt_from_before_the_rest_is_no_further_failure(
    clock: FakeClock, after: float
) -> None:
    made = rests(clock)
    began = clock.monotonic()
    clock.advance(5)
    made.begin(OFFLINE, tried_at=began)
    clock.advance(after)

    made.begin(OFFLINE, tried_at=began)

    rest = made.get()
    assert rest is not None
    assert rest.failures == 0
    assert rest.due > clock.monotonic()


def test_a_neighbour_that_was_told_a_time_lengthens_the_rest(clock: FakeClock) -> None:
    made = rests(clock)
    began = clock.monotonic()
    made.begin(OFFLINE, tried_at=began)

    assert made.begin(RestWish("throttled", "429", "", 0.5), tried_at=began) is None
    assert made.begin(RestWish("throttled", "429", "", 60), tried_at=began) is not None


@pytest.mark.parametrize(
    ("state", "secret", "until", "left"),
    [
        ("offline", "", -10_000, 0.0),
        ("offline", "", 5_000, 5.0),
        ("offline", "", 10_000_000_000, 300.0),
        ("throttled", "", 10_000_000_000, 3600.0),
        ("refused", "abc", 10_000_000_000, 3600.0),
    ],
)
def test_a_stored_rest_is_taken_up_and_clamped(
    clock: FakeClock, state: str, secret: str, until: int, left: float
) -> None:
    made = rests(clock)
    now = clock.now()

    made.load(Rest("events", "", state, "no route", now - 1, now + until, 3, secret))

    rest = made.get()
    assert rest is not None
    assert rest.due - clock.monotonic() == pytest.approx(left)


def test_what_is_stored_is_what_is_loaded(clock: FakeClock) -> None:
    made, again = rests(clock), rests(clock)
    wish = RestWish("refused", "401", "", 3600, credentials=True)
    stored = made.begin(wish, tried_at=clock.monotonic(), fingerprint="abc")
    assert stored is not None

    again.load(stored)

    assert again.stored("") == stored


def test_a_scope_on_the_wire_is_closed_even_when_its_rest_is_due(clock: FakeClock) -> None:
    made = rests(clock)
    for scope in ("early", "late"):
        made.begin(RestWish("parked", "locked", scope), tried_at=clock.monotonic())
        clock.advance(0.6)

    assert made.closed_scopes({"early"}) == ("early", "late")
    assert made.closed_scopes(()) == ("late",)
    assert made.due_scopes() == {"early"}


def test_the_next_rest_to_become_due_is_told(clock: FakeClock) -> None:
    made = rests(clock)
    assert made.seconds_to_next() is None
    made.begin(RestWish("parked", "locked", "a"), tried_at=clock.monotonic())
    clock.advance(0.25)
    made.begin(RestWish("parked", "locked", "b"), tried_at=clock.monotonic())
    assert made.seconds_to_next() == pytest.approx(0.75)
    clock.advance(0.8)

    assert made.seconds_to_next() == pytest.approx(0.2)


def test_only_a_refused_secret_is_watched(clock: FakeClock) -> None:
    made = rests(clock)
    made.begin(OFFLINE, tried_at=clock.monotonic(), fingerprint="old")

    made.notice_credentials(lambda: "new")

    rest = made.get()
    assert rest is not None
    assert rest.due > clock.monotonic()


def test_a_mark_tells_little_of_the_secret() -> None:
    assert len(mark(1, "fingerprint")) == MARK_LENGTH <= 4
    assert mark(1, "fingerprint") != mark(2, "fingerprint")
    assert mark(1, "fingerprint") != mark(1, "another")
