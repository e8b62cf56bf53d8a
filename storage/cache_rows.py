"""The answers of the read cache in SQL. Functions over a connection, in the caller's transaction.

Promises: what comes out is what was put in, or nothing: every row carries sums over all that it
says, and one whose sums are wrong counts as not there.
"""

import hashlib
import json
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text

from storage.cached import Kept, Label, Stock
from storage.dialect import storable

LEVEL = 1  # of zlib: the next ones take twice the time for a few percent

_SAID = "scope, key, family, about, meta, fetched_at, complete, settled, size, data_sum"
_COLUMNS = f"id, used_at, {_SAID}, sum"


@dataclass(frozen=True, slots=True)
class Packed:
    """An answer as it is stored; made beside the transaction, because it takes time."""

    label: Label
    about: str
    meta: str
    data_sum: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.data) + len(self.about) + len(self.meta)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of an answer. `id` is its row, `damaged` the rows that are to go."""

    kept: Kept | None
    id: int = 0
    used_at: int = 0
    damaged: tuple[int, ...] = ()


def as_text(value: Any) -> str:
    """JSON in one form: equal values are equal texts. Pure ASCII, as no database takes more."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def seal(*values: Any) -> str:
    """The sum over some columns; empty where the disk has made something else of them."""
    try:
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()
    except TypeError:
        return ""


def pack(kept: Kept) -> Packed:
    """Raises what json does, for what is no JSON."""
    # Not sorted: an answer keeps the order of its fields.
    data = zlib.compress(json.dumps(kept.data, separators=(",", ":")).encode(), LEVEL)
    about = as_text(dict(kept.label.about))
    meta = as_text(dict(kept.meta))
    return Packed(kept.label, about, meta, hashlib.sha256(data).hexdigest(), data)


def find(connection: Connection, scopes: Sequence[str], key: str) -> Found:
    """The newest sound answer to a question."""
    query = text(
        f"SELECT {_COLUMNS} FROM answer"  # noqa: S608  (our own names)
        " WHERE scope IN :scopes AND key = :key"
    ).bindparams(bindparam("scopes", expanding=True))
    rows = connection.execute(query, {"scopes": list(scopes), "key": key}).all()
    sound = [row for row in rows if row.key == key and row.scope in scopes and _is_sound(row)]
    damaged = [row.id for row in rows if row not in sound]
    for row in sorted(sound, key=lambda row: int(row.fetched_at), reverse=True):
        data = connection.execute(
            text("SELECT data FROM answer WHERE id = :id"), {"id": row.id}
        ).scalar()
        if isinstance(data, bytes) and hashlib.sha256(data).hexdigest() == row.data_sum:
            kept = Kept(_label(row), json.loads(zlib.decompress(data)), json.loads(row.meta))
            used_at = row.used_at if isinstance(row.used_at, int) else 0
            return Found(kept, row.id, used_at, tuple(damaged))
        damaged.append(row.id)
    return Found(None, damaged=tuple(damaged))


def labels(connection: Connection, scopes: Sequence[str], family: str) -> list[Label]:
    """The labels of a family, newest first; of equal keys the newest."""
    query = text(
        f"SELECT {_COLUMNS} FROM answer"  # noqa: S608  (our own names)
        " WHERE scope IN :scopes AND family = :family"
    ).bindparams(bindparam("scopes", expanding=True))
    rows = connection.execute(query, {"scopes": list(scopes), "family": family}).all()
    sound = [
        _label(row)
        for row in rows
        if row.family == family and row.scope in scopes and _is_sound(row)
    ]
    newest: dict[str, Label] = {}
    for label in sorted(sound, key=lambda label: label.fetched_at, reverse=True):
        newest.setdefault(label.key, label)
    return list(newest.values())


def keep(connection: Connection, scope: str, packed: Packed, *, now: int, room: int) -> None:
    """Put an answer in the place of an older one, and make room for it."""
    label = packed.label
    held = _held(connection, scope, storable(label.key))
    # Two fetches may end in another order than they began. What the clock has not reached yet
    # was fetched by a wrong one.
    if held is not None and _is_sound(held) and label.fetched_at < held.fetched_at <= now:
        return
    if held is not None:
        drop(connection, [held.id])
    said: dict[str, Any] = {
        "scope": scope,
        "key": storable(label.key),
        "family": storable(label.family),
        "about": packed.about,
        "meta": packed.meta,
        "fetched_at": label.fetched_at,
        "complete": int(label.complete),
        "settled": int(label.settled),
        "size": packed.size,
        "data_sum": packed.data_sum,
    }
    row = {**said, "sum": seal(*said.values()), "used_at": now, "data": packed.data}
    connection.execute(
        text(
            f"INSERT INTO answer ({', '.join(row)})"  # noqa: S608  (our own names)
            f" VALUES ({', '.join(f':{name}' for name in row)})"
        ),
        row,
    )
    _make_room(connection, scope, said["key"], room)


