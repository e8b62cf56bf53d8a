"""What follows from kept lists and filters of an Event Manager, for any events and questions."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.event_manager.questions import Window, key_of
from adapters.event_manager.recalling import FAMILY, recalled
from adapters.event_manager.search import Conditions, moment_of
from adapters.reading import NotKept, Plan, Question
from storage.cached import Kept, Label
from tests.emulators.event_manager_store import matches
from tests.shelf import DictShelf

MINUTES = st.integers(-23 * 60, 23 * 60)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them so
WINDOWS = st.builds(
    Window,
    number=st.integers(1, 6),
    offset=st.integers(0, 4),
    level=st.sampled_from([0, 20, 40]),
    include_archived=st.booleans(),
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "event_timestamp": st.sampled_from(["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]),
            "log_level": st.sampled_from([10, 20, 40]),
            "archived": st.booleans(),
        }
    ),
    max_size=10,
)


def listed(events: list[dict[str, Any]], window: Window) -> list[dict[str, Any]]:
    """The list as the server makes it."""
    found = [event for event in events if window.takes(event)]
    found.sort(key=lambda event: str(event["event_timestamp"]), reverse=True)
    return found[window.offset : window.offset + window.number]


def plan(window: Window) -> Plan:
    about = {"asked": "Window", **asdict(window)}
    return Plan(Question("recent"), key_of(window), FAMILY, window, about)


def kept(window: Window, rows: list[dict[str, Any]], at: int) -> Kept:
    planned = plan(window)
    label = Label(planned.key, FAMILY, at, complete=True, settled=False, about=planned.about)
    return Kept(label, rows)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.lists(WINDOWS, max_size=4), WINDOWS)
def test_a_list_that_follows_from_others_is_the_servers_own(
    events: list[dict[str, Any]], before: list[Window], asked: Window
) -> None:
    numbered = [{"_id": str(number), **event} for number, event in enumerate(events)]

    async def told() -> list[dict[str, Any]] | None:
        shelf = DictShelf()
        for at, window in enumerate(before):
            await shelf.put(kept(window, listed(numbered, window), at))
        try:
            said = await recalled(plan(asked), shelf, partial=False)
        except NotKept:
            return None
        assert said.complete
        return list(said.data)

    rows = asyncio.run(told())

    assert rows is None or rows == listed(numbered, asked)
    if asked in before:
        assert rows is not None


@given(
    MOMENTS,
    MINUTES,
    st.timedeltas(timedelta(0), timedelta(days=2)),
    st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_the_filter_misses_no_moment_of_its_span_in_any_zone(
    moment: datetime, offset: int, before: timedelta, after: timedelta
) -> None:
    conditions = Conditions(since=(moment - before).isoformat(), until=(moment + after).isoformat())
    text = moment.astimezone(timezone(timedelta(minutes=offset))).isoformat()

    assert matches({"event_timestamp": text}, conditions.selector())
    assert moment_of(text, None) == moment
    assert conditions.spans(moment)
    assert not conditions.spans(moment + after + timedelta(microseconds=1))
