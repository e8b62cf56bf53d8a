"""What was changed in an event on its way, kept inside it under `event_data.holdfast`. Pure.

Promises: nothing of the producer's is lost or overwritten, and `restored` undoes `altered`. Where
`event_data` is no object, or has a `holdfast` of its own, it moves whole to
`event_data.event_data`, and the note says `"wrapped": true`.
"""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

NOTE, INNER, WRAPPED = "holdfast", "event_data", "wrapped"
CHANGEABLE = frozenset({"event_type", "log_level", "alert"})


def altered(event: Json, changes: Mapping[str, tuple[Any, Any]]) -> Json:
    """The event with its fields `changes` from what they were (first) to what they become."""
    if not changes:
        return event
    note: Json = {name: before for name, (before, _) in changes.items()}
    data = event.get("event_data", {})
    if isinstance(data, dict) and NOTE not in data:
        kept = {**data, NOTE: note}
    else:
        kept = {NOTE: {**note, WRAPPED: True}, INNER: data}
    return {**event, **{name: after for name, (_, after) in changes.items()}, "event_data": kept}


def restored(event: Json) -> Json:
    """The event as it was before `altered`; one without such a note is given back as it is."""
    data = event.get("event_data")
    note = data.get(NOTE) if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(note, dict):
        return event
    before = {name: value for name, value in note.items() if name != WRAPPED}
    if not before or not before.keys() <= CHANGEABLE:
        return event
    if note.get(WRAPPED) is True:
        inner = data.get(INNER)
    else:
        inner = {name: value for name, value in data.items() if name != NOTE}
    return {**event, **before, "event_data": inner}
