"""The path and the query string that OMS gets."""

import string
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.oms.query import Filter, Query, parse
from adapters.oms.wire import Page, base_of, sort_of, target

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    "url",
    [
        "https://oms.test",
        "https://oms.test/",
        "https://oms.test/agg/api",
        "https://oms.test/agg/api/",
        "https://oms.test/agg/api/v1",
        "https://oms.test/agg/api/v1/",
    ],
)
def test_the_url_may_name_the_server_its_api_or_its_version(url: str) -> None:
    assert base_of(url) == "https://oms.test/agg/api/v1"


def test_below_another_path_the_api_is_looked_for_there() -> None:
    assert base_of("http://127.0.0.1:80/oms") == "http://127.0.0.1:80/oms/agg/api/v1"


def test_parameters_are_in_the_order_of_omss_own_client_and_fields_in_order() -> None:
    query = parse(
        "lumisections",
        [
            ("granularity", "lumisection"),
            ("include", "presentation_timestamp,meta"),
            ("filter[run_number][eq]", "297050"),
            ("filter[components][CT]", "DT,CSC"),
            ("fields", "pileup,cms_active"),
            ("sort", "-run_number,lumisection_number"),
        ],
    )

    assert target(query, query.sort, Page(20, 10)) == (
        "/lumisections?fields=cms_active,pileup"
        "&filter%5Bcomponents%5D%5BCT%5D=DT,CSC&filter%5Brun_number%5D%5BEQ%5D=297050"
        "&sort=-run_number,lumisection_number&include=meta,presentation_timestamp"
        "&page%5Boffset%5D=20&page%5Blimit%5D=10&group%5Bgranularity%5D=lumisection"
    )


def test_without_parameters_there_is_no_question_mark_and_no_slash() -> None:
    assert target(Query("runs/297050")) == "/runs/297050"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a&b#c", "a%26b%23c"),
        ("1+1", "1%2B1"),
        ("%AB", "%25AB"),
        ("HLT_%", "HLT_%25"),
        ("a[0]", "a%5B0%5D"),
        ("a b", "a%20b"),
        ("ü", "%C3%BC"),
        ("2017-06-16T20:51:27Z", "2017-06-16T20:51:27Z"),
    ],
)
def test_no_sign_of_a_value_means_anything_else(value: str, sent: str) -> None:
    query = Query("runs", filters=(Filter("l1_key", "LIKE", value),))

    assert target(query) == f"/runs?filter%5Bl1_key%5D%5BLIKE%5D={sent}"


@given(st.lists(st.tuples(st.text("ab_", min_size=1), TEXT), max_size=4))
def test_what_is_sent_says_what_was_asked(given_: list[tuple[str, str]]) -> None:
    query = parse("runs", [(f"filter[{name}]", value) for name, value in given_])

    sent = target(query, (), Page(0, 5))

    assert set(sent) <= {*string.ascii_letters, *string.digits, *"%/?&=._-~,:*"}
    assert parse_qsl(urlsplit(sent).query, keep_blank_values=True, strict_parsing=True) == [
        *((f"filter[{one.attribute}][EQ]", one.value) for one in query.filters),
        ("page[offset]", "0"),
        ("page[limit]", "5"),
    ]


@pytest.mark.parametrize(
    ("resource", "known", "expected"),
    [
        ("lumisections", None, ("run_number", "lumisection_number")),
        ("runs/297050/lumisections", None, ("run_number", "lumisection_number")),
        ("lumisections", {"lumisection_number": {}}, ("lumisection_number",)),
        (
            "lumisections",
            {"lumisection_number": {}, "run_number": {"sortable": False}},
            ("lumisection_number",),
        ),
        ("lumisections", {}, ("run_number", "lumisection_number")),
        ("runs/297050", None, ()),
        ("somethingelse", None, ()),
    ],
)
def test_rows_are_asked_for_in_an_order_that_oms_knows(
    resource: str, known: dict[str, dict[str, bool]] | None, expected: tuple[str, ...]
) -> None:
    assert sort_of(Query(resource), known) == expected


def test_the_callers_own_order_stays() -> None:
    assert sort_of(parse("runs", [("sort", "-l1_rate")])) == ("-l1_rate",)
