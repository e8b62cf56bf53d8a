"""The window in which a lost post is looked for."""

import hashlib
from pathlib import Path

import pytest

from adapters.elog.search import MARGIN_MS, skew, window, wire_time
from adapters.http import Answer
from storage.entry import Attachment, Doubt
from tests.builders import a_claim

MINUTE_MS = 60_000
SENT = 1_767_225_600_123  # 2026-01-01T00:00:00.123Z


def a_doubt(files: int = 0) -> Doubt:
    digest = hashlib.sha256(b"").hexdigest()
    file = Attachment("plot.png", None, None, 0, digest, Path("plot.png"))
    return Doubt(a_claim(kind="post", attachments=(file,) * files), SENT, SENT + MINUTE_MS)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (SENT, "2026-01-01T00:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_has_the_one_spelling_that_the_search_takes(moment: int, written: str) -> None:
    assert wire_time(moment) == written


def test_the_window_is_wider_than_the_time_of_sending_on_both_sides() -> None:
    assert MARGIN_MS == 10 * MINUTE_MS
    assert window(a_doubt()) == {
        "start_date": "2025-12-31T23:50:00.123Z",
        "end_date": "2026-01-01T00:11:00.123Z",
    }


def test_each_file_may_hold_the_entry_up_for_half_a_minute() -> None:
    assert window(a_doubt(files=4))["end_date"] == "2026-01-01T00:13:00.123Z"


@pytest.mark.parametrize(
    ("hours", "start", "end"),
    [
        (1, "2025-12-31T23:50:00.123Z", "2026-01-01T01:11:00.123Z"),
        (-1, "2025-12-31T22:50:00.123Z", "2026-01-01T00:11:00.123Z"),
    ],
)
def test_a_skewed_window_covers_both_clocks(hours: int, start: str, end: str) -> None:
    assert window(a_doubt(), hours * 60 * MINUTE_MS) == {"start_date": start, "end_date": end}


@pytest.mark.parametrize(
    ("date", "ahead_ms"),
    [
        ("Thu, 01 Jan 2026 00:00:01 GMT", 877),
        ("Wed, 31 Dec 2025 23:59:00 GMT", -60_123),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_the_servers_clock_is_read_off_its_answer(date: str | None, ahead_ms: int) -> None:
    headers = {"date": date} if date else {}

    assert skew(Answer(200, headers, b""), SENT) == ahead_ms
