"""edit: a waiting, held or dead entry says something else from now on.

Promises: one transaction, guarded by state, doubt and what it said before: two edits at a time do
not mix, and what is on the wire or may be there already is left alone; the state stays; the entry
is in the stream where it now belongs, and the one that it left has its head; an audit row keeps
who did it, and the digest of what it said.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, text, update

from storage.checksum import checksum, read_object
from storage.claim import attachments_of
from storage.entry import Attachment, Entry, Producer
from storage.schema import audit, body, entry, label
from storage.states import MOVES, State
from storage.streams import demote, promote
from storage.waiting import can_tie, tie

Outcome = Literal["edited", "gone", "changed", "orphan"]


@dataclass(frozen=True, slots=True)
class Editable:
    """An entry as it is now. `payload`: its text, empty where the disk has lost it.

    `resolved`: what was found out of an open payload.
    """

    id: str
    backend: str
    kind: str
    key: str
    state: State
    in_doubt: bool
    payload: str
    digest: str
    size: int
    stream: str | None
    scope: str | None
    waits_for: str | None
    expires_at: int | None
    labels: Mapping[str, str]
    resolved: Mapping[str, Any]
    producer: Producer
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What an entry becomes. `entry`: with its id and key as they are, and its files.

    `old_digest`, `old_size`: of what was read before the change was made up. `waits_for` of the
    entry is a name if `ties` is set, and else what the row says already.
    """

    entry: Entry
    old_digest: str
    old_size: int
    ties: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of an edit. `state`: the entry's, as it was found; None: it is gone.

    changed: it was claimed, or edited by somebody else, since it was read. orphan: it would wait
    for an entry that was never here, or came after it.
    """

    outcome: Outcome
    state: State | None


def editable(connection: Connection, id_: str, files: Path) -> Editable | None:
    """The entry, if the outbox holds it. `files`: the folder of all attachments."""
    row = connection.execute(select(entry).where(entry.c.id == id_)).one_or_none()
    if row is None:
        return None
    payload = connection.execute(select(body.c.payload).where(body.c.id == id_)).scalar()
    who = read_object(row.producer)
    return Editable(
        id=row.id,
        backend=row.backend,
        kind=row.kind,
        key=row.key,
        state=State(row.state),
        in_doubt=bool(row.in_doubt),
        payload=payload or "",
        digest=row.digest,
        size=row.size,
        stream=row.stream,
        scope=row.scope,
        waits_for=row.waits_for,
        expires_at=row.expires_at,
        labels=read_object(row.labels),
        resolved=read_object(row.resolved),
        producer=Producer(str(who.get("via", "unknown")), who.get("uid"), who.get("pid")),
        attachments=attachments_of(connection, [id_], files).get(id_, ()),
    )


def edit(connection: Connection, change: Change, url: str, *, now: int, who: str) -> Edited:
    """Make the change, if the entry is still what it was when the change was made up."""
    one = change.entry
    row = connection.execute(select(entry).where(entry.c.id == one.id)).one_or_none()
    if row is None:
        return Edited("gone", None)
    state = State(row.state)
    if change.ties and not can_tie(connection, one, url):
        return Edited("orphan", state)
    still = (
        entry.c.id == one.id,
        entry.c.state.in_([int(source) for source in MOVES["edit"].sources]),
        entry.c.in_doubt == 0,
        entry.c.digest == change.old_digest,
    )
    statement = update(entry).where(*still)
    if not connection.execute(statement, _values(one, row, change)).rowcount:
        return Edited("changed", state)
    _rewrite_body(connection, one)
    _rewrite_labels(connection, one)
    if one.stream != row.stream:
        _find_place(connection, one, row)
    if change.ties:
        tie(connection, [one], url)
    _write_audit(connection, change, now=now, who=who)
    return Edited("edited", state)


def _values(one: Entry, row: Any, change: Change) -> dict[str, Any]:
    """What it was tried with is past: nothing counts against what it says now."""
    return {
        "digest": one.digest,
        "size": one.size,
        "labels": json.dumps(dict(one.labels), ensure_ascii=False),
        "scope": one.scope,
        "slot": one.slot,
        "urgency": one.urgency,
        "due_at": -one.urgency,
        "expires_at": one.expires_at,
        "resolved": None,
        "waits_for": None if change.ties else one.waits_for,
        "attempts": 0,
        "absences": 0,
        # A head that moves must not meet the head of the stream that it comes to.
        "stream": one.stream,
        "head": row.head if one.stream == row.stream else 0,
    }


def _rewrite_body(connection: Connection, one: Entry) -> None:
    crc = checksum(one.id, one.backend, one.kind, one.key, one.payload)
    changed = connection.execute(
        update(body).where(body.c.id == one.id), {"payload": one.payload, "crc": crc}
    ).rowcount
    if not changed:  # damage had taken it
        connection.execute(insert(body), {"id": one.id, "payload": one.payload, "crc": crc})


def _rewrite_labels(connection: Connection, one: Entry) -> None:
    connection.execute(delete(label).where(label.c.entry_id == one.id))
    rows = [
        {"entry_id": one.id, "name": name, "value": value} for name, value in one.labels.items()
    ]
    if rows:
        connection.execute(insert(label), rows)


def _find_place(connection: Connection, one: Entry, row: Any) -> None:
    """In the stream that it comes to, and in the one that it leaves."""
    if row.state != State.DEAD:
        if one.stream is None:
            connection.execute(text("UPDATE entry SET head = 1 WHERE id = :id"), {"id": one.id})
        else:
            demote(connection, [(one.backend, one.stream)])
            promote(connection, [(one.backend, one.stream)])
    if row.stream is not None:
        promote(connection, [(one.backend, row.stream)])


def _write_audit(connection: Connection, change: Change, *, now: int, who: str) -> None:
    why = f"; {change.reason}" if change.reason else ""
    said = f"its payload was sha256 {change.old_digest or 'lost'}{why}"
    connection.execute(
        insert(audit),
        {
            "at": now,
            "verb": "edit",
            "entry_id": change.entry.id,
            "backend": change.entry.backend,
            "who": who,
            "detail": said,
        },
    )
