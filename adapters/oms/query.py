"""One OMS question: judged, canonical, and as JSON beside a kept answer. Pure.

Forms and operators: protocols sheet of OMS, section 2. Names may come as a client types them
(`filter[run_number][GE]`, `filter[runs][run_number][GE]`, `filter[run_number]`), or as people do:
`run=297050:297056`, `fill=5839`, `era=2017B`, `filter=run_number>=297050`,
`granularity=lumisection`. Promises: nothing is left out, or taken for something else.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from adapters.oms.resources import RESOURCES, resource_of
from adapters.reading import UNKNOWN, Misasked, Parameters

OPERATORS = ("EQ", "NEQ", "LT", "GT", "LE", "GE", "LIKE", "CT", "IN")
SIGNS = {"!=": "NEQ", ">=": "GE", "<=": "LE", "=": "EQ", ">": "GT", "<": "LT", "~": "LIKE"}
INCLUDES = ("meta", "presentation_timestamp", "data_only", "turbo")
GROUPS = ("granularity", "size", "count")
SUBJECTS = {"run": "run_number", "fill": "fill_number", "era": "name"}
NULL = "null"
LARGEST_PAGE = 100_000  # rows; the server's hard maximum

PATH = re.compile(r"[A-Za-z0-9_]+(/(?!\.+(/|$))[A-Za-z0-9_.:-]+)*")
NAME = re.compile(r"([A-Za-z]+)((\[[^\[\]]*\])*)")
ATTRIBUTE = re.compile(r"[A-Za-z0-9_]+")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
EXPRESSION = re.compile(r"\s*([A-Za-z0-9_]+)\s*(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)
NUMBER = re.compile(r"[0-9]{1,18}")


V = TypeVar("V")


@dataclass(frozen=True, slots=True, order=True)
class Filter:
    """A condition on one attribute. `operator` is in capitals; `value` is decoded text."""

    attribute: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question. `fields` empty: all attributes. `offset` and `limit` None: all rows.

    `sort`: attributes, "-" before one that descends. `filters` are in order of their texts.
    `other`: parameters that the caller sends as they are.
    """

    resource: str
    fields: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    sort: tuple[str, ...] = ()
    group: tuple[tuple[str, str], ...] = ()
    include: frozenset[str] = frozenset()
    offset: int | None = None
    limit: int | None = None
    other: tuple[tuple[str, str], ...] = ()

    @property
    def granularity(self) -> str | None:
        """What one row is about, as asked for."""
        return dict(self.group).get("granularity")

    @property
    def attributes(self) -> frozenset[str]:
        """Every attribute that is named: asked for, filtered by or sorted by."""
        named = {one.attribute for one in self.filters} | {one.lstrip("-") for one in self.sort}
        return self.fields | named

    def as_json(self) -> dict[str, Any]:
        """For a label; equal questions give equal texts when dumped with sorted keys."""
        return {
            "resource": self.resource,
            "fields": sorted(self.fields),
            "filters": [[one.attribute, one.operator, one.value] for one in self.filters],
            "sort": list(self.sort),
            "group": [list(one) for one in self.group],
            "include": sorted(self.include),
            "offset": self.offset,
            "limit": self.limit,
            "other": [list(one) for one in self.other],
        }

    @property
    def key(self) -> str:
        """The canonical form."""
        return json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))

    @property
    def family(self) -> str:
        """Answers of one family have rows of the same kind."""
        parts = [self.resource, list(self.group), sorted(self.include - {"meta"})]
        return json.dumps([*parts, list(self.other)], separators=(",", ":"))


def from_json(about: Mapping[str, Any]) -> Query:
    """The query that `as_json` gave."""
    return Query(
        about["resource"],
        frozenset(about["fields"]),
        tuple(Filter(*one) for one in about["filters"]),
        tuple(about["sort"]),
        tuple((name, value) for name, value in about["group"]),
        frozenset(about["include"]),
        about["offset"],
        about["limit"],
        tuple((name, value) for name, value in about["other"]),
    )


@dataclass(slots=True)
class _Draft:
    resource: str
    fields: list[str] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    sort: list[str] = field(default_factory=list)
    group: dict[str, str] = field(default_factory=dict)
    include: list[str] = field(default_factory=list)
    page: dict[str, int] = field(default_factory=dict)


def parse(resource: str, parameters: Parameters) -> Query:
    """What the parameters ask for. Raises Misasked naming the one that makes no sense."""
    path = resource.strip("/")
    if not PATH.fullmatch(path):
        raise Misasked(f"{resource!r} is no resource of OMS", status=UNKNOWN)
    draft = _Draft(path)
    for name, value in parameters:
        _take(draft, name, value)
    if draft.page.get("offset") and "limit" not in draft.page:
        raise Misasked("an offset needs a limit beside it", parameter="offset")
    about = resource_of(path)
    if "granularity" not in draft.group and about.granularity is not None:
        draft.group["granularity"] = about.granularity  # the server's default is not known
    return Query(
        path,
        frozenset(draft.fields),
        tuple(sorted(draft.filters)),
        tuple(draft.sort),
        tuple(sorted(draft.group.items())),
        frozenset(draft.include),
        draft.page.get("offset", 0) if "limit" in draft.page else None,
        draft.page.get("limit"),
    )


