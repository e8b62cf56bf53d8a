"""The parameters of OMS and what they do to rows (OMS sheet, sections 2 and 8).

Names may be typed (`filter[runs][run_number][GE]`), operators in any case or left out. What the
sheet does not know is a switch (`Rules`).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from tests.emulators.oms_catalogue import Attribute, Attributes
from tests.emulators.oms_errors import BadRequest, bad_parameter

OPERATORS = ("EQ", "NEQ", "LT", "GT", "LE", "GE", "LIKE", "CT", "IN")
INCLUDES = ("meta", "presentation_timestamp", "data_only", "turbo")
GRAINS = ("run", "lumisection", "fill", "range")
SECTIONS = ("lumisection_number", "last_lumisection_number")
PRESENTED = "%Y-%m-%d %H:%M:%S"
TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
INTEGER = re.compile(r"[+-]?[0-9]+")
NAME = re.compile(r"\[([^\[\]]*)\]")


@dataclass
class Rules:
    """What the sheet leaves open: how LIKE matches, and how pages are judged."""

    like_case: bool = False  # whether case matters
    like_contains: bool = True  # whether a value without % matches anywhere
    like_underscore: bool = False  # whether _ stands for one character
    default_limit: int = 100
    most: int = 100_000
    odd_offsets: bool = False  # whether an offset may be no multiple of the limit


@dataclass(slots=True)
class Row:
    """One row. `units`: those of its attributes that have some, which differ between rows."""

    id: str
    attributes: dict[str, Any]
    units: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    attribute: str
    operator: str
    value: str


@dataclass
class Query:
    """What was asked for. `fields` empty: everything. `attributes` None: nobody knows them."""

    resource: str
    attributes: Attributes | None
    rules: Rules
    fields: list[str] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    sort: list[str] = field(default_factory=list)
    include: set[str] = field(default_factory=set)
    group: dict[str, str] = field(default_factory=dict)
    offset: int = 0
    limit: int = 0

    def keeps(self, attribute: str) -> Callable[[Any], bool]:
        """Whether the filters of one attribute let a value pass: rows need not be made else."""
        tests = [
            self.test(one)
            for one in self.filters
            if one.attribute == attribute and not is_latest(one)
        ]
        return lambda value: all(test(value) for test in tests)

    def chosen(self, rows: Iterable[Row], *, without: str = "") -> list[Row]:
        """The rows that pass the filters, save those on the attribute `without`."""
        wanted = [one for one in self.filters if one.attribute != without]
        tests = [(one.attribute, self.test(one)) for one in wanted if not is_latest(one)]
        found = [
            row
            for row in rows
            if all(test(row.attributes.get(attribute)) for attribute, test in tests)
        ]
        for one in wanted:
            if is_latest(one):
                found = latest(found, one.attribute)
        return found

    def ordered(self, rows: list[Row]) -> list[Row]:
        """Sorted, nulls last whichever way."""
        for key in reversed(self.sort):
            name = key.removeprefix("-")
            present = [row for row in rows if row.attributes.get(name) is not None]
            absent = [row for row in rows if row.attributes.get(name) is None]
            present.sort(key=lambda row: row.attributes[name], reverse=key.startswith("-"))
            rows = present + absent
        return rows

    def test(self, one: Filter) -> Callable[[Any], bool]:
        """A filter as a function of a value; raises BadRequest for what cannot be compared."""
        attribute = (self.attributes or {}).get(one.attribute) or Attribute(one.attribute, "any")
        if one.value == "null":
            if one.operator not in ("EQ", "NEQ"):
                raise bad_parameter(f"{one.operator} cannot compare with null")
            return lambda value: (value is None) == (one.operator == "EQ")
        match one.operator:
            case "LIKE":
                pattern = self.like(one.value)
                return lambda value: value is not None and bool(pattern.fullmatch(text(value)))
            case "CT":
                parts = set(one.value.split(","))
                return lambda value: isinstance(value, list) and parts <= set(value)
            case "IN":
                values = [self.read(part, attribute) for part in one.value.split(",")]
                return lambda value: value is not None and value in values
        wanted = self.read(one.value, attribute)
        return lambda value: value is not None and compared(one.operator, value, wanted)

    def like(self, value: str) -> re.Pattern[str]:
        if self.rules.like_contains and "%" not in value:
            value = f"%{value}%"
        parts = re.escape(value).replace("%", ".*")
        if self.rules.like_underscore:
            parts = parts.replace("_", ".")
        return re.compile(parts, re.DOTALL | (0 if self.rules.like_case else re.IGNORECASE))

    def read(self, value: str, attribute: Attribute) -> Any:
        try:
            return self.typed(value, attribute.type)
        except ValueError:
            said = f"{value} is no {attribute.type} (attribute {attribute.name})"
            raise bad_parameter(said) from None

    def typed(self, value: str, kind: str) -> Any:
        match kind:
            case "int":
                return int(value) if INTEGER.fullmatch(value) else float(value)
            case "float":
                return float(value)
            case "bool":
                return ("false", "true").index(value.lower()) == 1
            case "time":
                return self.time(value)
            case "text":
                return value
            case "any":
                return guessed(value)
        raise ValueError(kind)

    def time(self, value: str) -> str:
        """As rows hold it. `presentation_timestamp` has its own form, and no other then."""
        if "presentation_timestamp" in self.include:
            return written(datetime.strptime(value, PRESENTED).replace(tzinfo=UTC))
        for form in TIMES:
            try:
                return written(datetime.strptime(value.removesuffix("Z"), form).replace(tzinfo=UTC))
            except ValueError:
                continue
        raise ValueError(value)


def written(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def guessed(value: str) -> Any:
    if INTEGER.fullmatch(value):
        return int(value)
    return {"true": True, "false": False}.get(value.lower(), value)


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def compared(operator: str, value: Any, wanted: Any) -> bool:
    match operator:
        case "EQ":
            return bool(value == wanted)
        case "NEQ":
            return bool(value != wanted)
        case "LT":
            return bool(value < wanted)
        case "GT":
            return bool(value > wanted)
        case "LE":
            return bool(value <= wanted)
        case _:
            return bool(value >= wanted)


def is_latest(one: Filter) -> bool:
    return one.attribute in SECTIONS and one.operator == "EQ" and one.value == "-1"


def latest(rows: Sequence[Row], attribute: str) -> list[Row]:
    """The last lumisection of each run."""
    last: dict[Any, int] = {}
    for row in rows:
        run = row.attributes.get("run_number")
        last[run] = max(last.get(run, 0), row.attributes[attribute])
    return [
        row for row in rows if row.attributes[attribute] == last[row.attributes.get("run_number")]
    ]


def parse(resource: str, attributes: Attributes | None, raw: str, rules: Rules) -> Query:
    """The query that a raw query string asks for. Raises BadRequest."""
    query = Query(resource, attributes, rules)
    page: dict[str, int] = {}
    for pair in filter(None, raw.split("&")):
        name, _, value = pair.partition("=")
        take(query, page, unquote_plus(name), unquote_plus(value))
    query.limit = page.get("limit", rules.default_limit)
    query.offset = page.get("offset", 0)
    if query.limit > rules.most:
        said = f"limit value {query.limit} is larger than the maximum allowed of {rules.most}"
        raise BadRequest("BAD_REQUEST", said)
    if query.limit < 1:
        raise BadRequest("BAD_REQUEST", f"limit value {query.limit} is too small")
    if query.offset % query.limit and not rules.odd_offsets:
        said = f"offset {query.offset} is not a multiple of limit {query.limit}"
        raise BadRequest("BAD_REQUEST", said)
    for one in query.filters:
        query.test(one)  # what cannot be compared is told even when there are no rows
    return query


def take(query: Query, page: dict[str, int], name: str, value: str) -> None:
    head, bracket, rest = name.partition("[")
    inner = NAME.findall(bracket + rest)
    match head, inner:
        case "fields", [] | [query.resource]:
            query.fields += [known(query, one) for one in value.split(",") if one]
        case "filter", [_, *_]:
            query.filters.append(filtered(query, inner, value))
        case "sort", [] | [query.resource]:
            for one in filter(None, value.split(",")):
                sought(query, one.removeprefix("-"), "sortable")
                query.sort.append(one)
        case "include", [] | [query.resource]:
            query.include |= {included(one) for one in value.split(",") if one}
        case "page", [("offset" | "limit") as which]:
            if not value.isdigit():
                raise bad_parameter(f"{value} is no number ({name})")
            page[which] = int(value)
        case "group", [("granularity" | "size" | "count") as which]:
            query.group[which] = grouped(which, value)
        case _:
            raise bad_parameter(f"unknown parameter {name}")


def filtered(query: Query, inner: list[str], value: str) -> Filter:
    parts = list(inner)
    operator = "EQ"
    if len(parts) > 1 and parts[-1].upper() in OPERATORS:
        operator = parts.pop().upper()
    if len(parts) == 2 and parts[0] == query.resource:
        del parts[0]
    if len(parts) != 1:
        raise bad_parameter(f"unknown operator or type in filter[{']['.join(inner)}]")
    return Filter(sought(query, parts[0], "searchable"), operator, value)


def known(query: Query, name: str) -> str:
    if query.attributes is not None and name not in query.attributes:
        raise bad_parameter(f"attribute {name} not found in {query.resource}")
    return name


def sought(query: Query, name: str, what: str) -> str:
    known(query, name)
    if query.attributes is not None and query.attributes[name].nested:
        raise bad_parameter(f"attribute {name} of {query.resource} is not {what}")
    return name


def included(name: str) -> str:
    if name not in INCLUDES:
        raise bad_parameter(f"unknown include {name}")
    return name


def grouped(which: str, value: str) -> str:
    if value not in GRAINS if which == "granularity" else not value.isdigit() or value == "0":
        raise bad_parameter(f"unknown value {value} of group[{which}]")
    return value
