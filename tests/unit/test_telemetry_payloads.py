"""What a telemetry event may look like, and where it belongs."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.telemetry import KIND, Options
from adapters.telemetry.payloads import Event
from storage.entry import Address

JUDGE = KIND.kinds["event"].payload


def refusals(payload: Any) -> list[tuple[Any, ...]]:
    """Where the payload is refused, judged as a value and as text alike."""
    with pytest.raises(ValidationError) as as_value:
        JUDGE.model_validate(payload)
    with pytest.raises(ValidationError) as as_text:
        JUDGE.model_validate_json(json.dumps(payload))
    places = [error["loc"] for error in as_value.value.errors()]
    assert places == [error["loc"] for error in as_text.value.errors()]
    return places


@pytest.mark.parametrize("data", [None, 0, 1.5, "s", "", [], [1, None], {}, {"a": {"b": []}}, True])
@pytest.mark.parametrize("event_type", ["weather", "", "a/b", "é", "x" * 1000])
def test_any_text_is_a_type_and_any_json_is_data(data: Any, event_type: str) -> None:
    JUDGE.model_validate({"type": event_type, "data": data})


@pytest.mark.parametrize(
    "extra",
    [
        {"make_current": False, "store_permanently": False, "meta": {}, "ts": None},
        {"ts": ""},
        {"ts": "2026-01-01T00:00:00.000Z"},
        {"ts": "not a time at all"},
        {"meta": {"event_id": "A1", "run_id": 7, "_private": None, "model_config": 1, "copy": []}},
    ],
)
def test_every_field_of_the_servers_own_body_is_taken(extra: dict[str, Any]) -> None:
    JUDGE.model_validate({"type": "t", "data": {}, **extra})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"type": 5}, ("type",)),
        ({"type": None}, ("type",)),
        ({"make_current": 1}, ("make_current",)),
        ({"make_current": "yes"}, ("make_current",)),
        ({"make_current": None}, ("make_current",)),
        ({"store_permanently": 0}, ("store_permanently",)),
        ({"store_permanently": "false"}, ("store_permanently",)),
        ({"meta": None}, ("meta",)),
        ({"meta": []}, ("meta",)),
        ({"meta": {"event_id": 5}}, ("meta", "event_id")),
        ({"meta": {"event_id": ""}}, ("meta", "event_id")),
        ({"meta": {"event_id": None}}, ("meta", "event_id")),
        ({"ts": 1_779_271_200}, ("ts",)),
        ({"seq": 1}, ("seq",)),
        ({"stream": "run"}, ("stream",)),
        ({"Type": "t"}, ("Type",)),
    ],
)
def test_what_the_server_would_coerce_drop_or_refuse_is_refused(
    change: dict[str, Any], place: tuple[str, ...]
) -> None:
    assert refusals({"type": "t", "data": {}, **change}) == [place]


@pytest.mark.parametrize("missing", ["type", "data"])
def test_type_and_data_have_to_be_there(missing: str) -> None:
    payload = {"type": "t", "data": {}}
    del payload[missing]

    assert refusals(payload) == [(missing,)]


@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_a_payload_is_an_object(payload: Any) -> None:
    assert refusals(payload) == [()]


def address(**fields: Any) -> Address:
    return KIND.kinds["event"].address(Event(type="weather", data=1, **fields))


def test_all_events_are_one_stream_and_events_of_a_type_replace_one_another() -> None:
    assert address() == Address(stream="telemetry", slot="weather")


def test_an_event_that_is_not_to_be_current_replaces_none() -> None:
    assert address(make_current=False).slot is None


@pytest.mark.parametrize(
    ("run_id", "labels"),
    [("X", {"run": "X"}), ("", {}), (7, {}), (None, {}), ("x" * 257, {}), ("x" * 256, None)],
)
def test_the_run_is_a_label_where_it_can_be_one(run_id: Any, labels: Any) -> None:
    found = address(meta={"run_id": run_id}).labels

    assert found == ({"run": run_id} if labels is None else labels)


def test_the_site_folder_is_an_absolute_path() -> None:
    assert Options(site_dir="/srv/telemetry").site_dir == Path("/srv/telemetry")
    with pytest.raises(ValidationError, match="absolute"):
        Options(site_dir="telemetry")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="site_folder"):
        Options(site_folder="/srv")


# Runs


def judge(kind: str, payload: Any) -> Address:
    """As intake does. Raises ValidationError."""
    model = KIND.kinds[kind].payload
    assert model.model_validate_json(json.dumps(payload)) == model.model_validate(payload)
    return KIND.kinds[kind].address(model.model_validate(payload))


@pytest.mark.parametrize(
    ("payload", "label"),
    [
        ({}, None),
        ({"run_id": None, "run_dir": None, "meta": {}}, None),
        ({"run_id": "007", "run_dir": "/data/007", "meta": {"x": [1]}}, "007"),
        ({"run_id": "", "meta": {"run_id": 7}}, "7"),
        ({"meta": {"run_id": "X"}}, "X"),
    ],
)
def test_a_start_is_the_servers_own_body_in_the_stream_of_the_events(
    payload: dict[str, Any], label: str | None
) -> None:
    labels = {} if label is None else {"run": label}
    assert judge("run_start", payload) == Address(stream="telemetry", labels=labels)


def test_a_stop_may_name_its_run() -> None:
    assert judge("run_stop", {}) == Address(stream="telemetry")
    assert judge("run_stop", {"run_id": "X"}) == Address(stream="telemetry", labels={"run": "X"})


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("run_start", {"run_id": 5}),
        ("run_start", {"run_id": "a\0b"}),
        ("run_start", {"run_id": "é" * 128}),
        ("run_start", {"run_dir": "deep/" + "x" * 256}),
        ("run_start", {"run_dir": "x/" * 501}),
        ("run_start", {"meta": None}),
        ("run_start", {"meta": {"run_id": ["X"]}}),
        ("run_start", {"name": "X"}),
        ("run_stop", {"run_id": 5}),
        ("run_stop", {"meta": {}}),
    ],
)
def test_what_can_be_no_run_is_refused(kind: str, payload: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        judge(kind, payload)
