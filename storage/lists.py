"""What the outbox holds, for people and scripts: pages of entries, one entry whole, receipts.

All results are plain JSON objects in the shapes of the outside contract (docs/socket.md).
Times go out as ISO 8601, UTC.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, literal_column, select

from storage.checksum import read_object
from storage.dialect import in_chunks, storable
from storage.kept import are_kept
from storage.loss import loss_of, loss_page
from storage.pages import entry_page, receipt_page
from storage.schema import attachment, attempt, audit, body, entry, receipt
from storage.states import State
from storage.undelivered import LEFT_UNDELIVERED

PAGE = 1000  # entries in one page at most: readers must not keep a snapshot open for long


def iso(ms: int | None) -> str | None:
    """Epoch milliseconds as ISO 8601 with milliseconds and Z."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def list_entries(
    connection: Connection,
    *,
    backend: str | None = None,
    state: State | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int = 100,
    after: int = 0,
) -> tuple[list[dict[str, Any]], int | None]:
    """A page of entries in order of `seq`, and the `after` of the next page (None: the end)."""
    limit = max(1, min(limit, PAGE))
    rows = entry_page(
        connection, backend=backend, state=state, labels=labels or {}, limit=limit + 1, after=after
    )
    page = [describe(row) for row in rows[:limit]]
    return page, rows[limit - 1].seq if len(rows) > limit else None


def describe(row: Row[Any]) -> dict[str, Any]:
    """An entry row as the contract's E."""
    return {
        "id": row.id,
        "seq": row.seq,
        "backend": row.backend,
        "kind": row.kind,
        "key": row.key,
        "stream": row.stream,
        "labels": read_object(row.labels),
        "state": State(row.state).name.lower(),
        "in_doubt": bool(row.in_doubt),
        "accepted_at": iso(row.accepted_at),
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "producer": read_object(row.producer),
        "size": row.size,
        "attempts": row.attempts,
        "not_before": iso(row.due_at) if row.due_at > 0 else None,
        "waits_for": row.waits_for,
        "last_error": _error(row.last_error),
    }


def _error(told: str | None) -> dict[str, Any] | None:
    if told is None:
        return None
    error = read_object(told)
    return {**error, "at": iso(error.get("at"))}


def _json(text: str | None) -> Any:
    """None where the disk has lost or altered it."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def show_entry(connection: Connection, id_: str) -> dict[str, Any] | None:
    """Everything about one entry: waiting, delivered, given up or discarded.

    None: never heard of it.
    """
    row = connection.execute(select(entry).where(entry.c.id == id_)).one_or_none()
    if row is not None:
        payload = connection.execute(select(body.c.payload).where(body.c.id == id_)).scalar()
        return {
            **describe(row),
            "tries": row.tries,
            "clock": _clock(row),
            "scope": row.scope,
            "resolved": _json(row.resolved),
            "behind": _behind(connection, row),
            "waits_for_state": _state_of(connection, row.waits_for),
            "payload": _json(payload),
            "attachments": _attachments(connection, id_),
            "history": _history(connection, id_),
            "operators": _operators(connection, id_),
        }
    held = connection.execute(select(receipt).where(receipt.c.entry_id == id_)).first()
    if held is not None:
        return {
            "id": id_,
            "state": "delivered",
            "backend": held.backend,
            "kind": held.kind,
            "key": held.key,
            "labels": read_object(held.labels),
            "receipt": describe_receipt(held),
            "payload_kept": bool(are_kept(connection, [id_])),
            "history": _history(connection, id_),
            "operators": _operators(connection, id_),
        }
    given_up = loss_of(connection, id_)
    if given_up is not None:
        return {
            "id": id_,
            "state": "lost",
            "backend": given_up["backend"],
            "lost": {"at": iso(given_up["at"]), "reason": given_up["reason"]},
        }
    gone = connection.execute(
        select(audit)
        .where(audit.c.entry_id == id_, audit.c.verb.in_(LEFT_UNDELIVERED))
        .order_by(audit.c.number.desc())
    ).first()
    if gone is None:
        return None
    state = "discarded" if gone.verb == "discard" else "superseded"
    return {
        "id": id_,
        "state": state,
        "backend": gone.backend,
        state: {"at": iso(gone.at), "who": gone.who, "detail": gone.detail},
        "operators": _operators(connection, id_),
    }


def _clock(row: Row[Any]) -> dict[str, Any]:
    """Was the host's clock to be trusted, and what it showed where it was set right since."""
    return {
        "synchronised": bool(row.synchronised),
        "raw_accepted_at": iso(row.raw_accepted_at),
        "raw_created_at": iso(row.raw_created_at),
    }


