"""What tests of questions to an emulated Event Manager share: events in it, and what waits here."""

from typing import Any
from zoneinfo import ZoneInfo

from adapters.event_manager.reads import EventReader
from adapters.reading import Queued
from tests.emulators.event_manager import EventManager
from tests.emulators.event_manager_lane import site_for
from tests.emulators.event_manager_model import judged
from tests.emulators.kit import Served
from tests.questioner import Questioner

NODE = "01JJ4S0WNGEF5FQAZG5KDGJRBV"
BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def reader_of(url: str = "http://127.0.0.1:1") -> EventReader:
    return EventReader(site_for(url), BERLIN)


def on_paper() -> Questioner:
    """For questions that are never sent."""
    return Questioner(reader_of())


def emulated(served: Served) -> EventManager:
    assert isinstance(served.emulator, EventManager)
    return served.emulator


def plant(served: Served, *events: dict[str, Any]) -> None:
    emulator = emulated(served)
    for event in events:
        document = judged({"event_timestamp": "2026-01-01T12:00:00Z", **event}, "0.8.1")
        if emulator.version == "0.5.2":
            document = {name: document[name] for name in list(document)[:7]}
        emulator.plant(document)


def hours(count: int) -> list[dict[str, Any]]:
    """An event an hour, oldest first; every other one is an error."""
    return [
        {
            "event_id": f"e{hour}",
            "event_timestamp": f"2026-01-01T{hour:02}:00:00Z",
            "log_level": 40 if hour % 2 else 20,
        }
        for hour in range(count)
    ]


def ids(rows: Any) -> list[str]:
    return [row["_id"] for row in rows]


def waits(entry_id: str, at: int = NOON, **payload: Any) -> Queued:
    return Queued(entry_id, "event", payload, "pending", at)
