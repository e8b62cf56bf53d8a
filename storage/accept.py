"""accept: store new entries, or say why there is nothing new to store.

Promises: a (backend, kind, key) is held at most once among waiting entries and receipts of
the same backend URL; a dead letter with the same content waits again, one with other content
is replaced; what an operator discarded may come again; an entry that waits for another one is
stored only if that one is, or was, here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Text,
    bindparam,
    case,
    delete,
    exists,
    insert,
    literal_column,
    select,
)

from storage import crash
from storage.checksum import checksum
from storage.dialect import in_chunks, insert_new
from storage.entry import Accepted, Entry
from storage.removal import forget, revive
from storage.schema import attachment, body, entry, label, receipt
from storage.states import State
from storage.streams import promote
from storage.waiting import is_known, tie

CHUNK = 2000  # entries at a time: bounds what one list of entries takes of memory

Key = tuple[str, str, str]  # backend, kind, key


@dataclass(frozen=True, slots=True)
class Holder:
    """The entry that holds a key."""

    id: str
    digest: str
    state: State
    size: int


_ahead = entry.alias("ahead")
# Bound under names of their own: an INSERT's own columns already take "stream" and "backend".
_HAS_NO_HEAD = ~exists().where(
    _ahead.c.backend == bindparam("of_backend", type_=Text),
    _ahead.c.stream == bindparam("of_stream", type_=Text),
    _ahead.c.stream.is_not(None),
    _ahead.c.head == literal_column("1"),
)
_HEAD = case((bindparam("of_stream", type_=Text).is_(None), 1), (_HAS_NO_HEAD, 1), else_=0)


# Built once: to build a statement costs more than to run it, and one-entry requests run three.
_IDS = select(entry.c.id).where(entry.c.id.in_(bindparam("ids", expanding=True)))
_RECEIPTS = select(receipt).where(
    receipt.c.backend == bindparam("of_backend"),
    receipt.c.backend_url == bindparam("of_url"),
    receipt.c.kind == bindparam("of_kind"),
    receipt.c.key.in_(bindparam("keys", expanding=True)),
)

_DETAILS: tuple[Any, ...] = (insert(body), insert(label), insert(attachment))


@cache
def _new_entry(dialect: str) -> Any:
    return insert_new(dialect, entry, ("backend", "kind", "key")).values(head=_HEAD)


def accept(
    connection: Connection, entries: Sequence[Entry], urls: Mapping[str, str]
) -> list[Accepted]:
    """Store `entries` in order. `urls`: where each backend is, to know whose receipts count."""
    outcomes: list[Accepted] = []
    crash.point("accept.begun")
    for some in in_chunks(entries, CHUNK):
        outcomes += _accept_chunk(connection, some, urls)
    crash.point("accept.inserted")
    return outcomes


def pass_points(entries: Sequence[Entry]) -> None:
    """These entries are durable, as far as they were new."""
    crash.point("accept.committed")
    if any(one.attachments for one in entries):
        crash.point("attachment.taken")


def _accept_chunk(
    connection: Connection, entries: Sequence[Entry], urls: Mapping[str, str]
) -> list[Accepted]:
    fresh = _insert(connection, entries)
    delivered = _delivered(connection, entries, urls)
    _undo(connection, [e for e in entries if e.id in delivered and e.id in fresh])
    fresh -= delivered.keys()
    orphans = _tie(connection, [e for e in entries if e.id in fresh], urls)
    held = _held(connection, [e for e in entries if e.id not in fresh and e.id not in delivered])
    outcomes: list[Accepted] = []
    for one in entries:
        if one.id in delivered:
            outcomes.append(_judge_receipt(one, delivered[one.id]))
        elif one.id in orphans:
            outcomes.append(Accepted(one.id, one.key, "orphan"))
        elif one.id in fresh:
            outcomes.append(Accepted(one.id, one.key, "accepted"))
        else:
            outcomes.append(_meet(connection, one, held, urls))
    taken = {one.id for one in outcomes if one.state == "accepted"}
    _insert_details(connection, [e for e in entries if e.id in taken])
    return outcomes


def _insert(connection: Connection, entries: Sequence[Entry]) -> set[str]:
    """Insert what is new; return the ids that went in."""
    connection.execute(_new_entry(connection.dialect.name), [_row(one) for one in entries])
    return set(connection.execute(_IDS, {"ids": [one.id for one in entries]}).scalars())


def _row(one: Entry) -> dict[str, Any]:
    return {
        "id": one.id,
        "backend": one.backend,
        "kind": one.kind,
        "key": one.key,
        "stream": one.stream,
        "of_backend": one.backend,
        "of_stream": one.stream,
        "scope": one.scope,
        "slot": one.slot,
        "waits_for": one.waits_for,
        "created_at": one.created_at,
        "accepted_at": one.accepted.wall,
        "monotonic_at": one.accepted.monotonic,
        "boot_id": one.accepted.boot_id,
        "synchronised": int(one.accepted.synchronised),
        "expires_at": one.expires_at,
        "digest": one.digest,
        "size": one.size,
        "labels": json.dumps(dict(one.labels), ensure_ascii=False),
        "stamped": int(one.stamped),
        "urgency": one.urgency,
        "due_at": -one.urgency,
        "resolved": None if one.resolved is None else json.dumps(dict(one.resolved)),
        "producer": json.dumps(
            {"via": one.producer.via, "uid": one.producer.uid, "pid": one.producer.pid}
        ),
    }


def _insert_details(connection: Connection, entries: Sequence[Entry]) -> None:
    payloads = [{"id": one.id, "payload": one.payload, "crc": _checksum(one)} for one in entries]
    labels = [
        {"entry_id": one.id, "name": name, "value": value}
        for one in entries
        for name, value in one.labels.items()
    ]
    parts = [
        {
            "entry_id": one.id,
            "position": position,
            "name": part.name,
            "media_type": part.media_type,
            "description": part.description,
            "size": part.size,
            "sha256": part.sha256,
            "path": f"{one.id}/{position}",
        }
        for one in entries
        for position, part in enumerate(one.attachments)
    ]
    details: tuple[Sequence[Mapping[str, Any]], ...] = (payloads, labels, parts)
    for statement, rows in zip(_DETAILS, details, strict=True):
        if rows:
            connection.execute(statement, rows)


def _checksum(one: Entry) -> int:
    return checksum(one.id, one.backend, one.kind, one.key, one.payload)


def _delivered(
    connection: Connection, entries: Sequence[Entry], urls: Mapping[str, str]
) -> dict[str, Row[Any]]:
    """Receipts that already hold the key of an entry, by the entry's id.

    Looked up after the insert: beside another writer's uncommitted confirm, looking first
    would let a key in a second time.
    """
    doors: dict[tuple[str, str, str], list[Entry]] = {}
    for one in entries:
        doors.setdefault((one.backend, urls.get(one.backend, ""), one.kind), []).append(one)
    found: dict[str, Row[Any]] = {}
    for (backend, url, kind), behind in doors.items():
        wanted = {"of_backend": backend, "of_url": url, "of_kind": kind}
        rows = connection.execute(_RECEIPTS, {**wanted, "keys": [one.key for one in behind]})
        held = {row.key: row for row in rows}
        found |= {one.id: held[one.key] for one in behind if one.key in held}
    return found


def _tie(connection: Connection, fresh: Sequence[Entry], urls: Mapping[str, str]) -> set[str]:
    """Tie new entries to what they wait for; the ids of those that wait for nothing we know."""
    orphans = [
        one
        for backend in {e.backend for e in fresh if e.waits_for is not None}
        for one in tie(
            connection,
            [e for e in fresh if e.backend == backend and e.waits_for is not None],
            urls.get(backend, ""),
        )
    ]
    _undo(connection, orphans)
    return {one.id for one in orphans}


def _undo(connection: Connection, entries: Sequence[Entry]) -> None:
    if entries:
        connection.execute(delete(entry).where(entry.c.id.in_([one.id for one in entries])))
        promote(connection, [(e.backend, e.stream) for e in entries if e.stream is not None])


def _judge_receipt(one: Entry, row: Row[Any]) -> Accepted:
    same = row.digest == one.digest
    return Accepted(row.entry_id, one.key, "duplicate" if same else "conflict")


def _held(connection: Connection, entries: Sequence[Entry]) -> dict[Key, Holder]:
    """Who holds the keys that were taken."""
    doors: dict[tuple[str, str], list[str]] = {}
    for one in entries:
        doors.setdefault((one.backend, one.kind), []).append(one.key)
    found: dict[Key, Holder] = {}
    for (backend, kind), keys in doors.items():
        query = select(entry.c.key, entry.c.id, entry.c.digest, entry.c.state, entry.c.size).where(
            entry.c.backend == backend, entry.c.kind == kind, entry.c.key.in_(keys)
        )
        for row in connection.execute(query):
            holder = Holder(row.id, row.digest, State(row.state), row.size)
            found[backend, kind, row.key] = holder
    return found


def _meet(
    connection: Connection, one: Entry, held: dict[Key, Holder], urls: Mapping[str, str]
) -> Accepted:
    """Decide about an entry whose key another entry holds; `held` is kept true."""
    key = (one.backend, one.kind, one.key)
    holder = held[key]
    same = holder.digest == one.digest
    if holder.state is not State.DEAD:
        return Accepted(holder.id, one.key, "duplicate" if same else "conflict")
    if same:
        revive(connection, [holder.id])
        held[key] = replace(holder, state=State.PENDING)
        return Accepted(holder.id, one.key, "retried")
    url = urls.get(one.backend, "")
    if one.waits_for is not None and not is_known(connection, one, url):
        return Accepted(one.id, one.key, "orphan")
    said = f"replaced by {one.id}: same key, other content"
    forget(connection, [holder.id], at=one.accepted.wall, who=one.producer.via, detail=said)
    _insert(connection, [one])
    _tie(connection, [one], urls)
    held[key] = Holder(one.id, one.digest, State.PENDING, one.size)
    return Accepted(one.id, one.key, "accepted", holder.id, holder.size)
