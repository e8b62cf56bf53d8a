"""Envelopes as `put` makes them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.registry import KINDS
from agent.cli.composing import (
    ENVELOPE_NAMES,
    NAMED_BY_PAYLOAD,
    Contradiction,
    Said,
    encoded,
    enveloped,
    mint,
    text_envelope,
    value_of,
)
from agent.client import Upload
from agent.envelope import NAMES
from agent.refusal import Refusal

NOW = datetime(2026, 11, 23, 10, 0, 0, 123000, tzinfo=UTC)
PAYLOAD = {"event_type": "test"}


def made(value: dict[str, Any], said: Said | None = None, **more: Any) -> dict[str, Any]:
    return enveloped(value, said or Said("events"), now=NOW, key="minted", **more)


def test_a_bare_payload_gets_backend_key_and_the_time_of_the_call() -> None:
    assert made(PAYLOAD) == {
        "payload": PAYLOAD,
        "backend": "events",
        "key": "minted",
        "created_at": "2026-11-23T10:00:00.123Z",
    }


def test_an_envelope_keeps_what_it_says() -> None:
    given = {"payload": PAYLOAD, "key": "mine", "created_at": "2020-01-01T00:00:00Z", "kind": "e"}

    assert made(given) == {**given, "backend": "events"}


def test_an_object_with_payload_and_a_foreign_name_is_a_payload() -> None:
    value = {"payload": {}, "color": "red"}

    assert made(value)["payload"] == value


def test_options_win_over_the_envelope_and_labels_add_up() -> None:
    given = {"payload": PAYLOAD, "key": "a", "kind": "b", "stream": "c", "labels": {"x": "1"}}
    said = Said("events", kind="B", key="A", stream="C", labels={"y": "2"})

    envelope = made(given, said)

    assert [envelope[name] for name in ("key", "kind", "stream")] == ["A", "B", "C"]
    assert envelope["labels"] == {"x": "1", "y": "2"}


def test_an_envelope_for_another_backend_is_a_contradiction() -> None:
    with pytest.raises(Contradiction, match="elog"):
        made({"payload": PAYLOAD, "backend": "elog"})


def test_files_are_added_to_the_list_unless_they_are_on_it() -> None:
    given = {"payload": {}, "attachments": [{"name": "a.png", "description": "A"}]}
    files = [Upload(Path("x/a.png"), "a.png", "image/png"), Upload(Path("b"), "b")]

    assert made(given, files=files)["attachments"] == [
        {"name": "a.png", "description": "A"},
        {"name": "b"},
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("labels", ["a"]), ("attachments", {"name": "a"})], ids=str
)
def test_what_cannot_be_added_to_is_refused_with_its_place(field: str, value: Any) -> None:
    files = [Upload(Path("b"), "b")]

    with pytest.raises(Refusal) as refused:
        made({"payload": {}, field: value}, Said("events", labels={"x": "1"}), files=files)

    assert refused.value.errors[0].pointer == f"/{field}"


@pytest.mark.parametrize("name", ["event_id", "_id"])
def test_an_event_that_names_itself_gets_no_other_key(name: str) -> None:
    said = Said("events", backend_kind="event_manager")

    assert "key" not in made({**PAYLOAD, name: "E1"}, said)
    assert made(PAYLOAD, said)["key"] == "minted"


def test_only_a_record_names_itself_not_an_update_of_it() -> None:
    record = {"record_id": "r"}

    assert "key" not in made(record, Said("accounting", backend_kind="auditor"))
    update = Said("accounting", kind="record_update", backend_kind="auditor")
    assert made(record, update)["key"] == "minted"


def test_the_kinds_that_name_their_entries_are_main_kinds_of_the_registry() -> None:
    assert {kind: KINDS[kind].main_kind for kind in NAMED_BY_PAYLOAD} == {
        kind: main for kind, (main, _) in NAMED_BY_PAYLOAD.items()
    }


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("auditor", {"record_id": "r1", "components": [], "start_time": "2026-01-01T00:00:00Z"}),
        ("event_manager", {"event_id": "E1"}),
        ("event_manager", {"_id": "E1"}),
    ],
    ids=str,
)
def test_what_names_itself_here_names_itself_for_the_adapter(
    kind: str, payload: dict[str, Any]
) -> None:
    main, names = NAMED_BY_PAYLOAD[kind]
    entry_kind = KINDS[kind].kinds[main]

    address = entry_kind.address(entry_kind.payload.model_validate(payload))

    assert address.key in [payload.get(name) for name in names]


def test_the_names_of_an_envelope_are_those_of_the_agent() -> None:
    assert ENVELOPE_NAMES == NAMES


def test_keys_sort_by_time_and_differ_at_the_same_time() -> None:
    later = datetime(2026, 11, 23, 10, 0, 1, tzinfo=UTC)

    assert mint(NOW) < mint(later)
    assert mint(NOW) != mint(NOW)
    assert mint(NOW, bytes) == "put-01a207d9217b-00000000000000000000"


def test_a_byte_order_mark_of_an_editor_is_let_pass() -> None:
    assert value_of(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("raw", [b"[1]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff"])
def test_what_is_no_json_object_is_refused_without_asking_anybody(raw: bytes) -> None:
    with pytest.raises(Refusal):
        value_of(raw)


def test_what_travels_is_one_line_with_the_text_as_it_was() -> None:
    assert encoded({"payload": {"text": "a\né"}}) == '{"payload":{"text":"a\\né"}}'.encode()


def test_a_markdown_file_is_a_post_by_the_rules_of_the_spool() -> None:
    raw = b"---\nexperiment: xpp\ntags: [a]\nkey: k1\n---\nAll is well.\n"

    value = text_envelope(raw, markdown=True, said=Said("elog", backend_kind="elog"))

    assert value == {
        "key": "k1",
        "payload": {"experiment": "xpp", "tags": ["a"], "text": "All is well.\n"},
    }


def test_a_text_is_no_entry_of_any_other_backend() -> None:
    with pytest.raises(Refusal, match="eLog posts"):
        text_envelope(b"x", markdown=False, said=Said("events", backend_kind="event_manager"))


def test_bad_front_matter_is_refused_with_its_line() -> None:
    with pytest.raises(Refusal, match="line 2"):
        text_envelope(
            b"---\nwhat is this\n---\n", markdown=True, said=Said("elog", backend_kind="elog")
        )


def test_the_payload_is_carried_unchanged() -> None:
    raw = b'{"n": 1.50, "big": 9007199254740993, "text": "\\u00e9"}'

    assert json.loads(encoded(made(value_of(raw))))["payload"] == json.loads(raw)
