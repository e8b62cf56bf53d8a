"""The loss ledger: entries that a backend with `on_full = "drop_oldest"` gave up for newer ones.

Promises: an entry leaves and its line is written in one transaction, so that what is missing is
counted and listed by name; nothing that is on the wire is given up; no other backend loses
anything.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text

from storage.removal import remove
from storage.schema import loss
from storage.states import State

CHUNK = 1000  # entries in one transaction, so that accepts do not wait behind it

_OLDEST = """
    SELECT seq, id, kind, key, created_at, size, labels, state, in_doubt FROM entry
    WHERE backend = :backend AND state = {state} ORDER BY seq LIMIT :limit
"""
_WAITING = text(_OLDEST.format(state=int(State.PENDING)))
_DEAD = text(_OLDEST.format(state=int(State.DEAD)))
_COUNT = text(
    "INSERT INTO tally (backend, delivered, lost) VALUES (:backend, 0, :number)"
    " ON CONFLICT (backend) DO UPDATE SET lost = tally.lost + :number"
)


@dataclass(frozen=True, slots=True)
class Lost:
    """An entry that was given up. `size`: the bytes that it occupied."""

    id: str
    size: int
    state: State


def drop_oldest(connection: Connection, *, backend: str, need: int, now: int) -> list[Lost]:
    """Give up the oldest entries of `backend` until `need` bytes are free, CHUNK at most.

    None, when all that may go would not be enough: it would be lost for nothing.
    """
    chosen: list[Row[Any]] = []
    freed = 0
    for row in _oldest(connection, backend):
        if freed >= need:
            break
        chosen.append(row)
        freed += row.size
    if not chosen or (freed < need and len(chosen) < CHUNK):
        return []
    gone = {row.id for row in remove(connection, [row.id for row in chosen])}
    dropped = [row for row in chosen if row.id in gone]
    connection.execute(insert(loss), [_line(row, backend, now) for row in dropped])
    connection.execute(_COUNT, {"backend": backend, "number": len(dropped)})
    return [Lost(row.id, row.size, State(row.state)) for row in dropped]


def _oldest(connection: Connection, backend: str) -> Sequence[Row[Any]]:
    """Waiting entries and dead letters, oldest first; each run comes along its index."""
    values = {"backend": backend, "limit": CHUNK}
    runs = [connection.execute(query, values) for query in (_WAITING, _DEAD)]
    return list(islice(heapq.merge(*runs, key=lambda row: row.seq), CHUNK))


def _line(row: Row[Any], backend: str, now: int) -> dict[str, Any]:
    doubt = "; it was in doubt, so the backend may hold it" if row.in_doubt else ""
    return {
        "at": now,
        "backend": backend,
        "entry_id": row.id,
        "kind": row.kind,
        "key": row.key,
        "created_at": row.created_at,
        "size": row.size,
        "labels": row.labels,
        "reason": f"its backend's part of the outbox was full and newer entries came{doubt}",
    }


def loss_page(
    connection: Connection, *, backend: str | None, limit: int, after: int
) -> Sequence[Row[Any]]:
    """The first `limit` lines behind `after`, oldest first."""
    query = select(loss).where(loss.c.number > after).order_by(loss.c.number).limit(limit)
    if backend is not None:
        query = query.where(loss.c.backend == backend)
    return connection.execute(query).all()


def loss_of(connection: Connection, id_: str) -> Mapping[str, Any] | None:
    """The line of one entry, if it was given up."""
    row = connection.execute(select(loss).where(loss.c.entry_id == id_)).mappings().first()
    return dict(row) if row is not None else None


def forget_losses(connection: Connection, *, before: int) -> None:
    """Old lines go as receipts do; the count stays."""
    connection.execute(delete(loss).where(loss.c.at < before))
