"""Payloads of what was delivered, kept for a time so that they can be sent again.

Promises: a payload is kept in the transaction that writes the receipt, and goes before its receipt
does; its attachments stay where they are, row and file, and are dropped after the row is gone.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from storage.dialect import in_chunks, upsert
from storage.schema import attachment, body, entry, kept

CHUNK = 500  # in one transaction: payloads may be of megabytes, and others wait meanwhile

_OF_A_CLAIM = ("state", "head", "token", "leased_until", "claimed_by")
_COLUMNS = [column.name for column in entry.columns if column.name not in _OF_A_CLAIM]


def keep(connection: Connection, rows: Sequence[Row[Any]], url: str, *, now: int) -> set[str]:
    """Keep what leaves: whole rows of `entry` whose bodies are still there. The ids of the kept."""
    if not rows:
        return set()
    bodies = {
        held.id: held
        for held in connection.execute(select(body).where(body.c.id.in_([one.id for one in rows])))
    }
    values = [
        {
            "id": one.id,
            "backend": one.backend,
            "backend_url": url,
            "delivered_at": now,
            "row": json.dumps({name: getattr(one, name) for name in _COLUMNS}),
            "payload": bodies[one.id].payload,
            "crc": bodies[one.id].crc,
        }
        for one in rows
        if one.id in bodies
    ]
    if values:
        connection.execute(upsert(connection, kept, ("id",)), values)
    return {one["id"] for one in values}


def forget_kept(connection: Connection, *, before: int | None = None) -> list[str]:
    """Forget the oldest payloads, CHUNK at most: delivered before `before`, or any. Their ids.

    Their files are the caller's to drop, after the commit.
    """
    query = select(kept.c.id).order_by(kept.c.delivered_at).limit(CHUNK)
    if before is not None:
        query = query.where(kept.c.delivered_at < before)
    ids = list(connection.execute(query).scalars())
    remove(connection, ids)
    for some in in_chunks(ids):
        connection.execute(delete(attachment).where(attachment.c.entry_id.in_(some)))
    return ids


def remove(connection: Connection, ids: Sequence[str]) -> None:
    """Take rows out, and nothing that hangs on them."""
    for some in in_chunks(ids):
        connection.execute(delete(kept).where(kept.c.id.in_(some)))


def are_kept(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` whose payload is kept."""
    found: set[str] = set()
    for some in in_chunks(ids):
        found.update(connection.execute(select(kept.c.id).where(kept.c.id.in_(some))).scalars())
    return found
