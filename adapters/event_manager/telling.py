"""What a person should know of an answer of an Event Manager. Pure, and of the data alone.

So the same is said of an answer whether it was fetched just now or kept.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from adapters.event_manager.payload import timestamp_of
from adapters.event_manager.questions import ById, Spec, Window
from adapters.event_manager.search import Search

ABSENT = "the Event Manager holds no event of this id"
BY_TEXT = "the server compares start and end with the texts of times, whatever their zones"
MIXED = "times of several zones are in it, and the server orders events by the texts of their times"


def notes_of(spec: Spec, data: Any) -> tuple[str, ...]:
    """The notes."""
    match spec:
        case ById():
            return (ABSENT,) if data is None else ()
        case Window(archived=False):
            by_text = (BY_TEXT,) if spec.start or spec.end else ()
            return (*by_text, *((MIXED,) if len(_offsets(data)) > 1 else ()))
        case Search(conditions=conditions) if conditions is not None and conditions.has_times:
            naive = sum(_offset(row) == NONE for row in data)
            said = f"{naive} times name no zone, and were taken for this host's local time"
            return (said,) if naive else ()
        case _:
            return ()


NONE = "none"
UNREADABLE = "unreadable"
Offset = timedelta | str


def _offsets(rows: Sequence[Any]) -> set[Offset]:
    return {_offset(row) for row in rows} - {UNREADABLE}


def _offset(row: Any) -> Offset:
    """How far the zone of an event's time is from UTC."""
    try:
        moment: datetime = timestamp_of(row.get("event_timestamp"))
    except ValueError:
        return UNREADABLE
    offset = moment.utcoffset()
    return NONE if offset is None else offset
