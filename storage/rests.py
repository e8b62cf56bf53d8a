"""Rests of backends and scopes, kept over a restart. Never written into entries."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from storage.dialect import upsert
from storage.entry import Rest
from storage.schema import rest


def write_rest(connection: Connection, one: Rest, url: str) -> None:
    """Remember that a backend, or one of its scopes, rests."""
    statement = upsert(connection, rest, ("backend", "backend_url", "scope"))
    connection.execute(
        statement,
        {
            "backend": one.backend,
            "backend_url": url,
            "scope": one.scope,
            "state": one.state,
            "reason": one.reason,
            "since": one.since,
            "until": one.until,
            "failures": one.failures,
            "mark": one.mark,
        },
    )


def end_rest(connection: Connection, backend: str, url: str, scope: str) -> None:
    """A confirm, or an operator, ended the rest."""
    connection.execute(
        delete(rest).where(
            rest.c.backend == backend, rest.c.backend_url == url, rest.c.scope == scope
        )
    )


def read_rests(connection: Connection, urls: Mapping[str, str]) -> list[Rest]:
    """The rests of the backends as they are configured now; those of other URLs do not count."""
    return [
        Rest(
            row.backend,
            row.scope,
            row.state,
            row.reason,
            row.since,
            row.until,
            row.failures,
            row.mark,
        )
        for row in connection.execute(select(rest).order_by(rest.c.backend, rest.c.scope))
        if urls.get(row.backend) == row.backend_url
    ]
