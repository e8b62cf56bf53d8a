"""Where a lost post is looked for, and by what it is known again."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from adapters.answer import Answer
from adapters.elog import KIND
from adapters.elog.search import (
    EARLIER_MS,
    MARGIN_MS,
    Sought,
    first_look,
    matches,
    second_look,
    skew,
    wire_time,
)
from adapters.verdict import Uncertain
from storage.entry import Attachment, Doubt
from tests.builders import a_claim

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
SENT = 1_767_225_600_123  # 2026-01-01T00:00:00.123Z
EVER = {"start_date": "1970-01-01T00:00:00.000Z", "end_date": "9999-12-31T23:59:59.999Z"}
FORM = {"log_text": "Beam is back", "log_title": "Beam", "log_tags": "A B", "run_num": "7"}
ENTRY = {
    "_id": "e1",
    "content": "Beam is back",
    "title": "Beam",
    "tags": ["A", "B"],
    "run_num": 7,
    "insert_time": "2026-01-01T00:00:01+00:00",
}


def sought(
    marker: str = "jira_ticket", *, files: int = 0, now: int = SENT + MINUTE_MS, **more: Any
) -> Sought:
    digest = hashlib.sha256(b"").hexdigest()
    file = Attachment("r12/plot.png", None, None, 0, digest, Path("1"))
    claim = a_claim(
        kind="post", attachments=(file,) * files, created_at=SENT, **more.pop("claim", {})
    )
    found: Any = marker
    return Sought(Doubt(claim, SENT, SENT + MINUTE_MS), FORM, found, now, **more)


def window(start: str, end: str) -> dict[str, str]:
    return {"start_date": start, "end_date": end}


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


@pytest.mark.parametrize(
    ("marker", "start"),
    [("jira_ticket", "2025-12-31T00:00:00.123Z"), ("content", "2025-12-31T23:50:00.123Z")],
)
def test_the_window_is_wider_than_the_time_of_sending_on_both_sides(
    marker: str, start: str
) -> None:
    assert (MARGIN_MS, EARLIER_MS["jira_ticket"]) == (10 * MINUTE_MS, DAY_MS)
    assert first_look(sought(marker)) == window(start, "2026-01-01T00:11:00.123Z")


def test_the_window_reaches_until_now_so_that_what_an_edit_left_is_in_it() -> None:
    late = sought(now=SENT + DAY_MS)

    assert first_look(late)["end_date"] == "2026-01-02T00:10:00.123Z"


def test_each_file_may_hold_the_entry_up_for_half_a_minute() -> None:
    assert first_look(sought(files=4))["end_date"] == "2026-01-01T00:13:00.123Z"
    assert KIND.settles_per_file_seconds == 30


def test_a_tag_needs_no_window() -> None:
    tagged = sought("tag", skew=DAY_MS)

    assert first_look(tagged) == {"tag": f"hf-{tagged.claim.id}"}
    assert second_look(tagged) is None


@pytest.mark.parametrize(
    ("hours", "start", "end"),
    [
        (1, "2025-12-31T23:50:00.123Z", "2026-01-01T01:11:00.123Z"),
        (-1, "2025-12-31T22:50:00.123Z", "2026-01-01T00:11:00.123Z"),
    ],
)
def test_the_second_look_covers_both_clocks(hours: int, start: str, end: str) -> None:
    assert second_look(sought("content", skew=hours * HOUR_MS)) == window(start, end)


@pytest.mark.parametrize("off_ms", [0, MARGIN_MS // 2, -MARGIN_MS // 2])
def test_clocks_that_agree_need_no_second_look(off_ms: int) -> None:
    assert second_look(sought(skew=off_ms)) is None
    assert second_look(sought(skew=off_ms + (1 if off_ms > 0 else -1) * MINUTE_MS * 6)) is not None


def test_a_clock_that_was_set_right_since_is_remembered() -> None:
    year = 365 * DAY_MS
    booted = sought("content", claim={"raw_created_at": SENT - year})

    assert first_look(booted)["end_date"] == "2027-01-01T00:11:00.123Z"
    assert first_look(booted)["start_date"] == "2025-12-31T23:50:00.123Z"
    late = ENTRY | {"insert_time": "2027-01-01T00:00:00.123+00:00"}
    assert matches([late], booted) == ["e1"]


@pytest.mark.parametrize(
    "known", [{"skew": 0, "now": SENT - HOUR_MS}, {"skew": None}], ids=["set back", "no Date"]
)
def test_where_no_time_can_be_trusted_the_whole_logbook_is_searched(known: dict[str, Any]) -> None:
    assert second_look(sought(**known)) == EVER
    with pytest.raises(Uncertain):
        second_look(sought("content", **known))


@pytest.mark.parametrize(
    ("date", "ahead_ms"),
    [
        ("Thu, 01 Jan 2026 00:00:01 GMT", 877),
        ("Wed, 31 Dec 2025 23:59:00 GMT", -60_123),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_servers_clock_is_read_off_its_answer(date: str | None, ahead_ms: int | None) -> None:
    headers = {"date": date} if date else {}

    assert skew(Answer(200, headers, b""), SENT) == ahead_ms


def test_an_entry_without_a_marker_is_known_by_all_that_it_says() -> None:
    assert matches([ENTRY], sought("content")) == ["e1"]


@pytest.mark.parametrize(
    "other",
    [
        {"content": "Beam is back "},
        {"content": None},
        {"title": "beam"},
        {"title": None},
        {"tags": ["B", "A"]},
        {"tags": None},
        {"run_num": 8},
        {"parent": "e0"},
        {"attachments": [{"name": "plot.png"}]},
        {"insert_time": "2025-12-31T23:49:59+00:00"},
        {"insert_time": "2026-01-01T00:11:01+00:00"},
    ],
    ids=str,
)
def test_what_differs_in_anything_is_another_entry(other: dict[str, Any]) -> None:
    assert matches([ENTRY | other], sought("content", now=SENT + DAY_MS)) == []


def test_files_are_compared_by_the_names_that_were_sent() -> None:
    file = {"name": "plot.png"}

    assert matches([ENTRY | {"attachments": [file, file]}], sought("content", files=2)) == ["e1"]
    assert matches([ENTRY | {"attachments": [file]}], sought("content", files=2)) == []


def test_a_time_that_nobody_understands_excludes_nothing() -> None:
    assert matches([ENTRY | {"insert_time": "today"}], sought("content")) == ["e1"]
