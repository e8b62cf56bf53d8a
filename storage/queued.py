"""What waits in the outbox of one backend, payloads included, for answers that show it.

Promises: only entries that are still to be delivered (pending, leased or held), in the order in
which they were accepted; an entry whose payload the disk has altered is left out and said so, as
it will not be delivered so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, select

from storage.cached import Queued
from storage.checksum import checksum, read_object
from storage.schema import body, entry
from storage.states import State

PAGE = 500  # entries in one look: a reader must not keep a snapshot open for long
WAITING = (State.PENDING, State.LEASED, State.HELD)


@dataclass(frozen=True, slots=True)
class QueuedPage:
    """Entries in order. `after`: where the next page begins; None: the end.

    `whole`: nothing was left out of it; so an answer made with it can say so.
    """

    entries: Sequence[Queued]
    after: int | None = None
    whole: bool = True


def queued_page(
    connection: Connection,
    *,
    backend: str,
    kinds: Collection[str],
    limit: int = PAGE,
    after: int = 0,
) -> QueuedPage:
    """The next entries behind `after`; fewer than `limit` where some cannot be read."""
    rows: list[Row[Any]] = []
    for state in WAITING:  # each runs along an index in order of seq
        query = (
            select(entry.c.seq, entry.c.id, entry.c.kind, entry.c.key, entry.c.state)
            .add_columns(entry.c.accepted_at, entry.c.created_at, body.c.payload, body.c.crc)
            .join_from(entry, body, body.c.id == entry.c.id, isouter=True)
            .where(entry.c.backend == backend, entry.c.state == int(state), entry.c.seq > after)
            .where(entry.c.kind.in_(kinds))
            .order_by(entry.c.seq)
            .limit(limit)
        )
        rows += connection.execute(query)
    page = sorted(rows, key=attrgetter("seq"))[:limit]
    found = [one for row in page if (one := _queued(row, backend)) is not None]
    end = page[-1].seq if len(page) == limit else None
    return QueuedPage(found, end, whole=len(found) == len(page))


def queued_in(
    connection: Connection, *, backend: str, kinds: Collection[str], limit: int
) -> QueuedPage:
    """The first `limit` entries in one snapshot: for when nobody writes."""
    entries: list[Queued] = []
    page = QueuedPage([], 0)
    whole = True
    while page.after is not None and len(entries) < limit:
        some = min(PAGE, limit - len(entries))
        page = queued_page(connection, backend=backend, kinds=kinds, limit=some, after=page.after)
        entries += page.entries
        whole = whole and page.whole
    return QueuedPage(entries, page.after, whole)


def _queued(row: Row[Any], backend: str) -> Queued | None:
    text = row.payload
    if text is None:
        return None
    if row.crc is not None and row.crc != checksum(row.id, backend, row.kind, row.key, text):
        return None
    payload = read_object(text)
    return Queued(
        row.id,
        row.kind,
        payload,
        State(row.state).name.lower(),
        row.accepted_at,
        row.created_at,
    )
