"""What can be said about OMS from kept answers, while OMS is away.

The very answer if it is kept; else one that is made of others: cut out of a wider one, or put
together of several about neighbouring runs. Source of the rules: protocols sheet of OMS, section
8. Promises: what is said is what OMS would have said then, or it is marked with what is missing,
or it is refused with the reason; how old the oldest part is, is told.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.oms.fitting import run_of, told
from adapters.oms.forms import Form, form_of, only_oms
from adapters.oms.local import Local, arranged
from adapters.oms.parts import (
    WHOLE_AT,
    Part,
    absent,
    alone,
    candidates,
    fetched_at,
    rows_of,
    spans_asked,
    together,
)
from adapters.oms.query import Query, from_json
from adapters.oms.rows import distinct
from adapters.oms.settled import changed, is_settled, names_of, runs_of
from adapters.oms.spans import ALL, Span, in_words, is_open, united
from adapters.reading import NotKept, Plan, Recalled, Shelf
from storage.cached import Fact, Kept

NEVER = "this was never asked while OMS could be reached"
OPEN = "it has no last run, so only an answer that had none either can say it"


async def recall(plan: Plan, shelf: Shelf, *, partial: bool, grace_ms: int) -> Recalled:
    """Say it from kept answers. `plan.about` is the query as JSON. Raises NotKept.

    `partial`: with runs missing, say what there is. `grace_ms`: how long after the end of a run
    its values may still change.
    """
    query = from_json(plan.about)
    kept = await shelf.get(plan.key)
    if kept is not None and kept.label.complete:
        return await _exactly(query, kept, shelf, grace_ms)
    try:
        return await _derived(query, shelf, partial=partial, grace_ms=grace_ms)
    except NotKept:
        if kept is None:
            raise
        return await _exactly(query, kept, shelf, grace_ms)


async def _exactly(query: Query, kept: Kept, shelf: Shelf, grace_ms: int) -> Recalled:
    label, time = kept.label, fetched_at(kept)
    rows = rows_of(kept) or ()
    runs = await asyncio.to_thread(runs_of, query, rows)
    facts = await shelf.facts(names_of(runs, query))
    form = form_of(query)
    changes = changed(spans_asked(form.query) if form is not None else ALL, facts, time)
    stays = label.settled and not changes
    settled = stays or is_settled(query, runs, facts, time, grace_ms, rows=rows)
    return Recalled(
        kept.data,
        "cache",
        time,
        complete=label.complete,
        settled=label.complete and settled,
        meta={name: one for name, one in kept.meta.items() if name != WHOLE_AT},
        notes=(*_later(query), *_changes(changes)),
    )


async def _derived(query: Query, shelf: Shelf, *, partial: bool, grace_ms: int) -> Recalled:
    form = form_of(query)
    reason = only_oms(form) if form is not None else "OMS itself has to look it up"
    if form is None or reason is not None:
        raise NotKept(f"{NEVER}, and no other answer implies it: {reason}")
    spans = spans_asked(form.query)
    parts, missing = await _parts(form, spans, shelf, partial=partial)
    rows = [row for part in parts for row in part.rows]
    local = await asyncio.to_thread(arranged, form.query, rows)
    facts = await shelf.facts(
        names_of({run for part in parts for run in part.runs or ()}, form.query)
    )
    return Recalled(
        _one(form, local) if form.single else local.rows,
        "derived",
        min(part.fetched_at for part in parts),
        complete=not missing,
        settled=not missing and _are_settled(form.query, parts, facts, grace_ms),
        meta={} if form.single else _meta(form.query, local, parts, missing),
        notes=(*_later(query), *local.notes, *_notes(parts, missing, facts)),
        missing=tuple(missing),
    )


async def _parts(
    form: Form, spans: Sequence[Span], shelf: Shelf, *, partial: bool
) -> tuple[Sequence[Part], Sequence[Span]]:
    """The parts of the answer, and the runs that are missing. Raises NotKept."""
    asked, reasons = form.query, list[str]()
    found = await candidates(form, spans, shelf, reasons)
    if run_of(asked) is None or is_open(spans):
        part = await alone(asked, spans, found, shelf, reasons)
        if part is None:
            why = f"{NEVER}; {OPEN}" if run_of(asked) is not None else NEVER
            raise NotKept(why + told(reasons))
        return [part], ()
    parts, left = await together(asked, spans, found, shelf, reasons)
    lists, missing = await absent(left, shelf)
    if missing and (not partial or not parts):
        form_too = " in this form" if reasons else ""
        raise NotKept(f"{_never(missing)}{form_too}{told(reasons)}", missing)
    if missing and asked.limit is not None:
        raise NotKept(f"{_never(missing)}, so no page can be cut", missing)
    if not parts and not lists:
        raise NotKept(f"{NEVER}{told(reasons)}")
    return [*parts, *lists], missing


def _never(spans: Sequence[Span]) -> str:
    words = in_words(spans)
    return f"{words} {'were' if words.startswith('runs ') else 'was'} never fetched"


def _one(form: Form, local: Local) -> dict[str, Any]:
    if len(local.rows) != 1:
        raise NotKept(f"it was not among the {form.query.resource} that were fetched")
    return local.rows[0]


def _meta(
    query: Query, local: Local, parts: Iterable[Part], missing: Sequence[Span]
) -> dict[str, Any]:
    meta: dict[str, Any] = {} if missing else {"totalResourceCount": local.total}
    if "meta" in query.include:
        catalogues = [part.meta["fields"] for part in parts if part.meta and "fields" in part.meta]
        if not catalogues:
            raise NotKept("the list of fields was not kept with it: ask without include=meta")
        meta["fields"] = catalogues[0]
    return meta


def _are_settled(
    query: Query, parts: Iterable[Part], facts: Mapping[str, Fact], grace_ms: int
) -> bool:
    whole = replace(query, offset=None, limit=None)  # a part is no page
    return all(
        (part.settled and not changed(part.spans, facts, part.fetched_at))
        or is_settled(
            whole,
            part.runs,
            facts,
            part.fetched_at,
            grace_ms,
            rows=part.rows,
            spans=part.spans,
        )
        for part in parts
    )


def _notes(
    parts: Sequence[Part], missing: Sequence[Span], facts: Mapping[str, Fact]
) -> tuple[str, ...]:
    notes = [note for part in parts for note in part.notes]
    if missing:
        notes.insert(0, _never(missing))
    others = [span for part in parts for span in changed(part.spans, facts, part.fetched_at)]
    return (*distinct(notes), *_changes(united(others)))


def _later(query: Query) -> tuple[str, ...]:
    form = form_of(query)
    if form is None or run_of(form.query) is None or not is_open(spans_asked(form.query)):
        return ()
    return ("runs that came after this was fetched are not in it",)


def _changes(runs: Sequence[Span]) -> tuple[str, ...]:
    if not runs:
        return ()
    return (f"OMS was seen to have changed {in_words(runs)} after this was fetched",)
