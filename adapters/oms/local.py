"""A question put to rows that we hold, in the place of the server. Pure.

Source: protocols sheet of OMS, sections 2 and 8. Promises: what is said is what OMS would say
over the same rows; where nobody knows what it would say, NotKept is raised with the reason. The
one exception is LIKE, of which a note tells how it was read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.oms.forms import needs_next_row
from adapters.oms.query import Filter, Query
from adapters.oms.rows import Row, distinct, in_order, projected, rank, value
from adapters.oms.values import like_text, matches, pattern, time_of
from adapters.reading import NotKept

LOCAL_LIKE = "local LIKE: capitals do not count and _ is itself; OMS may take them in other ways"

LOCAL_ORDER = (
    "local order of texts: capitals come before small letters; where OMS orders them otherwise,"
    " other rows are on this page"
)


@dataclass(frozen=True, slots=True)
class Local:
    """What rows that we hold say. `total`: how many there are without a page."""

    rows: list[dict[str, Any]]
    total: int
    notes: tuple[str, ...] = ()


def evaluate(query: Query, rows: Sequence[Row]) -> Local:
    """The answer of these rows, when they are all that there are. Raises NotKept."""
    local = arranged(query, matching(query, query.filters, rows))
    return replace(local, notes=(*notes_on(query, query.filters, rows), *local.notes))


def matching(query: Query, filters: Sequence[Filter], rows: Sequence[Row]) -> list[Row]:
    """The rows that meet conditions. Raises NotKept.

    `query` says what the rows are.
    """
    return [row for row in rows if _meets(query, filters, row)]


def _meets(query: Query, filters: Sequence[Filter], row: Row) -> bool:
    return all(matches(one, value(query, row, one.attribute)) for one in filters)


def arranged(query: Query, rows: Sequence[Row]) -> Local:
    """Rows sorted, cut into the asked page and to the asked fields. Raises NotKept."""
    page, fields = _page(query, in_order(query, rows)), sorted(query.fields)
    texts = len(page) < len(rows) and any(_is_by_text(query, row) for row in rows)
    notes = (LOCAL_ORDER,) if texts else ()
    return Local([projected(row, fields) for row in page], len(rows), notes)


def _is_by_text(query: Query, row: Row) -> bool:
    given = [value(query, row, name.removeprefix("-")) for name in query.sort]
    return any(isinstance(one, str) and time_of(one) is None for one in given)


def _page(query: Query, rows: list[Row]) -> list[Row]:
    if query.limit is None:
        return rows
    start = query.offset or 0
    end = start + query.limit
    for cut in (start, end):
        if 0 < cut < len(rows):
            _check_cut(query, rows[cut - 1], rows[cut])
    return rows[start:end]


def _check_cut(query: Query, last: Row, first: Row) -> None:
    """Is it certain which rows are on either side of the page's edge?"""
    if not query.sort:
        raise NotKept(
            "without a sort only OMS knows which rows are on this page: add one, or ask for all"
        )
    if needs_next_row(query):
        raise NotKept("end_lumi of a page depends on how OMS cuts it: name the fields without it")
    names = [name.removeprefix("-") for name in query.sort]
    if all(rank(n, value(query, last, n)) == rank(n, value(query, first, n)) for n in names):
        raise NotKept(
            f"several rows have the same {', '.join(names)} at the edge of this page, and only OMS"
            " knows which of them are on it: sort by more, or ask for all"
        )


def notes_on(query: Query, filters: Sequence[Filter], rows: Sequence[Row]) -> tuple[str, ...]:
    """What has to be said about conditions that were put to rows here. Raises NotKept."""
    notes: list[str] = []
    for one in filters:
        if one.operator == "LIKE":
            notes.append(LOCAL_LIKE)
            notes += _doubtful(query, one, rows)
    return tuple(distinct(notes))


def _doubtful(query: Query, one: Filter, rows: Sequence[Row]) -> list[str]:
    given = [value(query, row, one.attribute) for row in rows]
    texts = {like_text(one, text) for text in given if text is not None}
    plain, exact = pattern(one.value), pattern(one.value, exact=True)
    doubtful = sorted(t for t in texts if bool(plain.fullmatch(t)) != bool(exact.fullmatch(t)))
    if not doubtful:
        return []
    shown = ", ".join(doubtful[:3]) + (", ..." if doubtful[3:] else "")
    return [f"local LIKE: OMS may decide otherwise on {len(doubtful)} ({shown})"]
