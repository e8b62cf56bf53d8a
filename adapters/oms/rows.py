"""Rows of OMS: values in them, the asked part of them, their order, and comparing two. Pure.

A row is `{"id","type","attributes","links"?,"meta":{"row":{attribute:{"units"}}}}`, as OMS gives
it (protocols sheet of OMS, section 3). Units are told per row and stay with it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import isclose
from typing import Any

from adapters.oms.forms import IDENTIFIED, NEXT_ROW
from adapters.oms.query import Query
from adapters.oms.resources import resource_of
from adapters.oms.values import time_of
from adapters.reading import NotKept

Row = dict[str, Any]

SHOWN = ("id", "type", "links")  # beside the attributes, of a row whose fields were named
NONE: Mapping[str, Any] = {}

ALIKE = 1e-6  # relative; sums of luminosity are told with other last digits years later


def by_id(query: Query) -> tuple[str, ...]:
    """The attributes that a row's id tells."""
    return () if query.group else IDENTIFIED.get(query.resource, ())


def has(query: Query, row: Row, attribute: str) -> bool:
    """Does the row tell the attribute, null or not?"""
    return attribute in _attributes(row) or _told_by_id(query, row, attribute) is not None


def value(query: Query, row: Row, attribute: str) -> Any:
    """The value of a row's attribute. Raises NotKept when the row does not hold it."""
    attributes = _attributes(row)
    if attribute in attributes:
        return attributes[attribute]
    told = _told_by_id(query, row, attribute)
    if told is None:
        raise NotKept(f"a kept row does not hold {attribute}")
    return told


def _attributes(row: Row) -> Mapping[str, Any]:
    return _dict(row.get("attributes"))


def _dict(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else NONE


def _told_by_id(query: Query, row: Row, attribute: str) -> int | None:
    names = by_id(query)
    if attribute not in names:
        return None
    parts = str(row.get("id", "")).split("_")
    if len(parts) != len(names) or not all(part.isdecimal() for part in parts):
        return None
    return int(parts[names.index(attribute)])


def whole(query: Query, row: Row, attribute: str) -> int | None:
    """A whole number in a row, None where it holds none."""
    given = value(query, row, attribute) if has(query, row, attribute) else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def check_holds(row: Row, fields: Collection[str]) -> None:
    """Raises NotKept when a field is not in the row."""
    if absent := sorted(set(fields) - _attributes(row).keys()):
        raise NotKept(f"a kept row does not hold {', '.join(absent)}")


def projected(row: Row, fields: Sequence[str]) -> dict[str, Any]:
    """The asked part of a row, in the order of `fields`. Raises NotKept when one is not in it."""
    if not fields:
        return dict(row)
    check_holds(row, fields)
    attributes, units = _attributes(row), _units(row)
    made = {name: row[name] for name in SHOWN if name in row}
    made["attributes"] = {name: attributes[name] for name in fields}
    if told := {name: units[name] for name in fields if name in units}:
        made["meta"] = {"row": told}
    return made


def _units(row: Row) -> Mapping[str, Any]:
    meta = row.get("meta")
    return _dict(meta.get("row")) if isinstance(meta, dict) else NONE


def in_order(query: Query, rows: Sequence[Row]) -> list[Row]:
    """As asked, else as the resource orders its rows, as far as they tell. Raises NotKept.

    Nulls are last, also where the order descends; what is equal stays as it was.
    """
    made = list(rows)
    for name in reversed(_natural(query, rows)):
        made = _sorted(query, made, name)
    for name in reversed(query.sort):
        made = _sorted(query, made, name)
    return made


def _natural(query: Query, rows: Sequence[Row]) -> list[str]:
    names: list[str] = []
    for name in resource_of(query.resource).order:
        if not all(has(query, row, name) for row in rows):
            break  # ordering by a later one would mix what the first keeps apart
        names.append(name)
    return names


def _sorted(query: Query, rows: Sequence[Row], name: str) -> list[Row]:
    by = name.removeprefix("-")
    valued = [row for row in rows if value(query, row, by) is not None]
    nulls = [row for row in rows if value(query, row, by) is None]
    return [*sorted(valued, key=_rank(query, by), reverse=name.startswith("-")), *nulls]


def _rank(query: Query, name: str) -> Callable[[Row], tuple[int, Any]]:
    return lambda row: rank(name, value(query, row, name))


def rank(name: str, given: Any) -> tuple[int, Any]:
    """By what a value is sorted: among its own kind. Raises NotKept where it has parts."""
    match given:
        case bool():
            return 0, given
        case int() | float():
            return 1, given
        case str():
            time = time_of(given)
            return (3, given) if time is None else (2, time)
        case None:
            return 4, 0
        case _:
            raise NotKept(f"{name} has parts: only OMS can sort by it")


def same(one: Row, other: Row) -> bool:
    """Do two rows say the same? Not counting attributes that one of them does not have, the last
    digits of a number, and what depends on the rows beside it.
    """
    mine, theirs = _attributes(one), _attributes(other)
    names = (mine.keys() & theirs.keys()) - {NEXT_ROW}
    return one.get("id") == other.get("id") and all(alike(mine[n], theirs[n]) for n in names)


def alike(one: Any, other: Any) -> bool:
    """Are two values the same, as far as OMS keeps its digits?"""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(alike(one[name], other[name]) for name in one.keys() & other.keys())
    if _is_number(one) and _is_number(other):
        return isclose(one, other, rel_tol=ALIKE)
    return type(one) is type(other) and bool(one == other)


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, in the order of their first coming."""
    return list(dict.fromkeys(texts))
