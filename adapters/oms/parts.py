"""Kept answers as parts of another: found, loaded, and what they leave out.

Promises: the newest answer speaks for each run, also where it has no row of it; no more answers
are loaded than are used, damaged ones aside; an answer that turns out not to hold what is needed
is as if it were not there, and why is told.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.oms.fitting import (
    END_LUMI,
    is_about_runs,
    remaining,
    run_of,
    sort_names,
    unfit,
)
from adapters.oms.forms import Form, families, form_of_label, needs_next_row, only_oms
from adapters.oms.implied import spans_of
from adapters.oms.local import matching, notes_on
from adapters.oms.query import Query
from adapters.oms.rows import Row, check_holds, has, value, whole
from adapters.oms.settled import runs_of
from adapters.oms.spans import ALL, Span, common, within, without
from adapters.reading import NotKept, Shelf
from storage.cached import Kept, Label

WHOLE_AT = "whole_at"  # in the meta of a joined answer: when all of it was last fetched


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete kept answer whose rows will do. `spans`: the runs that it is about."""

    label: Label
    query: Query
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Part:
    """What a kept answer says of some runs. `rows`: those of it that are in the answer.

    `settled`: it was so when it was fetched. `runs`: whose rows it holds, in the answer or not;
    None where they do not tell.
    """

    fetched_at: int
    settled: bool
    spans: Sequence[Span]
    rows: Sequence[Row]
    runs: frozenset[int] | None
    notes: Sequence[str] = ()
    meta: Mapping[str, Any] | None = None


def spans_asked(query: Query) -> tuple[Span, ...]:
    """The runs that a question is about; all where its rows belong to none."""
    run = run_of(query)
    return ALL if run is None else spans_of(run, query.filters)


async def candidates(
    asked: Form, spans: Sequence[Span], shelf: Shelf, reasons: list[str]
) -> Sequence[Candidate]:
    """The kept answers that will do for some of the runs, newest first.

    `reasons` is told why others about these runs will not.
    """
    only = spans[0][0] if len(spans) == 1 and spans[0][0] == spans[0][1] else None
    found: list[Candidate] = []
    for family in families(asked, only):
        for label in await shelf.family(family):
            found += _candidate(asked, spans, label, reasons)
    return sorted(found, key=lambda one: -one.label.fetched_at)


def _candidate(
    asked: Form, spans: Sequence[Span], label: Label, reasons: list[str]
) -> Iterator[Candidate]:
    form = form_of_label(label.about)
    if form is None or only_oms(form) is not None:
        return
    theirs = spans_asked(form.query)
    if not common(spans, theirs):
        return
    reason = _unusable(label, form.query) or unfit(asked.query, form.query)
    if needs_next_row(asked.query) and form.single != asked.single:
        reason = END_LUMI  # what the next row of a row asked for by its id is, nobody knows
    if reason is None:
        yield Candidate(label, form.query, theirs)
    else:
        reasons.append(reason)


def _unusable(label: Label, query: Query) -> str | None:
    if query.limit is not None:
        return "it is a page of an answer"
    return None if label.complete else "it is not complete"


async def alone(
    asked: Query,
    spans: Sequence[Span],
    found: Sequence[Candidate],
    shelf: Shelf,
    reasons: list[str],
) -> Part | None:
    """The newest one that says everything by itself."""
    for one in found:
        if not without(spans, one.spans):
            part = await _part(asked, one, spans, shelf, reasons)
            if part is not None:
                return part
    return None


async def together(
    asked: Query,
    spans: Sequence[Span],
    found: Sequence[Candidate],
    shelf: Shelf,
    reasons: list[str],
) -> tuple[list[Part], tuple[Span, ...]]:
    """The newest ones for each run, in order of their runs; and the runs that none speaks for."""
    parts: list[Part] = []
    left = tuple(spans)
    for one in found:
        gain = common(one.spans, left)
        part = await _part(asked, one, gain, shelf, reasons) if gain else None
        if part is not None:
            parts.append(part)
            left = without(left, gain)
    return sorted(parts, key=lambda part: part.spans[0]), left


