"""The status as people read it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.cli.picture import one_line_of, sections_of
from agent.cli.printing import plain_lines
from agent.severity import ATTENTION, FINE, NOT_RUNNING, STUCK, Thresholds, exit_code
from agent.status import LaneReport, Picture, build_status
from storage.census import MOST_COUNTED, Census
from storage.entry import Pause, Rest
from storage.lists import iso

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
MS = round(NOW.timestamp() * 1000)
PAUSE = Pause("elog", MS - 60_000, None, "uid 0", "")
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


@pytest.mark.parametrize(
    ("waiting", "said"), [(40, " 40 waiting,"), (MOST_COUNTED + 1, " 1000+ waiting,"), (0, "")]
)
def test_how_much_waits_in_a_part_is_told(waiting: int, said: str) -> None:
    status = a_status(
        rests=[offline(scope="xpp1", state="parked", reason="it is locked")],
        waiting={("elog", "xpp1"): waiting},
    )

    assert f"elog / xpp1: parked for 5 min,{said} next try in 30 s: it is locked" in text_of(status)
    (part,) = status["backends"]["elog"]["scopes"]
    assert (part["waiting"], part["and_more"]) == (min(waiting, 1000), waiting > 1000)


@pytest.mark.parametrize(
    ("differs", "said"),
    [(3, "elog: 3 duplicates with other content"), (1, "elog: 1 duplicate with other content")],
)
def test_duplicates_with_other_content_are_told(differs: int, said: str) -> None:
    counts = {"elog": Census(duplicates={"same": 5, "differs": differs, "not_verified": 1})}

    assert said in text_of(a_status(counts=counts)).splitlines()


def test_duplicates_that_are_the_same_are_nobodys_business() -> None:
    counts = {"elog": Census(duplicates={"same": 5, "differs": 0, "not_verified": 1})}

    assert "duplicate" not in text_of(a_status(counts=counts))


def test_a_pause_is_told_with_the_rest_that_stands_behind_it() -> None:
    counts = {"elog": Census(pending=1, oldest_at=MS - 1)}
    pause = Pause("elog", MS - 60_000, MS + 7_200_000, "uid 0", "new disks")
    status = a_status(counts=counts, rests=[offline()], pauses=[pause], rates={"elog": 5.0})

    lines = text_of(status).splitlines()

    row = next(line for line in lines if line.startswith("elog\t")).split("\t")
    assert (row[1], row[-1]) == ("paused", "in 2 h")
    told = next(line for line in lines if line.startswith("elog: paused for 60 s, until "))
    assert told.endswith("(in 2 h), by root (uid 0): new disks")
    assert "elog: offline for 5 min: no route" in lines
    one = status["backends"]["elog"]
    assert one["rest"]["state"] == "offline"
    assert one["eta_seconds"] is None
    assert one["reason"].startswith("by uid 0 until 20")


@pytest.mark.parametrize(
    ("until", "rest_until", "tried"), [(None, 30, None), (60, None, 60), (60, 30, 60), (60, 90, 90)]
)
def test_a_paused_backend_is_tried_when_pause_and_rest_are_over(
    until: int | None, rest_until: int | None, tried: int | None
) -> None:
    rests = [] if rest_until is None else [Rest("elog", "", "offline", "x", 0, rest_until, 1)]
    pause = Pause("elog", 0, until, "uid 0", "")
    counts = {"elog": Census(pending=1, oldest_at=0)}

    status = a_status(counts=counts, rests=rests, pauses=[pause])

    assert status["backends"]["elog"]["next_attempt_at"] == iso(tried)


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
        ({"pauses": [PAUSE], "counts": {"elog": Census(pending=1, oldest_at=MS - 1)}}, FINE),
        (
            {"pauses": [PAUSE], "counts": {"elog": Census(held=1, oldest_at=MS - 86_400_001)}},
            ATTENTION,
        ),
        ({"counts": {"old": Census(pending=1)}}, ATTENTION),
        ({"spool": {"waiting": 0, "blocked": 1, "rejected": 0}}, ATTENTION),
        ({"pid": None}, NOT_RUNNING),
    ],
)
def test_exit_codes_follow_the_most_severe_backend(changes: dict[str, Any], code: int) -> None:
    assert exit_code(a_status(**changes), LIMITS) == code


@pytest.mark.parametrize(
    ("age", "due", "silent"), [(5, True, 5.0), (9000, True, 3600.0), (9000, False, None)]
)
def test_what_came_a_moment_ago_is_not_stuck_after_an_idle_hour(
    age: int, due: bool, silent: float | None
) -> None:
    counts = {"elog": Census(pending=1, oldest_at=MS - age * 1000)}

    status = a_status(counts=counts, lanes={"elog": LaneReport(3600, due)})

    assert status["backends"]["elog"]["silent_seconds"] == silent
    assert (exit_code(status, LIMITS) == STUCK) == (silent == 3600.0)


def test_due_and_flowing_without_an_outcome_is_stuck() -> None:
    status = a_status(counts={"elog": Census(pending=1, dead=1)})
    status["backends"]["elog"]["silent_seconds"] = 600.1

    assert exit_code(status, LIMITS) == STUCK
