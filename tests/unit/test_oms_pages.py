"""All rows of a question, held against what OMS counts and against each other."""

from collections.abc import Callable
from typing import Any

import pytest

from adapters.oms.pages import Whole, fetched
from adapters.oms.query import Query, parse
from adapters.oms.wire import Page

Body = dict[str, Any]
Rows = list[dict[str, Any]]


def rows(*numbers: int) -> Rows:
    return [{"id": str(number), "type": "runs", "attributes": {}} for number in numbers]


class Table:
    """Rows in pages, as OMS gives them. `most`: the largest page, `counted`: the total it tells.

    `afterwards`: is called with the number of pages given so far.
    """

    def __init__(self, count: int, *, most: int = 100, counted: int | None = -1) -> None:
        self.rows = rows(*range(count))
        self.most = most
        self.counted = counted
        self.asked: list[Page | None] = []
        self.afterwards: Callable[[int], None] = lambda _: None

    async def ask(self, _: Query, page: Page | None) -> Body:
        self.asked.append(page)
        offset, limit = (page.offset, page.limit) if page else (0, 100)
        found = self.rows[offset : offset + min(limit, self.most)]
        total = len(self.rows) if self.counted == -1 else self.counted
        known = len(self.rows) if total is None else total
        more = offset + len(found) < known
        links = {"next": "https://https://oms.test/agg/api/v1/runs?x" if more else None}
        meta = {} if total is None else {"totalResourceCount": total}
        self.afterwards(len(self.asked))
        return {"data": found, "links": links, "meta": meta}

    @property
    def offsets(self) -> list[int]:
        return [page.offset for page in self.asked if page is not None]


async def all_of(table: Table, query: Query | None = None, *, size: int = 10) -> Whole:
    told: list[tuple[int, int | None]] = []
    whole = await fetched(query or parse("runs", []), table.ask, size, lambda *a: told.append(a))
    if isinstance(whole.data, list) and told:
        assert told[-1][0] == len(whole.data)
    return whole


def numbers(whole: Whole) -> list[int]:
    assert isinstance(whole.data, list)
    return [int(row["id"]) for row in whole.data]


@pytest.mark.parametrize(
    ("count", "offsets"),
    [(0, [0]), (1, [0]), (9, [0]), (10, [0]), (11, [0, 10]), (25, [0, 10, 20]), (30, [0, 10, 20])],
)
async def test_all_pages_are_fetched_by_counting(count: int, offsets: list[int]) -> None:
    table = Table(count)

    whole = await all_of(table)

    assert numbers(whole) == list(range(count))
    assert (whole.complete, whole.total, whole.notes) == (True, count, ())
    assert table.offsets == offsets


async def test_a_server_that_gives_smaller_pages_is_followed_at_its_pace() -> None:
    table = Table(10, most=4)

    whole = await all_of(table, size=8)

    assert (numbers(whole), whole.complete) == (list(range(10)), True)
    assert table.asked == [Page(0, 8), Page(4, 4), Page(8, 4)]


async def test_pages_that_grow_smaller_on_the_way_begin_again_where_offsets_do_not_fit() -> None:
    table = Table(22)

    def smaller(pages: int) -> None:
        table.most = 4 if pages == 1 else table.most

    table.afterwards = smaller
    whole = await all_of(table)

    assert (numbers(whole), whole.complete) == (list(range(22)), True)
    assert all(page is not None and page.offset % page.limit == 0 for page in table.asked)


@pytest.mark.parametrize(
    ("resource", "counted"),
    [("runs", None), ("hltpathinfo", None), ("hltpathinfo", 3), ("hltpathinfo", 1000)],
)
async def test_where_the_count_tells_nothing_the_pages_are_followed_to_the_end(
    resource: str, counted: int | None
) -> None:
    table = Table(25, counted=counted)

    whole = await all_of(table, parse(resource, []))

    assert (numbers(whole), whole.complete, whole.total) == (list(range(25)), True, counted)


async def test_fewer_rows_than_counted_are_no_whole_answer() -> None:
    whole = await all_of(Table(25, counted=28))

    assert numbers(whole) == list(range(25))
    assert not whole.complete
    assert whole.notes == ("OMS counts 28 rows and gave 25",)


