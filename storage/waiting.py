"""Entries that wait for another one: a reply for the post that it answers.

Promises: an entry waits only for one that was accepted before it, so nothing waits in a circle;
it is claimed only after that one has left the outbox; what it waits for may stay for ever, and
holds up nothing else of its stream meanwhile.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from storage.entry import Entry
from storage.streams import step_aside

_LIVING = text(
    """
    SELECT id, seq, stream, state FROM entry
    WHERE backend = :backend AND (id = :name OR (kind = :kind AND key = :name))
    ORDER BY CASE WHEN id = :name THEN 0 ELSE 1 END LIMIT 1
    """
)
_DELIVERED = text(
    """
    SELECT entry_id FROM receipt
    WHERE backend = :backend AND backend_url = :url AND (entry_id = :name
       OR (kind = :kind AND key = :name))
    ORDER BY CASE WHEN entry_id = :name THEN 0 ELSE 1 END LIMIT 1
    """
)
_TIE = text("UPDATE entry SET waits_for = :parent WHERE id = :id")
_SEQ = text("SELECT seq FROM entry WHERE id = :id")
_FOLLOWERS = text("SELECT id FROM entry WHERE waits_for = :id AND state <> 1")

DEAD = 3  # storage.states.State.DEAD, as SQL has it


def tie(connection: Connection, entries: Iterable[Entry], url: str) -> list[Entry]:
    """Tie new entries to what they wait for; return those that wait for nothing we know.

    `Entry.waits_for` is a name so far: an id or a key. From here on the row has the id.
    """
    orphans = []
    for one in entries:
        own = connection.execute(_SEQ, {"id": one.id}).scalar_one()
        living = _living(connection, one)
        if living is not None and living.seq < own:
            connection.execute(_TIE, {"parent": living.id, "id": one.id})
            _make_way(connection, one, living)
        elif (delivered := _delivered(connection, one, url)) is not None:
            connection.execute(_TIE, {"parent": delivered, "id": one.id})
        else:
            orphans.append(one)
    return orphans


def is_known(connection: Connection, one: Entry, url: str) -> bool:
    """Is what `one` waits for here, or was it?"""
    return bool(_living(connection, one) or _delivered(connection, one, url))


def can_tie(connection: Connection, one: Entry, url: str) -> bool:
    """Would `tie` find what this entry, which is here already, is to wait for?"""
    own = connection.execute(_SEQ, {"id": one.id}).scalar_one()
    living = _living(connection, one)
    before = living is not None and living.seq < own
    return before or _delivered(connection, one, url) is not None


def _living(connection: Connection, one: Entry) -> Row[Any] | None:
    return connection.execute(_LIVING, _names(one)).first()


def _delivered(connection: Connection, one: Entry, url: str) -> str | None:
    found: str | None = connection.execute(_DELIVERED, {**_names(one), "url": url}).scalar()
    return found


def _names(one: Entry) -> dict[str, str | None]:
    return {"backend": one.backend, "kind": one.kind, "name": one.waits_for}


def release_followers(connection: Connection, backend: str, parent: str) -> None:
    """What waits for `parent` leaves its stream: that one may stay for ever."""
    ids: Sequence[str] = connection.execute(_FOLLOWERS, {"id": parent}).scalars().all()
    for id_ in ids:
        step_aside(connection, backend, [id_], lane_of(parent))


def lane_of(parent: str) -> str:
    """The stream of the entries that wait for `parent`, apart from all others."""
    return f"behind {parent}"


def _make_way(connection: Connection, one: Entry, parent: Row[Any]) -> None:
    """Only in its parent's own stream does the parent leave before it becomes the head."""
    if one.stream is not None and (parent.state == DEAD or parent.stream != one.stream):
        step_aside(connection, one.backend, [one.id], lane_of(parent.id))
