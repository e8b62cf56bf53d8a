"""Words for people."""

from datetime import UTC, datetime

import pytest

from agent.cli import words

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_is_told_in_one_unit(seconds: float, said: str) -> None:
    assert words.span(seconds) == said


def test_past_and_future_are_told_apart() -> None:
    assert words.ago("2026-11-23T11:55:00.000Z", NOW) == "5 min ago"
    assert words.ahead("2026-11-23T12:05:00.000Z", NOW) == "in 5 min"
    assert words.ahead("2026-11-23T11:59:59.000Z", NOW) == "now"


@pytest.mark.parametrize("text", [None, "", "soon"])
def test_no_time_is_a_dash(text: str | None) -> None:
    assert words.ago(text, NOW) == words.ahead(text, NOW) == words.clock(text, NOW) == "-"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é ✓", "é ✓"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
    ],
)
def test_nothing_that_moves_a_cursor_is_printed(text: str, shown: str) -> None:
    assert words.one_line(text) == shown


def test_every_state_has_its_word_and_doubt_is_added() -> None:
    assert words.state_of({"state": "dead", "in_doubt": False}) == "failed, kept"
    assert words.state_of({"state": "pending", "in_doubt": True}) == "waiting, in doubt"
