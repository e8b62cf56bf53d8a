"""Conditions, order, pages and fields, as the server would have them over rows that we hold."""

from typing import Any

import pytest

from adapters.oms.local import LOCAL_LIKE, LOCAL_ORDER, evaluate
from adapters.oms.query import Filter, Query, parse
from adapters.oms.rows import same
from adapters.oms.values import matches, time_of
from adapters.reading import NotKept


def runs(*values: Any, name: str = "l1_rate") -> list[dict[str, Any]]:
    return [
        {
            "id": str(100 + at),
            "type": "runs",
            "attributes": {"run_number": 100 + at, name: value},
            "links": {"self": "https://https://host/"},
            "meta": {"row": {name: {"units": f"unit{at}"}, "run_number": {"units": ""}}},
        }
        for at, value in enumerate(values)
    ]


def ids(query: Query, rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in evaluate(query, rows).rows]


@pytest.mark.parametrize(
    ("value", "condition", "holds"),
    [
        (9, "LT 10", True),  # as numbers, not as texts
        ("9", "LT 10", False),
        (10, "EQ 1e1", True),
        (49130.85, "EQ 49130.85", True),
        (5, "IN 4,5", True),
        (5, "GT 5", False),
        (5, "GE 5", True),
        (5, "LT 5", False),
        (5, "LE 5", True),
        (5, "IN 4,6", False),
        (5, "NEQ 5", False),
        (True, "EQ true", True),
        (True, "EQ True", True),
        (True, "NEQ false", True),
        ("2017-06-16T20:51:27Z", "GE 2017-06-16T20:51", True),
        ("2017-06-16T20:51:27Z", "EQ 2017-06-16 20:51:27", True),
        ("2017-06-16 20:51:27", "LT 2017-06-16T20:52:00Z", True),
        ("GLOBAL-RUN", "EQ GLOBAL-RUN", True),
        ("GLOBAL-RUN", "EQ global-run", False),
        ("HLT_ZeroBias_v5", "LIKE HLT%", True),
        ("HLT_ZeroBias_v5", "LIKE zerobias", True),
        ("HLT_ZeroBias_v5", "LIKE ZeroBias%", False),
        ("HLT.v5", "LIKE HLT_v5", False),
        (297050, "LIKE 2970%", True),
        (["DT", "CSC"], "CT DT", True),
        (["DT", "CSC"], "CT RPC", False),
        (["DT", "CSC"], "CT DT,CSC", True),
        (["DT", "CSC"], "CT RPC,TRG", False),
        (None, "EQ null", True),
        (None, "NEQ null", False),
        (5, "NEQ null", True),
        *((None, f"{name} 5", False) for name in ("EQ", "NEQ", "LT", "GT", "LE", "GE", "LIKE")),
        (None, "IN 5,6", False),
        (None, "CT DT", False),
    ],
)
def test_a_condition(value: Any, condition: str, holds: bool) -> None:
    assert matches(Filter("x", *condition.split(" ", 1)), value) is holds


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        ({"counter": 5, "rate": 1.5}, "GT 1"),
        ({"counter": 5, "rate": 1.5}, "NEQ 1"),
        (5, "EQ five"),
        (True, "GT false"),
        (True, "EQ 1"),
        (["DT", "CSC"], "CT DT,RPC"),  # all of them, or any?
        (["DT"], "EQ DT"),
        ("DT", "CT DT"),
        (5, "GT null"),
        (5, "IN 5,null"),
        ("2017-06-16T20:51:27Z", "GE 2017"),
        ("2017-06-16T20:51:27Z", "LIKE 2017%"),
        (5.5, "LIKE 5%"),
    ],
)
def test_what_nobody_knows_is_not_said(value: Any, condition: str) -> None:
    with pytest.raises(NotKept, match="only OMS can"):
        matches(Filter("x", *condition.split(" ", 1)), value)


def test_a_value_with_parts_is_called_so() -> None:
    with pytest.raises(NotKept, match="l1a_physics has parts"):
        matches(Filter("l1a_physics", "GT", "1"), {"counter": 5, "rate": 1.5})


def test_a_time_that_is_none() -> None:
    assert time_of("2017-13-16T20:51:27Z") is None
    assert time_of("2017-06-16") is None
    assert time_of("2017-06-16T20:51.5Z") is None
    assert time_of("2017-06-16T20:51:27.5Z") != time_of("2017-06-16T20:51:27Z")
    assert time_of(5) is None


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("l1_rate", ["102", "100", "101", "103"]), ("-l1_rate", ["100", "102", "101", "103"])],
)
def test_nulls_are_last_in_both_directions(sort: str, expected: list[str]) -> None:
    query = parse("runs", [("sort", sort)])
    assert ids(query, runs(9, None, 1.5, None)) == expected


