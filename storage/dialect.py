"""What SQLite and PostgreSQL spell differently. Nothing else in storage names a dialect.

A site hub runs the same verbs on PostgreSQL; an agent per host runs them on SQLite.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_new(connection: Connection, table: Table, conflict: Iterable[str]) -> Any:
    """An INSERT that passes over rows whose `conflict` columns are taken."""
    statement: Any = INSERTS[connection.dialect.name](table)
    return statement.on_conflict_do_nothing(index_elements=list(conflict))


def upsert(connection: Connection, table: Table, conflict: Iterable[str]) -> Any:
    """An INSERT that overwrites the row whose `conflict` columns are taken."""
    keys = list(conflict)
    statement: Any = INSERTS[connection.dialect.name](table)
    fresh = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and not column.primary_key
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=fresh)
