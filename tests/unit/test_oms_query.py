"""What parameters ask of OMS: every spelling one meaning, and nothing left out or misread."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.oms.query import INCLUDES, LARGEST_PAGE, OPERATORS, Filter, Query, from_json, parse
from adapters.oms.resources import RESOURCES
from adapters.reading import Misasked

A_RUN = (Filter("run_number", "EQ", "297050"),)
RANGE = (Filter("run_number", "GE", "297050"), Filter("run_number", "LE", "297056"))


@pytest.mark.parametrize(
    ("resource", "parameters", "expected"),
    [
        ("/runs/", [], Query("runs")),
        ("runs", [("run", "0297050")], Query("runs", filters=A_RUN)),
        ("runs", [("run", " 297050 : 297056 ")], Query("runs", filters=RANGE)),
        ("runs", [("run", "297050:")], Query("runs", filters=RANGE[:1])),
        ("runs", [("run", ":297056")], Query("runs", filters=RANGE[1:])),
        (
            "runs",
            [("filter[runs][run_number][le]", "297056"), ("filter[run_number][GE]", "297050")],
            Query("runs", filters=RANGE),
        ),
        (
            "runs",
            [("filter", "run_number <= 297056"), ("filter", " run_number>=297050 ")],
            Query("runs", filters=RANGE),
        ),
        (
            "runs",
            [("filter[fill_number]", "5")],
            Query("runs", filters=(Filter("fill_number", "EQ", "5"),)),
        ),
        (
            "runs",
            [("filter", "l1_key!=a=b")],
            Query("runs", filters=(Filter("l1_key", "NEQ", "a=b"),)),
        ),
        (
            "runs",
            [("filter", "l1_key~v%")],
            Query("runs", filters=(Filter("l1_key", "LIKE", "v%"),)),
        ),
        ("runs", [("filter", "end_time=")], Query("runs", filters=(Filter("end_time", "EQ", ""),))),
        (
            "runs",
            [("fields", "b, a,,b"), ("fields[runs]", "c")],
            Query("runs", fields=frozenset("abc")),
        ),
        ("runs", [("sort", "-b, a")], Query("runs", sort=("-b", "a"))),
        ("runs", [("include", "meta, turbo")], Query("runs", include=frozenset(("meta", "turbo")))),
        ("runs", [("page[limit]", "10"), ("offset", "20")], Query("runs", offset=20, limit=10)),
        ("runs", [("limit", "10")], Query("runs", offset=0, limit=10)),
        ("runs", [("offset", "0")], Query("runs")),
        ("runs", [("limit", "5"), ("page[limit]", "5")], Query("runs", offset=0, limit=5)),
        ("runs", [("fill", "5839")], Query("runs", filters=(Filter("fill_number", "EQ", "5839"),))),
        ("runs", [("era", "2017B")], Query("runs", filters=(Filter("era", "EQ", "2017B"),))),
        ("eras", [("era", " 2017B")], Query("eras", filters=(Filter("name", "EQ", "2017B"),))),
        (
            "fills",
            [("fill", "5:6")],
            Query(
                "fills",
                filters=(Filter("fill_number", "GE", "5"), Filter("fill_number", "LE", "6")),
            ),
        ),
        ("deadtimes", [], Query("deadtimes", group=(("granularity", "lumisection"),))),
        (
            "deadtimes",
            [("granularity", "run")],
            Query("deadtimes", group=(("granularity", "run"),)),
        ),
        (
            "deadtimes",
            [("group[granularity]", "run"), ("group[size]", "5")],
            Query("deadtimes", group=(("granularity", "run"), ("size", "5"))),
        ),
        ("runs/297050/lumisections", [], Query("runs/297050/lumisections")),
        ("eras/Run2017B-v1.2", [], Query("eras/Run2017B-v1.2")),
    ],
)
def test_what_is_asked(resource: str, parameters: list[tuple[str, str]], expected: Query) -> None:
    assert parse(resource, parameters) == expected


@pytest.mark.parametrize(
    ("resource", "name", "value", "said"),
    [
        ("runs", "frobnicate", "1", "no parameter that OMS knows"),
        ("runs", "", "1", "no parameter"),
        ("runs", "RUN", "1", "no parameter"),
        ("runs", "fields]", "a", "no parameter"),
        ("runs", "fields[", "a", "no parameter"),
        ("runs", "fields[a][b]", "a", "no parameter"),
        ("runs", "filter[run_number]x[GE]", "1", "no parameter"),
        ("runs", "filter[run_number", "1", "no parameter"),
        ("runs", "page[size]", "1", "no parameter"),
        ("runs", "run[EQ]", "1", "no parameter"),
        ("runs", "filter[run_number][BETWEEN]", "1", "with one of EQ, NEQ"),
        ("runs", "filter[streets][name][EQ]", "1", "with one of EQ, NEQ"),
        ("runs", "filter[runs][run_number][EQ][EQ]", "1", "with one of EQ, NEQ"),
        ("runs", "filter[]", "1", "with one of EQ, NEQ"),
        ("runs", "filter", "run_number", "ATTRIBUTE=VALUE"),
        ("runs", "filter", "run number=1", "ATTRIBUTE=VALUE"),
        ("runs", "fields", "a;b", "no name of an attribute"),
        ("runs", "sort", "-", "no name of an attribute"),
        ("runs", "sort", "--a", "no name of an attribute"),
        ("runs", "include", "everything", "none of meta"),
        ("runs", "group[x]", "1", "none of granularity"),
        ("runs", "limit", "0", "from 1 to 100000"),
        ("runs", "limit", str(LARGEST_PAGE + 1), "from 1 to 100000"),
        ("runs", "limit", "all", "a number of rows"),
        ("runs", "page[offset]", "-1", "a number of rows"),
        ("runs", "offset", "10", "needs a limit"),
        ("runs", "run", "newest", "neither a number nor a range"),
        ("runs", "run", ":", "neither a first nor a last"),
        ("runs", "run", "7:5", "ends before it begins"),
        ("runs", "run", "\u0663", "neither a number nor a range"),
        ("runs", "run", "9" * 19, "neither a number nor a range"),
        ("fills", "run", "5839", "belong to no run: ask by fill"),
        ("eras", "run", "2017B", "belong to no run: ask by era"),
        ("eras", "era", " ", "a name is needed"),
        ("runs", "filter[l1_key][EQ]", "\ud800", "UTF-8"),
        ("runs", "\ud800", "1", "UTF-8"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_parameters_name(
    resource: str, name: str, value: str, said: str
) -> None:
    with pytest.raises(Misasked) as refused:
        parse(resource, [(name, value)])

    assert said in refused.value.detail
    assert refused.value.parameter == name.replace("\ud800", "?")
    refused.value.detail.encode()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("limit", "5"), ("page[limit]", "6")),
        (("granularity", "run"), ("group[granularity]", "lumisection")),
    ],
)
def test_what_is_given_twice_and_differs_is_refused(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    with pytest.raises(Misasked, match="given twice") as refused:
        parse("runs", [first, second])

    assert refused.value.parameter == second[0]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "runs/..",
        "runs/../fills",
        "../runs",
        "runs//1",
        "runs?x",
        "r\u00fcns",
        "a b",
        "runs/.",
    ],
)
def test_what_is_no_path_is_no_resource(path: str) -> None:
    with pytest.raises(Misasked) as refused:
        parse(path, [])

    assert refused.value.status == 404


WORD = st.text(string.ascii_lowercase + string.digits + "_", min_size=1, max_size=6)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.integers(0, 10**9).map(str)
FILTER = st.tuples(WORD, st.sampled_from(OPERATORS), ANY)
RESOURCE = st.sampled_from([*RESOURCES, "somethingelse", "runs/297050/lumisections"])


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    filters = [(f"filter[{name}][{op}]", value) for name, op, value in draw(st.lists(FILTER))]
    parameters = [*filters]
    if fields := draw(st.lists(WORD)):
        parameters.append(("fields", ",".join(fields)))
    if includes := draw(st.lists(st.sampled_from(INCLUDES))):
        parameters.append(("include", ",".join(includes)))
    if draw(st.booleans()):
        parameters.append(("group[size]", draw(NUMBER)))
    return draw(RESOURCE), parameters


@given(asked(), st.randoms())
def test_the_order_of_parameters_makes_no_difference_but_for_a_sort(
    question: tuple[str, list[tuple[str, str]]], dice: Any
) -> None:
    resource, parameters = question
    shuffled = dice.sample(parameters, len(parameters))

    one, other = parse(resource, parameters), parse(f"/{resource}/", shuffled)

    assert (one, one.key, one.family) == (other, other.key, other.family)
    assert parse("runs", [("sort", "a,b")]).key != parse("runs", [("sort", "b,a")]).key


@given(asked())
def test_a_query_comes_back_from_json(question: tuple[str, list[tuple[str, str]]]) -> None:
    query = parse(*question)

    assert from_json(json.loads(json.dumps(query.as_json()))) == query


@given(asked(), FILTER)
def test_no_condition_is_lost(
    question: tuple[str, list[tuple[str, str]]], one: tuple[str, str, str]
) -> None:
    resource, parameters = question
    name, operator, value = one

    more = parse(resource, [*parameters, (f"filter[{name}][{operator.lower()}]", value)])

    assert Filter(*one) in more.filters
    assert len(more.filters) == sum(n.startswith("filter") for n, _ in parameters) + 1


@given(RESOURCE, st.lists(st.tuples(ANY, ANY), max_size=3))
def test_anything_else_is_refused_and_breaks_nothing(
    resource: str, parameters: list[tuple[str, str]]
) -> None:
    refused: list[str | None] = []
    try:
        parse(resource, parameters)
    except Misasked as error:
        refused.append(error.parameter)

    assert set(refused) <= {name for name, _ in parameters}
