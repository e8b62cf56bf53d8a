"""When does an answer of OMS not change any more? Pure.

Source: protocols sheet of OMS, section 8. Nothing of OMS is ever unchangeable; settled means that
its run ended long ago, and that the three values of the run by which OMS shows a change were the
same when they were looked at after that. Promises: what is not known to be settled is not.

A run's three values are remembered as the fact `run:NUMBER`; the newest run that was ever seen as
`run:newest`, its number before the three.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from adapters.oms.forms import NEXT_ROW, asks_newest, form_of, is_whole
from adapters.oms.implied import is_plain, spans_of
from adapters.oms.query import Query
from adapters.oms.resources import resource_of
from adapters.oms.rows import Row, by_id, has, value, whole
from adapters.oms.spans import Span, is_open, united, within
from adapters.oms.values import Kind, kind_of, ms_of
from storage.cached import Fact

VALIDATOR_FIELDS = ("end_time", "last_update", "last_lumisection_number")
RUN_FIELDS = ("run_number", *VALIDATOR_FIELDS)
NEWEST = "run:newest"
NAMED = ("EQ", "IN")
SHORTEST_MS = 20_000  # a lumisection takes 23.3 s
BEYOND = 50  # run numbers among which the next run is found as a rule
MOST = 2_000  # run numbers of a question that are looked up one by one

RUNS = Query("runs")


def name_of(run: int) -> str:
    """The name of the fact about a run."""
    return f"run:{run}"


def facts_of(rows: Iterable[Row], known: Mapping[str, Fact] | None = None) -> dict[str, list[Any]]:
    """What rows of `runs` tell about runs: `{"run:N": [end_time, last_update, last LS]}`.

    Rows without all three tell nothing. `known`: what is remembered already; with it, the newest
    run is told of, too, when none that is newer is remembered.
    """
    states = {
        run: [value(RUNS, row, name) for name in VALIDATOR_FIELDS]
        for row in rows
        if (run := _run_of(row)) is not None
    }
    facts = {name_of(run): state for run, state in states.items()}
    newest = max(states, default=None)
    if known is None or newest is None:
        return facts
    before = known.get(NEWEST)
    if before is None or newest >= before.value[0]:
        facts[NEWEST] = [newest, *states[newest]]
    return facts


def _run_of(row: Row) -> int | None:
    if row.get("type", "runs") != "runs" or not all(has(RUNS, row, n) for n in VALIDATOR_FIELDS):
        return None
    return whole(RUNS, row, "run_number")


def runs_of(query: Query, rows: Iterable[Row]) -> frozenset[int] | None:
    """The runs that rows belong to; None when they do not tell, or belong to none."""
    form = form_of(query)
    attribute = form.resource.run if form else None
    if form is None or attribute is None:
        return None
    spans = spans_of(attribute, form.query.filters)
    named = spans[0][0] if len(spans) == 1 and spans[0][0] == spans[0][1] else None
    runs = {
        whole(form.query, row, attribute) if has(form.query, row, attribute) else named
        for row in rows
    }
    return None if None in runs else frozenset(run for run in runs if run is not None)


def names_of(runs: Collection[int] | None, query: Query | None = None) -> list[str]:
    """The names of the facts that `is_settled` wants to see. `query`: what was asked.

    With it, runs are looked at that the answer does not show, and some that came after it.
    """
    spans = _meant(query) if query is not None else ()
    few = bool(spans) and not is_open(spans) and sum(b - a for a, b in spans) < MOST
    looked = (*spans, (spans[-1][1] + 1, spans[-1][1] + BEYOND)) if few else ()
    meant = {run for low, high in looked for run in range(low, high + 1)}
    return [NEWEST, *(name_of(run) for run in sorted({*(runs or ()), *meant}))]


def looked_at(query: Query, runs: Collection[int] | None) -> tuple[int, int] | None:
    """The first and the last run whose state decides about an answer; None: it never settles.

    Where the last number that was asked for is no run, a later run has to be looked for.
    """
    spans = _meant(query)
    if runs is None or not spans or is_open(spans):
        return None
    end = spans[-1][1]
    first, last = min([*runs, end]), end if end in runs else end + BEYOND
    return (first, last) if last - first < MOST else None


def _meant(query: Query) -> tuple[Span, ...]:
    """The runs that a question is about, where its rows belong to runs."""
    form = form_of(query)
    attribute = form.resource.run if form else None
    return spans_of(attribute, form.query.filters) if form and attribute else ()


def is_settled(
    query: Query,
    runs: Collection[int] | None,
    facts: Mapping[str, Fact],
    fetched_at: int,
    grace_ms: int,
    *,
    rows: Sequence[Row] = (),
    spans: Sequence[Span] | None = None,
) -> bool:
    """Will an answer that was fetched at `fetched_at` (epoch ms) stay as it is?

    `runs`: as `runs_of` gives them. `rows`: the answer's. `spans`: the run numbers that are meant,
    where it is not all those that the query asks for.
    """
    form = form_of(query)
    if form is None or query.other or asks_newest(form.query):
        return False
    asked, attribute = form.query, form.resource.run
    if attribute is None:
        return _settled_by_rows(asked, rows, fetched_at, grace_ms)
    meant = spans_of(attribute, asked.filters) if spans is None else spans
    if not _is_one(meant) and not _shows_all(asked, rows, runs or ()):
        return False
    return _runs_settled(runs, meant, facts, fetched_at, grace_ms) or _sections_settled(
        asked, meant, facts, fetched_at, rows
    )


def _settled_by_rows(query: Query, rows: Sequence[Row], fetched_at: int, grace_ms: int) -> bool:
    """What belongs to no run tells by itself whether it is over."""
    if not rows:
        return False
    match query.resource:
        case "fills":
            return _fills_settled(query, rows, fetched_at, grace_ms)
        case "eras":
            return _named(query) and all(_era_is_over(row) for row in rows)
        case resource:
            return resource_of(resource).final and _named(query)


def changed(spans: Sequence[Span], facts: Mapping[str, Fact], fetched_at: int) -> tuple[Span, ...]:
    """The runs among these that were seen to be otherwise after an answer was fetched."""
    return united(
        (run, run)
        for run, _, fact in _states({name: one for name, one in facts.items() if name != NEWEST})
        if within(run, spans) and fact.since is not None and fact.since > fetched_at
    )


def _is_one(spans: Sequence[Span]) -> bool:
    return len(spans) == 1 and spans[0][0] == spans[0][1]


def _shows_all(query: Query, rows: Sequence[Row], runs: Collection[int]) -> bool:
    """A page would change with any run, also with those whose rows are on another."""
    return query.limit is None or (bool(rows) and bool(runs) and is_whole(query, len(rows)))


def _runs_settled(
    runs: Collection[int] | None,
    spans: Sequence[Span],
    facts: Mapping[str, Fact],
    fetched_at: int,
    grace_ms: int,
) -> bool:
    """Did all runs end long ago, and a run that is not before the last number that was asked for?

    After that one no run comes that would belong into the answer. A run that a filter left out
    may come into it by a change.
    """
    if runs is None or not spans:
        return False
    final = {
        run: _is_final(fact, state, fetched_at, grace_ms) for run, state, fact in _states(facts)
    }
    concerned = {*runs, *(run for run in final if within(run, spans))}
    last = max((run for run in final if final[run]), default=-1)
    return spans[-1][1] <= last and all(final.get(run, False) for run in concerned)


def _states(facts: Mapping[str, Fact]) -> Iterator[tuple[int, Sequence[Any], Fact]]:
    """Run, its three values, the fact; what a run's own fact says comes last."""
    newest = facts.get(NEWEST)
    if newest is not None:
        yield newest.value[0], newest.value[1:], newest
    for name, fact in facts.items():
        if name != NEWEST and name.startswith("run:"):
            yield int(name.removeprefix("run:")), fact.value, fact


