"""retry, discard, hold, release, pause, resume against a small agent on a real socket."""

import io
import json
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from agent.cli.inputs import duration
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


# hold, release


@pytest.mark.parametrize(("verb", "done"), [("hold", "held"), ("release", "released")])
def test_entries_are_held_and_released_with_the_reason(desk: Desk, verb: str, done: str) -> None:
    fake = Fake()
    fake.answers[f"/v1/entries/B/{verb}"] = (409, {"detail": "entry B is leased"})
    with desk.agent(fake) as server:
        assert desk.do(verb, "A", "B", "--reason", "wrong run") == 65

    assert fake.moves == [f"/v1/entries/A/{verb}", f"/v1/entries/B/{verb}"]
    assert [one.json for one in server.asked] == [{"reason": "wrong run"}] * 2
    assert server.asked[0].headers["Content-Type"] == "application/json"
    assert desk.out == f"{done} A\n"
    assert "entry B is leased" in desk.err


@pytest.mark.parametrize(("verb", "done"), [("hold", "held"), ("release", "released")])
def test_all_of_a_backend_or_of_every_one_are_held_and_released(
    desk: Desk, verb: str, done: str
) -> None:
    fake = Fake()
    path = f"/v1/backends/events/{verb}"
    fake.answers[path] = (200, {"backend": "events", done: 7})
    with desk.agent(fake) as server:
        assert desk.do(verb, "--backend", "events") == 0
        assert desk.out == f"{done} 7 of events\n"
        assert desk.do(verb, "ALL", "--json") == 0

    assert fake.moves == [path, path]
    assert server.asked[0].body == b""
    assert json.loads(desk.out) == {done: {"events": 7}}


# pause, resume


def test_a_backend_is_paused_for_a_time(desk: Desk) -> None:
    fake = Fake()
    fake.answers["/v1/backends/events/pause"] = (200, {"until": "2999-01-01T00:00:00.000Z"})
    with desk.agent(fake) as server:
        assert desk.do("pause", "events", "--for", "1h30m", "--reason", "new disks") == 0

    assert server.asked[0].json == {"for_seconds": 5400.0, "reason": "new disks"}
    assert desk.out.startswith("paused events until 2999-01-01 ")


def test_a_backend_is_paused_until_it_is_resumed(desk: Desk) -> None:
    fake = Fake()
    fake.answers["/v1/backends/events/pause"] = (200, {"until": None})
    fake.answers["/v1/backends/events/resume"] = (200, {"was_paused": True})
    with desk.agent(fake) as server:
        assert desk.do("pause", "events") == 0
        assert desk.out == "paused events until it is resumed\n"
        assert desk.do("resume", "events") == 0
        assert desk.out == "resumed events\n"
        fake.answers["/v1/backends/events/resume"] = (200, {"was_paused": False})
        assert desk.do("resume", "events") == 0

    assert desk.out == "events was not paused; tried now\n"
    assert [one.body for one in server.asked] == [b""] * 3


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_all_backends_are_those_that_are_configured(desk: Desk, verb: str) -> None:
    fake = Fake()
    answer = {"until": None, "was_paused": False}
    fake.answers[f"/v1/backends/events/{verb}"] = (200, answer)
    with desk.agent(fake):
        assert desk.do(verb, "ALL", "--json") == 0

    assert fake.moves == [f"/v1/backends/events/{verb}"]
    assert json.loads(desk.out) == {f"{verb}d": {"events": answer}}


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_backend_is_65_with_the_agents_words(desk: Desk, verb: str) -> None:
    fake = Fake()
    fake.answers[f"/v1/backends/nope/{verb}"] = (404, {"detail": "there is no backend 'nope'"})
    with desk.agent(fake):
        assert desk.do(verb, "nope") == 65

    assert "there is no backend 'nope'" in desk.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1d2h3m4s", 93_784)],
)
def test_a_time_is_read_in_its_units(text: str, seconds: int) -> None:
    assert duration(text, "--for") == seconds
