"""May the rows of one kept answer be used for another question? By what is known of both. Pure.

Promises: yes is said only when, of the run numbers that both are about, every row of the answer
is among the kept rows, and they hold what has to be looked at. No comes with the reason.
"""

from collections.abc import Iterable, Sequence

from adapters.oms.forms import is_summed, needs_next_row
from adapters.oms.implied import implied, is_plain
from adapters.oms.query import Filter, Query
from adapters.oms.resources import resource_of
from adapters.oms.rows import by_id
from adapters.oms.values import SECTIONS

END_LUMI = (
    "end_lumi comes from the next row, so it is another one under other filters: name the fields"
    " without it"
)
SUMS = "its rows are sums, and other filters may have chosen among what was summed"
FILTERS = "it was asked with a filter that this question does not imply"


def run_of(query: Query) -> str | None:
    """The attribute by which kept answers about other runs may be put together."""
    return resource_of(query.resource).run


def is_about_runs(query: Query, one: Filter) -> bool:
    """Does the condition only say which run numbers are meant?"""
    return one.attribute == run_of(query) and is_plain(one)


def unfit(asked: Query, kept: Query) -> str | None:
    """Why the rows will not do, whatever their runs; None when they will."""
    theirs = [one for one in kept.filters if not is_about_runs(kept, one)]
    if needs_next_row(asked) and not _next_rows_are_the_same(asked, kept):
        return END_LUMI
    if is_summed(asked) and _choosing(asked) != _choosing(kept):
        return SUMS
    if not implied(theirs, asked.filters):
        return FILTERS
    if kept.fields and not asked.fields:
        return f"it holds the fields {', '.join(sorted(kept.fields))} alone, and all were asked for"
    looked_at = {one.attribute for one in remaining(asked, kept)} | set(sort_names(asked))
    absent = (asked.fields | looked_at - set(by_id(kept))) - kept.fields if kept.fields else ()
    return f"it lacks the fields {', '.join(sorted(absent))}" if absent else None


def _next_rows_are_the_same(asked: Query, kept: Query) -> bool:
    """Has each row the same next row in both answers?"""
    usual = all(
        one.sort == resource_of(one.resource).order[: len(one.sort)] for one in (asked, kept)
    )
    return set(asked.filters) == set(kept.filters) and (asked.sort == kept.sort or usual)


def sort_names(query: Query) -> tuple[str, ...]:
    """The attributes that are sorted by."""
    return tuple(one.removeprefix("-") for one in query.sort)


def _choosing(query: Query) -> frozenset[Filter]:
    """The conditions that are on what is summed, as far as can be told."""
    whole = {"fill_number", *resource_of(query.resource).order} - SECTIONS
    return frozenset(one for one in query.filters if one.attribute not in whole)


def remaining(asked: Query, kept: Query) -> tuple[Filter, ...]:
    """The asked conditions that kept rows may not meet, runs aside."""
    return tuple(
        one for one in asked.filters if one not in kept.filters and not is_about_runs(asked, one)
    )


def told(reasons: Iterable[str]) -> str:
    """Why kept answers will not do, each reason once."""
    listed: Sequence[str] = list(dict.fromkeys(reasons))
    return "".join(f"; a kept answer will not do: {one}" for one in listed[:3])
