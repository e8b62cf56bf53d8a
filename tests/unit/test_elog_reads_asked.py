"""Questions to the eLog, judged: equal ones are equal, and what makes no sense is named."""

from typing import Any

import pytest

from adapters.elog import KIND, Options
from adapters.elog.reads.ask import Ask, from_json
from adapters.elog.reads.asking import asked
from adapters.elog.reads.entries import query_of
from adapters.elog.reads.given import covers, within
from adapters.elog.reads.implied import view
from adapters.elog.reads.resources import RESOURCES
from adapters.elog.reads.topics import TOPICS
from adapters.reading import Misasked, Question
from tests.builders import repository

EXP = ("experiment", "mfxl1000123")
AN_ID = "6b02d5fd77e06dbaf0b4893d"


def ask(resource: str, *parameters: tuple[str, str], **more: str) -> Ask:
    question = Question(resource, (*parameters, *more.items()))
    return asked(question, "elog", Options(instrument="mfx"))


@pytest.mark.parametrize(
    ("resource", "one", "other"),
    [
        ("params", {"runs": "1,2,3,7"}, {"runs": "7,1:3,2"}),
        ("params", {"runs": "5:"}, {"runs": "9,5:,7:8"}),
        ("params", {"runs": ":3"}, {"runs": "0:3"}),
        ("params", {"names": "b,a,,b "}, {"names": "a,b"}),
        ("runs", {}, {"include_params": "yes"}),
        ("run", {"run": "7"}, {"run": "007"}),
        ("search", {"id": AN_ID}, {"id": AN_ID.upper()}),
        (
            "search",
            {"since": "2026-11-25T12:00:00Z"},
            {"since": "2026-11-25T13:00:00+01:00", "deleted": "0"},
        ),
        ("search", {"tag": "T", "text": "a b"}, {"text": "a b", "tag": "T", "ancestors": "no"}),
    ],
)
def test_equal_questions_have_equal_keys(
    resource: str, one: dict[str, str], other: dict[str, str]
) -> None:
    made = ask(resource, EXP, **one)

    assert made.key == ask(resource, EXP, **other).key
    assert from_json(made.as_json()).key == made.key
    assert made.key != ask(resource, ("experiment", "mfxl1000223"), **one).key


@pytest.mark.parametrize(
    ("resource", "parameters", "fault", "said"),
    [
        ("nothing", {}, None, "has no 'nothing' to ask for; there are: active_experiment"),
        ("runs", {}, "experiment", "needs experiment"),
        ("runs", {"experiment": "../x"}, "experiment", "cannot be the name"),
        ("runs", {"tag": "x"}, "tag", "no parameter of runs; it takes: experiment"),
        ("runs", {"include_params": "maybe"}, "include_params", "true or false"),
        ("run", {"run": "-1"}, "run", "no number"),
        ("run", {"run": "\u0661"}, "run", "no number"),
        ("run", {"run": ""}, "run", "empty"),
        ("params", {"runs": "3:1"}, "runs", "ends before"),
        ("params", {"runs": ":"}, "runs", "neither a run"),
        ("params", {"runs": "1,x"}, "runs", "neither a run"),
        ("params", {"names": ", "}, "names", "there is none"),
        ("runs_by_tag", {}, "tag", "needs tag: exact"),
        ("search", {}, None, "nothing to search for"),
        ("search", {"run": "1", "tag": "x"}, "tag", "run and tag"),
        ("search", {"regex": "x", "tag": "x"}, "regex", "one of run, runs"),
        ("search", {"until": "2026-11-25T12:00:00Z", "id": AN_ID}, "id", "since and id"),
        ("search", {"since": "2026-11-25T12:00:00"}, "since", "with its zone"),
        ("search", {"since": "yesterday"}, "since", "with its zone"),
        (
            "search",
            {"since": "2026-11-25T12:00:00Z", "until": "2026-11-24T12:00:00Z"},
            "since",
            "before until",
        ),
        ("search", {"text": "t:DARK"}, "text", "say tag='DARK'"),
        ("search", {"text": "x:^a"}, "text", r"say regex='\^a'"),
        ("search", {"text": "  "}, "text", "no words"),
        ("search", {"runs": "1,3"}, "runs", "from one run to another"),
        ("search", {"runs": "3:"}, "runs", "from one run to another"),
        ("search", {"id": "zz"}, "id", "24 hexadecimal"),
        ("entry", {"id": "current"}, "id", "24 hexadecimal"),
        ("active_experiment", {"instrument": "m/x"}, "instrument", "no name of an instrument"),
        ("active_experiment", {"station": "one"}, "station", "no number"),
    ],
)
def test_what_makes_no_sense_is_named(
    resource: str, parameters: dict[str, str], fault: str | None, said: str
) -> None:
    more = () if {"experiment", "instrument", "station"} & set(parameters) else (EXP,)
    more = () if fault == "experiment" or resource == "nothing" else more

    with pytest.raises(Misasked, match=said) as refused:
        ask(resource, *more, **parameters)

    assert refused.value.parameter == fault
    assert refused.value.status == (404 if resource == "nothing" else 422)


