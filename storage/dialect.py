"""What SQLite and PostgreSQL spell differently, and the limits that they set.

A site hub runs the same verbs on PostgreSQL; an agent per host runs them on SQLite. Nothing
else in storage names a dialect.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
MANY = 10_000  # values in one IN (...): SQLite takes 32,766 variables in a statement


def in_chunks(values: Sequence[T], size: int = MANY) -> Iterator[Sequence[T]]:
    """`values` in pieces that one statement takes."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def skip_locked(connection: Connection) -> str:
    """What makes a SELECT take its rows, passing over those that another writer has."""
    return "FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""


def before_slash(connection: Connection, column: str) -> str:
    """SQL for what stands before the first "/" of a text column; all of it when there is none."""
    if connection.dialect.name == "postgresql":
        return f"split_part({column}, '/', 1)"
    return f"substr({column}, 1, instr({column} || '/', '/') - 1)"


def storable(text: str) -> str:
    """`text` without the lone surrogates that no database takes: backends do send them."""
    return text.encode(errors="backslashreplace").decode()


def insert_new(dialect: str, table: Table, conflict: Iterable[str]) -> Any:
    """An INSERT that passes over rows whose `conflict` columns are taken."""
    statement: Any = INSERTS[dialect](table)
    return statement.on_conflict_do_nothing(index_elements=list(conflict))


def insert_missing(connection: Connection, table: Table) -> Any:
    """An INSERT that passes over rows of which any unique value is taken."""
    statement: Any = INSERTS[connection.dialect.name](table)
    return statement.on_conflict_do_nothing()


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
