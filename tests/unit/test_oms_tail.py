"""A run that goes on: what of it need not be asked again."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.oms.parts import WHOLE_AT
from adapters.oms.tail import OLDEST_MS, Tail, tail_of
from storage.cached import Fact, Kept
from tests.kept_asking import query
from tests.kept_world import kept_of

NOW = 10_000_000
FIELDS = "fields=lumisection_number,pileup"


def section(number: int, pileup: Any = 30.5, **more: Any) -> dict[str, Any]:
    attributes = {"lumisection_number": number, "pileup": pileup, **more}
    return {"id": f"7_{number}", "type": "lumisections", "attributes": attributes}


ROWS = [section(1), section(2), section(4), section(5, None), section(6), section(7, None)]


def kept(text: str = f"lumisections run=7 {FIELDS}", rows: Any = ROWS) -> Kept:
    return kept_of(query(text), rows, NOW)


def tail(text: str = f"lumisections run=7 {FIELDS}", rows: Any = ROWS) -> Tail | None:
    return tail_of(query(text), kept(text, rows), NOW + 1000)


def numbers(rows: Any) -> list[int]:
    return [row["attributes"]["lumisection_number"] for row in rows]


def test_from_the_last_row_before_the_first_null_on() -> None:
    made = tail()
    assert made is not None
    assert numbers(made.rows) == [1, 2]
    assert numbers(made.last) == [4]
    assert made.query == query(f"lumisections run=7 {FIELDS} filter=lumisection_number>=4")
    rows = [
        section(4, 30.5 + 1e-9, era="new"),
        section(5, 31),
        section(6),
        section(7),
        section(8, None),
    ]
    joined = made.joined(rows)
    assert joined is not None
    assert numbers(joined) == [1, 2, 4, 5, 6, 7, 8]
    assert joined[2] is rows[0]


def test_without_a_null_from_the_last_row_on() -> None:
    made = tail(rows=ROWS[:3])
    assert made is not None
    assert numbers(made.last) == [4]
    joined = made.joined([section(4)])
    assert joined is not None
    assert numbers(joined) == [1, 2, 4]


@pytest.mark.parametrize(
    "rows",
    [
        [section(4, 99.0), section(5)],  # a good value has changed
        [section(5)],
        [],
        [section(3), section(4)],  # not what was asked for
        [section(4), section(4)],
        [{**section(4), "attributes": {"pileup": 30.5}}],
    ],
)
def test_what_does_not_meet_is_fetched_as_a_whole(rows: list[dict[str, Any]]) -> None:
    made = tail()
    assert made is not None
    assert made.joined(rows) is None


def test_end_lumi_is_no_change() -> None:
    text = f"lumisections run=7 {FIELDS},end_lumi"
    made = tail(text, [section(1, end_lumi=1.5), section(2, end_lumi=None)])
    assert made is not None
    joined = made.joined([section(2, end_lumi=1.5), section(3, end_lumi=0.0)])
    assert joined is not None
    assert [row["attributes"]["end_lumi"] for row in joined] == [1.5, 1.5, 0.0]


def test_parts_of_a_value_count_and_conditions_of_the_detector_do_not() -> None:
    text = "lumisections run=7"
    rows = [section(1, castor_ready=None), section(2, castor_ready=None)]
    made = tail(text, rows)
    assert made is not None
    assert numbers(made.last) == [2]
    rates = [
        {
            "id": f"x{number}",
            "type": "l1triggerrates",
            "attributes": {
                "last_lumisection_number": number,
                "l1a_physics": {"counter": 5, "rate": rate},
            },
        }
        for number, rate in ((1, 1.5), (2, 1.5), (3, None))
    ]
    made = tail("l1triggerrates run=7", rates)
    assert made is not None
    assert [row["id"] for row in made.last] == ["x2"]
    assert ["last_lumisection_number", "GE", "2"] in made.query.as_json()["filters"]


def path(name: str, number: int, rate: float | None = 1.5) -> dict[str, Any]:
    attributes = {"path_name": name, "last_lumisection_number": number, "rate": rate}
    return {"id": f"{name}{number}", "type": "hltpathrates", "attributes": attributes}


def test_several_paths_are_cut_at_one_lumisection() -> None:
    rows = [
        path("a", 1),
        path("a", 2),
        path("a", 3),
        path("b", 1),
        path("b", 2),
        path("b", 3, None),
    ]
    made = tail("hltpathrates run=7", rows)
    assert made is not None
    assert [row["id"] for row in made.last] == ["a2", "b2"]
    assert made.joined([path("a", 2), path("a", 3), path("b", 3)]) is None
    joined = made.joined([path("a", 2), path("a", 3), path("b", 2), path("b", 3)])
    assert joined is not None
    assert [row["id"] for row in joined] == ["a1", "a2", "a3", "b1", "b2", "b3"]


@pytest.mark.parametrize(
    "text",
    [
        "lumisections run=7:8",
        "lumisections",
        "lumisections run=7 filter=lumisection_number>2",
        "lumisections run=7 filter=pileup>2",
        "lumisections run=7 limit=1000",
        "lumisections run=7 sort=-lumisection_number",
        "lumisections run=7 sort=pileup",
        "lumisections run=7 fields=pileup",
        "l1triggerrates run=7 granularity=run",
        "hltpathinfo run=7",
        "runs run=7",
        "weeklysummaries run=7",
    ],
)
def test_other_questions_are_asked_as_a_whole(text: str) -> None:
    rows = [
        {**one, "attributes": one["attributes"] | {"last_lumisection_number": 1}} for one in ROWS
    ]
    assert tail(text, rows) is None


@pytest.mark.parametrize("sort", ["lumisection_number", "run_number,lumisection_number"])
def test_in_their_order(sort: str) -> None:
    assert tail(f"lumisections run=7 {FIELDS} sort={sort}") is not None
    assert tail(f"runs/7/lumisections {FIELDS} sort={sort}") is not None


def test_rows_that_do_not_tell() -> None:
    assert tail(rows=[{"id": "7_1", "attributes": {"pileup": 1}}, section(2)]) is None
    assert tail(rows=[section(1), section(1)]) is None
    assert tail(rows=[section(1, None), section(2)]) is None
    assert tail(rows=[]) is None


def test_old_and_incomplete_and_other_answers() -> None:
    asked = query(f"lumisections run=7 {FIELDS}")
    assert tail_of(asked, kept(), NOW + OLDEST_MS) is not None
    assert tail_of(asked, kept(), NOW + OLDEST_MS + 1) is None
    assert tail_of(asked, kept(), NOW - 1) is None
    assert tail_of(asked, kept_of(asked, ROWS, NOW, complete=False), NOW) is None
    assert tail_of(asked, kept_of(query("lumisections run=7"), ROWS, NOW), NOW) is None


def test_a_tail_of_a_tail_is_as_old_as_its_oldest_rows() -> None:
    asked = query(f"lumisections run=7 {FIELDS}")
    first = tail_of(asked, kept(), NOW)
    assert first is not None
    again = replace(kept_of(asked, ROWS, NOW + OLDEST_MS), meta={WHOLE_AT: first.whole_at})
    assert tail_of(asked, again, NOW + OLDEST_MS) is not None
    assert tail_of(asked, again, NOW + OLDEST_MS + 1) is None


def test_a_run_that_has_ended() -> None:
    asked = query(f"lumisections run=7 {FIELDS}")
    end = "2017-06-16T20:51:27Z"
    assert tail_of(asked, kept(), NOW, run=Fact("run:7", [end, end, 9], NOW)) is None
    assert tail_of(asked, kept(), NOW, run=Fact("run:7", [None, end, 9], NOW)) is not None


def test_what_no_row_has_is_not_waited_for() -> None:
    text = "lumisections run=7 fields=lumisection_number,pileup,beam"
    rows = [section(n, beam=None) for n in (1, 2)] + [section(3, None, beam=None)]

    made = tail(text, rows)

    assert made is not None
    assert (numbers(made.rows), numbers(made.last)) == ([1], [2])
    assert made.joined([section(2, beam=1.5), section(3, beam=1.5)]) is None  # it came after all
    two = [section(1), {**section(1, None), "id": "7_1b"}, section(2)]
    assert tail(rows=two) is None  # of one lumisection's rows the first does not speak for all