def _take(draft: _Draft, name: str, value: str) -> None:
    _check_text(name, value)
    match = NAME.fullmatch(name)
    head, inner = (match[1], BRACKETS.findall(match[2])) if match is not None else ("", [])
    match head, inner:
        case "fields", [] | [_]:
            draft.fields += _names(value, name)
        case "filter", []:
            draft.filters.append(_expression(value))
        case "filter", [_, *_]:
            draft.filters.append(_bracketed(draft.resource, inner, value, name))
        case (("run" | "fill" | "era"), []):
            draft.filters += _about(draft.resource, name, value.strip())
        case "sort", [] | [_]:
            draft.sort += _sorting(value, name)
        case "include", [] | [_]:
            given = [one.strip() for one in value.split(",") if one.strip()]
            draft.include += _known(given, INCLUDES, name)
        case "group", [inner_name]:
            _known([inner_name], GROUPS, name)
            _once(draft.group, inner_name, value, name)
        case "granularity", []:
            _once(draft.group, "granularity", value, name)
        case ("page", [("offset" | "limit") as which]) | (("offset" | "limit") as which, []):
            _once(draft.page, which, _rows(which, value, name), name)
        case _:
            raise Misasked(f"{name!r} is no parameter that OMS knows", parameter=name)


def _check_text(name: str, value: str) -> None:
    try:
        (name + value).encode()
    except UnicodeEncodeError as exc:
        said = f"{name!a}: its text cannot be sent as UTF-8"
        raise Misasked(said, parameter=name.encode("ascii", "replace").decode()) from exc


def _once(taken: dict[str, V], which: str, value: V, name: str) -> None:
    if taken.get(which, value) != value:
        raise Misasked(f"{name}: {which} was given twice, and differs", parameter=name)
    taken[which] = value


def _names(value: str, name: str) -> list[str]:
    names = [one.strip() for one in value.split(",") if one.strip()]
    for one in names:
        if not ATTRIBUTE.fullmatch(one):
            raise Misasked(f"{name}: {one!r} is no name of an attribute", parameter=name)
    return names


def _sorting(value: str, name: str) -> list[str]:
    keys = [one.strip() for one in value.split(",") if one.strip()]
    for key in keys:
        if not ATTRIBUTE.fullmatch(key.removeprefix("-")):
            raise Misasked(f"{name}: {key!r} is no name of an attribute", parameter=name)
    return keys


def _known(given: Sequence[str], known: Sequence[str], name: str) -> list[str]:
    for one in given:
        if one not in known:
            raise Misasked(f"{name}: {one!r} is none of {', '.join(known)}", parameter=name)
    return list(given)


def _rows(which: str, value: str, name: str) -> int:
    if not NUMBER.fullmatch(value) or (which == "limit" and not 1 <= int(value) <= LARGEST_PAGE):
        most = f" from 1 to {LARGEST_PAGE}" if which == "limit" else ""
        raise Misasked(f"{name}: has to be a number of rows{most}", parameter=name)
    return int(value)


def _expression(text: str) -> Filter:
    match = EXPRESSION.fullmatch(text)
    if match is None:
        raise Misasked(
            f"filter {text!r}: write it as ATTRIBUTE=VALUE, with one of {' '.join(SIGNS)}",
            parameter="filter",
        )
    attribute, sign, value = match.groups()
    return Filter(attribute, SIGNS[sign], value.strip())


def _bracketed(path: str, inner: Sequence[str], value: str, name: str) -> Filter:
    """The type of the rows may stand before the attribute, as in the links that OMS gives."""
    parts = list(inner)
    operator = "EQ"
    if len(parts) > 1 and parts[-1].upper() in OPERATORS:
        operator = parts.pop().upper()
    types = {*RESOURCES, *path.split("/")}
    if len(parts) > 1 and parts[0] in types:
        del parts[0]
    if len(parts) > 1 or not ATTRIBUTE.fullmatch(parts[0]):
        raise Misasked(
            f"{name}: write it as filter[ATTRIBUTE][OPERATOR], with one of {', '.join(OPERATORS)}",
            parameter=name,
        )
    return Filter(parts[0], operator, value)


def _about(path: str, name: str, value: str) -> Iterator[Filter]:
    """What `run`, `fill` and `era` ask for, of rows that are about such a thing or tell it."""
    about = resource_of(path)
    subject = SUBJECTS[name]
    if name == "era":
        if not value:
            raise Misasked("era: a name is needed, such as 2017B", parameter=name)
        yield Filter("name" if about.subject == "name" else "era", "EQ", value)
        return
    if name == "run" and about.subject != subject:
        others = {one: word for word, one in SUBJECTS.items()}
        said = f"run: rows of {path} belong to no run: ask by {others.get(about.subject, 'era')}"
        raise Misasked(said, parameter=name)
    yield from _span(name, subject, value)


def _span(name: str, attribute: str, value: str) -> Iterator[Filter]:
    """`297050`, or `297050:297056` with both ends included; either end may be left out."""
    first, colon, last = (one.strip() for one in value.partition(":"))
    if not colon:
        yield Filter(attribute, "EQ", _whole(name, first, value))
        return
    if not first and not last:
        raise Misasked(f"{name}: {value!r} has neither a first nor a last one", parameter=name)
    if first and last and int(_whole(name, first, value)) > int(_whole(name, last, value)):
        raise Misasked(f"{name}: {value!r} ends before it begins", parameter=name)
    if first:
        yield Filter(attribute, "GE", _whole(name, first, value))
    if last:
        yield Filter(attribute, "LE", _whole(name, last, value))


def _whole(name: str, text: str, value: str) -> str:
    if not NUMBER.fullmatch(text):
        said = f"{name}: {value!r} is neither a number nor a range such as 297050:297056"
        raise Misasked(said, parameter=name)
    return str(int(text))
