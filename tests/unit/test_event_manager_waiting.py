"""Events that wait here, in the answers that will have them."""

from typing import Any

import pytest

from adapters.reading import Queued
from tests.emulators.event_manager_desk import (
    NODE,
    NOON,
    hours,
    ids,
    on_paper,
    waits,
)
from tests.emulators.event_manager_model import judged
from tests.questioner import Questioner


@pytest.fixture
def asked() -> Questioner:
    return on_paper()


def test_a_waiting_event_stands_where_the_server_will_put_it(asked: Questioner) -> None:
    data = [judged(event, "0.8.1") for event in reversed(hours(4))][:3]
    newest = waits("01NEW", log_level="error", source={"node_id": NODE, "user_id": None})
    between = waits("01MID", event_timestamp="2026-01-01T02:30:00+00:00", event_id="mid")
    too_old = waits("01OLD", event_timestamp="2025-01-01T00:00:00Z")
    there = waits("01DBT", event_id="e3", event_data="in doubt")

    rows, count = asked.with_ours("recent", data, newest, between, too_old, there, number=3)

    assert ids(rows) == ["01NEW", "e3", "mid"]
    assert count == 2
    assert rows[0] == {
        "_id": "01NEW",
        "event_type": "unknown",
        "log_level": 40,
        "alert": False,
        "event_timestamp": "2026-01-01T12:00:00Z",
        "source": {"node_id": NODE},
        "event_data": {},
        "queued": True,
    }
    assert "queued" not in rows[1]


def test_a_list_of_a_level_or_a_time_takes_no_others(asked: Questioner) -> None:
    entries = [waits("01A", log_level=20), waits("01B", log_level=40)]

    assert ids(asked.with_ours("recent", [], *entries, level=30)[0]) == ["01B"]
    for parameters in ({"start": "2026-01-01T12:00:01Z"}, {"end": "2026-01-01T11:59:59Z"}):
        assert asked.with_ours("recent", None, *entries, **parameters) == ([], 0)


def test_a_waiting_event_is_shown_as_the_server_will_show_it(asked: Questioner) -> None:
    payload = {
        "event_type": "LOG_INFO",
        "log_level": "30",
        "event_timestamp": "2026-01-01T12:00:00.5",
        "event_data": [1],
        "trace_id": "t",
    }
    ours, count = asked.with_ours("event", None, waits("01A", **payload), id="01A")
    sent = {**payload, "event_timestamp": "2026-01-01T12:00:00.5+01:00", "source": {}}
    as_stored = judged({"event_id": "01A", **sent}, "0.8.1")

    assert count == 1
    assert {name: as_stored[name] for name in ours if name != "queued"} == {
        name: value for name, value in ours.items() if name != "queued"
    }


def test_a_waiting_event_counts_by_its_producers_time(asked: Questioner) -> None:
    entry = Queued("01A", "event", {}, "pending", NOON + 3_600_000, created_at=NOON)

    (event, _) = asked.with_ours("event", None, entry, id="01A")

    assert event["event_timestamp"] == "2026-01-01T12:00:00Z"


def test_what_the_server_has_is_shown_and_not_what_waits(asked: Questioner) -> None:
    stored = {"_id": "a", "event_data": 1}

    assert asked.with_ours("event", stored, waits("01A", event_id="a"), id="a") == (stored, 0)
    assert asked.with_ours("event", None, waits("01A", event_id="b"), id="01A") == (None, 0)


def test_a_search_by_conditions_takes_what_waits_by_the_same(asked: Questioner) -> None:
    entries = [
        waits("01A", event_type="experiment_stop", source={"experiment_id": NODE}),
        waits("01B", event_type="node_start", source={"node_id": NODE}, log_level=40),
        waits("01C", event_timestamp="2026-01-01T13:30:00"),  # in Berlin
    ]

    def found(**conditions: Any) -> list[str]:
        return ids(asked.with_ours("query", [], *entries, **conditions)[0])

    assert found(type="experiment_cancelled") == ["01A"]
    assert found(level="error") == ["01B"]
    assert found(node_id=NODE) == ["01B"]
    assert found(experiment_id=NODE) == ["01A"]
    assert found(since="2026-01-01T12:30:00Z") == ["01C"]
    assert found(until="2026-01-01T12:29:59Z") == ["01A", "01B"]


@pytest.mark.parametrize(
    ("resource", "parameters", "kinds"),
    [
        ("event", {"id": "a"}, ("event",)),
        ("recent", {}, ("event",)),
        ("recent", {"offset": 1}, None),
        ("query", {"level": 20}, ("event",)),
        ("query", {"selector": "{}"}, None),
        ("archived", {}, ()),
        ("health", {}, ()),
        ("sessions", {}, None),
    ],
)
def test_what_may_wait_for_an_answer_is_told(
    resource: str, parameters: dict[str, Any], kinds: Any
) -> None:
    asked = on_paper()

    assert asked.reader.queued(asked.plan(resource, **parameters)) == kinds
