"""claim: take what is due next, for the wire.

Promises: only heads of streams are taken, each with its rider if it has one, and no more of
them than fit into the requests that are wanted; the claim is committed before the first byte
is sent; a scope at rest is passed over, and tried with one entry when its rest is due.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, TextClause, bindparam, select, text

from storage import crash
from storage.checksum import damage_of, read_object
from storage.dialect import before_slash, skip_locked
from storage.entry import Attachment, Claim, Wanted
from storage.schema import attachment, body, receipt
from storage.scopes import covering

FIRST_SHARE = 4  # one part in so many of a claim is looked for at `Wanted.first`

# Each is a range of the index entry_ready, read in the index's own order.
_RANGES = {
    "oldest": ("due_at <= :now", "backend, due_at, seq"),
    "retried": ("due_at > 0 AND due_at <= :now", "backend, due_at, seq"),
    "newest": ("due_at <= 0", "backend DESC, due_at DESC, seq DESC"),
}
_HEADS = """
    SELECT seq, kind, scope, in_doubt FROM entry
    WHERE backend = :backend AND state = 0 AND head = 1 AND {due}
      AND (expires_at IS NULL OR expires_at > :now)
      AND (waits_for IS NULL OR NOT EXISTS (
            SELECT 1 FROM entry AS parent WHERE parent.id = entry.waits_for))
      {closed} {kinds}
    ORDER BY {order} LIMIT :limit {lock}
"""
# `newest` is fixed while in doubt: a resend has to be identical to what may have landed.
# first_sent_at and last_sent_at of an entry in doubt belong to its lost attempt.
_LEASE = text(
    """
    UPDATE entry SET
        state = 1, token = :token, claimed_by = :token, tries = tries + 1,
        first_sent_at = CASE WHEN in_doubt = 1 THEN first_sent_at ELSE :now END,
        last_sent_at = CASE WHEN in_doubt = 1 THEN last_sent_at ELSE :now END,
        newest = CASE
            WHEN in_doubt = 1 THEN newest
            WHEN slot IS NULL THEN 1
            WHEN EXISTS (SELECT 1 FROM entry AS later
                WHERE later.backend = entry.backend AND later.slot = entry.slot
                  AND later.slot IS NOT NULL AND later.seq > entry.seq
                  AND later.state <> 3 AND later.state <> 2) THEN 0
            ELSE 1 END
    WHERE seq IN :seqs AND state = 0
    RETURNING *
    """
).bindparams(bindparam("seqs", expanding=True))
# The first live follower of each stream, if it may go now.
_BEHIND = text(
    """
    SELECT next.seq, next.stream, next.kind FROM (
        SELECT stream, MIN(seq) AS seq FROM entry
        WHERE backend = :backend AND stream IN :streams AND stream IS NOT NULL
          AND state <> 3 AND head = 0
        GROUP BY stream
    ) AS follower JOIN entry AS next ON next.seq = follower.seq
    WHERE next.state = 0 AND next.in_doubt = 0 AND next.due_at <= :now
      AND next.waits_for IS NULL AND (next.expires_at IS NULL OR next.expires_at > :now)
    """
).bindparams(bindparam("streams", expanding=True))


def claim(
    connection: Connection,
    backend: str,
    wanted: Wanted,
    *,
    token: str,
    now: int,
    attachments: Path,
) -> list[Claim]:
    """Lease the due entries of `backend` that fit into what is wanted; none may."""
    seqs = choose(_heads(connection, backend, wanted, now), wanted)
    if not seqs:
        return []
    rows = _lease(connection, seqs, token, now)
    behind = _riders(connection, backend, rows, wanted, now)
    riders = _lease(connection, list(behind.values()), token, now) if behind else []
    claims = _claims(connection, [*rows, *riders], attachments)
    crash.point("claim.leased")
    return [replace(claims[seq], rider=claims.get(behind.get(seq, -1))) for seq in seqs]


def _lease(connection: Connection, seqs: Sequence[int], token: str, now: int) -> Sequence[Row[Any]]:
    return connection.execute(_LEASE, {"seqs": seqs, "token": token, "now": now}).all()


def _riders(
    connection: Connection, backend: str, rows: Sequence[Row[Any]], wanted: Wanted, now: int
) -> dict[int, int]:
    """The entry right behind a claimed one that may travel in the same message, by their `seq`."""
    # What may have landed without its rider has to be settled alone.
    takers = {
        row.stream: row
        for row in rows
        if row.stream is not None and row.kind in wanted.riders and not row.in_doubt
    }
    if not takers:
        return {}
    values = {"backend": backend, "streams": list(takers), "now": now}
    return {
        takers[row.stream].seq: row.seq
        for row in connection.execute(_BEHIND, values)
        if row.kind == wanted.riders[takers[row.stream].kind]
    }


def _claims(
    connection: Connection, rows: Sequence[Row[Any]], attachments: Path
) -> dict[int, Claim]:
    """The claims of leased rows, by `seq`."""
    ids = [row.id for row in rows]
    bodies = _bodies(connection, ids)
    files = attachments_of(connection, ids, attachments)
    parents = _parents(connection, [row.waits_for for row in rows if row.waits_for is not None])
    return {
        row.seq: _claim(row, bodies.get(row.id), files.get(row.id, ()), parents.get(row.waits_for))
        for row in rows
    }


def _heads(connection: Connection, backend: str, wanted: Wanted, now: int) -> list[Row[Any]]:
    """What could go, first things first; never more than could be taken."""
    limit = wanted.requests * wanted.batch_size
    values: dict[str, Any] = {"backend": backend, "now": now}
    if wanted.closed:
        values["closed"] = list(wanted.closed)
    if wanted.kinds:
        values["kinds"] = sorted(wanted.kinds)
    ranges = {wanted.first: max(1, limit // FIRST_SHARE), "oldest": limit}
    found: dict[int, Row[Any]] = {}
    for where, most in ranges.items():
        statement = heads_statement(
            connection, where, closed=bool(wanted.closed), kinds=bool(wanted.kinds)
        )
        for row in connection.execute(statement, {**values, "limit": most}):
            found.setdefault(row.seq, row)
    return list(found.values())


def heads_statement(
    connection: Connection, where: str, *, closed: bool, kinds: bool = False
) -> TextClause:
    """The heads in one range of the queue, in the index's own order."""
    due, order = _RANGES[where]
    outer = before_slash(connection, "scope")
    open_ones = f"AND (scope IS NULL OR (scope NOT IN :closed AND {outer} NOT IN :closed))"
    statement = text(
        _HEADS.format(
            due=due,
            order=order,
            closed=open_ones if closed else "",
            kinds="AND kind IN :kinds" if kinds else "",
            lock=skip_locked(connection),
        )
    )
    lists = [name for name, used in (("closed", closed), ("kinds", kinds)) if used]
    return statement.bindparams(*(bindparam(name, expanding=True) for name in lists))


