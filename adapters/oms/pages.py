"""All rows of a question, page by page.

Promises: pages are found by counting, never by the links that OMS gives (their scheme is doubled);
what came is held against OMS's own count, and the ids against each other; when OMS changes in
between it is asked again from the start, and an answer that is not whole in the end says so and
why. Sources: protocols sheet of OMS, sections 3, 7 and 8.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.oms.query import Query
from adapters.oms.resources import resource_of
from adapters.oms.wire import Page, is_single
from adapters.reading import Progress

PASSES = 3  # of one question, when the rows change while they are fetched

Row = dict[str, Any]
Ask = Callable[[Query, Page | None], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class Whole:
    """What a question gave. `data`: rows, one row, or None. `total`: as OMS counts them."""

    data: list[Row] | Row | None
    total: int | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
    notes: tuple[str, ...] = ()


class Changed(Exception):
    """The rows are others than those of the pages before. `why`: how it was noticed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def fetched(query: Query, ask: Ask, page_rows: int, progress: Progress) -> Whole:
    """Everything that was asked for. `ask` gives the body of one page, and raises what it may."""
    if query.limit is not None:
        return await _one_page(query, ask, Page(query.offset or 0, query.limit), progress)
    if is_single(query):
        body = await ask(query, None)
        if not isinstance(body["data"], list):
            return Whole(body["data"], meta=_meta(body))
    size = page_rows
    for number in range(1, PASSES + 1):
        passing = _Pass(query, ask, size, progress, last=number == PASSES)
        try:
            return await passing.run()
        except Changed:
            size = passing.size
    raise AssertionError("the last pass does not start again")


async def _one_page(query: Query, ask: Ask, page: Page, progress: Progress) -> Whole:
    """The caller's own page: whole when OMS has no more rows for it."""
    body = await ask(query, page)
    data, total = body["data"], _total(body)
    if not isinstance(data, list):
        return Whole(data, meta=_meta(body))
    progress(len(data), total)
    loose = resource_of(query.resource).loose
    there = page.limit if total is None or loose else min(page.limit, total - page.offset)
    cut = len(data) < there and (_has_next(body) or (total is not None and not loose))
    notes = (f"OMS gave {len(data)} rows of a page of {there}",) if cut else ()
    return Whole(data, total, _meta(body), complete=not cut, notes=notes)


@dataclass
class _Pass:
    """One way through all pages. `last`: go on to the end whatever changes on the way.

    `telling`: do ids tell rows apart? Those of grouped rows may not.
    """

    query: Query
    ask: Ask
    size: int
    progress: Progress
    last: bool = False
    offset: int = 0
    rows: list[Row] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    before: list[Row] = field(default_factory=list)
    telling: bool = True
    total: int | None = None
    changes: dict[str, None] = field(default_factory=dict)

    @property
    def counted(self) -> int | None:
        """How many rows there are, where OMS can count them."""
        return None if resource_of(self.query.resource).loose else self.total

    async def run(self) -> Whole:
        """Raises Changed, but for the last time."""
        body = await self._page()
        if not isinstance(body["data"], list):
            return Whole(body["data"], meta=_meta(body))
        meta = _meta(body)
        while not self._ends(body):
            body = await self._page()
        notes = list(self.changes)
        if self.counted is not None and len(self.rows) != self.counted:
            notes.append(f"OMS counts {self.counted} rows and gave {len(self.rows)}")
        return Whole(self.rows, self.total, meta, complete=not notes, notes=tuple(notes))

    async def _page(self) -> dict[str, Any]:
        body = await self.ask(self.query, Page(self.offset, self.size))
        page, total, known = body["data"], _total(body), self.counted
        if not isinstance(page, list):
            if self.offset:
                self._changed("a page after the first one is no list")
            return body
        self.total = total
        if self.offset and self.counted != known:
            self._changed(f"OMS counted {known} rows, and on a later page {total}")
        self._take(page)
        self.progress(len(self.rows), self.counted)
        return body

    def _take(self, page: list[Row]) -> None:
        ids = [str(row.get("id")) for row in page]
        self.telling &= len(set(ids)) == len(ids) and all(row.get("id") for row in page)
        if self.telling:
            again = not self.seen.isdisjoint(ids)
        else:  # equal pages may be in order, as long as a count says where they end
            again = self.counted is None and page == self.before
        self.before = page
        self.offset += len(page)
        if page and again:
            self._changed("rows of one page came again on another")
            page = [row for row, name in zip(page, ids, strict=True) if name not in self.seen]
        self.seen.update(ids)
        self.rows += page

    def _ends(self, body: dict[str, Any]) -> bool:
        """Was this the last page? OMS's count decides, and where that tells nothing, its rows."""
        page = body["data"]
        if not isinstance(page, list) or not page:
            return True
        if self.counted is not None and self.offset >= self.counted:
            return True
        if len(page) >= self.size:
            return len(self.rows) + len(page) * PASSES < self.offset  # nothing new comes
        if not _has_next(body):
            return True
        self._shrink(len(page))
        return False

    def _shrink(self, size: int) -> None:
        """OMS gives smaller pages than were asked for: go on with those."""
        self.size = size
        if self.offset % size and not self.last:
            # OMS may refuse an offset that is no multiple of the limit.
            raise Changed(f"pages of {size} rows")

    def _changed(self, why: str) -> None:
        if not self.last:
            raise Changed(why)
        self.changes[f"{why}, each of {PASSES} times"] = None


def _total(body: dict[str, Any]) -> int | None:
    meta = body.get("meta")
    total = meta.get("totalResourceCount") if isinstance(meta, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) else None


def _has_next(body: dict[str, Any]) -> bool:
    links = body.get("links")
    return isinstance(links, dict) and links.get("next") is not None


def _meta(body: dict[str, Any]) -> dict[str, Any]:
    """What else is worth keeping: the attributes, with include=meta."""
    meta = body.get("meta")
    return {"fields": meta["fields"]} if isinstance(meta, dict) and "fields" in meta else {}
