"""JSON is taken as everybody reads it, or refused with a place and a reason."""

import gc
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.refusal import MAX_ERRORS, MAX_POINTER, FieldError, Refusal, unfit
from agent.strict_json import canonical, compact, escaped, parse, text_bytes

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20
)


@given(VALUES)
def test_what_is_parsed_means_what_was_sent(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert json.loads(compact(parse(json.dumps(value, ensure_ascii=False).encode()))) == value


@given(st.dictionaries(NAMES, SCALARS))
def test_the_order_of_names_does_not_change_the_meaning(value: dict[str, Any]) -> None:
    other = dict(reversed(value.items()))

    assert canonical(value) == canonical(other)


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_value_or_a_refusal_that_can_be_told(body: bytes) -> None:
    try:
        parse(body)
    except Refusal as refusal:
        json.dumps(refusal.problem(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text",
    ["9223372036854775807", "-9223372036854775808", "1.7976931348623157e308", "5e-324", "1e-400"],
)
def test_the_outermost_numbers_are_taken(text: str) -> None:
    assert parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "pointers"),
    [
        ("NaN", [""]),
        ('{"params": {"a": NaN, "b/c": [1, -Infinity, 1e400]}}', ["/params/a", "/params/b~1c/1"]),
    ],
)
def test_what_json_has_no_number_for_is_told_with_its_place_and_what_to_send(
    text: str, pointers: list[str]
) -> None:
    with pytest.raises(Refusal) as refused:
        parse(text.encode())

    assert refused.value.status == 400
    assert [one.pointer for one in refused.value.errors] == pointers
    assert "no JSON number; send null" in refused.value.detail


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "9" * 5000, "1e309"]
)
def test_one_step_further_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(text.encode())

    assert refused.value.status == 422


def test_a_hundred_levels_are_taken_and_one_more_is_not() -> None:
    parse(b"[" * 100 + b"1" + b"]" * 100)
    parse(b'{"a":' * 100 + b"1" + b"}" * 100)

    with pytest.raises(Refusal, match="deeper than 100"):
        parse(b"[" * 101 + b"]" * 101)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_nul_is_taken_in_a_text_but_not_in_a_name() -> None:
    assert parse(b'{"a": "\\u0000"}') == {"a": "\x00"}

    with pytest.raises(Refusal) as refused:
        parse(b'[{"\\u0000": 1}]')
    assert refused.value.errors == (FieldError("/0/\x00", "a name contains NUL"),)


def test_every_fault_has_its_place() -> None:
    with pytest.raises(Refusal) as refused:
        parse(b'{"a": [1e999, 1], "b/c": {"d~": "\\udc00"}, "e": 18446744073709551616}')

    assert {one.pointer for one in refused.value.errors} == {"/a/0", "/b~1c/d~0", "/e"}


def test_the_collector_is_on_again_whatever_a_large_body_was() -> None:
    for body in (b"[" + b"[]," * 500_000 + b"1]", b"[" + b"[]," * 500_000):
        with suppress(Refusal):
            parse(body)
        assert gc.isenabled()


def test_base64_does_not_count_as_text() -> None:
    assert text_bytes(b'{"a":"' + b"QUJD" * 2**20 + b'=="}') == len(b'{"":""}')


def test_a_million_faults_are_told_in_short() -> None:
    errors = [FieldError(f"/{'x' * 5000}/{number}", "y" * 5000) for number in range(1000)]

    problem = unfit(errors).problem()

    assert len(problem["errors"]) == MAX_ERRORS
    assert len(json.dumps(problem)) < 50_000


def test_a_pointer_that_is_too_long_leads_to_what_is_around() -> None:
    told = FieldError("/payload/list/" + "x" * MAX_POINTER, "wrong").told()

    assert told["pointer"] == "/payload/list"


def test_half_a_surrogate_pair_can_be_told() -> None:
    refusal = unfit([FieldError("/\ud800", "not \udfff")])

    assert json.dumps(refusal.problem(), ensure_ascii=False).encode()


def test_a_pointer_step_is_escaped_as_rfc_6901_says() -> None:
    assert escaped("a/b~c") == "a~1b~0c"
