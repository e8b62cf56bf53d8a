"""A question as OMS hears it: the address of the API, the path and the query string. Pure.

Promises: every value is percent-encoded here, once, so that no sign in it can end a parameter or
begin another; equal questions make equal texts. What clients send, and what goes wrong with it:
protocols sheet of OMS, section 2.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from adapters.oms.query import Query
from adapters.oms.resources import resource_of

API = "/agg/api"
VERSION = "/v1"
RAW = ",:*"  # sent as they are by OMS's own client, and understood


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows to ask for: so many, after so many."""

    offset: int
    limit: int


def base_of(url: str) -> str:
    """The address that resources are below: `url` may name the server, its API or a version."""
    url = url.rstrip("/")
    if url.endswith(API + VERSION):
        return url
    return url + VERSION if url.endswith(API) else url + API + VERSION


def is_single(query: Query) -> bool:
    """Does the path look as if it named one row (RESOURCE/ID), and no list of rows?"""
    return len(query.resource.split("/")) % 2 == 0 and "/relationships/" not in query.resource


def sort_of(query: Query, known: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """In what order the rows are asked for: always in one, so that pages do not overlap.

    `known`: the catalogue's attributes, where there is one; OMS refuses to sort by others.
    """
    if query.sort or is_single(query):
        return query.sort
    return tuple(
        name
        for name in resource_of(query.resource).order
        if not known or (name in known and known[name].get("sortable") is not False)
    )


def target(query: Query, sort: Collection[str] = (), page: Page | None = None) -> str:
    """The path and the query string, to be put behind `base_of`."""
    pairs = [f"{name}={value}" for name, value in _pairs(query, sort, page)]
    return f"/{query.resource}" + (f"?{'&'.join(pairs)}" if pairs else "")


def _pairs(query: Query, sort: Collection[str], page: Page | None) -> Iterator[tuple[str, str]]:
    """In the order in which OMS's own client sends them."""
    if query.fields:
        yield "fields", _joined(sorted(query.fields))
    for one in query.filters:
        yield _name("filter", one.attribute, one.operator), _encoded(one.value)
    if sort:
        yield "sort", _joined(sort)
    if query.include:
        yield "include", _joined(sorted(query.include))
    if page is not None:
        yield _name("page", "offset"), str(page.offset)
        yield _name("page", "limit"), str(page.limit)
    for name, value in query.group:
        yield _name("group", name), _encoded(value)
    for name, value in query.other:
        yield quote(name, safe=""), _encoded(value)


def _name(head: str, *parts: str) -> str:
    return quote(head + "".join(f"[{one}]" for one in parts), safe="")


def _joined(names: Collection[str]) -> str:
    return ",".join(_encoded(one) for one in names)


def _encoded(value: str) -> str:
    return quote(value, safe=RAW)