def _is_final(fact: Fact, state: Sequence[Any], fetched_at: int, grace_ms: int) -> bool:
    """Was the run closed, and quiet for the grace time, when it was looked at and when fetched?

    What was fetched before a change was seen is of before the change.
    """
    end, update = ms_of(state[0]), ms_of(state[1])
    if end is None or (update is None and state[1] is not None):
        return False
    final = max(end, update or end) + grace_ms
    changed = fact.since is not None and fetched_at < fact.since
    return fetched_at >= final and fact.seen_at >= final and not changed


def _sections_settled(
    query: Query,
    spans: Sequence[Span],
    facts: Mapping[str, Fact],
    fetched_at: int,
    rows: Sequence[Row],
) -> bool:
    """Are all asked lumisections of a run that goes on there, with a later one behind them?"""
    counted = spans_of("lumisection_number", query.filters)
    if query.resource != "lumisections" or len(spans) != 1 or len(counted) != 1:
        return False
    (run, also), (first, last) = spans[0], counted[0]
    plain = all(is_plain(one) and one.attribute in by_id(query) for one in query.filters)
    fact = facts.get(name_of(run))
    if fact is None or run != also or not plain or query.limit is not None or query.group:
        return False
    end, _, newest = fact.value
    seen_at = fact.seen_at if fact.since is None else fact.since
    # As many may have come between the fetch and the look at the run.
    came = 0 if seen_at <= fetched_at else (seen_at - fetched_at) // SHORTEST_MS + 1
    later = isinstance(newest, int) and newest - came > last
    there = len(rows) == last - max(first, 1) + 1
    return end is None and later and there and not any(_waits(query, row) for row in rows)


def _waits(query: Query, row: Row) -> bool:
    """Is an asked value still to come? It is null until then."""
    attributes = row.get("attributes", {})
    asked = (query.fields or attributes.keys()) - {NEXT_ROW}
    return any(waits(name, attributes.get(name)) for name in asked)


def waits(name: str, given: Any) -> bool:
    """May a value, or a part of it, still come? Late ones are null first.

    Conditions of the detector are null where there is no such part of it.
    """
    if isinstance(given, Mapping):
        return any(waits(name, part) for part in given.values())
    return given is None and kind_of(name) is not Kind.TRUTH


def _fills_settled(query: Query, rows: Sequence[Row], fetched_at: int, grace_ms: int) -> bool:
    spans = spans_of("fill_number", query.filters)
    fills = [whole(query, row, "fill_number") for row in rows]
    ends = [ms_of(row.get("attributes", {}).get("end_time")) for row in rows]
    if not spans or None in fills or not is_whole(query, len(rows)):
        return False
    return spans[-1][1] <= max(fill for fill in fills if fill is not None) and all(
        end is not None and fetched_at >= end + grace_ms for end in ends
    )


def _era_is_over(row: Row) -> bool:
    return all(row.get("attributes", {}).get(name) is not None for name in ("end_time", "end_fill"))


def _named(query: Query) -> bool:
    """Is it about things by their names, so that no other can join them?"""
    return bool(query.filters) and all(one.operator in NAMED for one in query.filters)
