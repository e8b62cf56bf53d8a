"""Records and updates of ours that wait, among the records that AUDITOR has shown.

Promises: pure. What waits is marked `"queued": true` and looks as AUDITOR will show it: a record
as it was handed in, an update as the stop time and runtime of its record and nothing else. A
record that AUDITOR has is not overlaid by another one under its id, for AUDITOR would keep its
own. (AUDITOR sheet, sections 1.1 and 1.2)
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.auditor.asking import moment
from adapters.auditor.query import Query, ordered
from adapters.reading import Queued

Row = dict[str, Any]
KINDS = ("record", "record_update")


def merged_rows(
    query: Query, rows: Iterable[Row], entries: Sequence[Queued]
) -> tuple[list[Row], int]:
    """The records with what waits, in the order asked for, and how many entries show in them.

    An update of a record that was not shown is in it only when the question is about stop times:
    then as far as its own payload describes the record.
    """
    held = {row["record_id"]: row for row in rows}
    changed: dict[str, int] = {}
    by_stop = query.subjects & {"stop_time", "runtime"}
    for entry in sorted(entries, key=lambda one: (one.accepted_at, one.id)):
        record_id = entry.payload["record_id"]
        if entry.kind == "record" and record_id not in held:
            held[record_id] = _row(entry.payload)
        elif entry.kind == "record_update" and (record_id in held or by_stop):
            base = held.get(record_id) or _row(entry.payload)
            held[record_id] = _stopped(base, entry.payload["stop_time"])
        else:
            continue
        changed[record_id] = changed.get(record_id, 0) + 1
    kept = [row for key, row in held.items() if key not in changed or query.matches(row)]
    count = sum(changed.get(row["record_id"], 0) for row in kept)
    return ordered(kept, query), count


def _row(payload: Mapping[str, Any]) -> Row:
    """A record as AUDITOR will show it: times in UTC, the runtime its own."""
    start = payload.get("start_time")
    row = {
        "record_id": payload["record_id"],
        "meta": payload.get("meta"),
        "components": payload["components"],
        "start_time": None if start is None else moment(start, "start_time"),
        "stop_time": None,
        "runtime": None,
        "queued": True,
    }
    stop = payload.get("stop_time")
    return row if stop is None else _stopped(row, stop)


def _stopped(row: Row, stop_time: str) -> Row:
    stop, start = moment(stop_time, "stop_time"), row.get("start_time")
    runtime = None
    if start is not None:
        gone = datetime.fromisoformat(stop) - datetime.fromisoformat(start)
        runtime = int(gone.total_seconds())  # truncated, also where it is negative
    return {**row, "stop_time": stop, "runtime": runtime, "queued": True}
