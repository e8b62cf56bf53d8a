"""Questions to an Event Manager, before anybody is asked."""

import json
from typing import Any

import pytest

from adapters.event_manager import KIND
from tests.emulators.event_manager_desk import (
    on_paper,
)


@pytest.mark.parametrize(
    ("resource", "parameters", "words", "parameter"),
    [
        ("nonsense", {}, "there are: event, recent", None),
        ("events/archive", {}, "hides events", None),
        ("backup", {}, "no question", None),
        ("health/x", {}, "there is no 'health/x'", None),
        ("event", {}, "needs 'id'", "id"),
        ("event/a", {"id": "b"}, "given twice", "id"),
        ("event", {"id": "\ud800"}, "surrogate", "id"),
        ("event", {"id": "a\0"}, "NUL", "id"),
        ("recent", {"number": 0}, "1 or more", "number"),
        ("recent", {"number": -1}, "0 or more", "number"),
        ("recent", {"number": "ten"}, "0 or more", "number"),
        ("recent", {"level": "loud"}, "must be one of", "level"),
        ("recent", {"limit": 3}, "there are: number, level", "limit"),
        ("recent", {"start": "yesterday"}, "ISO 8601", "start"),
        ("recent", {"include_archived": "1"}, "true or false", "include_archived"),
        ("query", {}, "say what to look for", "selector"),
        ("query", {"selector": "{}", "level": 20}, "says everything", "level"),
        ("query", {"selector": "nope"}, "is no JSON", "selector"),
        ("query", {"selector": "[]"}, "has to be an object", "selector"),
        ("query", {"selector": '{"a": NaN}'}, "is no JSON", "selector"),
        ("query", {"selector": '{"a": 1, "a": 2}'}, "is there twice", "selector"),
        ("query", {"selector": '{"$where": "1"}'}, "runs a script", "selector"),
        ("query", {"selector": '{"a": [{"$expr": {"$function": 1}}]}'}, "a script", "selector"),
        ("query", {"selector": '{"event_id": "a"}'}, "write '_id'", "selector"),
        ("query", {"selector": '{"$or": [{"event_id": "a"}]}'}, "write '_id'", "selector"),
        ("query", {"selector": '{"a": 1e400}'}, "too large", "selector"),
        ("query", {"selector": '{"a": 9223372036854775808}'}, "64 bits", "selector"),
        ("query", {"selector": '{"a\\u0000": 1}'}, "NUL", "selector"),
        ("query", {"selector": '{"a": "\\ud800"}'}, "surrogate", "selector"),
        ("query", {"selector": '{"a":' * 150 + "1" + "}" * 150}, "nested", "selector"),
        ("query", {"selector": '{"a":' * 99999 + "1" + "}" * 99999}, "is no JSON", "selector"),
        ("query", {"type": "of_the_future"}, "must be one of", "type"),
        ("query", {"node_id": '{"$ne": 1}'}, "is no ULID", "node_id"),
        ("query", {"since": "soon"}, "is no ISO 8601 time", "since"),
        ("query", {"event_id": "a"}, "no parameter of 'query'", "event_id"),
        ("sessions", {"save_to_file": "true"}, "write a file", "save_to_file"),
        ("users", {"output_path": "/tmp/x"}, "write a file", "output_path"),
        ("sessions", {"format": "xml"}, "json, csv", "format"),
        ("sessions", {"start": "junk"}, "ISO 8601", "start"),
        ("sessions", {"start": "2026-01-02", "end": "2026-01-01"}, "before 'end'", "start"),
        ("periods", {"start": "2026-01-01"}, "needs 'end'", "end"),
        (
            "periods",
            {"start": "2026-01-01", "end": "2026-01-02", "analysis_type": "yearly"},
            "hourly, daily",
            "analysis_type",
        ),
        (
            "periods",
            {"start": "2026-01-01", "end": "2026-01-02", "user_timezone": "Mars/Base"},
            "no time zone",
            "user_timezone",
        ),
    ],
    ids=lambda part: ascii(part)[:60],
)
def test_a_question_that_makes_no_sense_is_refused_before_it_is_asked(
    resource: str, parameters: dict[str, Any], words: str, parameter: str | None
) -> None:
    refusal = on_paper().refusal(resource, **parameters)

    assert words in refusal.detail
    assert refusal.parameter == parameter
    assert refusal.status == (422 if parameter else 404)


def test_equal_questions_have_equal_keys() -> None:
    asked = on_paper()

    def same(resource: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
        return asked.plan(resource, **one).key == asked.plan(resource, **other).key

    assert same("recent", {}, {"number": "0100", "level": "notset"})
    assert same("query", {"since": "2026-01-01T12:00:00Z"}, {"since": "2026-01-01T13:00:00"})
    assert same("query", {"type": "experiment_stop"}, {"type": "Experiment_Stop"})
    assert not same("recent", {}, {"number": 99})
    assert asked.plan("event/a").key == asked.plan("event", id="a").key


def test_every_resource_can_be_asked_and_shown_and_tells_of_itself_as_json() -> None:
    asked = on_paper()
    needed = {"id": "a", "start": "2026-01-01", "end": "2026-01-02"}
    for name, about in KIND.resources.items():
        parameters = {one: needed[one] for one in about.required} or (
            {"level": "20"} if name == "query" else {}
        )
        plan = asked.plan(name, **parameters)

        assert json.dumps(plan.about)
        assert asked.reader.shown(plan).split()[0] in ("GET", "POST")
        assert about.subject is None or about.subject in about.parameters
