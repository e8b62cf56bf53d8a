"""Find a page of rows without walking the whole table: the same at a million entries as at ten.

Promises: every look goes along an index in its own order, whatever is asked for; no page
takes more memory than the page.
"""

import heapq
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, select, tuple_

from storage.dialect import in_chunks
from storage.schema import entry, label, receipt
from storage.states import State

RARE = 5000  # labelled rows that are rather fetched one by one than met on a walk

Labels = Mapping[str, str]


def entry_page(
    connection: Connection,
    *,
    backend: str | None,
    state: State | None,
    labels: Labels,
    limit: int,
    after: int,
) -> list[Row[Any]]:
    """The first `limit` entries behind `after`, in order of `seq`."""
    ids = _rare(connection, labels)
    if ids is not None:
        rows = _entries_of(connection, ids)
        fits = [
            row
            for row in rows
            if row.seq > after
            and backend in (None, row.backend)
            and (state is None or row.state == state)
        ]
        return sorted(fits, key=attrgetter("seq"))[:limit]
    runs = [
        connection.execute(_labelled(query, entry.c.id, labels).limit(limit))
        for query in entry_queries(connection, backend, state, after)
    ]
    return list(islice(heapq.merge(*runs, key=attrgetter("seq")), limit))


def entry_queries(
    connection: Connection, backend: str | None, state: State | None, after: int
) -> list[Select[Any]]:
    """Selects that together are what is asked for, each in order of `seq` along an index."""
    query = select(entry).where(entry.c.seq > after).order_by(entry.c.seq)
    if backend is None and state is None:
        return [query]
    names = [backend] if backend is not None else _backends(connection)
    states = [state] if state is not None else list(State)
    return [
        query.where(entry.c.backend == name, entry.c.state == int(one))
        for name in names
        for one in states
    ]


def receipt_page(
    connection: Connection,
    *,
    backend: str | None,
    key: str | None,
    labels: Labels,
    limit: int,
    after: int,
) -> list[Row[Any]]:
    """The first `limit` receipts behind `after`, oldest first."""
    query = select(receipt)
    if backend is not None:
        query = query.where(receipt.c.backend == backend)
    ids = _rare(connection, labels)
    if ids is None and key is None:
        query = query.where(receipt.c.number > after).order_by(receipt.c.number).limit(limit)
        return list(connection.execute(_labelled(query, receipt.c.entry_id, labels)))
    if ids is not None:
        parts = [query.where(receipt.c.entry_id.in_(some)) for some in in_chunks(ids)]
    else:
        doors = _doors(connection)
        parts = [_labelled(query.where(door), receipt.c.entry_id, labels) for door in doors]
    rows = [
        row
        for part in parts
        for row in connection.execute(part if key is None else part.where(receipt.c.key == key))
        if row.number > after
    ]
    return sorted(rows, key=attrgetter("number"))[:limit]


def _rare(connection: Connection, labels: Labels) -> list[str] | None:
    """The ids that bear all the labels, if they are few; None: they are many, or not asked for."""
    for name, value in labels.items():
        bearing = select(label.c.entry_id).where(label.c.name == name, label.c.value == value)
        found = list(connection.execute(bearing.limit(RARE + 1)).scalars())
        if len(found) <= RARE:
            others = {one: other for one, other in labels.items() if one != name}
            return _bearing(connection, found, others)
    return None


def _bearing(connection: Connection, ids: Sequence[str], labels: Labels) -> list[str]:
    for name, value in labels.items():
        query = select(label.c.entry_id).where(
            label.c.name == name, label.c.value == value, label.c.entry_id.in_(ids)
        )
        ids = list(connection.execute(query).scalars())
    return list(ids)


def _entries_of(connection: Connection, ids: Sequence[str]) -> list[Row[Any]]:
    return [
        row
        for some in in_chunks(ids)
        for row in connection.execute(select(entry).where(entry.c.id.in_(some)))
    ]


def _labelled(query: Select[Any], id_column: Any, labels: Labels) -> Select[Any]:
    for name, value in labels.items():
        match = select(label.c.entry_id).where(label.c.name == name, label.c.value == value)
        query = query.where(id_column.in_(match))
    return query


def _backends(connection: Connection) -> list[str]:
    """The backends that have entries, by leaps along an index."""
    names: list[str] = []
    while True:
        query = select(entry.c.backend).order_by(entry.c.backend).limit(1)
        if names:
            query = query.where(entry.c.backend > names[-1])
        found = connection.execute(query).scalar()
        if found is None:
            return names
        names.append(found)


def _doors(connection: Connection) -> list[Any]:
    """Conditions that fix everything before `key` in the index of receipts' keys."""
    columns = tuple_(receipt.c.backend, receipt.c.backend_url, receipt.c.kind)
    doors: list[Any] = []
    last: Any = None
    while True:
        query = select(receipt.c.backend, receipt.c.backend_url, receipt.c.kind)
        query = query.order_by(receipt.c.backend, receipt.c.backend_url, receipt.c.kind).limit(1)
        if last is not None:
            query = query.where(columns > tuple(last))
        last = connection.execute(query).first()
        if last is None:
            return doors
        doors.append(
            (receipt.c.backend == last.backend)
            & (receipt.c.backend_url == last.backend_url)
            & (receipt.c.kind == last.kind)
        )