def test_a_parameter_is_given_once() -> None:
    with pytest.raises(Misasked, match="more than once") as refused:
        ask("runs", EXP, EXP)
    assert refused.value.parameter == "experiment"
    assert ask("params", EXP, ("name", "a"), ("name", "b,c")).options["names"] == ["a", "b,c"]


def test_the_station_of_the_settings_is_that_of_its_instrument() -> None:
    options: Any = Options(instrument="mfx", station=1)

    def place(*parameters: tuple[str, str]) -> Any:
        return asked(Question("active_experiment", parameters), "elog", options).options

    assert place() == place(("instrument", "MFX")) == {"instrument": "mfx", "station": 1}
    assert place(("instrument", "xpp")) == {"instrument": "xpp", "station": 0}
    assert place(("station", "0")) == {"instrument": "mfx", "station": 0}


@pytest.mark.parametrize(
    ("form", "query"),
    [
        ({"run": 5}, (("run_num", "5"),)),
        ({"runs": [1, 9]}, (("start_run_num", "1"), ("end_run_num", "9"))),
        ({"id": AN_ID}, (("_id", AN_ID),)),
        ({"tag": "t:x"}, (("tag", "t:x"),)),
        ({"regex": "^a"}, (("search_text", "x:^a"),)),
        ({"text": "a", "tag": "b"}, (("search_text", "a"), ("tag", "b"))),
        (
            {"since": 0, "until": 1},
            (
                ("start_date", "1970-01-01T00:00:00.000Z"),
                ("end_date", "1970-01-01T00:00:00.001Z"),
            ),
        ),
    ],
)
def test_each_form_has_the_elogs_spelling(form: dict[str, Any], query: Any) -> None:
    assert query_of(form) == query


def test_spans_cover_runs_and_each_other() -> None:
    spans = [[1, 3], [7, None]]

    assert [run for run in range(10) if covers(spans, run)] == [1, 2, 3, 7, 8, 9]
    assert within([[2, 3], [9, 12]], spans)
    assert within([[8, None]], spans)
    for wider in ([[0, 1]], [[3, 4]], [[2, None]], [[2, 8]]):
        assert not within(wider, spans)


def test_some_runs_do_not_tell_of_others() -> None:
    some = ask("params", EXP, runs="1:3", names="a,b")

    assert view(ask("params", EXP, runs="2", names="b"), some) is not None
    for wanted in ({"runs": "2:4", "names": "a"}, {"names": "a"}, {"runs": "2"}):
        assert view(ask("params", EXP, **wanted), some) is None


def test_everything_that_can_be_asked_is_told_in_words() -> None:
    page = (repository() / "docs" / "backends" / "elog.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]

    assert set(TOPICS) == set(RESOURCES) == set(KIND.resources)
    for name, about in RESOURCES.items():
        assert any(f"`{name}" in row.split("|")[1] for row in rows), name
        assert not [one for one in about.parameters if f"`{one}`" not in page], name
        assert set(about.required) <= set(about.parameters)
        assert about.subject is None or about.subject in about.parameters
