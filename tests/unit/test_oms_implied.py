"""Which conditions imply others, and runs as intervals."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.oms.implied import implied, spans_of
from adapters.oms.query import Filter
from adapters.oms.spans import ALL, TOP, common, in_words, is_open, united, within, without
from tests.kept_world import meets_one

WHOLE = ("1", "2", "3", "2.5", "5", "null")
REAL = ("0.5", "1", "1.0", "2e0", "3.5", "null")
TEXT = ("a", "A", "b", "10", "9", "null")
COMPARED = ("EQ", "NEQ", "LT", "LE", "GT", "GE")
CONDITIONS = {
    "run_number": (WHOLE, (None, 0, 1, 2, 3, 4, 5, 6)),
    "l1_rate": (REAL, (None, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.5, 4.0)),
    "unheard_of": (TEXT, (None, "a", "A", "b", "B", "10", "9", "1")),
    "unheard_of_number": (REAL, (None, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.5, 4.0, 20.0)),
}


def conditions(attribute: str, literals: Sequence[str]) -> st.SearchStrategy[list[Filter]]:
    compared = st.builds(
        Filter, st.just(attribute), st.sampled_from(COMPARED), st.sampled_from(literals)
    )
    listed = st.lists(st.sampled_from(literals), min_size=1, max_size=3, unique=True)
    one_of = listed.map(lambda texts: Filter(attribute, "IN", ",".join(texts)))
    liked = st.sampled_from(("a%", "1", "%")).map(lambda text: Filter(attribute, "LIKE", text))
    return st.lists(compared | one_of | liked, max_size=3)


def admits(filters: Sequence[Filter], value: Any, *, folded: bool) -> bool:
    """`folded`: the server orders texts without regard to capitals."""
    return all(_admits(one, value, folded=folded) for one in filters)


def _admits(one: Filter, value: Any, *, folded: bool) -> bool:
    listed = one.value.split(",")
    if "null" in listed and one.operator not in ("EQ", "NEQ"):
        return hash((one, value)) % 2 == 0  # nobody knows
    if folded and isinstance(value, str) and one.operator in ("LT", "LE", "GT", "GE"):
        return meets_one(value.lower(), Filter(one.attribute, one.operator, one.value.lower()))
    return meets_one(value, one)


@pytest.mark.parametrize("attribute", CONDITIONS)
@settings(max_examples=150)
@given(data=st.data())
def test_what_is_implied_is_contained(attribute: str, data: st.DataObject) -> None:
    literals, values = CONDITIONS[attribute]
    kept = data.draw(conditions(attribute, literals))
    asked = data.draw(conditions(attribute, literals))
    if data.draw(st.booleans()):
        asked = [*asked, *kept[:1]]
    if implied(kept, asked):
        for folded in (False, True):
            meant = [value for value in values if admits(asked, value, folded=folded)]
            assert all(admits(kept, value, folded=folded) for value in meant), (kept, asked)


def said(*texts: str) -> list[Filter]:
    return [Filter(*text.split(" ", 2)) for text in texts]


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ([], ["sequence EQ GLOBAL-RUN"]),
        (["run_number GE 5", "run_number LE 9"], ["run_number EQ 7"]),
        (["run_number GT 4"], ["run_number GE 5"]),
        (["run_number GE 5"], ["run_number GT 4.5"]),
        (["run_number LT 10"], ["run_number LE 9"]),
        (["fill_number GE 3"], ["fill_number GE 2.5"]),
        (["fill_number LE 3"], ["fill_number LT 3.5"]),
        (["l1_rate LE 4"], ["l1_rate EQ 4.0"]),
        (["run_number IN 1,2,3"], ["run_number IN 2,3"]),
        (["run_number IN 1,2,3"], ["run_number GT 0", "run_number LT 4"]),
        (["fill_number NEQ 3"], ["fill_number GT 3"]),
        (["sequence EQ GLOBAL-RUN"], ["sequence EQ GLOBAL-RUN", "stable_beam EQ true"]),
        (["sequence IN A,B"], ["sequence EQ A"]),
        (["sequence NEQ A"], ["sequence EQ B"]),
        (["stable_beam EQ true"], ["stable_beam EQ True"]),
        (["stable_beam NEQ false"], ["stable_beam EQ true"]),
        (["l1_rate GT 1"], ["l1_rate GE 1.5"]),
        (["l1_rate NEQ null"], ["l1_rate GE 1.5"]),
        (["l1_rate NEQ null"], ["l1_rate NEQ 3"]),
        (["path_name NEQ null"], ["path_name LIKE HLT"]),
        (["start_time GE 2017-06-16T00:00:00Z"], ["start_time GT 2017-06-16T00:00"]),
        (["path_name LIKE HLT%"], ["path_name LIKE HLT%", "path_name NEQ a"]),
        (["components CT DT"], ["components CT DT", "components CT CSC"]),
        (["unheard_of GE 5"], ["unheard_of GE 5", "unheard_of LE 7"]),
    ],
)
def test_it_is_seen(kept: list[str], asked: list[str]) -> None:
    assert implied(said(*kept), said(*asked))


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (["sequence EQ GLOBAL-RUN"], []),
        (["run_number GE 5"], ["run_number GE 4"]),
        (["l1_rate GT 4"], ["l1_rate GE 4.0"]),
        (["l1_rate LT 4"], ["l1_rate LE 4.0"]),
        (["l1_rate GT 4"], ["l1_rate NEQ null"]),
        (["l1_rate EQ null"], ["l1_rate LT 4"]),
        (["l1_rate GE 0"], ["l1_rate EQ null"]),
        (["l1_rate NEQ 3"], ["l1_rate EQ null"]),
        (["path_name LIKE HLT%"], ["path_name LIKE HLT_ZeroBias%"]),
        (["path_name LIKE HLT%"], ["path_name EQ HLT_ZeroBias_v5"]),
        (["path_name GE a"], ["path_name EQ b"]),  # the order of texts is the server's own
        (["unheard_of GE 5"], ["unheard_of GE 10"]),  # and this may be a text
        (["unheard_of EQ 5"], ["unheard_of EQ 5.0"]),
        (["unheard_of NEQ 5.0"], ["unheard_of EQ 5"]),
        (["unheard_of NEQ 5.0"], ["unheard_of EQ 5", "unheard_of LIKE %"]),
        (["components CT DT"], ["components CT DT,CSC"]),
        (["run_number IN 1,2"], ["run_number IN 1,3"]),
        (["run_number IN 1,3"], ["run_number GE 1", "run_number LE 3"]),
        (["end_time EQ null"], ["end_time NEQ null"]),
        (["l1_rate EQ 0.5"], ["l1_rate EQ null", "l1_rate LT null"]),
    ],
)
def test_it_is_not_claimed(kept: list[str], asked: list[str]) -> None:
    assert not implied(said(*kept), said(*asked))


def test_runs_are_intervals() -> None:
    assert spans_of("run_number", said("run_number GT 4", "run_number LT 9")) == ((5, 8),)
    assert spans_of("run_number", said("run_number GE 4.5", "run_number LE 8.5")) == ((5, 8),)
    assert spans_of("run_number", said("run_number IN 3,1,2,7")) == ((1, 3), (7, 7))
    assert spans_of("run_number", said("run_number NEQ 3")) == ((0, 2), (4, TOP))
    assert spans_of("run_number", said("run_number EQ 4.5")) == ()
    assert spans_of("run_number", said("run_number EQ 4", "run_number EQ 5")) == ()
    assert spans_of("run_number", said("run_number LIKE 3%", "l1_rate EQ 4")) == ALL


SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4)


@given(SPANS, SPANS)
def test_spans_are_sets(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    def numbers(spans: Sequence[tuple[int, int]]) -> set[int]:
        return {number for low, high in spans for number in range(low, high + 1)}

    one, other = united(some), united(others)
    assert numbers(one) == numbers(some) == {n for n in range(13) if within(n, one)}
    assert numbers(common(one, other)) == numbers(some) & numbers(others)
    assert numbers(without(one, other)) == numbers(some) - numbers(others)
    assert without(one, other) == united(without(one, other))


def test_spans_in_words() -> None:
    assert in_words([(315210, 315250)]) == "runs 315210-315250"
    assert in_words([(5, 5)]) == "run 5"
    assert in_words([(1, 1), (3, 4), (7, TOP)]) == "runs 1, 3-4 and 7 and later"
    assert is_open([(1, 2), (7, TOP)])
    assert not is_open([(1, 2)])
    assert without([(7, TOP)], [(1, 100)]) == ((101, TOP),)