async def _part(
    asked: Query, one: Candidate, spans: Sequence[Span], shelf: Shelf, reasons: list[str]
) -> Part | None:
    kept = await shelf.get(one.label.key)
    rows = rows_of(kept) if kept is not None else None
    if kept is None or rows is None or not kept.label.complete:
        return None
    try:
        return await asyncio.to_thread(_made, asked, one, spans, rows, kept)
    except NotKept as no:
        reasons.append(no.detail)
        return None


def _made(
    asked: Query, one: Candidate, spans: Sequence[Span], rows: Sequence[Row], kept: Kept
) -> Part:
    held = rows if tuple(one.spans) == tuple(spans) else _of_runs(one, spans, rows)
    conditions = remaining(asked, one.query)
    chosen = matching(asked, conditions, held)
    for row in chosen:
        check_holds(row, asked.fields)
        for name in sort_names(asked):
            value(asked, row, name)
    return Part(
        fetched_at(kept),
        kept.label.settled,
        spans,
        chosen,
        runs_of(one.query, held),
        notes_on(asked, conditions, held),
        kept.meta,
    )


def fetched_at(kept: Kept) -> int:
    """When the oldest of its rows were fetched (epoch ms)."""
    whole_at = kept.meta.get(WHOLE_AT)
    return whole_at if isinstance(whole_at, int) else kept.label.fetched_at


def rows_of(kept: Kept) -> Sequence[Row] | None:
    """The rows of a kept answer, also when it is about one thing; None when they are none."""
    rows = [kept.data] if isinstance(kept.data, dict) else kept.data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def _of_runs(one: Candidate, spans: Sequence[Span], rows: Sequence[Row]) -> list[Row]:
    run = run_of(one.query)
    if run is None:
        return list(rows)
    return [row for row in rows if within(_number(one, row, run), spans)]


def _number(one: Candidate, row: Row, run: str) -> int:
    number = value(one.query, row, run)
    if not isinstance(number, int) or isinstance(number, bool) or not within(number, one.spans):
        raise NotKept(f"a kept row has {number!r} as {run}, which was not asked for")
    return number


async def absent(holes: Sequence[Span], shelf: Shelf) -> tuple[list[Part], tuple[Span, ...]]:
    """Kept lists of runs that say which of some numbers are no runs; and the numbers that remain.

    Numbers after the last run of a list may become runs yet: a list says nothing of them.
    """
    lists: list[Part] = []
    left, there = tuple(holes), set[int]()
    for label in await shelf.family(Query("runs").family) if holes else ():
        form = form_of_label(label.about) if label.complete else None
        if form is None or not _lists_runs(form.query) or not common(_known(form.query), left):
            continue
        kept = await shelf.get(label.key)
        runs = _numbers(form.query, rows_of(kept) if kept is not None else None)
        if not runs:
            continue
        before = common(_known(form.query), [(0, max(runs))])
        there |= runs  # an older list that did not have them yet changes nothing
        none = without(common(before, left), [(run, run) for run in there])
        if none:
            lists.append(Part(label.fetched_at, label.settled, none, (), frozenset()))
            left = without(left, none)
    return lists, left


def _known(query: Query) -> tuple[Span, ...]:
    return spans_of("run_number", query.filters)


def _lists_runs(query: Query) -> bool:
    return query.limit is None and all(is_about_runs(query, one) for one in query.filters)


def _numbers(query: Query, rows: Sequence[Row] | None) -> set[int]:
    """The runs in a list; none when one of them does not tell."""
    if rows is None or not all(has(query, row, "run_number") for row in rows):
        return set()
    return {number for row in rows if (number := whole(query, row, "run_number")) is not None}
