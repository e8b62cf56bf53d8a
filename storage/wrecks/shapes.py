"""Which table a row belongs to, told by its values alone.

The pages that would say so may be the damaged ones. Every table of the outbox has a shape of
its own (a test holds that), and what a row means follows from storage/schema.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Text

from storage.schema import metadata
from storage.wrecks.raw import Cell, Values

ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
NAMES = {"id", "entry_id"}  # columns that hold the id of an entry
# Columns that came after the first revision: rows written before have no value for them.
ADDED = {
    "stamped",
    "raw_created_at",
    "raw_accepted_at",
    "crc",
    "lost",
    "urgency",
    "resolved",
    "compared",
    "superseded",
    "same",
    "differs",
    "not_verified",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One table's columns, and how many of them an older row has."""

    table: str
    columns: tuple[Column[Any], ...]
    least: int
    defaults: Mapping[str, Any]  # worked out once: a million rows ask for them
    rowid: str | None  # the column that SQLite keeps apart from the row

    def fits(self, values: Values) -> bool:
        """Can these be the values of a row of this table?"""
        if not self.least <= len(values) <= len(self.columns):
            return False
        return all(map(_fits, self.columns, values))

    def row(self, cell: Cell) -> dict[str, Any]:
        """The row by the names of its columns; those added since have their defaults."""
        row = dict(self.defaults)
        row.update(zip(self.defaults, cell.values, strict=False))
        if self.rowid is not None:
            row[self.rowid] = cell.rowid
        return row


def shape_of(cell: Cell) -> str | None:
    """The table that a row belongs to; None: none of ours."""
    return next((name for name, one in SHAPES.items() if one.fits(cell.values)), None)


def _fits(column: Column[Any], value: object) -> bool:
    if _is_rowid(column):
        return value is None
    if value is None:
        return bool(column.nullable)
    if not isinstance(column.type, Text):
        return isinstance(value, int)
    if not isinstance(value, str):
        return False
    return column.name not in NAMES or column.table.name == "audit" or bool(ULID.fullmatch(value))


def _is_rowid(column: Column[Any]) -> bool:
    """SQLite keeps it apart from the row."""
    return bool(column.primary_key) and column.autoincrement is True


def _default(column: Column[Any]) -> Any:
    said: Any = column.server_default
    if said is None:
        return None
    text = str(said.arg)
    return int(text) if text.lstrip("-").isdigit() else text.strip("'")


def _shapes() -> Mapping[str, Shape]:
    made = {}
    for name, table in metadata.tables.items():
        columns = tuple(table.columns)
        added = sum(1 for one in columns if one.name in ADDED)
        defaults = {one.name: _default(one) for one in columns}
        rowid = next((one.name for one in columns if _is_rowid(one)), None)
        made[name] = Shape(name, columns, len(columns) - added, defaults, rowid)
    return made


SHAPES = _shapes()
