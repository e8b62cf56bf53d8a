"""When answers of OMS do not change any more."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.oms.settled import (
    BEYOND,
    NEWEST,
    VALIDATOR_FIELDS,
    facts_of,
    is_settled,
    looked_at,
    names_of,
    runs_of,
)
from storage.cached import Fact
from tests.kept_asking import query
from tests.kept_world import GRACE, HOUR, MemoryShelf, at, text_of

END = text_of(100)
CLOSED = at(END)
FINAL = CLOSED + GRACE
LATE = FINAL + HOUR


def fact(
    run: int | str = 7, *, seen_at: int = LATE, since: int | None = None, **state: Any
) -> Fact:
    told = {"end_time": END, "last_update": END, "last_lumisection_number": 9} | state
    return Fact(f"run:{run}", [told[name] for name in VALIDATOR_FIELDS], seen_at, since)


def row(number: Any = None, resource: str = "lumisections", **attributes: Any) -> dict[str, Any]:
    told = {} if number is None else {"run_number": number}
    return {"id": f"{number}", "type": resource, "attributes": told | attributes}


def settled(
    text: str, *facts: Fact, rows: list[dict[str, Any]] | None = None, fetched_at: int = LATE
) -> bool:
    asked = query(text)
    shown = [row(7)] if rows is None else rows
    known: Mapping[str, Fact] = {one.name: one for one in facts}
    return is_settled(asked, runs_of(asked, shown), known, fetched_at, GRACE, rows=shown)


def test_what_runs_tell() -> None:
    told = dict(zip(VALIDATOR_FIELDS, (END, None, 9), strict=True))
    rows = [
        row(7, "runs", **told),
        {"id": "8", "type": "runs", "attributes": told},
        row(9, "runs", end_time=END),
        row(10, "lumisections", **told),
    ]
    assert facts_of(rows) == {"run:7": [END, None, 9], "run:8": [END, None, 9]}
    newest = [8, END, None, 9]
    assert facts_of(rows, {})[NEWEST] == newest
    assert facts_of(rows, {NEWEST: Fact(NEWEST, [8, None, None, 1], 1)})[NEWEST] == newest
    assert NEWEST not in facts_of(rows, {NEWEST: Fact(NEWEST, [9, None, None, 1], 1)})
    assert facts_of([], {}) == {}


def test_the_runs_of_rows() -> None:
    assert runs_of(query("deadtimes run=5:8"), [row(7), row(8)]) == frozenset({7, 8})
    assert runs_of(query("deadtimes run=7 fields=x"), [{"id": "a", "attributes": {}}]) == frozenset(
        {7}
    )
    assert runs_of(query("deadtimes run=7"), []) == frozenset()
    assert runs_of(query("deadtimes run=5:8 fields=x"), [{"id": "a", "attributes": {}}]) is None
    assert runs_of(query("runs run=5:8 fields=era"), [{"id": "7", "attributes": {}}]) == frozenset(
        {7}
    )
    assert runs_of(query("fills filter=fill_number=7"), [row(7)]) is None


def test_the_facts_that_are_wanted() -> None:
    assert names_of({8, 7}) == [NEWEST, "run:7", "run:8"]
    wanted = [NEWEST, *(f"run:{number}" for number in range(6, 9 + BEYOND))]
    assert names_of({7}, query("deadtimes run=6:8")) == wanted
    assert names_of({7}, query("deadtimes run=6:")) == [NEWEST, "run:7"]
    assert names_of(None, query("deadtimes run=1:999999")) == [NEWEST]


def test_the_runs_to_look_at() -> None:
    assert looked_at(query("deadtimes run=6:8"), {6, 8}) == (6, 8)
    assert looked_at(query("deadtimes run=6:8"), {7}) == (7, 8 + BEYOND)
    assert looked_at(query("deadtimes run=7"), ()) == (7, 7 + BEYOND)
    assert looked_at(query("runs/7"), {7}) == (7, 7)
    assert looked_at(query("deadtimes run=6:"), {7}) is None
    assert looked_at(query("deadtimes run=1:999999"), {7}) is None
    assert looked_at(query("deadtimes run=7"), None) is None
    assert looked_at(query("fills filter=fill_number=7"), {7}) is None


@pytest.mark.parametrize(
    "text",
    [
        "runs run=7",
        "runs/7",
        "runs/7/lumisections",
        "lumisections run=7",
        "hltpathinfo run=7",
        "l1triggerrates run=7",
        "l1triggerrates run=7 granularity=run filter=last_lumisection_number<5",
        "l1triggerrates run=7 group[size]=10",
        "runs run=7 sort=-run_number limit=1",
    ],
)
def test_what_is_of_a_run_that_ended_long_ago(text: str) -> None:
    assert settled(text, fact())
    assert not settled(text)
    assert not settled(text, fact(), fetched_at=FINAL - 1)


@pytest.mark.parametrize(
    "known",
    [
        fact(end_time=None),
        fact(end_time="some day"),
        fact(last_update="some day"),
        fact(last_update=text_of(101.5)),  # and it was fetched an hour after the grace time
        fact(seen_at=FINAL - 1),  # nobody has looked after the grace time
        fact(since=LATE + 1),  # a change that was seen after it was fetched
        fact(8),
    ],
)
def test_a_run_that_may_change(known: Fact) -> None:
    assert not settled("hltpathinfo run=7", known)


def test_what_was_fetched_after_a_change_is_of_after_it() -> None:
    assert settled("hltpathinfo run=7", fact(since=LATE))
    assert settled("hltpathinfo run=7", fact(last_update=None))
    assert settled("hltpathinfo run=7", fact(last_update=text_of(50)))  # before its end: as usual
    assert settled("hltpathinfo run=7", fact(seen_at=FINAL), fetched_at=FINAL)


def test_every_run_counts() -> None:
    rows = [row(7), row(8)]
    assert settled("deadtimes run=7:8", fact(7), fact(8), rows=rows)
    assert not settled("deadtimes run=7:8", fact(7), fact(8, end_time=None), rows=rows)
    assert not settled("deadtimes run=7:8", fact(8), rows=rows)
    # also one that a filter left out
    assert not settled("deadtimes run=6:8", fact(6, since=LATE + 1), fact(7), fact(8), rows=rows)


def test_after_the_last_run_others_may_come() -> None:
    assert not settled("deadtimes run=7:9", fact(7))
    assert settled("deadtimes run=7:9", fact(7), fact(9))
    assert settled("deadtimes run=7:9", fact(7), fact(11))
    assert not settled("deadtimes run=7:9", fact(7), fact(11, end_time=None))
    newest = Fact(NEWEST, [12, END, END, 9], LATE)
    assert settled("deadtimes run=7:9", fact(7), newest)
    assert not settled("deadtimes run=7:13", fact(7), newest)
    assert not settled("deadtimes run=7:9", fact(7), replace(newest, value=[12, None, END, 9]))


@pytest.mark.parametrize(
    "text",
    [
        "runs",
        "runs run=7:",
        "runs sort=-run_number limit=1",
        "lumisections run=7 filter=lumisection_number=-1",
        "downtimes run=7",
        "lumisummaries",
        "version",
        "runs/sequences",
        "runs run=1:7 sort=-l1_rate limit=1",
    ],
)
def test_what_never_is(text: str) -> None:
    assert not settled(text, fact(7), Fact(NEWEST, [12, END, END, 9], LATE))


def test_a_page_that_shows_all() -> None:
    assert settled("runs run=5:7 limit=1000", fact(7))
    assert not settled("runs run=5:7 limit=1", fact(7))
    assert not settled("runs run=5:7 limit=1000 offset=1000", fact(7))


def test_no_rows_of_a_run() -> None:
    assert settled("hltpathinfo run=7", fact(7), rows=[])
    assert not settled("hltpathinfo run=7", fact(7, end_time=None), rows=[])
    assert settled("hltpathinfo run=7", Fact(NEWEST, [8, END, END, 9], LATE), rows=[])
    assert not settled("hltpathinfo run=7", Fact(NEWEST, [6, END, END, 9], LATE), rows=[])
    assert not settled("hltpathinfo run=7", rows=[])


OPEN = fact(end_time=None, seen_at=5)
SECTION = "lumisections run=7 filter=lumisection_number=3"


def sections(*numbers: int, **values: Any) -> list[dict[str, Any]]:
    return [row(7, lumisection_number=number, **values) for number in numbers]


def test_a_lumisection_of_a_run_that_goes_on() -> None:
    done = sections(3, pileup=30.5, castor_ready=None, end_lumi=None)
    assert settled(SECTION, OPEN, rows=done, fetched_at=5)
    assert settled(SECTION, replace(OPEN, seen_at=9, since=5), rows=done, fetched_at=5)
    waiting = sections(3, pileup=None)
    assert not settled(SECTION, OPEN, rows=waiting, fetched_at=5)
    assert settled(f"{SECTION} fields=run_number", OPEN, rows=waiting, fetched_at=5)
    assert not settled(SECTION, OPEN, rows=[], fetched_at=5)
    # was there a later one then?
    close = replace(OPEN, value=[None, END, 4])
    assert settled(SECTION, close, rows=done, fetched_at=5)
    assert not settled(SECTION, close, rows=done, fetched_at=4)
    assert settled(SECTION, replace(OPEN, seen_at=5 + 90_000), rows=done, fetched_at=5)
    assert not settled(SECTION, replace(OPEN, seen_at=5 + 100_000), rows=done, fetched_at=5)
    assert not settled(SECTION, replace(OPEN, value=[None, END, 3]), rows=done, fetched_at=5)
    assert not settled(SECTION, fact(since=9), rows=done, fetched_at=5)  # it has ended since
    assert not settled(SECTION, rows=done, fetched_at=5)


def test_several_lumisections_of_a_run_that_goes_on() -> None:
    text = "lumisections run=7 filter=lumisection_number<4"
    assert settled(text, OPEN, rows=sections(1, 2, 3), fetched_at=5)
    assert not settled(text, OPEN, rows=sections(1, 3), fetched_at=5)
    assert not settled("lumisections run=7", OPEN, rows=sections(*range(1, 9)), fetched_at=5)
    filtered = "lumisections run=7 filter=lumisection_number=3 filter=pileup>5"
    assert not settled(filtered, OPEN, rows=sections(3, pileup=30), fetched_at=5)
    rates = "l1triggerrates run=7 filter=last_lumisection_number=3"
    assert not settled(rates, OPEN, rows=[row(7, rate=1.5)], fetched_at=5)


def fill(number: int, end: str | None = END) -> dict[str, Any]:
    attributes = {"fill_number": number, "end_time": end}
    return {"id": str(number), "type": "fills", "attributes": attributes}


def test_fills() -> None:
    assert settled("fills filter=fill_number=5", rows=[fill(5)])
    assert settled("fills filter=fill_number>=4 filter=fill_number<=5", rows=[fill(4), fill(5)])
    assert not settled("fills filter=fill_number>=4 filter=fill_number<=6", rows=[fill(4), fill(5)])
    assert not settled(
        "fills filter=fill_number>=4 filter=fill_number<=5", rows=[fill(4, None), fill(5)]
    )
    assert not settled("fills filter=fill_number=5", rows=[fill(5)], fetched_at=FINAL - 1)
    assert not settled("fills filter=fill_number=5", rows=[])
    assert not settled("fills filter=fill_number=5 limit=1", rows=[fill(5)])
    assert not settled("fills", rows=[fill(5)])
    assert not settled("bunches filter=fill_number=5", rows=[fill(5)])


def test_eras_and_what_is_final_at_once() -> None:
    era = {"id": "1", "attributes": {"name": "2017B", "end_time": END, "end_fill": 5}}
    going_on = {"id": "1", "attributes": {"name": "2017B", "end_time": END, "end_fill": None}}
    assert settled("eras filter=name=2017B", rows=[era], fetched_at=1)
    assert not settled("eras filter=name=2017B", rows=[going_on])
    assert not settled("eras", rows=[era])
    assert not settled("eras filter=name~2017", rows=[era])
    path = {"id": "1", "attributes": {"config_name": "/cdaq/x", "path_name": "HLT_Mu"}}
    assert settled("hltconfigdata filter=config_name=/cdaq/x", rows=[path], fetched_at=1)
    assert not settled("hltconfigdata filter=config_name=/cdaq/x", rows=[])
    assert not settled("hltconfigdata", rows=[path])


@given(
    updates=st.lists(st.sampled_from((110, 150, 230)), max_size=1),
    silent=st.lists(st.sampled_from((120, 180, 240)), max_size=1),
    looks=st.lists(st.sampled_from((90, 160, 220, 250, 300)), max_size=3, unique=True),
    fetched=st.sampled_from((140, 170, 210, 290)),
)
def test_what_is_settled_has_not_changed_up_to_the_last_look(
    updates: list[int], silent: list[int], looks: list[int], fetched: int
) -> None:
    """The run ends at 100 h; changes may come late, and not each of them moves its last update.

    Each fetch looks at the run, too.
    """
    shelf = MemoryShelf()

    def state(hour: int) -> list[Any]:
        last = max([100, *(one for one in updates if one <= hour)])
        sections = min(hour, 100) + sum(one <= hour for one in silent)
        return [END if hour >= 100 else None, text_of(last), sections]

    for hour in sorted([*looks, fetched]):
        asyncio.run(shelf.note({"run:7": state(hour)}, at(text_of(hour))))
    asked, when = query("hltpathinfo run=7"), at(text_of(fetched))
    if is_settled(asked, {7}, shelf.remembered, when, GRACE):
        assert state(fetched) == state(max([*looks, fetched]))
        assert fetched >= 148