def _held(connection: Connection, scope: str, key: str) -> Row[Any] | None:
    query = f"SELECT {_COLUMNS} FROM answer WHERE scope = :scope AND key = :key"  # noqa: S608
    return connection.execute(text(query), {"scope": scope, "key": key}).first()


def _make_room(connection: Connection, scope: str, key: str, room: int) -> None:
    held = connection.execute(text("SELECT total(size) FROM answer")).scalar()
    over = float(held or 0) - room
    if over <= 0:
        return
    going: list[int] = []
    oldest = connection.execute(
        text(
            "SELECT id, size FROM answer AS a WHERE NOT (scope = :scope AND key = :key)"
            " ORDER BY EXISTS (SELECT 1 FROM pin WHERE pin.scope = a.scope AND pin.key = a.key),"
            " used_at, id"
        ),
        {"scope": scope, "key": key},
    )
    for row in oldest.all():
        if over <= 0:
            break
        going.append(row.id)
        over -= row.size if isinstance(row.size, int) else 0
    drop(connection, going)


def drop(connection: Connection, ids: Collection[int]) -> None:
    """Delete answers by their rows."""
    if ids:
        connection.execute(
            text("DELETE FROM answer WHERE id = :id"), [{"id": number} for number in ids]
        )


def touch(connection: Connection, number: int, now: int) -> None:
    """Somebody has used this answer."""
    connection.execute(
        text("UPDATE answer SET used_at = :now WHERE id = :id"), {"id": number, "now": now}
    )


def pin(connection: Connection, scope: str, keys: Collection[str]) -> None:
    """These answers of a scope, and no others of it, are the last to go."""
    connection.execute(text("DELETE FROM pin WHERE scope = :scope"), {"scope": scope})
    if keys:
        connection.execute(
            text("INSERT OR IGNORE INTO pin (scope, key) VALUES (:scope, :key)"),
            [{"scope": scope, "key": key} for key in keys],
        )


def stock(connection: Connection) -> dict[str, Stock]:
    """How much is kept, per scope."""
    found: dict[str, Stock] = {}
    for row in connection.execute(text(f"SELECT {_COLUMNS} FROM answer")).all():  # noqa: S608
        if not _is_sound(row):
            continue
        so_far = found.get(row.scope, Stock())
        found[row.scope] = replace(
            so_far,
            answers=so_far.answers + 1,
            bytes=so_far.bytes + row.size,
            oldest_at=min(row.fetched_at, so_far.oldest_at or row.fetched_at),
            settled=so_far.settled + row.settled,
        )
    return found


def forget(connection: Connection, scope: str | None, older_than: int | None) -> int:
    """Delete answers; without `older_than` all else that is kept of the scope, too."""
    where = {"scope": scope, "older_than": older_than}
    mine = "(:scope IS NULL OR scope = :scope)"
    gone = connection.execute(
        text(
            f"DELETE FROM answer WHERE {mine}"  # noqa: S608  (our own names)
            " AND (:older_than IS NULL OR fetched_at < :older_than)"
        ),
        where,
    ).rowcount
    if older_than is None:
        for table in ("fact", "want"):
            connection.execute(
                text(f"DELETE FROM {table} WHERE {mine}"),  # noqa: S608  (our own names)
                {"scope": scope},
            )
    return gone


def _is_sound(row: Row[Any]) -> bool:
    said = (
        row.scope,
        row.key,
        row.family,
        row.about,
        row.meta,
        row.fetched_at,
        row.complete,
        row.settled,
        row.size,
        row.data_sum,
    )
    return bool(row.sum == seal(*said))


def _label(row: Row[Any]) -> Label:
    return Label(
        row.key,
        row.family,
        row.fetched_at,
        complete=bool(row.complete),
        settled=bool(row.settled),
        about=json.loads(row.about),
        size=row.size,
    )
