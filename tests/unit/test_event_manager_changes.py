"""What Holdfast changes in an event on its way: types, late alerts, local times."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.answer import Answer
from adapters.event_manager.event_types import (
    BEFORE_0_7,
    EVENT_TYPES,
    SINCE_0_7,
    in_definition,
    in_description,
    in_health,
    in_refusal,
    spelled,
)
from adapters.event_manager.local_time import zoned
from adapters.event_manager.options import Options
from adapters.event_manager.originals import altered, restored
from adapters.event_manager.wire import adapted, is_same_event, wire_body
from tests.answers import answer
from tests.builders import NOW, a_claim
from tests.emulators.event_manager_model import Refusal, judged

BERLIN = ZoneInfo("Europe/Berlin")
VERSIONS = {"0.5.2": BEFORE_0_7, "0.8.1": SINCE_0_7}
SUPPRESS = Options(alert_late="suppress")
# What a producer may have put where we keep a note.
DATA: list[Any] = [
    {},
    {"k": 1},
    None,
    "text",
    [1, 2],
    7,
    {"holdfast": "mine"},
    {"holdfast": {"event_type": "log"}},
    {"event_data": {"holdfast": 1}},
]


def told(body: Any, status: int = 200) -> Answer:
    return answer(status, json.dumps(body).encode())


def late(payload: dict[str, Any], options: Options = SUPPRESS, age: float = 601) -> dict[str, Any]:
    """The event as it goes out when its time was `age` seconds before it is first sent."""
    claim = a_claim(payload, created_at=NOW - round(age * 1000))
    body = wire_body(claim)
    return adapted(body, body.get("event_type", "unknown"), first_sent_at=NOW, options=options)


@pytest.mark.parametrize(
    ("event_type", "known", "said"),
    [
        ("experiment_stop", BEFORE_0_7, "experiment_stop"),
        ("experiment_stop", SINCE_0_7, "experiment_cancelled"),
        ("experiment_cancelled", BEFORE_0_7, "experiment_stop"),
        ("experiment_cancelled", SINCE_0_7, "experiment_cancelled"),
        ("manager_start", BEFORE_0_7, "unknown"),
        ("manager_start", SINCE_0_7, "manager_start"),
        pytest.param("manager_start", None, "manager_start", id="nobody has told"),
    ],
)
def test_a_type_is_told_in_the_servers_words(
    event_type: str, known: frozenset[str] | None, said: str
) -> None:
    assert spelled(event_type, known) == said


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refusal_of_a_type_teaches_all_that_the_server_knows(version: str) -> None:
    with pytest.raises(Refusal) as refused:
        judged({"event_type": "nonsense", "log_level": 15}, version)

    assert in_refusal(told({"detail": refused.value.detail}, 422)) == VERSIONS[version]


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "log_level"], "msg": "Input should be 'unknown'"}]},
        {"detail": [{"loc": ["body", "event_type"], "msg": "must be a text"}]},
        {"detail": [{"loc": ["body", "event_type"]}, 7]},
        {"detail": "unknown"},
        ["unknown"],
    ],
    ids=str,
)
def test_no_other_refusal_teaches_anything(body: Any) -> None:
    assert in_refusal(told(body, 422)) is None
    assert in_description(told(body)) is None


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("0.6.0", BEFORE_0_7),
        ("0.7.0", SINCE_0_7),
        ("0.8.1", SINCE_0_7),
        ("0.10.0rc1", SINCE_0_7),
        ("1.0", SINCE_0_7),
        ("unknown", None),
        (None, None),
        (7, None),
    ],
)
def test_the_version_tells_the_types(version: Any, known: frozenset[str] | None) -> None:
    assert in_health(told({"healthy": True, "version": version})) == known


def test_a_definition_is_one_of_an_event_manager() -> None:
    assert in_definition(told({"manager_type": "event_manager"})) == BEFORE_0_7
    assert in_definition(told({"manager_type": "lab_manager"})) is None
    assert in_definition(told({"manager_type": "event_manager"}, 404)) is None


@pytest.mark.parametrize("data", DATA, ids=str)
@pytest.mark.parametrize("change", [{}, {"event_type": ("log", "unknown")}], ids=str)
def test_what_was_changed_can_be_read_back_whatever_the_producer_sent(
    data: Any, change: dict[str, Any]
) -> None:
    event = {"event_type": "log", "event_data": data}

    assert restored(altered(event, change)) == (event if change else restored(event))


def test_the_note_stands_beside_the_producers_own_keys_or_around_them() -> None:
    change = {"event_type": ("manager_start", "unknown")}

    def noted(data: dict[str, Any]) -> Any:
        return altered({"event_type": "manager_start", **data}, change)["event_data"]

    assert noted({}) == {"holdfast": {"event_type": "manager_start"}}
    assert noted({"event_data": {"k": 1}}) == {
        "k": 1,
        "holdfast": {"event_type": "manager_start"},
    }
    for whole in (None, "text", {"holdfast": 1}):
        assert noted({"event_data": whole}) == {
            "holdfast": {"event_type": "manager_start", "wrapped": True},
            "event_data": whole,
        }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("options", [Options(), SUPPRESS], ids=["keep", "suppress"])
@given(
    event_type=st.sampled_from(sorted(EVENT_TYPES)),
    level=st.sampled_from([0, 20, 40, "CRITICAL"]),
    alert=st.booleans(),
    data=st.sampled_from(DATA),
    at=st.sampled_from(["2026-01-01T12:00:00", "2026-01-01T12:00:00+05:00", 1735689600]),
)
def test_whatever_was_changed_for_whichever_server_is_recognised_when_it_is_read_back(
    version: str, options: Options, **payload: Any
) -> None:
    event = {
        "event_type": payload["event_type"],
        "log_level": payload["level"],
        "alert": payload["alert"],
        "event_data": payload["data"],
        "event_timestamp": payload["at"],
    }
    claim = a_claim(event)
    word = spelled(payload["event_type"], VERSIONS[version])

    sent = adapted(wire_body(claim, BERLIN), word, first_sent_at=NOW, options=options)
    stored = judged(sent, version)

    assert is_same_event(claim, stored)
    assert not is_same_event(a_claim({**event, "event_data": "another"}, id=claim.id), stored)
    assert stored["event_type"] == word


@pytest.mark.parametrize(
    ("payload", "goes_out"),
    [
        ({"log_level": 20}, {"log_level": 20}),
        ({"log_level": 40}, {"log_level": 30, "event_data": {"holdfast": {"log_level": 40}}}),
        (
            {"log_level": "critical", "event_data": {"k": 1}},
            {"log_level": 30, "event_data": {"k": 1, "holdfast": {"log_level": 50}}},
        ),
        ({"alert": True}, {"alert": False, "event_data": {"holdfast": {"alert": True}}}),
        (
            {"alert": True, "log_level": 50},
            {
                "alert": False,
                "log_level": 30,
                "event_data": {"holdfast": {"alert": True, "log_level": 50}},
            },
        ),
        ({"alert": False, "log_level": 30}, {"alert": False, "log_level": 30}),
    ],
    ids=str,
)
def test_a_late_event_is_told_without_its_alarm(
    payload: dict[str, Any], goes_out: dict[str, Any]
) -> None:
    added = {"event_id", "source", "event_timestamp"}

    assert {k: v for k, v in late(payload).items() if k not in added} == goes_out
    assert late(payload, Options()).items() >= payload.items(), "unless it was asked for"


def test_late_begins_after_the_set_time_and_counts_from_the_events_own() -> None:
    assert late({"log_level": 40}, age=600)["log_level"] == 40
    assert late({"log_level": 40}, age=600.001)["log_level"] == 30
    fresh = datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(seconds=1)
    assert late({"log_level": 40, "event_timestamp": fresh.isoformat()})["log_level"] == 40
    old = {"log_level": 40, "event_timestamp": "2020-01-01T00:00:00Z"}
    assert late(old, age=0)["log_level"] == 30


def test_the_level_that_mails_is_a_setting() -> None:
    options = Options(alert_late="suppress", alert_level=20)

    assert late({}, options)["log_level"] == 10
    assert late({}, options)["event_data"] == {"holdfast": {"log_level": 20}}
    assert late({"log_level": 10}, options)["log_level"] == 10


def local(text: str, made_at: str = "2030-01-01T00:00:00Z") -> str | None:
    moment = zoned(datetime.fromisoformat(text), BERLIN, made_at=datetime.fromisoformat(made_at))
    return moment and moment.isoformat()


@pytest.mark.parametrize(
    ("text", "made_at", "with_zone"),
    [
        ("2026-01-15T12:00:00", "2026-01-15T11:00:00Z", "2026-01-15T12:00:00+01:00"),
        ("2026-07-15T12:00:00.25", "2026-07-15T10:00:00Z", "2026-07-15T12:00:00.250000+02:00"),
        # 25 October 2026: 02:30 comes at 00:30 UTC and again at 01:30 UTC.
        ("2026-10-25T02:30:00", "2026-10-25T00:30:01Z", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00", "2026-10-25T01:30:01Z", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:00:00Z", "2026-10-25T02:30:00+02:00"),
        # 29 March 2026: there is no 02:30.
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00+01:00"),
        ("1850-01-01T00:00:00", "2026-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00", "2026-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59+01:00"),
    ],
)
def test_a_local_time_gets_the_offset_of_its_moment(
    text: str, made_at: str, with_zone: str | None
) -> None:
    assert local(text, made_at) == with_zone


@pytest.mark.parametrize(
    ("said", "goes_out"),
    [
        ("2026-01-15 12:00:00", "2026-01-15T12:00:00+01:00"),
        ("2026-01-15", "2026-01-15T00:00:00+01:00"),
        ("2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z"),
        ("2026-01-15T12:00:00+05:30", "2026-01-15T12:00:00+05:30"),
        (1735689600, 1735689600),
        ("1735689600123", "1735689600123"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
    ],
)
def test_only_a_time_without_a_zone_is_changed(said: Any, goes_out: Any) -> None:
    assert wire_body(a_claim({"event_timestamp": said}), BERLIN)["event_timestamp"] == goes_out


@pytest.mark.parametrize(
    ("stored", "same"),
    [
        pytest.param("2026-01-15T12:00:00+01:00", True, id="as it is sent now"),
        pytest.param("2026-01-15T12:00:00", True, id="as earlier versions sent it"),
        pytest.param("2026-01-15T12:00:00-08:00", True, id="this host was set to another zone"),
        pytest.param("2026-01-15T12:00:00Z", True, id="or to UTC"),
        pytest.param("2026-01-15T12:00:01+01:00", False, id="another time"),
    ],
)
def test_a_local_time_is_recognised_by_its_digits(stored: str, same: bool) -> None:
    claim = a_claim({"event_timestamp": "2026-01-15T12:00:00"})
    document = {**wire_body(claim), "_id": claim.id, "event_timestamp": stored}

    assert is_same_event(claim, document) == same


def test_the_systems_own_zone_is_taken_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        body = wire_body(a_claim({"event_timestamp": "2026-07-15T12:00:00"}))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert body["event_timestamp"] == "2026-07-15T12:00:00-04:00"
