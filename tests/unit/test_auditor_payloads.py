"""The auditor payload models refuse what AUDITOR could never store, and nothing that it takes."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from adapters.auditor import KIND, Options
from adapters.auditor.payloads import (
    ALWAYS_A_GRAPHEME,
    RecordAdd,
    RecordUpdate,
    strict_faults,
)
from storage.entry import Address

RECORD = {"record_id": "r1", "components": [], "start_time": "2024-01-01T00:00:00Z"}
UPDATE = {"record_id": "r1", "components": [], "stop_time": "2024-01-01T00:00:00Z"}


def judged(model: type[BaseModel], value: dict[str, Any]) -> str | None:
    """Where the refusal points, as a JSON pointer; None when `value` is taken, both ways."""
    pointers = []
    for judge, form in (
        (model.model_validate, value),
        (model.model_validate_json, json.dumps(value)),
    ):
        try:
            judge(form)
            pointers.append(None)
        except ValidationError as exc:
            steps = [str(step) for step in exc.errors()[0]["loc"]]
            pointers.append("/" + "/".join(steps))
    assert pointers[0] == pointers[1]
    return pointers[0]


def component(**changes: Any) -> dict[str, Any]:
    return {"name": "cpu", "amount": 4, "scores": [], **changes}


def score(**changes: Any) -> dict[str, Any]:
    return {"name": "hs23", "value": 9.2, **changes}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"meta": None, "stop_time": None, "runtime": None},
        {"meta": {}},
        {"meta": {"site": []}},
        {"meta": {"voms": ["/atlas/Role=prod", ' padded "<>\\{}()']}},
        {"runtime": 3600},
        {"stop_time": "2023-01-01T00:00:00Z"},
        {"start_time": "2024-01-01T00:00:00.123456789+05:30"},
        {"start_time": "2024-01-01t00:00:00z"},
        {"start_time": "2016-12-31T23:59:60Z"},
        {"start_time": "2024-02-29T23:59:59-23:59"},
        {"components": [component(amount=0)]},
        {"components": [component(amount=2**63 - 1)]},
        {"components": [component(), component()]},
        {"components": [component(scores=[score(), score(value=10), score(value=0)])]},
        {"record_id": "a" * 256},
        {"record_id": "/?#"},
        {"record_id": "\x1c"},
        {"record_id": "e\u0301" * 256},
        {"record_id": "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}" * 150},
        {"record_id": "é" * 256},
    ],
)
def test_what_auditor_takes_is_taken(fields: dict[str, Any]) -> None:
    assert judged(RecordAdd, RECORD | fields) is None


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"record_id": ""}, "/record_id"),
        ({"record_id": " \t\u00a0\u2003"}, "/record_id"),
        ({"record_id": "a" * 257}, "/record_id"),
        ({"record_id": "字" * 257}, "/record_id"),
        ({"record_id": "a\0b"}, "/record_id"),
        ({"record_id": "a" + "\u0301" * 1000}, "/record_id"),
        ({"record_id": 5}, "/record_id"),
        ({"record_id": None}, "/record_id"),
        ({"components": None}, "/components"),
        ({"components": {}}, "/components"),
        ({"components": [{"name": "c", "amount": 1}]}, "/components/0/scores"),
        ({"components": [component(), component(amount=-1)]}, "/components/1/amount"),
        ({"components": [component(amount=2**63)]}, "/components/0/amount"),
        ({"components": [component(amount=4.0)]}, "/components/0/amount"),
        ({"components": [component(amount="4")]}, "/components/0/amount"),
        ({"components": [component(amount=True)]}, "/components/0/amount"),
        ({"components": [component(name=" ")]}, "/components/0/name"),
        ({"components": [component(unit="kg")]}, "/components/0/unit"),
        ({"components": [component(scores=None)]}, "/components/0/scores"),
        ({"components": [component(scores=[score(value=None)])]}, "/components/0/scores/0/value"),
        ({"components": [component(scores=[score(value=-0.1)])]}, "/components/0/scores/0/value"),
        ({"components": [component(scores=[score(value="1")])]}, "/components/0/scores/0/value"),
        ({"components": [component(scores=[score(value=False)])]}, "/components/0/scores/0/value"),
        ({"components": [component(scores=[score(name="")])]}, "/components/0/scores/0/name"),
        ({"meta": []}, "/meta"),
        ({"meta": {"site": "x"}}, "/meta/site"),
        ({"meta": {"site": ["x", " "]}}, "/meta/site/1"),
        ({"meta": {"site": ["x\0"]}}, "/meta/site/0"),
        ({"meta": {"site": None}}, "/meta/site"),
        ({"meta": {" ": []}}, "/meta/ /[key]"),
        ({"start_time": None}, "/start_time"),
        ({"start_time": "2024-01-01T00:00:00"}, "/start_time"),
        ({"start_time": "2024-01-01"}, "/start_time"),
        ({"start_time": "2024-02-30T00:00:00Z"}, "/start_time"),
        ({"start_time": "2024-01-01T24:00:00Z"}, "/start_time"),
        ({"start_time": "2024-01-01T00:00:00+24:00"}, "/start_time"),
        ({"start_time": "2024-01-01T00:00:00Z\n"}, "/start_time"),
        ({"start_time": "\N{FULLWIDTH DIGIT TWO}024-01-01T00:00:00Z"}, "/start_time"),
        ({"start_time": 1704067200}, "/start_time"),
        ({"stop_time": ""}, "/stop_time"),
        ({"runtime": "3600"}, "/runtime"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_what_auditor_could_never_store_is_refused_where_it_stands(
    fields: dict[str, Any], pointer: str
) -> None:
    assert judged(RecordAdd, RECORD | fields) == pointer


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_is_a_finite_number(value: float) -> None:
    with pytest.raises(ValidationError):
        RecordAdd.model_validate(RECORD | {"components": [component(scores=[score(value=value)])]})


@pytest.mark.parametrize("missing", ["record_id", "components", "start_time"])
def test_a_record_needs_its_id_components_and_start(missing: str) -> None:
    rest = {name: value for name, value in RECORD.items() if name != missing}

    assert judged(RecordAdd, rest) == f"/{missing}"


@pytest.mark.parametrize("missing", ["record_id", "components", "stop_time"])
def test_an_update_needs_its_id_components_and_stop(missing: str) -> None:
    rest = {name: value for name, value in UPDATE.items() if name != missing}

    assert judged(RecordUpdate, rest) == f"/{missing}"
    assert judged(RecordUpdate, {**rest, missing: None}) == f"/{missing}"


@pytest.mark.parametrize("start_time", [None, "2024-01-01T00:00:00Z"])
def test_an_update_may_say_when_it_started(start_time: str | None) -> None:
    assert judged(RecordUpdate, UPDATE | {"start_time": start_time, "runtime": 5}) is None


def test_a_record_is_known_by_its_id_and_its_update_waits_behind_it() -> None:
    record, update = KIND.kinds["record"], KIND.kinds["record_update"]

    assert record.address(RecordAdd(**RECORD)) == Address(key="r1", stream="r1")
    assert update.address(RecordUpdate(**UPDATE)) == Address(key=None, stream="r1")
    assert (record.in_doubt, update.in_doubt, KIND.main_kind) == ("resend", "resend", "record")


@pytest.mark.parametrize(("limit", "fits"), [(0, False), (1, True), (2_097_152, True)])
def test_a_body_limit_beyond_the_servers_is_refused(limit: int, *, fits: bool) -> None:
    assert (judged(Options, {"max_body_bytes": limit}) is None) is fits
    assert judged(Options, {"max_body_bytes": 2_097_153}) == "/max_body_bytes"


@given(st.text(max_size=400))
def test_a_name_is_never_counted_longer_than_its_letters(name: str) -> None:
    counted = len(ALWAYS_A_GRAPHEME.findall(name))

    assert counted <= sum(not unicodedata.combining(sign) for sign in name)


OLD_RULE = Options(strict_names=True)
AWKWARD = {
    "record_id": "cluster/4711",
    "meta": {"v/o~ms": ["/atlas/Role=prod", "plain"], "site": ["<x>"]},
    "components": [component(name="cpu(s)", scores=[score(), score(name="hs{23}")])],
}


@pytest.mark.parametrize("model", [RecordAdd, RecordUpdate])
def test_names_that_old_servers_refuse_are_refused_only_when_asked_for(
    model: type[RecordAdd | RecordUpdate],
) -> None:
    judged = model.model_validate({**RECORD, **UPDATE, **AWKWARD})

    assert list(strict_faults(judged, Options())) == []
    found = dict(strict_faults(judged, OLD_RULE))
    assert list(found) == [
        "/record_id",
        "/meta/v~1o~0ms",
        "/meta/v~1o~0ms/0",
        "/meta/site/0",
        "/components/0/name",
        "/components/0/scores/1/name",
    ]
    assert found["/meta/site/0"].startswith("must not contain < > : AUDITOR before 0.7")
    assert all("strict_names" in said for said in found.values())


def test_every_forbidden_sign_is_known_and_no_other() -> None:
    for sign in map(chr, range(32, 127)):
        judged = RecordAdd.model_validate({**RECORD, "record_id": f"a{sign}b"})
        assert bool(list(strict_faults(judged, OLD_RULE))) == (sign in '/()"<>\\{}'), sign


def test_both_kinds_of_entry_are_checked() -> None:
    assert {kind.check for kind in KIND.kinds.values()} == {strict_faults}
