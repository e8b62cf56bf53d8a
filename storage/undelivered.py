"""Claims that end without a try: resolved, left to an operator, superseded.

Promises: guarded by state and token like every settlement; what was found out of an open payload
is stored before the first byte is sent, so that a lost entry is looked for where it went; what is
held holds up nothing behind it; what is superseded leaves an audit row that says why.
"""

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, text

from storage.dialect import insert_missing
from storage.entry import Hold, Resolution, Supersede
from storage.history import remember_error, told, write_attempt
from storage.schema import attachment, attempt, audit, body, label
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
    "INSERT INTO tally (backend, delivered, superseded) VALUES (:backend, 0, 1)"
    " ON CONFLICT (backend) DO UPDATE SET superseded = tally.superseded + 1"
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
    said = {"at": now, "verb": "supersede", "entry_id": id_, "backend": backend, "who": WHO}
    connection.execute(insert(audit), {**said, "detail": one.reason})
    connection.execute(_COUNT, {"backend": backend})
    if row.stream is not None:
        promote(connection, [(row.backend, row.stream)])
    return True


LEFT_UNDELIVERED = ("discard", "supersede")
"""Verbs of audit rows after which an entry is gone without having been delivered."""