async def test_more_rows_than_counted_are_no_whole_answer() -> None:
    whole = await all_of(Table(25, counted=15))

    assert not whole.complete
    assert whole.notes == ("OMS counts 15 rows and gave 20",)


async def test_a_total_that_changes_once_begins_again() -> None:
    table = Table(25)

    def grow(pages: int) -> None:
        if pages == 1:
            table.rows += rows(25)

    table.afterwards = grow
    whole = await all_of(table)

    assert (numbers(whole), whole.complete) == (list(range(26)), True)
    assert table.offsets == [0, 10, 0, 10, 20]


async def test_a_total_that_always_changes_is_told() -> None:
    table = Table(25)
    table.afterwards = lambda pages: table.rows.extend(rows(1000 + pages))

    whole = await all_of(table)

    assert not whole.complete
    assert len(set(numbers(whole))) == len(numbers(whole))
    assert "each of 3 times" in whole.notes[0]


async def test_a_row_that_comes_twice_begins_again() -> None:
    table = Table(25)

    def shift(pages: int) -> None:
        if pages == 1:
            table.rows = rows(-1, *range(24))

    table.afterwards = shift
    whole = await all_of(table)

    assert (numbers(whole), whole.complete) == ([-1, *range(24)], True)


async def test_a_server_that_does_not_turn_the_page_is_not_asked_for_ever() -> None:
    table = Table(10, counted=None)

    async def same(query: Query, page: Page | None) -> Body:
        assert len(table.asked) < 30
        assert page is not None
        return await table.ask(query, Page(0, page.limit))

    whole = await fetched(parse("runs", []), same, 10, lambda _, __: None)

    assert not whole.complete
    assert numbers(whole) == list(range(10))


async def test_ids_that_tell_nothing_are_not_held_against_each_other() -> None:
    table = Table(25)
    table.rows = [{"id": "297050", "type": "x", "attributes": {"n": n}} for n in range(25)]

    whole = await all_of(table)

    assert isinstance(whole.data, list)
    assert [row["attributes"]["n"] for row in whole.data] == list(range(25))
    assert whole.complete


@pytest.mark.parametrize(("counted", "complete"), [(-1, True), (None, False)])
async def test_equal_pages_are_in_order_only_where_a_count_says_so(
    counted: int | None, *, complete: bool
) -> None:
    table = Table(20, counted=counted)
    table.rows = [{"id": "297050", "type": "x", "attributes": {}}] * 20

    whole = await all_of(table)

    assert isinstance(whole.data, list)
    assert (len(whole.data), whole.complete) == (20 if complete else 10, complete)


@pytest.mark.parametrize(
    ("offset", "limit", "expected", "complete"),
    [
        (0, 10, list(range(10)), True),
        (20, 10, list(range(20, 25)), True),
        (30, 10, [], True),
        (0, 90, list(range(15)), False),
    ],
)
async def test_the_callers_own_page_is_one_request(
    offset: int, limit: int, expected: list[int], *, complete: bool
) -> None:
    table = Table(25, most=15)

    query = parse("runs", [("offset", str(offset)), ("limit", str(limit))])
    whole = await all_of(table, query)

    assert (numbers(whole), whole.complete, whole.total) == (expected, complete, 25)
    assert bool(whole.notes) == (not complete)
    assert table.asked == [Page(offset, limit)]


@pytest.mark.parametrize("data", [{"id": "297050"}, None])
async def test_one_row_is_asked_for_without_pages(data: Body | None) -> None:
    asked: list[Page | None] = []

    async def ask(_: Query, page: Page | None) -> Body:
        asked.append(page)
        return {"data": data}

    whole = await fetched(parse("runs/297050", []), ask, 10, lambda _, __: None)

    assert (whole.data, whole.complete, asked) == (data, True, [None])


async def test_a_list_where_one_row_was_expected_is_fetched_whole() -> None:
    table = Table(150)

    whole = await all_of(table, parse("runs/sequences", []), size=100)

    assert (numbers(whole), whole.complete) == (list(range(150)), True)


async def test_the_list_of_attributes_that_was_asked_for_stays() -> None:
    async def ask(*_: Any) -> Body:
        return {"data": [], "meta": {"totalResourceCount": 0, "fields": {"a": {}}, "x": 1}}

    whole = await fetched(parse("runs", [("include", "meta")]), ask, 10, lambda _, __: None)

    assert whole.meta == {"fields": {"a": {}}}
