"""Is a duplicate the same record? What AUDITOR shows, against what was sent."""

import json
from typing import Any

import pytest

from adapters.auditor.comparing import compare
from tests.emulators.auditor_records import read_add

SENT = {
    "record_id": "r1",
    "meta": {"site": ["a", "b"], "group": ["g"]},
    "components": [
        {"name": "cpu", "amount": 4, "scores": [{"name": "hs23", "value": 9.2}]},
        {"name": "ram", "amount": 2**53, "scores": []},
    ],
    "start_time": "2024-01-31T12:00:00+01:00",
    "stop_time": "2024-01-31T13:00:00.5Z",
}
HELD = {
    **SENT,
    "start_time": "2024-01-31T11:00:00Z",
    "stop_time": "2024-01-31T13:00:00.500Z",
    "runtime": 7200,
}
BARE = {"record_id": "r1", "components": [], "start_time": "2024-01-01T00:00:00Z"}
SHOWN = {**BARE, "meta": None, "stop_time": None, "runtime": None}
LATER = "2024-01-02T00:00:00Z"


def part(**changes: Any) -> dict[str, Any]:
    return {"name": "cpu", "amount": 4, "scores": [{"name": "hs23", "value": 9.2}], **changes}


def judged(sent: Any, held: Any, *, updated: str | None = None, in_doubt: bool = False) -> str:
    return compare(sent, held, updated=updated, in_doubt=in_doubt)


@pytest.mark.parametrize(
    ("sent", "held"),
    [
        (SENT, HELD),
        (BARE, SHOWN),
        pytest.param({**BARE, "meta": None, "stop_time": None}, SHOWN, id="null is nothing"),
        pytest.param({**BARE, "meta": {}}, SHOWN, id="no meta"),
        pytest.param({**BARE, "runtime": 17}, SHOWN, id="it computes its own runtime"),
        pytest.param(SENT, {**HELD, "meta": {"group": ["g"], "site": ["b", "a"]}}, id="order"),
        pytest.param(BARE, {**SHOWN, "stop_time": LATER}, id="it has been updated since"),
        pytest.param(
            {**BARE, "start_time": "2024-01-01T00:00:00.1234567Z"},
            {**SHOWN, "start_time": "2024-01-01T00:00:00.123457Z"},
            id="PostgreSQL has microseconds",
        ),
        pytest.param(
            {**BARE, "start_time": "2016-12-31t23:59:60z"},
            {**SHOWN, "start_time": "2017-01-01T00:00:00Z"},
            id="a leap second",
        ),
        pytest.param(
            {**BARE, "components": [part(scores=[{"name": "hs23", "value": 9}])]},
            {**SHOWN, "components": [part(scores=[{"name": "hs23", "value": 9.000000000000002}])]},
            id="the last digit of a number",
        ),
    ],
)
def test_the_same_record_is_the_same_however_it_is_spelled(
    sent: dict[str, Any], held: dict[str, Any]
) -> None:
    assert judged(sent, held) == "same"
    assert judged(sent, held, in_doubt=True) == "same"


@pytest.mark.parametrize(
    "change",
    [
        {"meta": {"site": ["a"], "group": ["g"]}},
        {"meta": {"site": ["a", "b"]}},
        {"meta": None},
        {"components": []},
        {"components": [part()]},
        {"components": [HELD["components"][1], HELD["components"][0]]},
        {"components": [part(amount=5), HELD["components"][1]]},
        {"components": [part(name="gpu"), HELD["components"][1]]},
        {"components": [part(scores=[]), HELD["components"][1]]},
        {"components": [part(scores=[{"name": "hs23", "value": 9.3}]), HELD["components"][1]]},
        {"components": [part(scores=[{"name": "hs06", "value": 9.2}]), HELD["components"][1]]},
        {"start_time": "2024-01-31T11:00:00.000002Z"},
        pytest.param({"stop_time": None}, id="ours has ended, that one has not"),
    ],
    ids=str,
)
def test_another_record_under_the_same_id_differs(change: dict[str, Any]) -> None:
    assert judged(SENT, {**HELD, **change}) == "differs"
    assert judged(SENT, {**HELD, **change}, in_doubt=True) == "differs"


def test_another_stop_time_is_an_update_only_if_there_may_have_been_one() -> None:
    held = {**HELD, "stop_time": LATER}

    assert judged(SENT, held) == "differs"
    assert judged(SENT, held, updated=LATER) == "same", "its update waits behind it"
    assert judged(SENT, held, updated="2024-01-03T00:00:00Z") == "differs"
    assert judged(SENT, held, in_doubt=True) == "not verified", "it may have gone out with one"


@pytest.mark.parametrize(
    "held",
    [
        {"record_id": "r1"},
        {**SHOWN, "start_time": None},
        {**SHOWN, "start_time": "yesterday"},
        {**SHOWN, "start_time": "2024-01-01T00:00:00"},
        {**SHOWN, "components": None},
        {**SHOWN, "components": ["cpu"]},
        {**SHOWN, "meta": ["site"]},
    ],
    ids=str,
)
def test_what_is_no_record_verifies_nothing(held: dict[str, Any]) -> None:
    assert judged(BARE, held) == "not verified"


def test_the_examples_are_what_the_server_would_show() -> None:
    for sent, held in ((SENT, HELD), (BARE, SHOWN)):
        shown = read_add(json.dumps(sent).encode()).as_object()
        assert {**shown, "runtime": None} == {**held, "runtime": None}
