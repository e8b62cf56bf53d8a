"""The verdict of every answer to the telemetry adapter: the docs page's tables, row by row."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.answer import Answer
from adapters.telemetry import runs, wire
from adapters.telemetry.counting import PROBE, takes_probes
from adapters.verdict import DeliveryError
from tests.answers import STATUSES, answer, misjudged
from tests.builders import NOW

EVENT = {"type": "weather", "data": 1, "meta": {"event_id": "mine"}}
ECHO = json.dumps({"seq": 1, "ts": "", **EVENT}).encode()
RUN = json.dumps({"run_dir": "/d", "run_id": "1", "meta": {}, "started_at": "x"}).encode()
CURRENT = json.dumps({"current": {"weather": json.loads(ECHO)}}).encode()
READY = json.dumps({"ready": True, "run_active": False, "version": "0.5.3"}).encode()
URL = "http://t"


def judged(read: Callable[[Answer], Any]) -> Callable[[Answer], Any]:
    """The verdict that is raised, or what is returned."""

    def judge(one: Answer) -> Any:
        try:
            return read(one)
        except DeliveryError as error:
            return error

    return judge


def start(one: Answer) -> Any:
    return runs.run_in(one, NOW) or wire.unproven(one, URL, "the start")


def run(one: Answer) -> Any:
    found = runs.run_in(one, NOW)
    absent = runs.says(one, 404, runs.NO_RUN)  # type: ignore[arg-type]
    return found or ("absent" if absent else wire.unread(one, URL))


post = judged(lambda one: wire.prove(one, EVENT, URL))
of_type = judged(lambda one: wire.current_in(one, "weather", URL))
of_all = judged(lambda one: wire.current_among(one, "weather", URL))
ready = judged(lambda one: takes_probes(one, URL))
LEFT_ALONE = wire.Current(known=False)


def never(*_: object) -> bool:
    return False


def is_left_alone(status: int, _: str) -> bool:
    """Answers to a look at the current value that only mean: leave it alone."""
    named = (401, 403, 404, 405, 407, 408, 429)
    return 400 <= status < 500 and status not in named


@pytest.mark.parametrize(
    ("judge", "proof", "sent", "unlike"),
    [
        pytest.param(post, ECHO, True, never, id="POST /event"),
        pytest.param(start, RUN, True, never, id="POST /run/start, /run/stop"),
        pytest.param(run, RUN, False, never, id="GET /run"),
        pytest.param(of_type, ECHO, False, is_left_alone, id="GET /current/{type}"),
        pytest.param(of_all, CURRENT, False, is_left_alone, id="GET /current"),
    ],
)
def test_every_answer_of_a_stranger_has_a_home_and_confirms_nothing(
    judge: Any, proof: bytes, sent: bool, unlike: Any
) -> None:
    assert misjudged(judge, proof, sent=sent, unlike=unlike) == {}


@pytest.mark.parametrize("judge", [of_type, of_all])
def test_a_refused_look_leaves_the_current_value_alone(judge: Any) -> None:
    statuses = [status for status in STATUSES if judge(answer(status, b"")) == LEFT_ALONE]

    assert statuses == [status for status in STATUSES if is_left_alone(status, "")]


@pytest.mark.parametrize(
    ("judge", "proof"), [(post, ECHO), (start, RUN), (run, RUN), (of_type, ECHO), (of_all, CURRENT)]
)
def test_the_servers_own_word_is_proof_with_200_alone(judge: Any, proof: bytes) -> None:
    shown = [status for status in STATUSES if judge(answer(status, b"")) != LEFT_ALONE]
    proven = [s for s in shown if not isinstance(judge(answer(s, proof)), DeliveryError)]

    assert proven == [200]


@pytest.mark.parametrize("judge", [post, start])
def test_the_server_judges_with_400_and_422_alone(judge: Any) -> None:
    said = b'{"detail": "There was an error parsing the body"}'
    rejected = [s for s in STATUSES if type(judge(answer(s, said))).__name__ == "Rejected"]

    assert rejected == [400, 413, 422]


@pytest.mark.parametrize(
    ("read", "said", "status"),
    [
        (run, runs.NO_RUN, 404),
        (of_type, "No current event for type 'weather'", 404),
        (lambda one: runs.says(one, 409, runs.RUN_IS_ACTIVE) and "absent", runs.RUN_IS_ACTIVE, 409),
    ],
)
def test_the_servers_negative_word_counts_with_its_status_alone(
    read: Any, said: str, status: int
) -> None:
    body = json.dumps({"detail": said}).encode()
    counts = [s for s in STATUSES if read(answer(s, body)) in ("absent", wire.Current())]

    assert counts == [status]


def test_a_value_that_nobody_can_read_is_one_with_500_alone() -> None:
    said = b"Internal Server Error"
    healed = [s for s in STATUSES if of_type(answer(s, said, "text/plain")) == wire.Current()]

    assert healed == [500]
    assert of_all(answer(500, said, "text/plain")) == LEFT_ALONE


@pytest.mark.parametrize(
    ("version", "takes"),
    [
        ("0.3.4", False),
        ("0.3.5", True),
        ("0.3.10rc1", True),
        ("0.5.3", True),
        ("1.0.0+local", True),
        ("0.3", False),
        ("newest", False),
        (None, False),
        (5, False),
        ("9" * 5000, False),
    ],
)
def test_probes_are_for_versions_that_keep_them_out_of_the_file(version: Any, takes: bool) -> None:
    assert ready(answer(200, json.dumps({"version": version}).encode())) is takes


def test_no_other_answer_is_taken_for_a_version() -> None:
    assert [status for status in STATUSES if ready(answer(status, READY)) is True] == [200]
    assert ready(answer(200, READY, "text/html")) is False


def test_the_probe_says_what_keeps_it_out_of_sight() -> None:
    assert (PROBE["make_current"], PROBE["store_permanently"]) == (False, False)


def test_a_start_without_a_clock_of_the_server_is_timed_by_ours() -> None:
    for date in ("", "yesterday", "Tue, 99 Nov 2026 00:00:00 GMT"):
        shown = runs.run_in(answer(200, RUN, date=date), NOW)
        assert shown is not None
        assert shown.seen == wire.moment_at(NOW)
