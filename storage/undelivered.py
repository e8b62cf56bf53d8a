"""What ends without a try: resolved, left to an operator, superseded.

Promises: guarded by state and token like every settlement; what was found out of an open payload
is stored before the first byte is sent, so that a lost entry is looked for where it went; what is
held holds up nothing behind it; what is superseded leaves an audit row that says why.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text

from storage.checksum import read_object
from storage.dialect import insert_missing
from storage.entry import Resolution
from storage.history import remember_error, told, write_attempt
from storage.removal import remove
from storage.schema import attachment, attempt, audit, body, label
from storage.settlement import Hold, Supersede
from storage.streams import promote, step_aside

WHO = "agent"
_RESOLVE = text("UPDATE entry SET resolved = :values, labels = :labels WHERE id = :id")
_LABELS = text("SELECT labels FROM entry WHERE id = :id")
_HOLD = text(
    "UPDATE entry SET state = 2, token = NULL, due_at = -urgency, last_error = :told"
    " WHERE seq = :seq AND state = 1 AND token = :token"
)
_LEAVE = text(
    "DELETE FROM entry WHERE seq = :seq AND state = 1 AND token = :token RETURNING backend, stream"
)
_COUNT = text(
    "INSERT INTO tally (backend, delivered, superseded) VALUES (:backend, 0, :number)"
    " ON CONFLICT (backend) DO UPDATE SET superseded = tally.superseded + :number"
)
WINDOW = 500  # entries that one transaction looks at
WINDOW_BYTES = 8 * 2**20
# What may have been sent has to be settled by itself. As for a claim, what is held or dead is not
# what a slot is waiting for.
_BEHIND = text(
    """
    SELECT seq, id, size FROM entry
    WHERE backend = :backend AND slot = :slot AND slot IS NOT NULL AND seq > :seq
      AND seq < (SELECT MAX(seq) FROM entry WHERE backend = :backend AND slot = :slot
                 AND slot IS NOT NULL AND state <> 3 AND state <> 2)
      AND state = 0 AND in_doubt = 0
    ORDER BY seq LIMIT :limit
    """
)


def resolve(connection: Connection, backend: str, id_: str, found: Resolution) -> None:
    """An entry that waits is, from now on, what was found out of it, in the place of that."""
    labels = json.loads(connection.execute(_LABELS, {"id": id_}).scalar_one())
    fresh = {name: said for name, said in found.address.labels.items() if name not in labels}
    values = {"values": json.dumps(dict(found.values)), "labels": json.dumps({**labels, **fresh})}
    connection.execute(_RESOLVE, {"id": id_, **values})
    rows = [{"entry_id": id_, "name": name, "value": said} for name, said in fresh.items()]
    if rows:
        connection.execute(insert_missing(connection, label), rows)
    if found.address.stream is not None:
        step_aside(connection, backend, [id_], found.address.stream, scope=found.address.scope)


def hold(connection: Connection, one: Hold, backend: str, token: str, now: int) -> bool:
    """It waits for an operator, by itself; a release is the operator's yes to the proposal."""
    values = {"seq": one.claim.seq, "token": token, "told": told(one.failure, now)}
    if not connection.execute(_HOLD, values).rowcount:
        return False
    write_attempt(connection, one.claim.id, one.failure, now)
    remember_error(connection, backend, one.failure, now)
    if one.proposal is not None:
        resolve(connection, backend, one.claim.id, one.proposal)
    if one.claim.stream is not None:
        step_aside(connection, backend, [one.claim.id], f"held {one.claim.id}")
    return True


def supersede(connection: Connection, one: Supersede, backend: str, token: str, now: int) -> bool:
    """It leaves for a newer one's sake."""
    values = {"seq": one.claim.seq, "token": token}
    row = connection.execute(_LEAVE, values).one_or_none()
    if row is None:
        return False
    id_ = one.claim.id
    details: list[tuple[Any, Any]] = [(body, body.c.id)]
    details += [(table, table.c.entry_id) for table in (attachment, label, attempt)]
    for table, column in details:
        connection.execute(delete(table).where(column == id_))
    _note_superseded(connection, backend, [id_], one.reason, now)
    if row.stream is not None:
        promote(connection, [(row.backend, row.stream)])
    return True


def supersede_alike(
    connection: Connection, backend: str, one: Supersede, now: int
) -> Sequence[tuple[str, int]]:
    """Of what waits next behind a superseded entry, all that is alike leaves: (id, size) each.

    Nothing in flight or in doubt is touched, nor the newest of the slot.
    """
    alike = one.alike
    if alike is None:
        return []
    values = {"backend": backend, "slot": alike.slot, "seq": one.claim.seq, "limit": WINDOW}
    sizes = {row.id: row.size for row in _within(connection.execute(_BEHIND, values).all())}
    bodies = connection.execute(select(body.c.id, body.c.payload).where(body.c.id.in_(sizes)))
    worthless = [row.id for row in bodies if _has(read_object(row.payload), alike.values)]
    gone = [row.id for row in remove(connection, worthless)] if worthless else []
    if gone:
        _note_superseded(connection, backend, gone, one.reason, now)
    return [(id_, sizes[id_]) for id_ in gone]


def _within(rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """The first of them that fit into memory together; one always does."""
    total = 0
    for count, row in enumerate(rows):
        total += row.size
        if count and total > WINDOW_BYTES:
            return rows[:count]
    return rows


def _has(payload: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    # Of JSON, `false` is not 0.
    return all(
        name in payload and (type(payload[name]), payload[name]) == (type(value), value)
        for name, value in values.items()
    )


def _note_superseded(
    connection: Connection, backend: str, ids: Sequence[str], reason: str, now: int
) -> None:
    said = {"at": now, "verb": "supersede", "backend": backend, "who": WHO, "detail": reason}
    connection.execute(insert(audit), [{**said, "entry_id": id_} for id_ in ids])
    connection.execute(_COUNT, {"backend": backend, "number": len(ids)})


LEFT_UNDELIVERED = ("discard", "supersede")
"""Verbs of audit rows after which an entry is gone without having been delivered."""
