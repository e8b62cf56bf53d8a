"""resend: what was delivered comes back into the outbox, to be delivered once more.

Promises: it comes back as it was (id, key, payload, labels, files, times), so that a backend that
still holds it knows it again, and in doubt, so that it is looked for before anything is sent; its
receipt leaves in the same transaction, and an audit row says who and what the receipt was; it
takes its old place in its stream, and goes behind what is fresh; what cannot come back keeps its
receipt, and is named with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select

from storage import crash
from storage.checksum import damage_of, read_object
from storage.dialect import in_chunks
from storage.kept import remove
from storage.lists import iso
from storage.schema import attachment, audit, body, entry, kept, receipt
from storage.states import State
from storage.streams import demote, promote

# What a kept row says in any case; columns that came later have their defaults.
NEEDED = {"seq", "id", "backend", "kind", "key", "size", "stream", "accepted_at"}

Why = Literal["no payload kept", "key taken", "damaged"]

NOTHING_KEPT: tuple[Why, str] = ("no payload kept", "it cannot be sent again: no payload is kept")


@dataclass(frozen=True, slots=True)
class Back:
    """An entry that waits again, or would. `size`: the bytes that it occupies."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Stays:
    """A receipt whose entry does not come back, and why."""

    id: str
    kind: str
    key: str
    why: Why
    detail: str


@dataclass(frozen=True, slots=True)
class Again:
    """What became of the receipts that were asked for, in order of delivery."""

    back: Sequence[Back]
    stays: Sequence[Stays]


def judge_again(
    connection: Connection, ids: Sequence[str], *, backend: str, from_url: str, url: str
) -> Again:
    """What `send_again` would do. Changes nothing."""
    again, _ = _judge(connection, ids, backend, from_url, url)
    return again


def send_again(
    connection: Connection,
    ids: Sequence[str],
    *,
    backend: str,
    from_url: str,
    url: str,
    now: int,
    who: str,
    reason: str = "",
) -> Again:
    """Bring entries back whose receipts are of `from_url`, to be delivered to `url`."""
    again, whole = _judge(connection, ids, backend, from_url, url)
    going = [whole[one.id] for one in again.back]
    if going:
        _leave(connection, going, who=who, reason=reason, now=now)
        crash.point("resend.left")
        _return(connection, going, now)
        crash.point("resend.written")
    return again


@dataclass(frozen=True, slots=True)
class _Whole:
    """A receipt, and what is kept of its entry: the row, the payload and its checksum."""

    receipt: Any
    row: Mapping[str, Any]
    payload: str
    crc: int | None


def _judge(
    connection: Connection, ids: Sequence[str], backend: str, from_url: str, url: str
) -> tuple[Again, dict[str, _Whole]]:
    back: list[Back] = []
    stays: list[Stays] = []
    whole: dict[str, _Whole] = {}
    for some in in_chunks(ids):
        receipts = connection.execute(
            select(receipt)
            .where(
                receipt.c.entry_id.in_(some),
                receipt.c.backend == backend,
                receipt.c.backend_url == from_url,
            )
            .order_by(receipt.c.delivered_at, receipt.c.number)
        ).all()
        payloads = {
            one.id: one for one in connection.execute(select(kept).where(kept.c.id.in_(some)))
        }
        sizes = _file_sizes(connection, some)
        taken = _taken(connection, receipts, backend, from_url, url)
        for one in receipts:
            held = payloads.get(one.entry_id)
            why = _why_not(one, held, sizes.get(one.entry_id, 0), taken)
            if why is not None or held is None:
                stays.append(Stays(one.entry_id, one.kind, one.key, *(why or NOTHING_KEPT)))
                continue
            row = read_object(held.row)
            whole[one.entry_id] = _Whole(one, row, held.payload, held.crc)
            back.append(Back(one.entry_id, row["size"]))
            taken[one.kind, one.key] = "it is asked for twice"
    return Again(back, stays), whole


