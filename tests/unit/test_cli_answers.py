"""Answers as tables: every shape that a backend's data may have, and nothing left out."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.answers import as_csv, columns_of, rows_of, text_of, with_units_in_names

RUN = {
    "id": "297050",
    "type": "runs",
    "attributes": {"l1_rate": 49130.85, "delivered_lumi": 6.5, "components": ["CSC", "DAQ"]},
    "meta": {"row": {"delivered_lumi": {"units": "pb^{-1}"}}},
}


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (None, []),
        ([], []),
        ([1, 2], [{"value": 1}, {"value": 2}]),
        ({"healthy": True}, [{"healthy": True}]),
        ({"5": {"a": 1}, "7": {"b": 2}}, [{"": "5", "a": 1}, {"": "7", "b": 2}]),
        ([{"a": {"b": {"c": 1}}, "d": {}}], [{"a.b.c": 1, "d": {}}]),
        (7, [{"value": 7}]),
        (
            [RUN],
            [
                {
                    "id": "297050",
                    "l1_rate": 49130.85,
                    "delivered_lumi": 6.5,
                    "components": ["CSC", "DAQ"],
                    "delivered_lumi.units": "pb^{-1}",
                }
            ],
        ),
        ({**RUN, "meta": {}, "attributes": {"a": None}}, [{"id": "297050", "a": None}]),
    ],
)
def test_rows(data: Any, rows: list[dict[str, Any]]) -> None:
    assert rows_of(data) == rows


def test_an_entry_that_waits_is_marked_in_its_row() -> None:
    waiting = {**RUN, "attributes": {}, "meta": {}, "queued": True}

    assert rows_of([waiting]) == [{"id": "297050", "queued": True}]


def test_columns_stand_as_they_were_asked_for_and_none_is_lost() -> None:
    rows = [{"a": 1, "b.counter": 2}, {"c": 3, "b.rate": 4}]

    assert columns_of(rows) == ["a", "b.counter", "c", "b.rate"]
    assert columns_of(rows, ["b", "c", "not there"]) == ["b.counter", "b.rate", "c", "a"]


def test_units_that_all_rows_share_stand_in_the_name_others_in_their_row() -> None:
    same = [{"x": 1, "x.units": "pb", "y": 1}, {"x": 2, "x.units": "pb", "y": 2}]
    differ = [{"x": 1, "x.units": "pb"}, {"x": 2, "x.units": "nb"}]
    lack = [{"x": 1, "x.units": "pb"}, {"x": 2}]

    assert with_units_in_names(same) == [{"x [pb]": 1, "y": 1}, {"x [pb]": 2, "y": 2}]
    assert with_units_in_names(differ) == differ
    assert with_units_in_names(lack) == lack


@given(
    st.lists(
        st.dictionaries(
            st.text("ab,\n", min_size=1, max_size=3),
            st.none() | st.integers() | st.text("x\"',\n\r;", max_size=5) | st.booleans(),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_csv_says_every_value(rows: list[dict[str, Any]]) -> None:
    columns = columns_of(rows)

    lines = list(csv.reader(io.StringIO(as_csv(rows, columns), newline="")))

    assert lines[0] == columns
    told = [[text_of(row.get(name)) for name in columns] for row in rows]
    assert lines[1:] == ([[] for _ in rows] if not columns else told)
