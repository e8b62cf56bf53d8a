"""Scopes: the parts of a backend that can refuse, or be unknown, by themselves.

A scope "a/b" is a part of the scope "a": it rests when that does. Promises: which scopes have
ever taken an entry is remembered as long as receipts are, and belongs to (backend, url).
"""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from storage.dialect import upsert
from storage.schema import worked

SEPARATOR = "/"


def outer(scope: str) -> str:
    """The scope that `scope` is a part of; itself when it is no part."""
    return scope.partition(SEPARATOR)[0]


def covers(scope: str, part: str) -> bool:
    """Does `part` rest when `scope` does?"""
    return part == scope or part.startswith(scope + SEPARATOR)


def covering(part: str | None, scopes: Iterable[str]) -> set[str]:
    """Those of `scopes` that `part` is, or belongs to."""
    return set() if part is None else {part, outer(part)}.intersection(scopes)


def note_worked(
    connection: Connection, backend: str, url: str, scopes: Iterable[str | None], *, now: int
) -> None:
    """Entries of these scopes have been confirmed."""
    named = {one for one in scopes if one is not None}
    rows = [
        {"backend": backend, "backend_url": url, "scope": one, "last_at": now}
        for one in sorted(named | {outer(one) for one in named})
    ]
    if rows:
        connection.execute(upsert(connection, worked, ("backend", "backend_url", "scope")), rows)


def have_worked(connection: Connection, backend: str, url: str, scopes: Iterable[str]) -> set[str]:
    """Those of `scopes` that have taken an entry of ours."""
    query = select(worked.c.scope).where(
        worked.c.backend == backend, worked.c.backend_url == url, worked.c.scope.in_(set(scopes))
    )
    return set(connection.execute(query).scalars())


def forget_worked(connection: Connection, *, before: int) -> None:
    """Scopes that have taken nothing since are as new."""
    connection.execute(delete(worked).where(worked.c.last_at < before))
