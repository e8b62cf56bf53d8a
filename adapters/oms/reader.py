"""How OMS is asked: live with all its pages, and from kept answers when it is away.

Promises: an answer is whole or says what is missing; a name that OMS does not know is refused and
never left out; a run's values are remembered whenever they are seen, so that answers about it are
known to be settled, or to be out of date. Whatever looks at all rows does so beside the loop.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.base import Site
from adapters.http import HttpClient
from adapters.oms import catalogue, offline, pages
from adapters.oms.answers import body_of, catalogue_of, rows_body
from adapters.oms.catalogue import Known, catalogue_asked
from adapters.oms.options import Options
from adapters.oms.pages import Row, Whole
from adapters.oms.query import Filter, Query, parse
from adapters.oms.wire import Page, base_of, is_single, sort_of, target
from adapters.reading import (
    Fetched,
    Misasked,
    Plan,
    Progress,
    Question,
    Queued,
    Recalled,
    Shelf,
    recall_exactly,
)
from adapters.verdict import DeliveryError
from storage.cached import Fact

FRESH_MS = 60_000  # what was seen of a run so lately is not asked for again
CSV = "csv"
UNSORTED = "OMS takes no order of ours for these rows, so they come in its own"
TOTAL = "totalResourceCount"
PRESENTED = "presentation_timestamp"  # times in another form, which would look like a change
WHOLE_AT = "whole_at"  # beside an answer that was joined to kept rows: when those were fetched


class OmsReader:
    """Asks one OMS instance."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._options: Options = site.options
        self._base = base_of(site.url)
        self._client = HttpClient(site, base_url=self._base)

    def plan(self, question: Question) -> Plan:
        """Judge a question by its form; its names are judged when OMS's list of them is at hand."""
        query = parse(question.resource, question.parameters)
        if CSV in query.resource.split("/")[1:]:
            raise Misasked(
                f"Holdfast makes CSV itself: ask for {query.resource.partition('/')[0]}", status=404
            )
        return Plan(question, query.key, query.family, query, query.as_json())

    async def fetch(self, plan: Plan, shelf: Shelf, progress: Progress) -> Fetched:
        """Ask OMS. Raises DeliveryError, Misasked."""
        query: Query = plan.spec
        resource = catalogue_asked(query.resource)
        if resource is not None:
            return await self._catalogue(resource, shelf)
        began = self._site.now()
        known, notes = await self._known(query, shelf, began)
        whole, fetched_at = await self._rows(plan, shelf, known, progress, began)
        settled = whole.complete and await self._settled(query, whole, shelf, fetched_at)
        meta = {**whole.meta, **({TOTAL: whole.total} if whole.total is not None else {})}
        return Fetched(whole.data, whole.complete, settled, meta=meta, notes=(*notes, *whole.notes))

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:
        """Say it from kept answers. Raises NotKept, Misasked."""
        query: Query = plan.spec
        if (listed := catalogue_asked(query.resource)) is not None:
            return await _recalled_catalogue(plan, listed, shelf)
        resource = catalogue.listed_by(query.resource)
        if self._options.check_attributes and resource is not None:
            catalogue.check(query, await catalogue.kept(resource, shelf))
        return await offline.recall(plan, shelf, partial=partial, grace_ms=self._grace_ms)

    def queued(self, plan: Plan) -> Sequence[str] | None:  # noqa: ARG002 - the port's
        """OMS takes no entries, so nothing waits for it."""
        return None

    def merged(
        self,
        plan: Plan,  # noqa: ARG002 - the port's
        data: Any,
        entries: Sequence[Queued],  # noqa: ARG002
    ) -> tuple[Any, int]:
        """As it is: OMS takes no entries."""
        return data, 0

    def shown(self, plan: Plan) -> str:
        """The first request for rows."""
        query: Query = plan.spec
        if catalogue_asked(query.resource) is not None:
            return f"GET {self._base}/{query.resource}"
        page = None if is_single(query) else Page(0, self._options.page_rows)
        if query.limit is not None:
            page = Page(query.offset or 0, query.limit)
        return f"GET {self._base}{target(query, sort_of(query), page)}"

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    @property
    def _grace_ms(self) -> int:
        return round(self._options.grace_seconds * 1000)

    async def _catalogue(self, resource: str, shelf: Shelf) -> Fetched:
        now = self._site.now()
        fields = await self._fields(resource)
        if not fields:
            raise Misasked(f"OMS lists no attributes of {resource!r}", status=404)
        await catalogue.keep(resource, fields, shelf, now)
        return Fetched(fields)

    async def _known(
        self, query: Query, shelf: Shelf, now: int
    ) -> tuple[Known | None, tuple[str, ...]]:
        """The attributes that OMS lists, after judging the question by them; and what to tell."""
        if not self._options.check_attributes:
            return None, ()
        known = await catalogue.current(query, shelf, self._fields, now)
        unchecked = bool(query.attributes) and (known is None or known.attributes is None)
        note = f"OMS gives no list of the attributes of {query.resource}: no name was checked"
        return known, (note,) if unchecked else ()

    async def _fields(self, resource: str) -> dict[str, Any] | None:
        path = f"/{resource}/{catalogue.META}"
        answer = await self._client.request("GET", path)
        return catalogue_of(body_of(answer, f"{self._base}{path}"))

    async def _rows(
        self, plan: Plan, shelf: Shelf, known: Known | None, progress: Progress, began: int
    ) -> tuple[Whole, int]:
        """All rows, and when the oldest of them were fetched (epoch ms)."""
        query: Query = plan.spec
        tail = await self._tail(plan, shelf, began)
        if tail is not None:
            part = await self._all(tail.query, known, progress)
            rows: list[Row] | None = None
            if part.complete and isinstance(part.data, list):
                rows = await asyncio.to_thread(tail.joined, part.data)
            if rows is not None:
                meta = {**part.meta, WHOLE_AT: tail.whole_at}
                return replace(part, data=rows, total=len(rows), meta=meta), tail.whole_at
        return await self._all(query, known, progress), began

    async def _tail(self, plan: Plan, shelf: Shelf, now: int) -> offline.Tail | None:
        kept = await shelf.get(plan.key)
        if kept is None or not isinstance(kept.data, list):
            return None
        runs = await asyncio.to_thread(offline.runs_of, plan.spec, kept.data)
        if runs is None or len(runs) != 1:
            return None
        name = offline.name_of(next(iter(runs)))
        run = (await shelf.facts([name])).get(name)
        return await asyncio.to_thread(offline.tail_of, plan.spec, kept, now, run)

    async def _all(self, query: Query, known: Known | None, progress: Progress) -> Whole:
        sort = sort_of(query, known.attributes if known else None)
        try:
            return await self._sorted(query, sort, progress)
        except Misasked:
            listed = known is not None and known.attributes is not None
            if sort == query.sort or listed:
                raise
        # It may be our own sort that OMS does not know, where it has no list of names.
        whole = await self._sorted(query, query.sort, progress)
        return replace(whole, notes=(*whole.notes, UNSORTED))

    async def _sorted(self, query: Query, sort: Sequence[str], progress: Progress) -> Whole:
        async def ask(asked: Query, page: Page | None) -> dict[str, Any]:
            path = target(asked, sort, page)
            answer = await self._client.request("GET", path)
            return await asyncio.to_thread(rows_body, answer, f"{self._base}/{asked.resource}")

        return await pages.fetched(query, ask, self._options.page_rows, progress)

    async def _settled(self, query: Query, whole: Whole, shelf: Shelf, fetched_at: int) -> bool:
        """Will it stay as it is? What the runs concerned look like now is found out first."""
        data = whole.data
        rows = data if isinstance(data, list) else [] if data is None else [data]
        runs = await asyncio.to_thread(offline.runs_of, query, rows)
        facts = await self._facts(query, rows, runs, shelf, fetched_at)
        return await asyncio.to_thread(
            offline.is_settled, query, runs, facts, fetched_at, self._grace_ms, rows=rows
        )

    async def _facts(
        self,
        query: Query,
        rows: Sequence[Row],
        runs: Collection[int] | None,
        shelf: Shelf,
        fetched_at: int,
    ) -> Mapping[str, Fact]:
        names = offline.names_of(runs, query)
        facts = await shelf.facts(names)
        told: dict[str, Any] = {}
        if PRESENTED not in query.include:
            told = await asyncio.to_thread(offline.facts_of, rows, facts)
        if told:
            return {**facts, **await shelf.note(told, fetched_at)}
        now = self._site.now()
        span = offline.looked_at(query, runs)
        if span is None or _are_fresh(facts, runs, now):
            return facts
        try:
            states = await self._all(_states_of(span), None, _silent)
        except (DeliveryError, Misasked):
            return facts  # the answer itself is there, and not known to be settled
        if not isinstance(states.data, list):
            return facts
        noted = await shelf.note(offline.facts_of(states.data, facts), now)
        return {**facts, **noted}


async def _recalled_catalogue(plan: Plan, resource: str, shelf: Shelf) -> Recalled:
    """As it was last fetched, for whatever question. Raises NotKept."""
    known = await catalogue.kept(resource, shelf)
    if known is None or not known.attributes:
        return await recall_exactly(plan, shelf)
    return Recalled(known.attributes, "cache", known.at, complete=True, settled=False)


def _are_fresh(facts: Mapping[str, Fact], runs: Collection[int] | None, now: int) -> bool:
    wanted = [facts.get(offline.name_of(run)) for run in runs or ()]
    return bool(wanted) and all(
        one is not None and 0 <= now - one.seen_at < FRESH_MS for one in wanted
    )


def _states_of(span: tuple[int, int]) -> Query:
    first, last = span
    filters = (Filter("run_number", "GE", str(first)), Filter("run_number", "LE", str(last)))
    return Query("runs", fields=frozenset(offline.RUN_FIELDS), filters=filters)


def _silent(rows: int, of: int | None) -> None:
    """Nobody waits to see how far this is."""
