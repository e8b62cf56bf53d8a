"""What operators and the clock do to entries that are not in flight: retry, discard, expire."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, select, text

from storage.accept import forget, revive
from storage.schema import attempt, audit, entry
from storage.states import MOVES, State
from storage.streams import promote


def retry(connection: Connection, ids: Sequence[str], *, now: int, who: str) -> list[State | None]:
    """Dead letters wait again; waiting entries become due now.

    For each id the state it was found in, None when the outbox does not hold it; it moved if
    that state is one that `MOVES` allows the verb.
    """
    states = states_of(connection, ids)
    dead = [id_ for id_ in ids if states.get(id_) is State.DEAD]
    waiting = [id_ for id_ in ids if states.get(id_) is State.PENDING]
    if dead:
        revive(connection, dead)
    if waiting:
        connection.execute(
            text("UPDATE entry SET due_at = 0 WHERE id IN :ids AND state = 0").bindparams(
                bindparam("ids", expanding=True)
            ),
            {"ids": waiting},
        )
    write_audit(connection, "retry", [*dead, *waiting], now=now, who=who)
    return [states.get(id_) for id_ in ids]


def discard(
    connection: Connection, ids: Sequence[str], *, now: int, who: str
) -> list[State | None]:
    """Delete entries for good, with an audit row each. Results as for `retry`."""
    states = states_of(connection, ids)
    going = [id_ for id_ in ids if id_ in states and MOVES["discard"].allows(states[id_])]
    if going:
        forget(connection, going, at=now, who=who, detail="by an operator")
    return [states.get(id_) for id_ in ids]


def expire(connection: Connection, *, now: int) -> list[str]:
    """Entries past their `expires_at` become dead letters; returns their ids."""
    told = json.dumps(
        {"at": now, "class": "Expired", "side": "entry", "detail": "expires_at is past"}
    )
    rows = connection.execute(
        text(
            "UPDATE entry SET state = 3, head = 0, last_error = :told"
            " WHERE expires_at IS NOT NULL AND expires_at <= :now AND state IN (0, 2)"
            " RETURNING id, backend, stream"
        ),
        {"now": now, "told": told},
    ).all()
    promote(connection, [(row.backend, row.stream) for row in rows if row.stream is not None])
    if rows:
        connection.execute(
            insert(attempt),
            [
                {
                    "entry_id": row.id,
                    "first_at": now,
                    "last_at": now,
                    "times": 1,
                    "outcome": "Expired",
                    "side": "entry",
                    "detail": "expires_at is past",
                }
                for row in rows
            ],
        )
    return [row.id for row in rows]


def clamp_due(connection: Connection, *, backend: str, now: int, horizon: int) -> int:
    """Entries due after `horizon` become due at `now`; returns how many."""
    return connection.execute(
        text(
            "UPDATE entry SET due_at = :now"
            " WHERE backend = :backend AND state = 0 AND head = 1 AND due_at > :horizon"
        ),
        {"backend": backend, "now": now, "horizon": horizon},
    ).rowcount


def states_of(connection: Connection, ids: Sequence[str]) -> dict[str, State]:
    """The present state of each id that the outbox holds."""
    query = select(entry.c.id, entry.c.state).where(entry.c.id.in_(list(ids)))
    return {row.id: State(row.state) for row in connection.execute(query)}


def write_audit(
    connection: Connection, verb: str, ids: Sequence[str], *, now: int, who: str
) -> None:
    """One row per entry: who did what, when."""
    if not ids:
        return
    named = dict(
        connection.execute(select(entry.c.id, entry.c.backend).where(entry.c.id.in_(ids))).tuples()
    )
    connection.execute(
        insert(audit),
        [
            {
                "at": now,
                "verb": verb,
                "entry_id": id_,
                "backend": named.get(id_, ""),
                "who": who,
                "detail": "",
            }
            for id_ in ids
        ],
    )
