"""Bring rows of a damaged database back into the one in use: the verbs, over lists.

Promises: each verb may run twice and changes nothing the second time; what a receipt proves,
or an operator discarded, does not come back; what was accepted since the damage keeps its
place behind what is older; nothing that was accepted is dropped unless the same is kept under
another id, which an audit row says.

An entry comes back in doubt when it was ever tried: that its last outcome was written cannot
be proven. One whose payload does not match its checksum, or whose files are not all known,
comes back as a dead letter: it cannot be delivered, and its producer can be asked for it.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from storage.checksum import checksum, damage_of
from storage.dialect import in_chunks, insert_missing
from storage.kept import are_kept
from storage.removal import forget
from storage.schema import (
    attachment,
    attempt,
    audit,
    body,
    entry,
    kept,
    label,
    loss,
    metadata,
    receipt,
)
from storage.settle import DAMAGED
from storage.states import State
from storage.streams import demote, promote
from storage.undelivered import LEFT_UNDELIVERED

WHO = "agent: salvage"
PLAIN = ("rest", "pause", "worked", "tally", "audit", "loss", "salvage", "kept")
OF_ENTRIES = (attachment, label, attempt)
STATES = {int(one) for one in State}

Row = dict[str, Any]
Key = tuple[str, str, str]


@dataclass(slots=True)
class Restored:
    """What one verb brought back. `waiting`, `size`, `delivered`: what that adds per backend."""

    entries: int = 0
    receipts: int = 0
    lost: list[Row] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)  # ids that keep their stream's turn
    waiting: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the entries of one wreck are judged by.

    `urls`: whose receipts count. `out`: ids of claims that are on the wire in this life under
    `token`; they are settled when all is back. `stale`: later commits may be missing.
    """

    urls: Mapping[str, str]
    out: Collection[str]
    token: str
    stale: bool
    now: int


def restore_plain(connection: Connection, table: str, rows: Sequence[Row]) -> int:
    """Rows that stand for themselves; those that are there already stay. How many came."""
    return connection.execute(insert_missing(connection, metadata.tables[table]), rows).rowcount


def restore_tally(connection: Connection, rows: Sequence[Row]) -> Restored:
    """The backends' counts."""
    done = Restored()
    for row in rows:
        if restore_plain(connection, "tally", [row]):
            done.delivered[row["backend"]] += row["delivered"]
    return done


def restore_receipts(connection: Connection, rows: Sequence[Row], terms: Terms) -> Restored:
    """Receipts, and what was accepted since under a key that one of them holds."""
    done = Restored(receipts=restore_plain(connection, "receipt", rows))
    holders = _holders(connection, rows)
    for row in rows:
        held = holders.get(_key(row))
        if held is None or held.id == row["entry_id"]:
            continue
        if terms.urls.get(row["backend"], "") == row["backend_url"]:
            said = f"the same as {row['entry_id']}, which was delivered before the damage"
            _give_way(connection, held, row["digest"], said, done, terms.now)
    return done


def restore_entries(connection: Connection, rows: Sequence[Row], terms: Terms) -> Restored:
    """Entries whose bodies and attachments are back already."""
    done = Restored()
    gone = fates(connection, [row["id"] for row in rows])
    wanted = [row for row in rows if row["id"] not in gone]
    payloads = _payloads(connection, [row["id"] for row in wanted])
    files = _file_sizes(connection, [row["id"] for row in wanted])
    holders = _holders(connection, wanted)
    backs: list[Row] = []
    for row in wanted:
        held = payloads.get(row["id"])
        fault = damage_of(SimpleNamespace(**row), held, files.get(row["id"], 0))
        back = _as_restored(row, fault, terms)
        if _make_room(connection, back, fault, holders.get(_key(row)), done, terms.now):
            backs.append(back)
            _count(back, fault, done)
            if row["head"] and row["stream"] is not None and _keeps_turn(row, back):
                done.turns.append(back["id"])
    _put_back(connection, backs)
    return done


