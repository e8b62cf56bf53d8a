"""What operators and the clock do to entries that are not in flight.

Promises: an entry that is on the wire is left alone; each operator's move leaves an audit row
that says who and why; a hold changes nothing but the state, so that a release gives back what
was there: the mark "in doubt", the attempts, the place in its stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, text

from storage import crash
from storage.dialect import in_chunks
from storage.history import attempt_row, told
from storage.removal import forget, revive
from storage.schema import attempt, audit, entry
from storage.settlement import Failure
from storage.states import MOVES, State
from storage.streams import promote

EXPIRED = Failure("Expired", "entry", "expires_at is past")
EXPIRY_CHUNK = 5000  # entries in one transaction, so that accepts do not wait behind a clean-up

_DUE_NOW = text("UPDATE entry SET due_at = -urgency WHERE id IN :ids AND state = 0").bindparams(
    bindparam("ids", expanding=True)
)
# A held head stays the head: what is behind it in its stream waits with it.
_SET_STATE = {
    verb: text(
        f"UPDATE entry SET state = {MOVES[verb].target:d} WHERE id IN :ids"  # noqa: S608 - numbers
        f" AND state = {MOVES[verb].sources[0]:d} RETURNING id"
    ).bindparams(bindparam("ids", expanding=True))
    for verb in ("hold", "release")
}
_EXPIRE = text(
    "UPDATE entry SET state = 3, head = 0, last_error = :told WHERE seq IN ("
    "  SELECT seq FROM entry WHERE expires_at IS NOT NULL AND expires_at <= :now"
    "  AND state <> 3 AND state <> 1 LIMIT :limit)"
    " RETURNING id, backend, stream"
)


_EXPIRED = text(
    "SELECT id, backend FROM entry WHERE state = 3 AND expires_at > :now AND last_error LIKE :mark"
)


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as a verb came upon it. `size`: the bytes that it occupies."""

    backend: str
    state: State
    size: int


def look_up(connection: Connection, ids: Sequence[str]) -> dict[str, Found]:
    """Each id that the outbox holds."""
    found: dict[str, Found] = {}
    for some in in_chunks(ids):
        query = select(entry.c.id, entry.c.backend, entry.c.state, entry.c.size).where(
            entry.c.id.in_(some)
        )
        for row in connection.execute(query):
            found[row.id] = Found(row.backend, State(row.state), row.size)
    return found


def retry(
    connection: Connection, ids: Sequence[str], *, now: int, who: str, due_at: int = 0
) -> dict[str, Found]:
    """Dead letters wait again, from `due_at` on; waiting entries become due now.

    Each id that the outbox holds, as it was found; it moved if its state is one that `MOVES`
    allows the verb.
    """
    found = look_up(connection, ids)
    dead = [id_ for id_, one in found.items() if one.state is State.DEAD]
    waiting = [id_ for id_, one in found.items() if one.state is State.PENDING]
    for some in in_chunks(dead):
        revive(connection, some, due_at=due_at)
    for some in in_chunks(waiting):
        connection.execute(_DUE_NOW, {"ids": list(some)})
    _write_audit(connection, "retry", [*dead, *waiting], found, now=now, who=who)
    return found


def discard(connection: Connection, ids: Sequence[str], *, now: int, who: str) -> dict[str, Found]:
    """Delete entries for good, with an audit row each. Results as for `retry`."""
    found = look_up(connection, ids)
    going = [id_ for id_, one in found.items() if MOVES["discard"].allows(one.state)]
    for some in in_chunks(going):
        forget(connection, some, at=now, who=who, detail="by an operator")
    return found


def hold(
    connection: Connection, ids: Sequence[str], *, now: int, who: str, reason: str = ""
) -> dict[str, Found]:
    """Waiting entries wait for an operator from now on. Results as for `retry`."""
    found = _set_state(connection, "hold", ids, now=now, who=who, reason=reason)
    crash.point("hold.written")
    return found


def release(
    connection: Connection, ids: Sequence[str], *, now: int, who: str, reason: str = ""
) -> dict[str, Found]:
    """What was held waits for delivery again, as it did before. Results as for `retry`."""
    found = _set_state(connection, "release", ids, now=now, who=who, reason=reason)
    crash.point("release.written")
    return found


def _set_state(
    connection: Connection, verb: str, ids: Sequence[str], *, now: int, who: str, reason: str
) -> dict[str, Found]:
    found = look_up(connection, ids)
    moved: list[str] = []
    for some in in_chunks(list(found)):
        moved += connection.execute(_SET_STATE[verb], {"ids": list(some)}).scalars()
    _write_audit(connection, verb, moved, found, now=now, who=who, detail=reason)
    return found


def expire(connection: Connection, *, now: int) -> list[tuple[str, str]]:
    """Entries past their `expires_at` become dead letters, EXPIRY_CHUNK of them at most.

    Returns (id, backend) of each.
    """
    values = {"now": now, "told": told(EXPIRED, now), "limit": EXPIRY_CHUNK}
    rows = connection.execute(_EXPIRE, values).all()
    promote(connection, [(row.backend, row.stream) for row in rows if row.stream is not None])
    if rows:
        connection.execute(insert(attempt), [attempt_row(row.id, EXPIRED, now) for row in rows])
    return [(row.id, row.backend) for row in rows]


def clamp_due(connection: Connection, *, backend: str, now: int, horizon: int) -> int:
    """Entries due after `horizon` become due at `now`; returns how many."""
    return connection.execute(
        text(
            "UPDATE entry SET due_at = :now"
            " WHERE backend = :backend AND state = 0 AND head = 1 AND due_at > :horizon"
        ),
        {"backend": backend, "now": now, "horizon": horizon},
    ).rowcount


def shift_due(connection: Connection, *, backend: str, by: int) -> None:
    """The wall clock was set by so many ms: waiting heads keep their distance from now."""
    connection.execute(
        text(
            "UPDATE entry SET due_at = CASE WHEN due_at + :by > 1 THEN due_at + :by ELSE 1 END"
            " WHERE backend = :backend AND state = 0 AND head = 1 AND due_at > 0"
        ),
        {"backend": backend, "by": by},
    )


def unexpire(connection: Connection, *, now: int) -> list[tuple[str, str]]:
    """What expired by a clock that was ahead waits again. Returns (id, backend) of each."""
    rows = connection.execute(_EXPIRED, {"now": now, "mark": f'%"{EXPIRED.outcome}"%'}).all()
    for some in in_chunks([row.id for row in rows]):
        revive(connection, some)
    return [(row.id, row.backend) for row in rows]


def _write_audit(
    connection: Connection,
    verb: str,
    ids: Sequence[str],
    found: Mapping[str, Found],
    *,
    now: int,
    who: str,
    detail: str = "",
) -> None:
    """One row per entry: who did what, when, and why."""
    rows = [
        {
            "at": now,
            "verb": verb,
            "entry_id": id_,
            "backend": found[id_].backend,
            "who": who,
            "detail": detail,
        }
        for id_ in ids
    ]
    if rows:
        connection.execute(insert(audit), rows)
