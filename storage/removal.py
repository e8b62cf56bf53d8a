"""Entries that leave without delivery, and dead letters that come back.

Promises: nothing in flight is touched; with an entry goes all that hangs on it, save its audit
rows; the stream that it leaves, or comes back to, has its right head.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, text

from storage.schema import attachment, attempt, audit, body, label
from storage.streams import Stream, demote, promote

_REMOVE = text(
    "DELETE FROM entry WHERE id IN :ids AND state <> 1 RETURNING id, backend, stream"
).bindparams(bindparam("ids", expanding=True))


def revive(connection: Connection, ids: Sequence[str], *, due_at: int = 0) -> None:
    """Dead letters wait again with no attempts against them; the in-doubt mark is kept."""
    # Written as literals: with bound parameters PostgreSQL would not use the partial indexes.
    rows = connection.execute(
        text(
            "UPDATE entry SET state = 0, attempts = 0, absences = 0,"
            " due_at = CASE WHEN :due_at = 0 THEN -urgency ELSE :due_at END,"
            " head = CASE WHEN stream IS NULL THEN 1 ELSE 0 END"
            " WHERE id IN :ids AND state = 3 RETURNING id, backend, stream"
        ).bindparams(bindparam("ids", expanding=True)),
        {"ids": list(ids), "due_at": due_at},
    ).all()
    streams: list[Stream] = [(r.backend, r.stream) for r in rows if r.stream is not None]
    demote(connection, streams)
    promote(connection, streams)


def forget(connection: Connection, ids: Sequence[str], *, at: int, who: str, detail: str) -> None:
    """Delete entries that are not in flight, leaving an audit row each; their keys are free."""
    rows = remove(connection, ids)
    if not rows:
        return
    connection.execute(
        insert(audit),
        [
            {
                "at": at,
                "verb": "discard",
                "entry_id": row.id,
                "backend": row.backend,
                "who": who,
                "detail": detail,
            }
            for row in rows
        ],
    )


def remove(connection: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """Take entries that are not in flight out, with all that hangs on them; the rows that went."""
    rows = connection.execute(_REMOVE, {"ids": list(ids)}).all()
    gone = [row.id for row in rows]
    if gone:
        for table, column in ((body, body.c.id), *_details()):
            connection.execute(delete(table).where(column.in_(gone)))
        promote(connection, [(row.backend, row.stream) for row in rows if row.stream is not None])
    return rows


def _details() -> list[tuple[Any, Any]]:
    return [(table, table.c.entry_id) for table in (attachment, label, attempt)]