def _behind(connection: Connection, row: Row[Any]) -> dict[str, Any] | None:
    """The entry that has to leave its stream before this one; None: it is this one's turn."""
    if row.head or row.stream is None:
        return None
    query = select(entry.c.id, entry.c.state).where(
        entry.c.backend == row.backend,
        entry.c.stream == row.stream,
        entry.c.stream.is_not(None),
        entry.c.head == literal_column("1"),
    )
    head = connection.execute(query).first()
    return None if head is None else {"id": head.id, "state": State(head.state).name.lower()}


def _state_of(connection: Connection, id_: str | None) -> str | None:
    """The state of an entry that the outbox holds; None: it holds none of this id."""
    if id_ is None:
        return None
    state = connection.execute(select(entry.c.state).where(entry.c.id == id_)).scalar()
    return None if state is None else State(state).name.lower()


def _operators(connection: Connection, id_: str) -> list[dict[str, Any]]:
    """What operators did to the entry, oldest first."""
    query = select(audit).where(audit.c.entry_id == id_).order_by(audit.c.number)
    return [
        {"at": iso(row.at), "verb": row.verb, "who": row.who, "detail": row.detail}
        for row in connection.execute(query)
    ]


def _attachments(connection: Connection, id_: str) -> list[dict[str, Any]]:
    query = select(attachment).where(attachment.c.entry_id == id_).order_by(attachment.c.position)
    return [
        {
            "name": row.name,
            "media_type": row.media_type,
            "description": row.description,
            "size": row.size,
            "sha256": row.sha256,
        }
        for row in connection.execute(query)
    ]


def _history(connection: Connection, id_: str) -> list[dict[str, Any]]:
    query = select(attempt).where(attempt.c.entry_id == id_).order_by(attempt.c.number)
    return [
        {
            "first_at": iso(row.first_at),
            "last_at": iso(row.last_at),
            "times": row.times,
            "class": row.outcome,
            "side": row.side,
            "detail": row.detail,
            "status": row.status,
            "excerpt": row.excerpt,
        }
        for row in connection.execute(query)
    ]


def list_receipts(
    connection: Connection,
    *,
    backend: str | None = None,
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int = 100,
    after: int = 0,
) -> tuple[list[dict[str, Any]], int | None]:
    """A page of receipts, oldest first, and the `after` of the next page (None: the end)."""
    limit = max(1, min(limit, PAGE))
    rows = receipt_page(
        connection, backend=backend, key=key, labels=labels or {}, limit=limit + 1, after=after
    )
    page = [describe_receipt(row) for row in rows[:limit]]
    return page, rows[limit - 1].number if len(rows) > limit else None


def list_losses(
    connection: Connection, *, backend: str | None = None, limit: int = 100, after: int = 0
) -> tuple[list[dict[str, Any]], int | None]:
    """A page of the loss ledger, oldest first, and the `after` of the next page (None: the end)."""
    limit = max(1, min(limit, PAGE))
    rows = loss_page(connection, backend=backend, limit=limit + 1, after=after)
    page = [
        {
            "id": row.entry_id,
            "backend": row.backend,
            "kind": row.kind,
            "key": row.key,
            "labels": read_object(row.labels),
            "created_at": iso(row.created_at),
            "size": row.size,
            "lost_at": iso(row.at),
            "reason": row.reason,
        }
        for row in rows[:limit]
    ]
    return page, rows[limit - 1].number if len(rows) > limit else None


def describe_receipt(row: Row[Any]) -> dict[str, Any]:
    """A receipt row as the contract's Receipt."""
    return {
        "entry_id": row.entry_id,
        "backend": row.backend,
        "kind": row.kind,
        "key": row.key,
        "labels": read_object(row.labels),
        "remote_id": row.remote_id,
        "url": row.url,
        "delivered_at": iso(row.delivered_at),
        "sha256": row.digest,
        "duplicate": row.compared or bool(row.duplicate),
    }


def holds_receipt(
    connection: Connection, backend: str, url: str, remote_ids: list[str]
) -> set[str]:
    """Which of `remote_ids` a receipt of this backend holds already."""
    # A receipt keeps a remote id in the form that the database takes.
    asked = {storable(one): one for one in remote_ids}
    held: set[str] = set()
    for some in in_chunks(list(asked)):
        query = select(receipt.c.remote_id).where(
            receipt.c.backend == backend,
            receipt.c.backend_url == url,
            receipt.c.remote_id.in_(some),
        )
        held.update(asked[one] for one in connection.execute(query).scalars())
    return held
