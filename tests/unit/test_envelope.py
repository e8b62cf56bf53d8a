"""The envelope: what may be in it, and when an object is one."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.envelope import BASE64_PIECE, decoded, is_envelope, moment, read_envelope
from agent.refusal import Refusal
from storage.lists import iso


def refused(value: Any) -> dict[str, str]:
    """Pointer to reason of each fault."""
    with pytest.raises(Refusal) as caught:
        read_envelope(value, bare_allowed=False)
    assert caught.value.status == 422
    return {one.pointer: one.detail for one in caught.value.errors}


def test_an_object_with_a_payload_and_known_names_is_an_envelope() -> None:
    assert is_envelope({"payload": {}})
    assert is_envelope({"payload": {}, "key": "a", "labels": {}, "attachments": []})


@pytest.mark.parametrize("value", [{}, {"key": "a"}, {"payload": {}, "text": "x"}, [], "payload"])
def test_anything_else_is_none(value: Any) -> None:
    assert not is_envelope(value)


def test_where_the_backend_is_known_anything_else_is_the_payload() -> None:
    bare = {"payload": {}, "text": "x"}

    assert read_envelope(bare, bare_allowed=True).payload == bare


def test_where_it_is_not_known_each_unknown_name_is_told() -> None:
    faults = refused({"payload": {}, "text": "x", "Key": "a"})

    assert faults == dict.fromkeys(("/text", "/Key"), "is not a field of an envelope")


def test_null_means_absent_where_a_field_may_be_absent() -> None:
    names = ["backend", "kind", "key", "stream", "created_at", "expires_at", "attachments"]

    envelope = read_envelope({"payload": {}, **dict.fromkeys(names)}, bare_allowed=False)

    assert [getattr(envelope, name) for name in names] == [None] * len(names)


def test_the_bounds_of_names_and_labels_belong_to_them() -> None:
    labels = {f"{'n' * 62}{number:02}": "v" * 256 for number in range(32)}

    envelope = read_envelope(
        {"payload": {}, "key": "k" * 200, "stream": "\u00e9" * 200, "labels": labels},
        bare_allowed=False,
    )

    assert envelope.labels == labels


def test_a_label_is_told_with_its_own_place() -> None:
    assert list(refused({"payload": {}, "labels": {"a/b": 1}})) == ["/labels/a~1b"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00.000Z"),
        ("2026-11-23T10:00:00.123456Z", "2026-11-23T10:00:00.123Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_kept_to_the_millisecond(text: str, told: str) -> None:
    assert iso(moment(text)) == told


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001
def test_every_time_that_is_taken_can_be_told(when: datetime) -> None:
    ms = moment(when.replace(tzinfo=UTC).isoformat())

    assert iso(ms) is not None


@given(st.binary())
def test_base64_is_read_back(content: bytes) -> None:
    assert decoded(base64.b64encode(content).decode()) == content


def test_base64_is_read_over_the_borders_of_pieces() -> None:
    content = bytes(range(256)) * (BASE64_PIECE // 128) + b"x"

    assert decoded(base64.b64encode(content).decode()) == content


def test_padding_at_the_border_of_a_piece_is_not_the_end() -> None:
    text = "A" * (BASE64_PIECE - 4) + "AA==" + "AAAA"

    with pytest.raises(ValueError, match="padding in the middle"):
        decoded(text)
