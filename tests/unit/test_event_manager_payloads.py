"""What Holdfast takes for an event, and where it points when it does not."""

from typing import Any

import pytest
from pydantic import ValidationError

from adapters.event_manager import KIND, Options, address
from adapters.event_manager.event_types import BEFORE_0_7, EVENT_TYPES, SINCE_0_7
from adapters.event_manager.payload import MAX_DOCUMENT_BYTES, EventPayload, bson_size
from storage.entry import Address
from tests.emulators.event_manager_model import EventType052, EventType081

ULID = "01JJ4S0WNGEF5FQAZG5KDGJRBV"

FROM_A_0_5_2_CLIENT = {
    "event_id": ULID,
    "event_type": "log_info",
    "log_level": 20,
    "alert": False,
    "event_timestamp": "2025-11-11T15:06:30.123456",
    "source": {},
    "event_data": '"text"',
}
FROM_A_0_8_1_CLIENT = {
    **FROM_A_0_5_2_CLIENT,
    "event_data": {"message": "text"},
    "trace_id": None,
    "span_id": None,
    "archived": False,
    "archived_at": None,
}


def pointers(payload: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        EventPayload.model_validate(payload)
    return ["/".join(map(str, error["loc"])) for error in caught.value.errors()]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({}, id="nothing: the server has a default for everything"),
        pytest.param(FROM_A_0_5_2_CLIENT, id="what a 0.5.2 client sends"),
        pytest.param(FROM_A_0_8_1_CLIENT, id="what a 0.8.1 client sends"),
        {"_id": "my-own-id:42"},
        {"event_id": "same", "_id": "same"},
        {"event_id": "50% of a?b#c Ångström"},
        {"event_type": "LOG_Info"},
        {"event_type": "experiment_stop"},
        {"event_type": "experiment_cancelled"},
        {"log_level": 0},
        {"log_level": "warning"},
        {"log_level": "50"},
        {"log_level": 20.0},
        {"event_timestamp": "2025-01-01T00:00:00Z"},
        {"event_timestamp": "2025-01-01 00:00:00.123456789+02:00"},
        {"event_timestamp": "2025-01-01"},
        {"event_timestamp": 1735689600},
        {"event_timestamp": 1735689600123},
        {"event_timestamp": "1735689600"},
        {"source": {"node_id": ULID.lower(), "user_id": None}},
        {"event_data": None},
        {"event_data": [1, {"$x": 1, "a.b": 2}]},
        {"trace_id": "any text", "span_id": "s"},
    ],
    ids=str,
)
def test_events_that_the_server_takes_are_accepted(payload: dict[str, Any]) -> None:
    EventPayload.model_validate(payload)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"bogus": 1}, "bogus"),
        ({"event_id": None}, "event_id"),
        ({"event_id": 12345}, "event_id"),
        ({"event_id": ""}, "event_id"),
        ({"_id": None}, "_id"),
        ({"_id": ""}, "_id"),
        ({"event_id": "has/slash"}, "event_id"),
        ({"event_id": ".."}, "event_id"),
        ({"event_id": "two\nlines"}, "event_id"),
        ({"event_id": "x" * 201}, "event_id"),
        ({"event_id": "a", "_id": "b"}, ""),
        ({"event_type": "no_such_type"}, "event_type"),
        ({"event_type": 5}, "event_type"),
        ({"event_type": None}, "event_type"),
        ({"event_type": " log"}, "event_type"),
        ({"log_level": 15}, "log_level"),
        ({"log_level": "nope"}, "log_level"),
        ({"log_level": True}, "log_level"),
        ({"log_level": False}, "log_level"),
        ({"log_level": None}, "log_level"),
        ({"log_level": [20]}, "log_level"),
        ({"log_level": "15"}, "log_level"),
        ({"alert": "yes"}, "alert"),
        ({"alert": 1}, "alert"),
        ({"event_timestamp": "yesterday"}, "event_timestamp"),
        ({"event_timestamp": None}, "event_timestamp"),
        ({"event_timestamp": True}, "event_timestamp"),
        ({"event_timestamp": 1e300}, "event_timestamp"),
        ({"source": None}, "source"),
        ({"source": {"node_id": "not-a-ulid"}}, "source/node_id"),
        ({"source": {"node_id": "8" + ULID[1:]}}, "source/node_id"),
        ({"source": {"node_id": 1}}, "source/node_id"),
        ({"source": {"weird": ULID}}, "source/weird"),
        ({"trace_id": 1}, "trace_id"),
        ({"span_id": "s" * 257}, "span_id"),
        ({"archived": True}, "archived"),
        ({"archived": None}, "archived"),
        ({"archived": 0}, "archived"),
        ({"archived_at": "2025-01-01T00:00:00"}, "archived_at"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_events_that_no_server_keeps_as_they_are_are_refused(
    payload: dict[str, Any], pointer: str
) -> None:
    assert pointers(payload) == [pointer]


def test_an_unknown_type_is_refused_with_the_list_of_known_ones() -> None:
    with pytest.raises(
        ValidationError, match=r"must be one of: action_complete, .*, workflow_start"
    ):
        EventPayload.model_validate({"event_type": "no_such_type"})


def test_refusals_do_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as caught:
        EventPayload.model_validate({"event_type": "secret-thing"})

    assert "secret-thing" not in str(caught.value)


def test_the_types_of_both_versions_are_known() -> None:
    assert {str(member.value) for member in EventType052} == BEFORE_0_7
    assert {str(member.value) for member in EventType081} == SINCE_0_7
    assert (len(BEFORE_0_7), len(SINCE_0_7)) == (38, 63)
    assert EVENT_TYPES == BEFORE_0_7 | SINCE_0_7


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 0),
        (True, 1),
        (7, 8),
        (1.5, 8),
        ("é", 7),
        ({}, 5),
        ({"a": 1.0}, 5 + 3 + 8),
        ([1.0] * 11, 5 + 10 * (3 + 8) + (4 + 8)),
    ],
)
def test_the_size_of_a_document_is_known_beforehand(value: Any, size: int) -> None:
    assert bson_size(value) == size


