"""claim: take what is due next, for the wire.

Promises: only heads of streams are taken, in order of (due_at, seq); the claim is committed
before the first byte is sent; a scope at rest is passed over.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, TextClause, bindparam, select, text

from storage.entry import Attachment, Claim
from storage.schema import attachment, body

# `newest` is fixed while in doubt: a resend has to be identical to what may have landed.
# first_sent_at and last_sent_at of an entry in doubt belong to its lost attempt.
_CLAIM = """
    WITH heads AS (
        SELECT seq FROM entry
        WHERE backend = :backend AND state = 0 AND head = 1 AND due_at <= :now
          AND (expires_at IS NULL OR expires_at > :now)
          AND (waits_for IS NULL OR NOT EXISTS (
                SELECT 1 FROM entry AS parent WHERE parent.id = entry.waits_for))
          {resting}
        ORDER BY backend, due_at, seq LIMIT :limit {lock}
    )
    UPDATE entry SET
        state = 1, token = :token, claimed_by = :token, tries = tries + 1,
        first_sent_at = CASE WHEN in_doubt = 1 THEN first_sent_at ELSE :now END,
        last_sent_at = CASE WHEN in_doubt = 1 THEN last_sent_at ELSE :now END,
        newest = CASE
            WHEN in_doubt = 1 THEN newest
            WHEN slot IS NULL THEN 1
            WHEN EXISTS (SELECT 1 FROM entry AS later
                WHERE later.backend = entry.backend AND later.slot = entry.slot
                  AND later.slot IS NOT NULL AND later.seq > entry.seq) THEN 0
            ELSE 1 END
    WHERE seq IN (SELECT seq FROM heads)
    RETURNING *
"""


def claim(
    connection: Connection,
    backend: str,
    *,
    token: str,
    limit: int,
    now: int,
    resting: Collection[str],
    attachments: Path,
) -> list[Claim]:
    """Lease up to `limit` due entries of `backend`, leaving out the scopes in `resting`."""
    values: dict[str, Any] = {"backend": backend, "token": token, "limit": limit, "now": now}
    if resting:
        values["resting"] = list(resting)
    rows = connection.execute(_statement(connection, bool(resting)), values).all()
    payloads = _payloads(connection, [row.id for row in rows])
    files = _attachments(connection, [row.id for row in rows], attachments)
    # RETURNING promises no order.
    rows = sorted(rows, key=lambda row: row.seq)
    return [_claim(row, payloads[row.id], files.get(row.id, ())) for row in rows]


def _statement(connection: Connection, resting: bool) -> TextClause:  # noqa: FBT001 - one use
    scopes = "AND (scope IS NULL OR scope NOT IN :resting)" if resting else ""
    lock = "FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    statement = text(_CLAIM.format(resting=scopes, lock=lock))
    return statement.bindparams(bindparam("resting", expanding=True)) if resting else statement


def _payloads(connection: Connection, ids: list[str]) -> dict[str, str]:
    if not ids:
        return {}
    rows = connection.execute(select(body.c.id, body.c.payload).where(body.c.id.in_(ids)))
    return {row.id: row.payload for row in rows}


def _attachments(
    connection: Connection, ids: list[str], folder: Path
) -> dict[str, tuple[Attachment, ...]]:
    if not ids:
        return {}
    query = (
        select(attachment)
        .where(attachment.c.entry_id.in_(ids))
        .order_by(attachment.c.entry_id, attachment.c.position)
    )
    return gather_attachments(connection.execute(query), folder)


def gather_attachments(rows: Iterable[Row[Any]], folder: Path) -> dict[str, tuple[Attachment, ...]]:
    """Attachment rows as values, by entry id, in the order of the rows."""
    found: dict[str, tuple[Attachment, ...]] = {}
    for row in rows:
        part = Attachment(
            row.name, row.media_type, row.description, row.size, row.sha256, folder / row.path
        )
        found[row.entry_id] = (*found.get(row.entry_id, ()), part)
    return found


def _claim(row: Row[Any], payload: str, files: tuple[Attachment, ...]) -> Claim:
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
        labels=json.loads(row.labels),
        attachments=files,
        confirms_seen=row.confirms_seen,
    )
