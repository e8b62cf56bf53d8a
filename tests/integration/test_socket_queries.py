"""Questions over the socket: answers, refusals, progress, pins."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.verdict import Unreachable
from agent.client import listen_first
from tests.door import Door
from tests.door_client import Answer, ask
from tests.library import Library

BOOK = "/v1/query/library/book"
PIN = {"backend": "library", "resource": "book", "parameters": [["title", "Dune"]]}


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def away(door: Door) -> None:
    door.library.trouble = Unreachable("cannot reach the library")


def test_what_can_be_asked(door: Door) -> None:
    told = door.ask("GET", "/v1/query").json

    assert told["backends"]["library"]["book"] == {
        "summary": "A book.",
        "subject": "title",
        "required": [],
        "parameters": {"title": "Its title."},
    }


@pytest.mark.parametrize("query", ["title=Dune", "subject=Dune", "title=%44une&mode=live"])
def test_an_answer_live_and_then_from_the_cache(door: Door, query: str) -> None:
    live = door.ask("GET", f"{BOOK}?{query}")
    away(door)
    kept = door.ask("GET", f"{BOOK}?title=DUNE").json

    assert live.status == 200
    assert live.headers["content-type"] == "application/json"
    assert {"source": "live", "stale": False, "complete": True}.items() <= live.json.items()
    assert (kept["source"], kept["data"], kept["stale"]) == ("cache", "sand", True)
    assert "cannot reach the library" in kept["notes"][0]


@pytest.mark.parametrize(
    ("target", "status", "pointer"),
    [
        ("/v1/query/museum/book", 404, "/backend"),
        (f"{BOOK}?isbn=1", 422, "/isbn"),
        (f"{BOOK}?mode=quick", 422, "/mode"),
        (f"{BOOK}?max_age=tomorrow", 422, "/max_age"),
        ("/v1/query/library/shelf?subject=1", 422, "/subject"),
        (f"{BOOK}?title=untellable&include_queued=1", 422, "/include_queued"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name(
    door: Door, target: str, status: int, pointer: str
) -> None:
    answer = door.ask("GET", target)

    answer.check_problem(status)
    assert answer.pointers == [pointer]


@pytest.mark.parametrize("query", ["title=Dune", "title=Dune&mode=live", "title=Dune&mode=offline"])
def test_what_cannot_be_answered_now_is_503(door: Door, query: str) -> None:
    away(door)

    answer = door.ask("GET", f"{BOOK}?{query}")

    answer.check_problem(503)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_but_get_asks(door: Door, method: str) -> None:
    assert door.ask(method, BOOK).status == 405


def told_on_the_way(door: Door, query: str) -> Answer:
    return ask(door.socket, "GET", f"{BOOK}?{query}", None, {"Accept": "application/x-ndjson"})


def test_progress_is_told_before_the_answer(door: Door) -> None:
    door.library.steps = [(1, 10), (5, 10)]
    door.run(close(door.library))

    told = listen_first([door.socket], f"{BOOK}?title=Dune", timeout=10)
    first = next(told)
    door.run(reopen(door.library))
    *_, last = told

    assert first == {"progress": {"rows": 5, "of": 10}}
    assert last["answer"]["data"] == "sand"


async def close(library: Library) -> None:
    library.open.clear()


async def reopen(library: Library) -> None:
    library.open.set()


def test_a_problem_on_the_way_is_the_last_line(door: Door) -> None:
    away(door)

    last = told_on_the_way(door, "title=Dune").lines[-1]

    assert last["problem"]["status"] == 503


def test_a_wrong_question_is_no_stream(door: Door) -> None:
    told_on_the_way(door, "isbn=1").check_problem(422)


def test_what_is_no_number_in_json_is_told_as_null(door: Door) -> None:
    door.library.books["DUNE"] = {"pages": [float("nan"), 1.5, float("-inf")]}

    answer = json.loads(door.ask("GET", f"{BOOK}?title=Dune").body, parse_constant=pytest.fail)

    assert answer["data"] == {"pages": [None, 1.5, None]}
    assert "null" in answer["notes"][0]


def test_an_entry_that_waits_is_in_the_answer_that_wants_it(door: Door) -> None:
    assert door.ask("GET", f"{BOOK}?title=Dune&include_queued=1").json["queued"] == 0


def pins(door: Door) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = door.ask("GET", "/v1/pins").json["pins"]
    return told


def test_a_pin_is_made_told_and_taken_away(door: Door) -> None:
    first = door.ask("POST", "/v1/pins", said=PIN)
    again = door.ask("POST", "/v1/pins", said={**PIN, "parameters": [["subject", "Dune"]]})
    before = pins(door)
    door.ask("GET", f"{BOOK}?title=Dune")
    after = pins(door)
    gone = door.ask("DELETE", f"/v1/pins/{first.json['id']}")

    assert (first.status, again.status) == (201, 200)
    assert [one["fetched_at"] for one in before] == [None]
    assert after[0]["fetched_at"] is not None
    assert after[0]["complete"] is True
    assert gone.status == 200
    assert pins(door) == []
    door.ask("DELETE", f"/v1/pins/{first.json['id']}").check_problem(404)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({}, 404),
        ({**PIN, "backend": "museum"}, 404),
        ({**PIN, "parameters": [["isbn", "1"]]}, 422),
        ({**PIN, "parameters": [["title"]]}, 422),
        ({**PIN, "parameters": {"title": "Dune"}}, 422),
        ({**PIN, "colour": "red"}, 422),
    ],
)
def test_a_pin_that_makes_no_sense_is_refused(door: Door, wrong: Any, status: int) -> None:
    door.ask("POST", "/v1/pins", said=wrong).check_problem(status)

    assert pins(door) == []
