"""What goes out for an event is the same each time, and is recognised when it is read back."""

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.event_manager.event_types import EVENT_TYPES
from adapters.event_manager.payload import LOG_LEVELS, EventPayload
from adapters.event_manager.wire import is_same_event, wire_body
from tests.builders import a_claim
from tests.emulators.event_manager_model import EventType052, EventType081, judged

ULID = "01JJ4S0WNGEF5FQAZG5KDGJRBV"
ACCEPTED = 1_735_689_600_123  # 2025-01-01T00:00:00.123Z
COMPLETE = {
    "event_id": "a",
    "event_type": "log_info",
    "log_level": 20,
    "alert": False,
    "event_timestamp": "2025-01-01T00:00:00Z",
    "source": {"node_id": ULID},
    "event_data": {"k": 1},
}
VERSIONS = ("0.5.2", "0.8.1")
COMMON_TYPES = sorted({str(t.value) for t in EventType052} & {str(t.value) for t in EventType081})

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
offsets = st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
timestamps = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes(timezones=offsets).map(lambda moment: moment.isoformat(timespec="milliseconds")),
    st.integers(0, 4_000_000_000_000),
)
payloads = st.fixed_dictionaries(
    {"event_timestamp": timestamps},
    optional={
        "event_id": st.uuids().map(str),
        "event_type": st.sampled_from(COMMON_TYPES).map(str.upper) | st.sampled_from(COMMON_TYPES),
        "log_level": st.sampled_from([*LOG_LEVELS, *LOG_LEVELS.values(), "20", 30.0]),
        "alert": st.booleans(),
        "source": st.dictionaries(
            st.sampled_from(["node_id", "user_id"]), st.none() | st.just(ULID.lower())
        ),
        "event_data": json_values,
        "trace_id": st.none() | texts,
    },
)


def body(payload: dict[str, Any], **claim: Any) -> dict[str, Any]:
    return wire_body(a_claim(payload, **claim))


def test_what_the_producer_left_out_comes_from_the_entry() -> None:
    assert body({"event_data": 1}, id=ULID, created_at=ACCEPTED) == {
        "event_data": 1,
        "event_id": ULID,
        "source": {},
        "event_timestamp": "2025-01-01T00:00:00.123Z",
    }


def test_what_the_producer_said_is_not_touched() -> None:
    assert body(COMPLETE) == COMPLETE


def test_the_id_goes_out_as_event_id_whatever_its_name_was() -> None:
    assert body({**COMPLETE, "_id": "a"}) == COMPLETE
    assert body({"_id": "b"})["event_id"] == "b"
    assert "_id" not in body({"_id": "b"})


def test_a_repeat_is_the_same_bytes() -> None:
    first = a_claim({"event_data": {"z": 1, "a": 2.5}}, id=ULID, attempts=0)
    again = a_claim({"event_data": {"z": 1, "a": 2.5}}, id=ULID, attempts=3, in_doubt=True)

    assert json.dumps(wire_body(first)) == json.dumps(wire_body(again))


@pytest.mark.parametrize("version", VERSIONS)
@given(payload=payloads)
def test_whatever_is_accepted_is_recognised_when_read_back(
    version: str, payload: dict[str, Any]
) -> None:
    EventPayload.model_validate(payload)
    claim = a_claim(payload)

    assert is_same_event(claim, judged(wire_body(claim), version))


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_every_type_is_recognised(event_type: str) -> None:
    claim = a_claim({"event_type": event_type.upper()})
    version = "0.5.2" if event_type == "experiment_stop" else "0.8.1"

    assert is_same_event(claim, judged(wire_body(claim), version))


@pytest.mark.parametrize(
    "change",
    [
        {"event_type": "log"},
        {"log_level": 30},
        {"alert": True},
        {"event_timestamp": "2025-01-01T00:00:01Z"},
        pytest.param({"event_timestamp": "2025-01-01T00:00:00"}, id="the same time with no zone"),
        {"source": {}},
        {"event_data": {"k": 2}},
        pytest.param({"event_data": {"k": True}}, id="true is not 1"),
        {"event_data": {"k": "1"}},
        {"event_data": None},
        pytest.param({"event_type": "of_the_future"}, id="a type that we do not know"),
        {"event_timestamp": None},
        {"source": "broken"},
    ],
    ids=str,
)
def test_another_event_under_our_id_is_told_apart(change: dict[str, Any]) -> None:
    stored = {**COMPLETE, "_id": "a", **change}

    assert not is_same_event(a_claim(COMPLETE), stored)


@pytest.mark.parametrize(
    "spelling",
    [
        {"event_timestamp": "2025-01-01T02:00:00.000000+02:00"},
        {"event_data": {"k": 1.0}},
        {"archived": True, "archived_at": "2026-01-01T00:00:00"},
        {"trace_id": None, "span_id": None},
    ],
    ids=str,
)
def test_the_same_event_in_another_spelling_is_the_same(spelling: dict[str, Any]) -> None:
    assert is_same_event(a_claim(COMPLETE), {**COMPLETE, **spelling})


def test_a_trace_counts_only_where_the_server_keeps_it() -> None:
    sent = a_claim({**COMPLETE, "trace_id": "t"})

    assert is_same_event(sent, COMPLETE)
    assert is_same_event(sent, {**COMPLETE, "trace_id": "t"})
    assert not is_same_event(sent, {**COMPLETE, "trace_id": "another"})


def test_what_is_no_number_in_json_was_stored_as_null() -> None:
    sent = a_claim({**COMPLETE, "event_data": [float("nan"), float("inf")]})

    assert is_same_event(sent, {**COMPLETE, "event_data": [None, None]})
