"""The status as people read it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.cli.picture import one_line_of, sections_of
from agent.cli.printing import plain_lines
from agent.severity import ATTENTION, FINE, NOT_RUNNING, STUCK, Thresholds, exit_code
from agent.status import Picture, build_status
from storage.census import Census
from storage.entry import Rest

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
MS = round(NOW.timestamp() * 1000)
LIMITS = Thresholds(attention_after=86_400, stuck_after=600)


def a_status(**changes: Any) -> dict[str, Any]:
    picture: dict[str, Any] = {
        "now": MS,
        "kinds": {"elog": "elog", "events": "event_manager"},
        "counts": {},
        "rests": [],
        "rates": {},
        "spool": {"waiting": 0, "blocked": 0, "rejected": 0},
        "version": "1",
        "pid": 7,
        "since": MS - 60_000,
    }
    return build_status(Picture(**{**picture, **changes}))


def text_of(status: dict[str, Any]) -> str:
    sections = sections_of(status, now=NOW)
    return "\n".join(line for section in sections for line in plain_lines(section))


def offline(**changes: Any) -> Rest:
    fields = {"scope": "", "state": "offline", "reason": "no route", "failures": 3, **changes}
    return Rest(backend="elog", since=MS - 300_000, until=MS + 30_000, **fields)


def test_every_backend_has_its_row() -> None:
    counts = {"elog": Census(pending=3, leased=1, dead=2, in_doubt=1, oldest_at=MS - 300_000)}

    lines = text_of(a_status(counts=counts, rests=[offline()])).splitlines()

    row = next(line for line in lines if line.startswith("elog\t")).split("\t")
    assert row == ["elog", "offline", "4", "1", "2", "5 min", "0", "-", "in 30 s"]
    assert "elog: offline for 5 min: no route" in lines


def test_a_part_of_a_backend_that_waits_is_listed_with_its_reason() -> None:
    part = offline(scope="xpp1", state="parked", reason="the experiment is locked")

    assert "elog / xpp1: parked for 5 min, next try in 30 s: the experiment is locked" in text_of(
        a_status(rests=[part])
    )


def test_how_long_what_waits_has_waited_is_told_only_when_something_waits() -> None:
    assert "waiting for" not in text_of(a_status())
    census = Census(pending=2)
    census.ages["6h"] = 2

    text = text_of(a_status(counts={"elog": census}))

    assert "waiting for\t1m\t10m\t1h\t6h\t1d\t1w\tolder" in text
    assert "elog\t0\t0\t0\t2\t0\t0\t0" in text


def test_without_an_agent_no_next_try_is_promised() -> None:
    status = a_status(
        pid=None, since=None, counts={"elog": Census(pending=1, oldest_at=MS)}, rests=[offline()]
    )

    assert "no agent is running" in text_of(status)
    assert "in 30 s" not in text_of(status)


def test_the_spool_says_where_to_look_when_something_is_wrong() -> None:
    status = a_status(spool={"waiting": 1, "blocked": 0, "rejected": 2})

    assert "1 file waits, 0 blocked, 2 moved aside (why: " in text_of(status)


def test_internal_words_stay_inside() -> None:
    counts = {"elog": Census(pending=1, held=1, dead=1, oldest_at=MS)}
    text = text_of(a_status(counts=counts, rests=[offline(scope="x", state="parked")]))

    assert not [word for word in ("lane", "bury", "buried", "scope") if word in text]


def test_one_line_says_it_all() -> None:
    status = a_status(counts={"elog": Census(pending=3, dead=2)}, rests=[offline()])

    (line,) = plain_lines(one_line_of(status, ATTENTION))

    assert line == ("needs attention: 3 waiting, 2 failed, kept, elog offline, events flowing")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, FINE),
        ({"rests": [offline()], "counts": {"elog": Census(pending=1, oldest_at=MS - 1)}}, FINE),
        ({"counts": {"elog": Census(pending=1, oldest_at=MS - 86_400_001)}}, ATTENTION),
        ({"counts": {"elog": Census(dead=1)}}, ATTENTION),
        ({"rests": [offline(state="refused")]}, ATTENTION),
        ({"counts": {"old": Census(pending=1)}}, ATTENTION),
        ({"spool": {"waiting": 0, "blocked": 1, "rejected": 0}}, ATTENTION),
        ({"pid": None}, NOT_RUNNING),
    ],
)
def test_exit_codes_follow_the_most_severe_backend(changes: dict[str, Any], code: int) -> None:
    assert exit_code(a_status(**changes), LIMITS) == code


def test_due_and_flowing_without_an_outcome_is_stuck() -> None:
    status = a_status(counts={"elog": Census(pending=1, dead=1)})
    status["backends"]["elog"]["silent_seconds"] = 600.1

    assert exit_code(status, LIMITS) == STUCK