def fates(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those whose end, or presence, is known: waiting, delivered, discarded, given up."""
    known: set[str] = set()
    sources = (
        *(
            select(one.c.id).where(one.c.id.in_(bindparam("ids", expanding=True)))
            for one in (entry, kept)
        ),
        *(
            select(one.c.entry_id).where(one.c.entry_id.in_(bindparam("ids", expanding=True)))
            for one in (receipt, loss)
        ),
        select(audit.c.entry_id).where(
            audit.c.entry_id.in_(bindparam("ids", expanding=True)),
            audit.c.verb.in_(LEFT_UNDELIVERED),
        ),
    )
    for some in in_chunks(ids):
        for source in sources:
            known |= set(connection.execute(source, {"ids": list(some)}).scalars())
    return known


def restore_heads(connection: Connection, after: Key | None) -> Key | None:
    """Give some streams their heads; where to go on, or None when all have theirs."""
    backend, stream = (after[0], after[1]) if after else ("", "")
    rows = connection.execute(
        text(
            "SELECT DISTINCT backend, stream FROM entry WHERE stream IS NOT NULL AND state <> 3"
            " AND (backend, stream) > (:backend, :stream) ORDER BY backend, stream LIMIT 500"
        ),
        {"backend": backend, "stream": stream},
    ).all()
    streams = [(row.backend, row.stream) for row in rows]
    demote(connection, streams)
    promote(connection, streams)
    return (*streams[-1], "") if streams else None


def hold_streams(connection: Connection, ids: Collection[str]) -> None:
    """Entries that keep their stream's turn: on the wire, or dead ones that stop it."""
    for id_ in ids:
        row = connection.execute(
            select(entry.c.seq, entry.c.backend, entry.c.stream).where(entry.c.id == id_)
        ).one_or_none()
        if row is not None and row.stream is not None:
            demote(connection, [(row.backend, row.stream)])
            connection.execute(update(entry).where(entry.c.seq == row.seq).values(head=1))


def drop_strays(connection: Connection, ids: Sequence[str]) -> None:
    """Details that came back and belong to nothing that is kept."""
    for some in in_chunks(ids):
        live = set(connection.execute(select(entry.c.id).where(entry.c.id.in_(some))).scalars())
        dead = [id_ for id_ in some if id_ not in live]
        connection.execute(delete(body).where(body.c.id.in_(dead)))
        bare = sorted(set(dead) - are_kept(connection, dead))
        connection.execute(delete(attachment).where(attachment.c.entry_id.in_(bare)))


def payloads_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """What is there of the payloads."""
    return {id_: row.payload for id_, row in _payloads(connection, ids).items()}


def _put_back(connection: Connection, rows: Sequence[Row]) -> None:
    """Into their old places; at the end, where damage has given two entries one place."""
    statement = insert_missing(connection, entry)
    if not rows or connection.execute(statement, rows).rowcount == len(rows):
        return
    ids = [row["id"] for row in rows]
    there = set(connection.execute(select(entry.c.id).where(entry.c.id.in_(ids))).scalars())
    for row in rows:
        if row["id"] not in there:
            elsewhere = {name: value for name, value in row.items() if name != "seq"}
            connection.execute(statement, elsewhere)


def _keeps_turn(before: Row, now: Row) -> bool:
    """On the wire, or a dead letter that stops its stream: not one that the damage made."""
    stops = before["state"] == State.DEAD and now["state"] == State.DEAD
    return bool(stops or now["state"] == State.LEASED)


def _payloads(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
    return {row.id: row for row in connection.execute(select(body).where(body.c.id.in_(ids)))}


def _file_sizes(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    query = (
        select(attachment.c.entry_id, func.sum(attachment.c.size).label("size"))
        .where(attachment.c.entry_id.in_(ids))
        .group_by(attachment.c.entry_id)
    )
    return {row.entry_id: row.size for row in connection.execute(query)}


def _as_restored(row: Row, fault: str | None, terms: Terms) -> Row:
    """The row as it goes back in. Heads are found when all are back."""
    state = row["state"] if row["state"] in STATES else int(State.PENDING)
    mine = state == State.LEASED and row["token"] == terms.token and row["id"] in terms.out
    tried = row["tries"] > 0 or state == State.LEASED
    doubt = row["in_doubt"] or (state != State.DEAD and (tried or terms.stale))
    fresh = {"head": int(row["stream"] is None), "labels": _json(row["labels"], "{}")}
    fresh["producer"] = _json(row["producer"], '{"via": "unknown"}')
    if row["last_error"] is not None:
        fresh["last_error"] = _json(row["last_error"], None)
    if fault is not None:
        told = {"at": terms.now, "class": DAMAGED, "side": "agent", "detail": fault}
        # No digest: what is handed in again under its key replaces it.
        fresh |= {"state": int(State.DEAD), "last_error": json.dumps(told), "digest": ""}
        fresh |= {"token": None, "head": 0}
    elif not mine:
        fresh |= {"state": int(State.PENDING) if state == State.LEASED else state, "token": None}
        if doubt:
            fresh |= {
                "in_doubt": 1,
                "first_sent_at": row["first_sent_at"] or row["accepted_at"],
                "last_sent_at": row["last_sent_at"] or terms.now,
            }
        if state == State.DEAD:
            fresh["head"] = 0
    return {**row, **fresh}


def _json(said: str, instead: str | None) -> str | None:
    try:
        return said if isinstance(json.loads(said), dict) else instead
    except ValueError:
        return instead


def _make_room(
    connection: Connection, row: Row, fault: str | None, held: Any, done: Restored, now: int
) -> bool:
    """Settle with `held`, accepted since under the same key. False: the older one goes."""
    if held is None:
        return True
    if fault is not None or (row["state"] == State.DEAD and row["digest"] != held.digest):
        _write_end(connection, row, f"replaced by {held.id}: same key, handed in again", now)
        return False
    if row["state"] == State.DEAD:
        row |= {"state": int(State.PENDING), "attempts": 0, "head": int(row["stream"] is None)}
    said = f"the same as {row['id']}, which was accepted before the damage"
    _give_way(connection, held, row["digest"], said, done, now)
    return True


def _key(row: Row) -> Key:
    return row["backend"], row["kind"], row["key"]


def _holders(connection: Connection, rows: Sequence[Row]) -> dict[Key, Any]:
    """Entries that have the keys of these rows."""
    doors: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        doors.setdefault((row["backend"], row["kind"]), []).append(row["key"])
    found: dict[Key, Any] = {}
    for (backend, kind), keys in doors.items():
        query = select(entry).where(
            entry.c.backend == backend, entry.c.kind == kind, entry.c.key.in_(keys)
        )
        for held in connection.execute(query):
            found[backend, kind, held.key] = held
    return found


def _give_way(
    connection: Connection, held: Any, digest: str, said: str, done: Restored, now: int
) -> None:
    """An entry accepted since the damage meets an older one: the same goes, another stays.

    It stays under a key of its own: both were acknowledged.
    """
    if held.digest == digest:
        forget(connection, [held.id], at=now, who=WHO, detail=said)
        done.size[held.backend] -= held.size
        done.waiting[held.backend] -= held.state != State.DEAD
        return
    key = f"{held.key}~{held.id}"
    connection.execute(update(entry).where(entry.c.seq == held.seq).values(key=key))
    row = connection.execute(select(body).where(body.c.id == held.id)).one_or_none()
    if row is not None:
        crc = checksum(held.id, held.backend, held.kind, key, row.payload)
        connection.execute(update(body).where(body.c.id == held.id).values(crc=crc))


def _write_end(connection: Connection, row: Row, said: str, now: int) -> None:
    ended = {"at": now, "verb": "discard", "entry_id": row["id"], "backend": row["backend"]}
    connection.execute(insert(audit), {**ended, "who": WHO, "detail": said})


def _count(row: Row, fault: str | None, done: Restored) -> None:
    done.size[row["backend"]] += row["size"]
    done.waiting[row["backend"]] += row["state"] != State.DEAD
    if fault is None:
        done.entries += 1
    else:
        named = {name: row[name] for name in ("id", "backend", "kind", "key")}
        done.lost.append({**named, "why": fault})
