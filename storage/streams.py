"""The head of a stream: kept by every verb that takes an entry out of its place.

Promises: each stream with a live entry has exactly one head after `promote`, the earliest
one, unless a dead letter that stops its stream still sits there.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, TextClause, bindparam, text

Stream = tuple[str, str]  # backend, stream

_PROMOTE = text(
    """
    UPDATE entry SET head = 1
    WHERE seq = (
        SELECT e.seq FROM entry AS e
        WHERE e.backend = :backend AND e.stream = :stream AND e.stream IS NOT NULL AND e.state <> 3
        ORDER BY e.backend, e.stream, e.seq LIMIT 1
    ) AND NOT EXISTS (
        SELECT 1 FROM entry AS h
        WHERE h.backend = :backend AND h.stream = :stream AND h.stream IS NOT NULL AND h.head = 1
    )
    """
)

# A head that is on the wire keeps its turn, and a dead letter that stops its stream keeps
# stopping it; every other head makes room for an earlier entry.
_DEMOTE = text(
    """
    UPDATE entry SET head = 0
    WHERE backend = :backend AND stream = :stream AND stream IS NOT NULL
      AND head = 1 AND state <> 1 AND state <> 3
    """
)


_STREAMS = text(
    "SELECT DISTINCT stream FROM entry WHERE id IN :ids AND state <> 1 AND stream IS NOT NULL"
).bindparams(bindparam("ids", expanding=True))
_MOVE = text(
    "UPDATE entry SET stream = :stream, scope = COALESCE(:scope, scope), head = 0"
    " WHERE id IN :ids AND state <> 1"
).bindparams(bindparam("ids", expanding=True))


def promote(connection: Connection, streams: Iterable[Stream]) -> None:
    """Give each stream its head, if it has none."""
    _for_each(connection, _PROMOTE, streams)


def demote(connection: Connection, streams: Iterable[Stream]) -> None:
    """Take the head away from each stream whose head waits or is held."""
    _for_each(connection, _DEMOTE, streams)


def step_aside(
    connection: Connection,
    backend: str,
    ids: Sequence[str],
    stream: str,
    *,
    scope: str | None = None,
) -> None:
    """Waiting entries leave their streams for this one, and their scope if one is given.

    Within it they keep the order in which they were accepted.
    """
    left = connection.execute(_STREAMS, {"ids": list(ids)}).scalars().all()
    connection.execute(_MOVE, {"ids": list(ids), "stream": stream, "scope": scope})
    demote(connection, [(backend, stream)])
    promote(connection, [(backend, stream), *((backend, one) for one in left)])


def _for_each(connection: Connection, statement: TextClause, streams: Iterable[Stream]) -> None:
    rows = [{"backend": backend, "stream": stream} for backend, stream in sorted(set(streams))]
    if rows:
        connection.execute(statement, rows)
