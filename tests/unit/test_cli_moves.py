"""retry and discard against a small agent on a real socket."""

import io
import json
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from tests.cli_desk import Desk, Fake, a_desk, an_entry


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        yield desk


def test_every_id_has_its_outcome_and_one_failure_stops_nothing(desk: Desk) -> None:
    fake = Fake()
    fake.answers["/v1/entries/B/retry"] = (409, {"detail": "entry B is leased"})
    with desk.agent(fake):
        assert desk.do("retry", "A", "B", "C") == 65

    assert desk.out == "retried A\nretried C\n"
    assert "B: entry B is leased" in desk.err


def test_outcomes_as_json(desk: Desk) -> None:
    fake = Fake()
    fake.answers["/v1/entries/B/discard"] = (404, {"detail": "gone"})
    with desk.agent(fake):
        assert desk.do("discard", "A", "B", "--json") == 65

    assert json.loads(desk.out) == {
        "done": ["A"],
        "failed": [{"id": "B", "status": 404, "detail": "gone"}],
    }


def test_ids_come_from_standard_input(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("A\nB\n"))
    fake = Fake()
    with desk.agent(fake):
        assert desk.do("discard", "-") == 0

    assert fake.moves == ["/v1/entries/A/discard", "/v1/entries/B/discard"]


def test_no_ids_on_standard_input_are_66(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" \n"))
    with desk.agent(Fake()):
        assert desk.do("retry", "-") == 66


def test_a_whole_backend_is_retried_by_the_agent(desk: Desk) -> None:
    fake = Fake()
    with desk.agent(fake):
        assert desk.do("retry", "--backend", "events") == 0

    assert fake.moves == ["/v1/backends/events/retry"]
    assert desk.out == "retried 3 of events\n"


def test_all_are_the_backends_that_are_configured(desk: Desk) -> None:
    fake = Fake()
    with desk.agent(fake):
        assert desk.do("retry", "ALL", "--json") == 0

    assert fake.moves == ["/v1/backends/events/retry"]
    assert json.loads(desk.out) == {"retried": {"events": 3}}


def test_discarding_a_backend_takes_what_failed_and_nothing_that_waits(desk: Desk) -> None:
    fake = Fake(an_entry(1), an_entry(2, state="pending"), an_entry(3, backend="elog"))
    with desk.agent(fake):
        assert desk.do("discard", "--backend", "events", "--yes") == 0

    assert fake.moves == ["/v1/entries/ID1/discard"]


def test_discarding_nothing_is_fine(desk: Desk) -> None:
    with desk.agent(Fake(an_entry(1))):
        assert desk.do("discard", "ALL", "--state", "held", "--yes") == 0

    assert "nothing" in desk.err


def test_an_agent_in_trouble_ends_it_with_75(desk: Desk) -> None:
    fake = Fake()
    fake.answers["/v1/entries/A/retry"] = (503, {"detail": "stopping"})
    with desk.agent(fake):
        assert desk.do("retry", "A", "B") == 75

    assert fake.moves == ["/v1/entries/A/retry"]


@pytest.mark.parametrize(("answer", "moves"), [("y\n", 2), ("n\n", 0)])
def test_at_a_terminal_a_person_is_asked_before_many_are_discarded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, moves: int
) -> None:
    keyboard, terminal = pty.openpty()
    fake = Fake(an_entry(1), an_entry(2))
    with os.fdopen(terminal) as stdin, desk.agent(fake):
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, answer.encode())
        assert desk.do("discard", "ALL") == 0
    os.close(keyboard)

    assert len(fake.moves) == moves
    assert "Discard 2 entries for good?" in desk.err
