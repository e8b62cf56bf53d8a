"""The query strings of GET /records (AUDITOR sheet, section 1.4), oddities included.

Brackets must be literal. Unknown fields and operators are refused, but an unknown operator of
`meta` is ignored, and two rivals in one field (gt with gte) drop that filter silently.
"""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from tests.emulators.auditor_records import Record, Unreadable, time

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
KEY = re.compile(r"([a-z_]+)((?:\[[^\[\]]*\])*)")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "equals": operator.eq,
}
SORTABLE = ("start_time", "stop_time", "runtime", "record_id")
Filter = Callable[[Record], bool]


class BadQuery(Exception):
    """Answered with 400 and `{"error": text}`."""


class QueryAborted(Exception):
    """PostgreSQL gave up while reading: the client sees a 200 that ends early."""


@dataclass
class Query:
    """What a query string asks for; `apply` gives the records in the order of the answer."""

    filters: list[Filter] = field(default_factory=list)
    sort_key: str = "stop_time"
    descending: bool = False
    limit: int | None = None

    def apply(self, records: Iterable[Record]) -> list[Record]:
        chosen = [one for one in records if all(keep(one) for keep in self.filters)]
        present = [one for one in chosen if getattr(one, self.sort_key) is not None]
        absent = [one for one in chosen if getattr(one, self.sort_key) is None]
        present.sort(key=lambda one: getattr(one, self.sort_key), reverse=self.descending)
        ordered = absent + present if self.descending else present + absent
        return ordered[: self.limit]


def parse_query(text: str) -> Query:
    """Raises BadQuery for what serde_qs in strict mode refuses."""
    query = Query()
    for name, entries in grouped(text).items():
        match name:
            case "record_id" | "limit":
                add_scalar(query, name, entries)
            case "start_time" | "stop_time" | "runtime":
                add_comparison(query, name, entries)
            case "meta":
                query.filters += [filter_ for path, _ in entries for filter_ in meta(path, entries)]
            case "component":
                query.filters += [component(path, value) for path, value in entries]
            case "sort_by":
                add_order(query, entries)
            case _:
                raise BadQuery(f"unknown field `{name}`")
    return query


def grouped(text: str) -> dict[str, list[tuple[list[str], str]]]:
    """`a[b][c]=d` as {"a": [(["b", "c"], "d")]}, values decoded."""
    groups: dict[str, list[tuple[list[str], str]]] = {}
    for pair in filter(None, text.split("&")):
        key, _, value = pair.partition("=")
        parts = KEY.fullmatch(key)
        if parts is None:
            raise BadQuery(f"unknown field `{unquote_plus(key)}`")
        path = [unquote_plus(one) for one in re.findall(r"\[([^\]]*)\]", parts[2])]
        groups.setdefault(parts[1], []).append((path, unquote_plus(value)))
    return groups


def add_scalar(query: Query, name: str, entries: list[tuple[list[str], str]]) -> None:
    (path, value), *more = entries
    if path or more:
        raise BadQuery(f"duplicate field `{name}`")
    if name == "limit":
        query.limit = whole(value)
    else:
        query.filters.append(lambda one: same_id(one, value))


def same_id(record: Record, wanted: str) -> bool:
    if "\0" in wanted:  # PostgreSQL has no such text
        raise QueryAborted
    return record.record_id == wanted


def add_comparison(query: Query, name: str, entries: list[tuple[list[str], str]]) -> None:
    read = whole if name == "runtime" else moment
    wanted = {one_of(path, COMPARE): read(value) for path, value in entries}
    if {"gt", "gte"} <= wanted.keys() or {"lt", "lte"} <= wanted.keys():
        return
    if name != "runtime":
        wanted.pop("equals", None)
    query.filters += [compared(name, operator_, limit) for operator_, limit in wanted.items()]


def compared(name: str, operator_: str, limit: Any) -> Filter:
    def keep(record: Record) -> bool:
        value = getattr(record, name)
        return value is not None and COMPARE[operator_](value, limit)

    return keep


def meta(path: list[str], entries: list[tuple[list[str], str]]) -> list[Filter]:
    """`[KEY][c][0]`: contains all that is listed; `[dnc]`: has the key, contains none of it."""
    if len(path) != 3 or path[1] not in ("c", "dnc"):
        return []
    key, operator_, _ = path
    listed = {value for other, value in entries if other[:2] == [key, operator_]}

    def keep(record: Record) -> bool:
        if record.meta is None or key not in record.meta:
            return False
        values = set(record.meta[key])
        return listed <= values if operator_ == "c" else not (listed & values)

    return [keep]


def component(path: list[str], value: str) -> Filter:
    """Looks at the first component only, and casts its amount to a 32-bit integer."""
    if len(path) != 2:
        raise BadQuery("component needs a name and an operator")
    name, wanted, limit = path[0], one_of(path[1:], COMPARE), whole(value)

    def keep(record: Record) -> bool:
        first = record.components[0] if record.components else {"name": None, "amount": 0}
        if first["amount"] > MAX_INT32:
            raise QueryAborted
        return first["name"] == name and COMPARE[wanted](first["amount"], limit)

    return keep


def add_order(query: Query, entries: list[tuple[list[str], str]]) -> None:
    if len(entries) != 1:
        raise BadQuery("sort_by takes one direction")
    path, query.sort_key = entries[0]
    query.descending = one_of(path, ("asc", "desc")) == "desc"
    if query.sort_key not in SORTABLE:
        raise BadQuery(f"unknown variant `{query.sort_key}`")


def one_of(path: list[str], known: Iterable[str]) -> str:
    if len(path) != 1 or path[0] not in known:
        raise BadQuery(f"unknown variant `{'.'.join(path)}`")
    return path[0]


def whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadQuery("invalid digit found in string")
    if int(text) > MAX_INT64:
        raise BadQuery("number too large to fit in target type")
    return int(text)


def moment(text: str) -> datetime:
    try:
        return time(text)
    except Unreadable as exc:
        raise BadQuery(str(exc)) from exc
