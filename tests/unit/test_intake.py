"""Judging: what becomes of a draft, with the real kinds of backends and a real outbox."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.registry import KINDS
from agent.clock import Clock
from agent.draft import Bounds, Draft
from agent.intake import Intake
from agent.refusal import Refusal
from storage.entry import Entry, Producer
from storage.outbox import Outbox

BACKENDS = {
    "events": KINDS["event_manager"],
    "elog": KINDS["elog"],
    "accounting": KINDS["auditor"],
}
EVENT = {"event_type": "test"}
RECORD = {"record_id": "r1", "components": [], "start_time": "2024-01-31T12:00:00Z"}
POST = {"experiment": "mfxl1000123", "text": "Beam is back.", "run": 7}


@pytest.fixture
def intake(outbox: Outbox) -> Intake:
    return Intake(outbox, BACKENDS, clock=Clock(), bounds=Bounds(), wake=lambda _: None)


def draft(value: Any, **changes: Any) -> Draft:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    fields: dict[str, Any] = {"backend": None, "kind": None, "producer": Producer("test")}
    return Draft(body, **{**fields, **changes})


def judged(intake: Intake, payload: dict[str, Any] | None = None, **envelope: Any) -> Entry:
    return intake.judge(draft({"backend": "events", "payload": payload or EVENT, **envelope}))


def test_the_payload_is_kept_as_the_producer_wrote_it(intake: Intake) -> None:
    payload = {"event_data": {"z": 1, "a": [1.0, "\u00fc", None]}, "log_level": "info"}

    entry = judged(intake, payload)

    assert list(json.loads(entry.payload)) == ["event_data", "log_level"]
    assert json.loads(entry.payload) == payload


def test_without_a_key_the_entry_is_its_own(intake: Intake) -> None:
    entry = judged(intake)

    assert entry.key == entry.id


@pytest.mark.parametrize(
    ("given_key", "envelope", "payload_id", "default", "expected"),
    [
        ("header", {}, "payload", "door", "header"),
        (None, {"key": "envelope"}, "payload", "door", "envelope"),
        ("envelope", {"key": "envelope"}, "payload", "door", "envelope"),
        (None, {}, "payload", "door", "payload"),
        (None, {}, None, "door", "door"),
    ],
)
def test_the_nearest_word_on_the_key_counts(
    intake: Intake,
    given_key: str | None,
    envelope: dict[str, str],
    payload_id: str | None,
    default: str,
    expected: str,
) -> None:
    payload = {**EVENT, **({"event_id": payload_id} if payload_id else {})}
    value = {"backend": "events", "payload": payload, **envelope}

    entry = intake.judge(draft(value, given_key=given_key, default_key=default))

    assert entry.key == expected


def test_a_record_is_known_by_its_id_and_an_update_is_not(intake: Intake) -> None:
    update = {**RECORD, "stop_time": "2024-01-31T13:00:00Z"}

    record = judged(intake, RECORD, backend="accounting")
    other = judged(intake, update, backend="accounting", kind="record_update")

    assert (record.key, record.stream) == ("r1", "r1")
    assert (other.key, other.stream) == (other.id, "r1")


def test_labels_of_the_producer_count_more_than_those_of_the_payload(intake: Intake) -> None:
    entry = judged(intake, POST, backend="elog", labels={"run": "eight", "sample": "42"})

    assert entry.labels == {"experiment": "mfxl1000123", "run": "eight", "sample": "42"}


def test_the_order_of_names_makes_no_other_entry(intake: Intake) -> None:
    one = judged(intake, {"event_type": "test", "alert": False})
    other = judged(intake, {"alert": False, "event_type": "test"}, labels={"a": "b"}, stream="s")

    assert one.digest == other.digest


@pytest.mark.parametrize("change", [{"text": "Beam is gone."}, {"run": 8}, {"run": None}])
def test_other_content_makes_another_entry(intake: Intake, change: dict[str, Any]) -> None:
    one = judged(intake, POST, backend="elog")

    assert judged(intake, {**POST, **change}, backend="elog").digest != one.digest


def test_an_attached_file_belongs_to_the_content(intake: Intake) -> None:
    def with_file(name: str, content: str) -> str:
        part = {"name": name, "content_base64": content}
        return judged(intake, POST, backend="elog", attachments=[part]).digest

    assert with_file("a", "MQ==") == with_file("a", "MQ==")
    assert len({with_file("a", "MQ=="), with_file("a", "Mg=="), with_file("b", "MQ==")}) == 3


def test_an_alias_is_stored_under_the_name_of_its_kind(intake: Intake) -> None:
    payload = {"experiment": "mfxl1000123", "run": 7, "params": {"energy": 9.5}}

    entry = judged(intake, payload, backend="elog", kind="run_table")

    assert entry.kind == "run_params"


def test_the_time_of_the_producer_is_kept_beside_that_of_acceptance(intake: Intake) -> None:
    entry = judged(intake, created_at="2020-01-01T00:00:00Z")

    assert entry.created_at == 1_577_836_800_000
    assert entry.accepted.wall > entry.created_at


def test_a_bare_payload_that_has_a_field_payload_is_told_by_its_own_places(
    intake: Intake,
) -> None:
    with pytest.raises(Refusal) as refused:
        intake.judge(draft({"payload": 1, "other": 2}, backend="events"))

    assert {one.pointer for one in refused.value.errors} == {"/payload", "/other"}


def test_an_entry_does_not_leave_the_folder_it_lies_in(intake: Intake) -> None:
    value = {"backend": "elog", "payload": POST}
    with pytest.raises(Refusal, match="does not belong into events"):
        intake.judge(draft(value, backend="events"))

    value = {"kind": "record_update", "payload": RECORD}
    with pytest.raises(Refusal, match="does not belong into accounting/record"):
        intake.judge(draft(value, backend="accounting", kind="record"))


def test_a_payload_at_the_limit_is_taken_and_one_byte_more_is_not(outbox: Outbox) -> None:
    text = '{"event_data":"%s"}'
    bounds = Bounds(max_entry_bytes=1000)
    intake = Intake(outbox, BACKENDS, clock=Clock(), bounds=bounds, wake=lambda _: None)

    def payload(size: int) -> dict[str, Any]:
        return {"event_data": "x" * (size - len(text) + 2)}

    assert len(judged(intake, payload(1000)).payload) == 1000
    with pytest.raises(Refusal) as refused:
        judged(intake, payload(1001))
    assert refused.value.status == 413


def test_a_refused_entry_leaves_no_embedded_file(intake: Intake, outbox: Outbox) -> None:
    parts = [{"name": "a", "content_base64": "MQ=="}, {"name": "a", "content_base64": "MQ=="}]

    with pytest.raises(Refusal):
        judged(intake, POST, backend="elog", attachments=parts)

    assert list((outbox.attachments.root / "incoming").iterdir()) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = {
    "backend": st.sampled_from(list(BACKENDS)) | VALUES,
    "payload": st.sampled_from([EVENT, RECORD, POST]) | VALUES,
}
OPTIONAL = ("kind", "key", "stream", "labels", "created_at", "expires_at", "attachments")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries(FIELDS, optional=dict.fromkeys(OPTIONAL, VALUES)))
def test_any_envelope_is_an_entry_or_a_refusal_that_can_be_told(
    intake: Intake, value: dict[str, Any]
) -> None:
    try:
        entry = intake.judge(draft(json.dumps(value).encode()))
    except Refusal as refusal:
        json.dumps(refusal.problem(), ensure_ascii=False).encode()
    else:
        assert json.loads(entry.payload) == value["payload"]