def _why_not(
    one: Any, held: Any, files: int, taken: Mapping[tuple[str, str], str]
) -> tuple[Why, str] | None:
    if held is None:
        return NOTHING_KEPT
    if said := taken.get((one.kind, one.key)):
        return "key taken", said
    row = read_object(held.row)
    if not row.keys() >= NEEDED:
        return "damaged", "what is kept of it was altered on the disk"
    if (fault := damage_of(SimpleNamespace(**row), held, files)) is not None:
        return "damaged", fault
    return None


def _taken(
    connection: Connection, receipts: Sequence[Any], backend: str, from_url: str, url: str
) -> dict[tuple[str, str], str]:
    """Keys of these that something else holds by now, and what."""
    keys = [one.key for one in receipts]
    living = select(entry.c.kind, entry.c.key, entry.c.id).where(
        entry.c.backend == backend, entry.c.key.in_(keys)
    )
    found = {
        (row.kind, row.key): f"its key is taken by entry {row.id}, which is not delivered yet"
        for row in connection.execute(living)
    }
    if from_url != url:
        there = select(receipt.c.kind, receipt.c.key, receipt.c.entry_id).where(
            receipt.c.backend == backend, receipt.c.backend_url == url, receipt.c.key.in_(keys)
        )
        for row in connection.execute(there):
            found[row.kind, row.key] = f"entry {row.entry_id} was delivered to {url} under its key"
    return found


def _file_sizes(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    query = (
        select(attachment.c.entry_id, func.sum(attachment.c.size).label("size"))
        .where(attachment.c.entry_id.in_(ids))
        .group_by(attachment.c.entry_id)
    )
    return {row.entry_id: row.size for row in connection.execute(query)}


def _leave(
    connection: Connection, going: Sequence[_Whole], *, who: str, reason: str, now: int
) -> None:
    """Receipts and kept payloads go; who did it, and what the receipt said, stays."""
    why = f"; {reason}" if reason else ""
    said = [
        {
            "at": now,
            "verb": "resend",
            "entry_id": one.receipt.entry_id,
            "backend": one.receipt.backend,
            "who": who,
            "detail": f"it was delivered at {iso(one.receipt.delivered_at)} to"
            f" {one.receipt.backend_url} as {one.receipt.remote_id}{why}",
        }
        for one in going
    ]
    connection.execute(insert(audit), said)
    numbers = [one.receipt.number for one in going]
    connection.execute(delete(receipt).where(receipt.c.number.in_(numbers)))
    remove(connection, [one.receipt.entry_id for one in going])


def _return(connection: Connection, going: Sequence[_Whole], now: int) -> None:
    seqs = [one.row["seq"] for one in going]
    occupied = set(connection.execute(select(entry.c.seq).where(entry.c.seq.in_(seqs))).scalars())
    for one in going:
        row = _waiting(one.row, now)
        if row["seq"] in occupied:  # given to another one since, after damage
            del row["seq"]
        connection.execute(insert(entry), row)
    connection.execute(
        insert(body),
        [{"id": one.row["id"], "payload": one.payload, "crc": one.crc} for one in going],
    )
    streams = [
        (one.row["backend"], one.row["stream"]) for one in going if one.row["stream"] is not None
    ]
    demote(connection, streams)
    promote(connection, streams)


def _waiting(row: Mapping[str, Any], now: int) -> dict[str, Any]:
    """The row as it goes back in: in doubt, since when it was sent, with nothing against it.

    Due now, which is after all that is fresh. It was delivered in time, so it does not expire.
    """
    known = {name: row[name] for name in row if name in entry.c}
    return {
        **known,
        "state": int(State.PENDING),
        "head": int(row["stream"] is None),
        "due_at": now,
        "in_doubt": 1,
        "first_sent_at": row.get("first_sent_at") or row["accepted_at"],
        "last_sent_at": row.get("last_sent_at") or row["accepted_at"],
        "attempts": 0,
        "absences": 0,
        "confirms_seen": None,
        "expires_at": None,
        "last_error": None,
    }