def test_several_keys_and_what_is_equal_in_the_usual_order() -> None:
    rows = runs(1, 2, 1, 2)[::-1]
    assert ids(parse("runs", []), rows) == ["100", "101", "102", "103"]
    assert ids(parse("runs", [("sort", "-l1_rate")]), rows) == ["101", "103", "100", "102"]
    query = parse("runs", [("sort", "l1_rate,-run_number")])
    assert ids(query, rows) == ["102", "100", "103", "101"]


def test_mixed_values_are_sorted_somehow_and_nested_ones_are_not() -> None:
    query = parse("runs", [("sort", "l1_rate")])
    assert len(ids(query, runs("a", 1, None, True, "2017-06-16T20:51:27Z"))) == 5
    with pytest.raises(NotKept, match="l1_rate has parts"):
        ids(query, runs({"rate": 1}, {"rate": 2}))


def test_asked_fields_keep_their_units() -> None:
    local = evaluate(parse("runs", [("fields", "l1_rate")]), runs(5))
    assert local.rows == [
        {
            "id": "100",
            "type": "runs",
            "attributes": {"l1_rate": 5},
            "links": {"self": "https://https://host/"},
            "meta": {"row": {"l1_rate": {"units": "unit0"}}},
        }
    ]
    bare = evaluate(parse("runs", [("fields", "l1_rate")]), [{**runs(5)[0], "meta": {}}])
    assert "meta" not in bare.rows[0]


def test_a_row_without_an_asked_field_is_not_cut() -> None:
    with pytest.raises(NotKept, match="does not hold era"):
        evaluate(parse("runs", [("fields", "era")]), runs(5))


def test_the_total_is_of_all_pages() -> None:
    query = parse("runs", [("sort", "run_number"), ("limit", "2"), ("offset", "2")])
    local = evaluate(query, runs(1, 2, 3, 4, 5))
    assert [row["id"] for row in local.rows] == ["102", "103"]
    assert local.total == 5


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ([("limit", "2")], "without a sort"),
        ([("limit", "2"), ("sort", "l1_rate")], "the same l1_rate"),
        ([("limit", "2"), ("offset", "2"), ("sort", "-l1_rate")], "the same l1_rate"),
    ],
)
def test_a_page_with_an_uncertain_edge(parameters: list[tuple[str, str]], reason: str) -> None:
    with pytest.raises(NotKept, match=reason):
        evaluate(parse("runs", parameters), runs(1, 2, 2, 4))


def test_a_page_of_texts_is_told_to_be_so() -> None:
    rows = runs("b", "A", "c")
    assert evaluate(parse("runs", [("sort", "l1_rate"), ("limit", "2")]), rows).notes == (
        LOCAL_ORDER,
    )
    for parameters in (
        [("sort", "l1_rate"), ("limit", "3")],
        [("sort", "run_number"), ("limit", "2")],
    ):
        assert evaluate(parse("runs", parameters), rows).notes == ()


def test_a_page_that_holds_all_needs_no_sort() -> None:
    assert ids(parse("runs", [("limit", "1000")]), runs(1, 2, 2)) == ["100", "101", "102"]


def test_like_is_told_and_so_is_what_oms_may_decide_otherwise() -> None:
    rows = [
        {"id": str(at), "type": "hltpathinfo", "attributes": {"run_number": 1, "path_name": name}}
        for at, name in enumerate(("HLT_Mu_v1", "hlt_mu_v2", "Other"))
    ]
    sure = evaluate(parse("hltpathinfo", [("filter", "path_name~Other")]), rows)
    assert sure.notes == (LOCAL_LIKE,)
    unsure = evaluate(parse("hltpathinfo", [("filter", "path_name~HLT%")]), rows)
    assert [row["id"] for row in unsure.rows] == ["0", "1"]
    assert unsure.notes[1:] == ("local LIKE: OMS may decide otherwise on 1 (hlt_mu_v2)",)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"a": 6885.202148}, {"a": 6885.2021484375}, True),
        ({"a": 6885.2}, {"a": 6885.3}, False),
        ({"a": 1}, {"a": 1, "era": "2017B"}, True),
        ({"a": 1}, {"a": None}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": {"rate": 1.0}}, {"a": {"rate": 1.00000001}}, True),
        ({"a": {"rate": 1.0}}, {"a": {"rate": None}}, False),
        ({"a": 1, "end_lumi": 0.0}, {"a": 1, "end_lumi": 5.0}, True),
    ],
)
def test_rows_that_say_the_same(one: dict[str, Any], other: dict[str, Any], alike: bool) -> None:
    assert same({"id": "1", "attributes": one}, {"id": "1", "attributes": other}) is alike
    assert not same({"id": "1", "attributes": one}, {"id": "2", "attributes": one})
