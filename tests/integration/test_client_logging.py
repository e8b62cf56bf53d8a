"""The logging.Handler of docs/clients/holdfast_client.py: records become events."""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.copied import CLIENTS, lying, module

client = module(CLIENTS / "holdfast_client.py")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path


class Records:
    """A logger with the handler, and what arrives of it in the spool."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logger = logging.Logger("daq.motor")  # noqa: LOG001 - nobody else shall have it
        self.handler = client.HoldfastHandler(
            "events", client.Holdfast("/none", str(home / "spool"))
        )
        self.logger.addHandler(self.handler)

    def told(self) -> list[dict[str, Any]]:
        return [one["payload"] for one in lying(self.home)]


def test_records_become_events_of_their_level(home: Path) -> None:
    records = Records(home)
    for level in (5, 10, 20, 25, 30, 40, 50, 99):
        records.logger.log(level, "at %d", level)

    assert [(e["event_type"], e["log_level"]) for e in records.told()] == [
        ("log", 0),
        ("log_debug", 10),
        ("log_info", 20),
        ("log_info", 20),
        ("log_warning", 30),
        ("log_error", 40),
        ("log_critical", 50),
        ("log_critical", 50),
    ]
    assert records.told()[3]["event_data"]["message"] == "at 25"
    assert records.told()[3]["event_data"]["logger"] == "daq.motor"


def test_an_exception_and_what_is_no_text_are_told_with_the_records_own_time(home: Path) -> None:
    records = Records(home)
    try:
        {}["motor"]
    except KeyError:
        records.logger.exception("lost %s", os.fsdecode(b"sc\xff.h5"))
    made = datetime.now(UTC)

    entry = lying(home)[0]

    assert "KeyError: 'motor'" in entry["payload"]["event_data"]["exception"]
    assert entry["payload"]["event_data"]["message"] == "lost sc\\udcff.h5"
    assert abs(datetime.fromisoformat(entry["created_at"]) - made) < timedelta(seconds=5)


def test_a_record_that_cannot_be_handed_in_does_no_harm(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = Records(home)
    records.handler.holdfast.spool_dir = str(home / "none")

    records.logger.error("nowhere to go")
    records.logger.error("%d", "not a number")
    records.handler.flush()
    records.handler.close()

    assert capsys.readouterr().err.count("--- Logging error ---") == 2
