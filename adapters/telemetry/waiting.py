"""Events of ours that a telemetry server does not have yet, among the current values. Pure.

Promises: what is shown is what will be current once everything is delivered: of each type the event
that was handed in last, where it is newer than what the server shows. What was not to become
current is not shown as current.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.reading import Queued
from adapters.telemetry import wire

KINDS: Mapping[str, Sequence[str]] = {"current": ("event",), "run": ("run_start", "run_stop")}

Json = dict[str, Any]


def merged(event_type: str | None, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
    """The values of all types, or the one of `event_type`; and how many of them wait."""
    waiting = _last_ones(entries)
    if event_type is not None:
        entry = waiting.get(event_type)
        return (_envelope(entry), 1) if entry is not None and _wins(entry, data) else (data, 0)
    values: Json = dict(data or {})
    ours = {
        name: _envelope(entry) for name, entry in waiting.items() if _wins(entry, values.get(name))
    }
    return values | ours, len(ours)


def _last_ones(entries: Sequence[Queued]) -> dict[str, Queued]:
    """Of each type the one that will be told as current: before it, none is."""
    in_order = sorted(entries, key=lambda entry: entry.accepted_at)
    return {
        entry.payload["type"]: entry
        for entry in in_order
        if entry.payload.get("make_current", True)
    }


def _envelope(entry: Queued) -> Json:
    """As the server will show it, save its count."""
    body = wire.body_of(entry.payload, entry.id, entry.made_at)
    return {**{name: body[name] for name in ("ts", "type", "data", "meta")}, "queued": True}


def _wins(entry: Queued, shown: Any) -> bool:
    """Will it take the place of what the server shows? By the rule of delivery."""
    event = _envelope(entry)
    current = wire.Current(shown if isinstance(shown, dict) else None)
    at = wire.moment_of(event["ts"]) or wire.moment_at(entry.made_at)
    is_it = current.event_id == event["meta"]["event_id"]
    # A value that says beside when it was made is of a server that does not keep times.
    return not is_it and current.gives_way_to(at, keeps_times=False)
