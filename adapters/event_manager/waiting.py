"""Events of ours that an Event Manager does not have yet, in the answers that will have them. Pure.

Promises: an event stands where the server would put it, by the text of its time, and in the form
that the server would give it; one that the answer has in it already is shown once, as the server
shows it. Nothing of the answer is left out but what the number asked for leaves out.
"""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from pydantic_core import to_jsonable_python

from adapters.event_manager.originals import Json
from adapters.event_manager.payload import log_level_of, timestamp_of
from adapters.event_manager.questions import ById, Report, Spec, Window
from adapters.event_manager.search import Search, moment_of
from adapters.event_manager.wire import body_of, type_in
from adapters.reading import Queued

KINDS = ("event",)


def kinds_for(spec: Spec) -> Sequence[str] | None:
    """The kinds of entries that may belong into the answer; None: nobody can tell."""
    match spec:
        case ById():
            return KINDS
        case Window(archived=True):
            return ()
        case Window(offset=offset):
            # What comes before the first one that is shown is not known.
            return None if offset else KINDS
        case Search(conditions=conditions):
            return None if conditions is None else KINDS
        case Report():
            return None
        case _:
            return ()


def merged(
    spec: Spec, data: Any, entries: Sequence[Queued], zone: tzinfo | None
) -> tuple[Any, int]:
    """The answer with what waits, marked; and how many events of ours are in it."""
    waiting = {event["_id"]: event for event in (document(one, zone) for one in entries)}
    match spec:
        case ById(event_id=event_id):
            if data is not None or event_id not in waiting:
                return data, 0
            return waiting[event_id], 1
        case Window():
            ours = [one for one in _others(waiting, data) if spec.takes(one)]
            rows = sorted([*(data or ()), *ours], key=_time_text, reverse=True)[: spec.number]
            return rows, sum(row.get("queued") is True for row in rows)
        case Search(conditions=conditions) if conditions is not None:
            ours = [
                one
                for one in _others(waiting, data)
                if conditions.takes(one) and _is_in_time(spec, one, zone)
            ]
            return [*(data or ()), *ours], len(ours)
        case _:
            return data, 0


def document(entry: Queued, zone: tzinfo | None) -> Json:
    """An entry as the server will show it, and that it waits."""
    body = body_of(entry.payload, entry.id, entry.made_at, zone)
    event: Json = {
        "_id": body["event_id"],
        "event_type": type_in(body),
        "log_level": log_level_of(body.get("log_level", 20)),
        "alert": body.get("alert", False),
        "event_timestamp": to_jsonable_python(timestamp_of(body["event_timestamp"])),
        "source": {name: value for name, value in body["source"].items() if value is not None},
        "event_data": body.get("event_data", {}),
    }
    more: Json = {name: body[name] for name in ("trace_id", "span_id") if name in body}
    return {**event, **more, "queued": True}


def _others(waiting: dict[str, Json], data: Any) -> list[Json]:
    there = {row.get("_id") for row in data or ()}
    return [event for event_id, event in waiting.items() if event_id not in there]


def _time_text(event: Json) -> str:
    return str(event.get("event_timestamp", ""))


def _is_in_time(search: Search, event: Json, zone: tzinfo | None) -> bool:
    conditions = search.conditions
    if conditions is None or not conditions.has_times:
        return True
    moment = moment_of(event["event_timestamp"], zone)
    return moment is not None and conditions.spans(moment)
