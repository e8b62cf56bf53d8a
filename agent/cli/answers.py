"""An answer's data as a table: rows and columns of texts, for a terminal and as CSV. Pure.

Rows of OMS (JSON:API) are told by their attributes; what is nested becomes columns with dotted
names. Promises: nothing is left out; a value is written as JSON writes it, text without quotes.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
VALUE = "value"
QUEUED = "queued"


def rows_of(data: Any) -> list[Row]:
    """The rows of an answer's data, each a flat mapping."""
    match data:
        case None:
            return []
        case list():
            return [_row(one) for one in data]
        case dict() if "attributes" in data and "type" in data:
            return [_row(data)]
        case dict() if data and all(isinstance(one, dict) for one in data.values()):
            return [{"": name, **_row(one)} for name, one in data.items()]
        case _:
            return [_row(data)]


def columns_of(rows: Iterable[Row], wanted: Sequence[str] = ()) -> list[str]:
    """All columns: first those that were asked for, as they were, then as the rows have them."""
    present: dict[str, None] = {}
    for row in rows:
        present |= dict.fromkeys(row)
    first = [
        name for one in wanted for name in present if name == one or name.startswith(f"{one}.")
    ]
    named = ["id"] if "id" in present else []
    return list(dict.fromkeys([*named, *first, *present]))


def text_of(value: Any) -> str:
    """One cell. Nothing for null, and for what is not there."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """With a line of names, lines ended as RFC 4180 says."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([name or VALUE for name in columns])
    writer.writerows([text_of(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def _row(one: Any) -> Row:
    if not isinstance(one, dict):
        return {VALUE: one}
    attributes = one.get("attributes")
    if "type" in one and isinstance(attributes, dict):
        made = {"id": one.get("id"), **_flat(attributes)}
        made |= {f"{name}.units": unit for name, unit in _units(one).items()}
        if one.get(QUEUED):
            made[QUEUED] = one[QUEUED]
        return made
    return _flat(one)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Row:
    made: Row = {}
    for name, one in value.items():
        if isinstance(one, dict) and one:
            made |= _flat(one, f"{prefix}{name}.")
        else:
            made[prefix + name] = one
    return made


def _units(row: Mapping[str, Any]) -> dict[str, Any]:
    told = row.get("meta") or {}
    of_row = told.get("row") if isinstance(told, dict) else None
    if not isinstance(of_row, dict):
        return {}
    units = {name: one.get("units") for name, one in of_row.items() if isinstance(one, dict)}
    return {name: unit for name, unit in units.items() if unit}


def with_units_in_names(rows: Sequence[Row]) -> list[Row]:
    """For people: a unit that all rows share stands behind the column's name."""
    columns = columns_of(rows)
    shared: dict[str, str] = {}
    for column in columns:
        name = column.removesuffix(".units")
        if name == column or name not in columns:
            continue
        units = {row.get(column) for row in rows}
        if len(units) == 1 and None not in units:
            shared[name] = str(units.pop())
    dropped = {f"{name}.units" for name in shared}
    return [
        {
            f"{name} [{shared[name]}]" if name in shared else name: value
            for name, value in row.items()
            if name not in dropped
        }
        for row in rows
    ]
