"""How a claim ends: confirmed, given back, or buried. Also what a start-up reclaims.

Promises: each settlement is guarded by state and token, so a claim is settled once and a
late worker changes no row; a confirm removes the entry and writes its receipt in one
transaction; every end without proof leaves a line in the entry's history.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, text, update

from storage import crash, undelivered
from storage.dialect import storable, upsert
from storage.entry import Claim, Compared, Receipt
from storage.history import remember_error, told, write_attempt
from storage.kept import keep
from storage.schema import attachment, body, entry, receipt, tally
from storage.scopes import note_worked
from storage.settlement import Bury, Confirm, GiveBack, Hold, Settlement, Supersede
from storage.streams import promote, step_aside
from storage.waiting import release_followers

_GIVE_BACK = text(
    """
    UPDATE entry SET
        state = 0, token = NULL, in_doubt = :in_doubt,
        due_at = CASE WHEN :due_at = 0 THEN -urgency ELSE :due_at END,
        attempts = attempts + :counted, tries = tries - :untried, absences = :absences,
        first_sent_at = CASE WHEN :in_doubt = 1 THEN first_sent_at END,
        last_sent_at = CASE
            WHEN :in_doubt = 0 THEN NULL
            WHEN :sent = 1 AND :now > last_sent_at THEN :now
            ELSE last_sent_at END,
        confirms_seen = CASE WHEN :untried = 1 THEN confirms_seen ELSE COALESCE(
            (SELECT delivered FROM tally WHERE tally.backend = entry.backend), 0) END,
        last_error = COALESCE(:last_error, last_error)
    WHERE seq = :seq AND state = 1 AND token = :token
    """
)
_LEAVE = "DELETE FROM entry WHERE seq IN :seqs AND state = 1 AND token = :token RETURNING "
_NARROW = "seq, id, backend, kind, key, stream, scope, digest, labels"
_LEAVE_BARE, _LEAVE_WHOLE = (
    text(_LEAVE + columns).bindparams(bindparam("seqs", expanding=True))
    for columns in (_NARROW, "*")  # the whole row costs, and is wanted only where it is kept
)
_COUNT_DELIVERED = text(
    "INSERT INTO tally (backend, delivered, last_success_at) VALUES (:backend, :number, :now)"
    " ON CONFLICT (backend) DO UPDATE"
    " SET delivered = tally.delivered + :number, last_success_at = :now"
)
DAMAGED = "Damaged"  # the outcome of what the disk has altered
_BURY = text(
    """
    UPDATE entry SET state = 3, token = NULL, last_error = :last_error,
        digest = CASE WHEN :damaged = 1 THEN '' ELSE digest END,
        head = CASE WHEN stream IS NOT NULL AND :stop = 1 THEN head ELSE 0 END
    WHERE seq = :seq AND state = 1 AND token = :token
    RETURNING seq, backend, stream
    """
)


def settle(
    connection: Connection,
    settlements: Sequence[Settlement],
    backend: str,
    url: str,
    *,
    token: str,
    now: int,
) -> list[bool]:
    """Settle claims of one backend, all leased under `token`. False: it was not ours any more."""
    confirms = [one for one in settlements if isinstance(one, Confirm)]
    gone = _confirm(connection, confirms, backend, url, token, now) if confirms else set()
    done: list[bool] = []
    for one in settlements:
        match one:
            case Confirm():
                done.append(one.claim.seq in gone)
            case GiveBack():
                done.append(_give_back(connection, one, backend, token, now))
            case Bury():
                done.append(_bury(connection, one, backend, token, now))
            case Hold():
                done.append(undelivered.hold(connection, one, backend, token, now))
            case Supersede():
                done.append(undelivered.supersede(connection, one, backend, token, now))
    return done


def _confirm(
    connection: Connection,
    confirms: Sequence[Confirm],
    backend: str,
    url: str,
    token: str,
    now: int,
) -> set[int]:
    """Entries leave, receipts stay; returns the `seq` of those that were still ours."""
    wished = {one.claim.id for one in confirms if one.keep}
    rows = connection.execute(
        _LEAVE_WHOLE if wished else _LEAVE_BARE,
        {"seqs": [one.claim.seq for one in confirms], "token": token},
    ).all()
    if not rows:
        return set()
    crash.point("confirm.left")
    receipts = {one.claim.id: one.receipt for one in confirms}
    connection.execute(
        upsert(connection, receipt, ("backend", "backend_url", "kind", "key")),
        [_receipt_row(row, receipts[row.id], url, now) for row in rows],
    )
    ids = [row.id for row in rows]
    stay = keep(connection, [row for row in rows if row.id in wished], url, now=now)
    bare = [id_ for id_ in ids if id_ not in stay]
    connection.execute(delete(body).where(body.c.id.in_(ids)))
    connection.execute(delete(attachment).where(attachment.c.entry_id.in_(bare)))
    connection.execute(_COUNT_DELIVERED, {"backend": backend, "number": len(rows), "now": now})
    _count_compared(connection, backend, [receipts[row.id].compared for row in rows])
    note_worked(connection, backend, url, [row.scope for row in rows], now=now)
    promote(connection, [(row.backend, row.stream) for row in rows if row.stream is not None])
    crash.point("confirm.written")
    return {row.seq for row in rows}


def _receipt_row(row: Row[Any], held: Receipt, url: str, now: int) -> dict[str, Any]:
    return {
        "entry_id": row.id,
        "backend": row.backend,
        "backend_url": url,
        "kind": row.kind,
        "key": row.key,
        "digest": row.digest,
        "delivered_at": now,
        "remote_id": storable(held.remote_id),
        "url": None if held.url is None else storable(held.url),
        "duplicate": int(held.duplicate),
        "labels": row.labels,
        "compared": held.compared,
    }


def _count_compared(connection: Connection, backend: str, words: Sequence[Compared | None]) -> None:
    """Duplicates by what was found of them, for `status`. The backend's tally is there already."""
    for word, number in Counter(words).items():
        if word is not None:
            column = tally.c[word.replace(" ", "_")]
            connection.execute(
                update(tally).where(tally.c.backend == backend).values({column: column + number})
            )