def choose(heads: Iterable[Row[Any]], wanted: Wanted) -> list[int]:
    """The `seq` of those heads that fit: a batch holds one kind, and doubt travels alone."""
    taken: list[int] = []
    riding: Counter[str] = Counter()
    probed: set[str] = set()
    requests = 0
    for head in heads:
        alone = head.in_doubt or head.kind not in wanted.batched
        opens = alone or riding[head.kind] % wanted.batch_size == 0
        tries = covering(head.scope, wanted.probing)
        if tries & probed or (opens and requests == wanted.requests):
            continue
        requests += opens
        riding[head.kind] += not alone
        probed |= tries
        taken.append(head.seq)
    return taken


def _bodies(connection: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    return {row.id: row for row in connection.execute(select(body).where(body.c.id.in_(ids)))}


def _parents(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The backend's names for delivered entries."""
    if not ids:
        return {}
    query = select(receipt.c.entry_id, receipt.c.remote_id).where(receipt.c.entry_id.in_(ids))
    return {row.entry_id: row.remote_id for row in connection.execute(query)}


def attachments_of(
    connection: Connection, ids: Sequence[str], folder: Path
) -> dict[str, tuple[Attachment, ...]]:
    """The files of these entries, by entry, in their order."""
    query = (
        select(attachment)
        .where(attachment.c.entry_id.in_(ids))
        .order_by(attachment.c.entry_id, attachment.c.position)
    )
    found: dict[str, tuple[Attachment, ...]] = {}
    for row in connection.execute(query):
        part = Attachment(
            row.name, row.media_type, row.description, row.size, row.sha256, folder / row.path
        )
        found[row.entry_id] = (*found.get(row.entry_id, ()), part)
    return found


def _claim(
    row: Row[Any], held: Row[Any] | None, files: tuple[Attachment, ...], parent_id: str | None
) -> Claim:
    payload = held.payload if held is not None else ""
    labels, damage = _labels(row.labels), damage_of(row, held, sum(one.size for one in files))
    return Claim(
        seq=row.seq,
        id=row.id,
        kind=row.kind,
        key=row.key,
        payload=payload,
        created_at=row.created_at,
        accepted_at=row.accepted_at,
        stream=row.stream,
        scope=row.scope,
        attempts=row.attempts,
        tries=row.tries,
        in_doubt=bool(row.in_doubt),
        newest_of_slot=bool(row.newest),
        absences=row.absences,
        first_sent_at=row.first_sent_at,
        last_sent_at=row.last_sent_at,
        size=row.size,
        labels=labels or {},
        attachments=files,
        confirms_seen=row.confirms_seen,
        waits_for=row.waits_for,
        parent_id=parent_id,
        raw_created_at=row.raw_created_at,
        resolved=read_object(row.resolved or ""),
        uid=_uid(row.producer),
        damage=damage if labels is not None else "its labels were altered on the disk",
    )


def _uid(producer: str) -> int | None:
    uid = read_object(producer).get("uid")
    return uid if isinstance(uid, int) else None


def _labels(said: str) -> dict[str, str] | None:
    try:
        return dict(json.loads(said))
    except (TypeError, ValueError):
        return None
