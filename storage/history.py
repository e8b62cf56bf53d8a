"""What went wrong with an entry, kept for people: its history, its last error, its backend's.

Promises: a year offline is one line, and no entry has more than HISTORY lines; text of
backends is stored whatever characters it has.
"""

import json
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from storage.dialect import storable
from storage.schema import attempt
from storage.settlement import Failure

HISTORY = 50  # lines per entry: a backend that fails in ever new words must not fill the disk

_CUT = text(
    "DELETE FROM attempt WHERE entry_id = :id AND number <= ("
    " SELECT number FROM attempt WHERE entry_id = :id"
    " ORDER BY number DESC LIMIT 1 OFFSET :kept)"
)
_REMEMBER = text(
    "INSERT INTO tally (backend, delivered, last_error) VALUES (:backend, 0, :told)"
    " ON CONFLICT (backend) DO UPDATE SET last_error = :told"
)


def told(failure: Failure, now: int) -> str:
    """A failure as `last_error` of an entry or a backend."""
    said = {
        "at": now,
        "class": failure.outcome,
        "side": failure.side,
        "detail": storable(failure.detail),
    }
    return json.dumps(said, ensure_ascii=False)


def write_attempt(connection: Connection, entry_id: str, failure: Failure, now: int) -> None:
    """A line of history; equal failures in a row share one line and count."""
    last = connection.execute(
        select(attempt).where(attempt.c.entry_id == entry_id).order_by(attempt.c.number.desc())
    ).first()
    detail = storable(failure.detail)
    if last is not None and (last.outcome, last.detail) == (failure.outcome, detail):
        connection.execute(
            update(attempt)
            .where(attempt.c.number == last.number)
            .values(times=last.times + 1, last_at=now)
        )
        return
    connection.execute(insert(attempt), attempt_row(entry_id, failure, now))
    connection.execute(_CUT, {"id": entry_id, "kept": HISTORY})


def attempt_row(entry_id: str, failure: Failure, now: int) -> dict[str, Any]:
    """The first line that a failure makes in an entry's history."""
    return {
        "entry_id": entry_id,
        "first_at": now,
        "last_at": now,
        "times": 1,
        "outcome": failure.outcome,
        "side": failure.side,
        "detail": storable(failure.detail),
        "status": failure.status,
        "excerpt": None if failure.excerpt is None else storable(failure.excerpt),
    }


def remember_error(connection: Connection, backend: str, failure: Failure, now: int) -> None:
    """The last error of a backend, for `status`."""
    connection.execute(_REMEMBER, {"backend": backend, "told": told(failure, now)})