def test_an_event_that_no_database_can_store_is_refused() -> None:
    at_most = MAX_DOCUMENT_BYTES - 4096 - 5

    EventPayload.model_validate({"event_data": "x" * at_most})
    assert pointers({"event_data": "x" * (at_most + 1)}) == ["event_data"]


def test_many_small_numbers_grow_in_the_database() -> None:
    assert pointers({"event_data": [0] * 1_200_000}) == ["event_data"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, Address(urgency=20)),
        ({"event_id": "a"}, Address(key="a", urgency=20)),
        ({"_id": "a", "log_level": "debug"}, Address(key="a", urgency=10)),
        (
            {"source": {"experiment_id": ULID}, "log_level": 0},
            Address(labels={"experiment": ULID}, urgency=0),
        ),
        ({"log_level": "50"}, Address(urgency=50)),
        ({"log_level": 10, "alert": True}, Address(urgency=40)),
        ({"log_level": 50, "alert": True}, Address(urgency=50)),
    ],
)
def test_the_id_is_the_key_the_experiment_a_label_and_the_level_the_urgency(
    payload: dict[str, Any], expected: Address
) -> None:
    assert address(EventPayload.model_validate(payload)) == expected


def test_one_kind_of_entry_looked_up_when_in_doubt() -> None:
    assert list(KIND.kinds) == [KIND.main_kind] == ["event"]
    assert KIND.kinds["event"].in_doubt == "find"
    assert (KIND.batch_size, KIND.concurrency) == (1, 4)
    assert (KIND.settles_after_seconds, KIND.absent_answers) == (5, 2)


def test_the_settings_of_an_event_manager() -> None:
    assert Options() == Options(alert_late="keep", late_after_seconds=600, alert_level=40)
    assert Options(alert_level="warning").alert_level == 30  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"alert_late": "drop"},
        {"late_after_seconds": -1},
        {"alert_level": 35},
        {"alert_level": 0},
        {"alert_level": "loud"},
        {"alerts": True},
    ],
    ids=str,
)
def test_wrong_settings_name_their_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Options(**wrong)

    assert [error["loc"] for error in caught.value.errors()] == [(next(iter(wrong)),)]