def _give_back(connection: Connection, one: GiveBack, backend: str, token: str, now: int) -> bool:
    changed = connection.execute(
        _GIVE_BACK,
        {
            "seq": one.claim.seq,
            "token": token,
            "due_at": one.due_at,
            "in_doubt": int(one.in_doubt),
            "counted": int(one.counted),
            "untried": int(one.failure is None),
            "sent": int(one.sent),
            "absences": one.absences,
            "last_error": told(one.failure, now) if one.failure else None,
            "now": now,
        },
    ).rowcount
    if changed and one.failure:
        write_attempt(connection, one.claim.id, one.failure, now)
        remember_error(connection, backend, one.failure, now)
    if changed and one.resolution is not None:
        undelivered.resolve(connection, backend, one.claim.id, one.resolution)
    elif changed and one.aside is not None:
        step_aside(connection, backend, [one.claim.id], one.aside, scope=one.aside)
    crash.point("give_back.written")
    return bool(changed)


def _bury(connection: Connection, one: Bury, backend: str, token: str, now: int) -> bool:
    row = connection.execute(
        _BURY,
        {
            "seq": one.claim.seq,
            "token": token,
            "stop": int(one.stop_stream),
            "last_error": told(one.failure, now),
            # Without a digest, what is handed in again under its key replaces it.
            "damaged": int(one.failure.outcome == DAMAGED),
        },
    ).one_or_none()
    if row is None:
        return False
    write_attempt(connection, one.claim.id, one.failure, now)
    remember_error(connection, backend, one.failure, now)
    if row.stream is not None and not one.stop_stream:
        # What waits for this one must not hold up what is behind it.
        release_followers(connection, backend, one.claim.id)
        promote(connection, [(row.backend, row.stream)])
    crash.point("bury.written")
    return True


def leaves_nothing(ended: Settlement) -> bool:
    """Are the files of this entry of no use to anybody any more?"""
    return isinstance(ended, Supersede) or (isinstance(ended, Confirm) and not ended.keep)


def pass_points(ended: Sequence[Settlement]) -> None:
    """These settlements are durable."""
    for one in ended:
        match one:
            case Confirm():
                crash.point("confirm.committed")
            case GiveBack():
                crash.point("give_back.committed")
            case Bury():
                crash.point("bury.committed")
            case Hold() | Supersede():
                pass


def note_send(
    connection: Connection, claims: Sequence[Claim], *, token: str, now: int
) -> list[bool]:
    """An entry in doubt is about to be sent again: its window ends later, its absences are void."""
    changed = [
        connection.execute(
            update(entry)
            .where(entry.c.seq == one.seq, entry.c.state == 1, entry.c.token == token)
            .values(last_sent_at=now, absences=0)
        ).rowcount
        for one in claims
    ]
    return [bool(count) for count in changed]


def reclaim(connection: Connection, *, now: int) -> int:
    """At start, under the instance lock: what an earlier life had claimed may have been sent.

    Returns how many entries came back, in doubt.
    """
    statement = text(
        "UPDATE entry SET state = 0, token = NULL, in_doubt = 1, due_at = -urgency,"
        " first_sent_at = COALESCE(first_sent_at, :now),"
        " last_sent_at = COALESCE(last_sent_at, :now)"
        " WHERE state = 1"
    )
    reclaimed = connection.execute(statement, {"now": now}).rowcount
    crash.point("reclaim.written")
    return reclaimed
