"""`put` of many entries, one per line, against a small agent on a real socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli_desk import Desk, a_desk
from tests.cli_server import Answer, Asked, accepted, refusing, served

EVENT = {"event_type": "test"}


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        yield desk


def lines(*entries: Any) -> str:
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in entries) + "\n"


def test_every_line_becomes_an_entry_with_a_key_of_its_own(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        assert desk.put("events", desk.file(lines(EVENT, "", EVENT), "e.ndjson")) == 0

    sent = [json.loads(line) for line in server.asked[0].body.splitlines()]
    assert [one["payload"] for one in sent] == [EVENT, EVENT]
    assert len({one["key"] for one in sent}) == 2
    assert desk.out == "accepted 2\n"


def test_a_bad_line_is_told_with_its_number_and_the_others_are_taken(desk: Desk) -> None:
    with served(desk.socket, accepted):
        assert desk.put("events", desk.file(lines(EVENT, "{", "", EVENT), "e.jsonl")) == 65

    assert "line 2: " in desk.err
    assert desk.out == "refused 1, accepted 2\n"


def test_a_line_that_the_agent_refuses_keeps_its_number_in_the_file(desk: Desk) -> None:
    def answer(asked: Asked) -> Answer:
        _, told = accepted(asked)
        problem = {"line": 2, "status": 422, "errors": [{"pointer": "/payload/x", "detail": "bad"}]}
        return 200, [told[0], problem]

    with served(desk.socket, answer):
        assert desk.put("events", desk.file(lines(EVENT, "", EVENT), "e.ndjson")) == 65

    assert "line 3: /payload/x: bad" in desk.err


def test_without_an_agent_the_lines_wait_together(desk: Desk) -> None:
    assert desk.put("events", desk.file(lines(EVENT, EVENT)), "--ndjson") == 0

    (path,) = desk.spooled()
    assert path.suffix == ".ndjson"
    assert [json.loads(line)["payload"] for line in path.read_text().splitlines()] == [EVENT] * 2
    assert desk.out == "spooled 2\n"


def test_only_the_lines_that_found_no_room_wait(desk: Desk) -> None:
    def answer(asked: Asked) -> Answer:
        _, told = accepted(asked)
        return 200, [told[0], {"line": 2, "status": 507, "detail": "full"}]

    with served(desk.socket, answer):
        assert desk.put("events", desk.file(lines(EVENT, {"n": 2}), "e.ndjson"), "--json") == 0

    (path,) = desk.spooled()
    assert json.loads(path.read_text())["payload"] == {"n": 2}
    told = json.loads(desk.out)
    assert [one["state"] for one in told["lines"]] == ["accepted", "spooled"]


def test_a_long_input_goes_in_bounded_pieces_in_order(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        content = lines(*({"n": n} for n in range(2500)))
        assert desk.put("events", desk.file(content, "e.ndjson")) == 0

    sent = [json.loads(line) for one in server.asked for line in one.body.splitlines()]
    assert [one["payload"]["n"] for one in sent] == list(range(2500))
    assert len(server.asked) == 3


def test_once_the_agent_is_away_it_is_not_waited_for_again(desk: Desk) -> None:
    with served(desk.socket, refusing(503)) as server:
        content = lines(*({"n": n} for n in range(2500)))
        assert desk.put("events", desk.file(content, "e.ndjson")) == 0

    assert len(server.asked) == 1
    spooled = [json.loads(line) for one in desk.spooled() for line in one.read_text().splitlines()]
    assert [one["payload"]["n"] for one in spooled] == list(range(2500))


def test_no_lines_are_no_input(desk: Desk) -> None:
    assert desk.put("events", desk.file("\n\n", "e.ndjson")) == 66
