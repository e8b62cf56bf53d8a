"""One question, whatever path it is asked by; and which questions only OMS itself can answer. Pure.

`/runs/297050` is the run of that number, `/runs/297050/lumisections` are the lumisections of it,
and ids say what the rows are about (protocols sheet of OMS, sections 1 and 3).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.oms.query import Filter, Query, from_json
from adapters.oms.resources import RESOURCES, OmsResource, resource_of
from adapters.oms.values import SECTIONS, number_of

IDENTIFIED = {
    "runs": ("run_number",),
    "lumisections": ("run_number", "lumisection_number"),
    "fills": ("fill_number",),
}
COMPUTED = frozenset(("size", "count"))
PER_ROW = "lumisection"  # the one granularity whose rows are not sums of others
GRANULARITIES = (None, PER_ROW, "run")
STRANGE = frozenset(("data_only", "turbo"))
NEXT_ROW = "end_lumi"  # of a lumisection, OMS takes it from the next row of the same answer
NEWEST = -1  # as a lumisection: the newest one

ONE = re.compile(r"(\w+)/(\w+)")
OF_A_RUN = re.compile(r"runs/([0-9]{1,18})/lumisections")


@dataclass(frozen=True, slots=True)
class Form:
    """A question as one about a list. `single`: its answer is one row and no list."""

    query: Query
    single: bool = False

    @property
    def resource(self) -> OmsResource:
        """What is known of its rows."""
        return resource_of(self.query.resource)


def form_of(query: Query) -> Form | None:
    """The question about a list; None where the path is not understood."""
    path = query.resource
    if "/" not in path:
        return Form(query)
    if match := OF_A_RUN.fullmatch(path):
        return Form(_listed(query, "lumisections", ("run_number",), match.groups()))
    match = ONE.fullmatch(path)
    names = IDENTIFIED.get(match[1]) if match else None
    if match is None or names is None or query.filters or query.limit is not None:
        return None
    ids = match[2].split("_")
    if len(ids) != len(names) or not all(one.isdigit() for one in ids):
        return None
    return Form(_listed(query, match[1], names, tuple(ids)), single=True)


def _listed(query: Query, resource: str, names: tuple[str, ...], ids: tuple[str, ...]) -> Query:
    told = [Filter(name, "EQ", str(int(one))) for name, one in zip(names, ids, strict=True)]
    filters = tuple(sorted({*query.filters, *told}))
    return replace(query, resource=resource, filters=filters)


def form_of_label(about: Mapping[str, Any]) -> Form | None:
    """As `form_of`, of what is kept beside an answer; None also when it is damaged."""
    try:
        return form_of(from_json(about))
    except (KeyError, TypeError, ValueError):
        return None


def families(form: Form, run: int | None) -> Iterator[str]:
    """The families of answers whose rows may be a question's. `run`: the one that it is about."""
    yield form.query.family
    if run is None or form.query.group:
        return
    match form.query.resource:
        case "runs":
            yield replace(form.query, resource=f"runs/{run}").family
        case "lumisections":
            yield replace(form.query, resource=f"runs/{run}/lumisections").family


def is_summed(query: Query) -> bool:
    """Is a row made of several rows of OMS, so that a filter may have chosen among those?"""
    return query.granularity not in (None, PER_ROW) or resource_of(query.resource).loose


def asks_newest(query: Query) -> bool:
    """Is it about the newest lumisection, whichever that is?"""
    return any(
        one.attribute in SECTIONS and number_of(one.value) == NEWEST for one in query.filters
    )


def only_oms(form: Form) -> str | None:
    """Why nothing but the very answer will do; None where rows of others may."""
    query = form.query
    sections = any(one.attribute in SECTIONS for one in query.filters)
    reasons = {
        f"of {query.resource} too little is known": query.resource not in RESOURCES,
        "what the parameters do to the rows is not known": query.other or query.include & STRANGE,
        "OMS computes such groups of lumisections itself": (
            dict(query.group).keys() & COMPUTED or query.granularity not in GRANULARITIES
        ),
        "what a row is about without a granularity is not known": (
            form.resource.granularity is not None and query.granularity is None
        ),
        "OMS computes rates over a range of lumisections itself": sections and is_summed(query),
        "which lumisection is the newest, only OMS knows": asks_newest(query),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def is_whole(query: Query, rows: int) -> bool:
    """Are so many rows all that there are, although the question is about a page?"""
    return query.limit is None or (not query.offset and rows < query.limit)


def needs_next_row(query: Query) -> bool:
    """Does the answer hold `end_lumi` of lumisections?"""
    named = query.attributes
    return query.resource == "lumisections" and (NEXT_ROW in named or not query.fields)
