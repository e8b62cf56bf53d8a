"""GET /records of the AUDITOR emulator chooses and refuses as the sheet says, section 1.4."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.auditor import Auditor
from tests.emulators.auditor_wire import a_record, ask, ids
from tests.emulators.kit import Served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor() -> Auditor:
    return Auditor(pool_timeout_seconds=0)


@pytest.fixture
def served(server: Served, auditor: Auditor) -> Served:
    server.faulty.emulator = auditor
    return server


@pytest.fixture
def filled(served: Served) -> Served:
    def cpu(amount: int) -> list[dict[str, Any]]:
        return [{"name": "cpu", "amount": amount, "scores": []}]

    day = "2024-01-0{}T00:00:00Z".format
    records = [
        a_record("a", start_time=day(1), stop_time=day(4), meta={"site": ["x", "y"]}),
        a_record("b", start_time=day(2), stop_time=day(3), meta={"site": ["x&z"]}),
        a_record("c", start_time=day(3), components=cpu(4)),
    ]
    assert ask(served, "POST", "/records", records)[0] == 200
    return served


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?", "bac"),
        ("?record_id=b", "b"),
        ("?record_id=none", ""),
        ("?record_id=a%00", ""),
        ("?start_time[gt]=2024-01-02T00%3A00%3A00%2B00%3A00", "c"),
        ("?start_time[gte]=2024-01-02T00%3A00%3A00%2B00%3A00", "bc"),
        ("?stop_time[lt]=2024-01-04T00:00:00Z", "b"),
        ("?start_time[equals]=2024-01-02T00:00:00Z", "bac"),
        ("?start_time[gt]=2024-01-02T00:00:00Z&start_time[gte]=2024-01-02T00:00:00Z", "bac"),
        ("?runtime[equals]=86400", "b"),
        ("?runtime[gt]=86400", "a"),
        ("?meta[site][c][0]=x", "a"),
        ("?meta[site][c][0]=x&meta[site][c][1]=y", "a"),
        ("?meta[site][c][0]=x%26z", "b"),
        ("?meta[si%74e][c][0]=x&meta[%73ite][c][1]=y", "a"),
        ("?meta[site][dnc][0]=y", "b"),
        ("?meta[site][blah]=x", "bac"),
        ("?component[cpu][gte]=4", "c"),
        ("?component[mem][gte]=1", ""),
        ("?sort_by[desc]=stop_time", "cab"),
        ("?sort_by[asc]=record_id", "abc"),
        ("?sort_by[desc]=start_time&limit=2", "cb"),
    ],
)
def test_queries_choose_as_the_sheet_says(filled: Served, query: str, found: str) -> None:
    assert ids(filled, query) == list(found)


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "start_time%5Bgt%5D=2024-01-01T00:00:00Z",
        "start_time[after]=2024-01-01T00:00:00Z",
        "start_time[gt]=2024-01-01",
        "runtime[gt]=-1",
        "component[cpu]=4",
        "limit=many",
        f"limit={2**63}",
        "limit=1&limit=2",
        "sort_by[up]=runtime",
        "sort_by[asc]=meta",
        "sort_by[asc]=runtime&sort_by[desc]=runtime",
    ],
)
def test_an_unknown_query_is_refused_as_json(filled: Served, query: str) -> None:
    status, media_type, body = ask(filled, "GET", f"/records?{query}")

    assert (status, media_type, list(json.loads(body))) == (400, "application/json", ["error"])


def test_a_large_amount_aborts_a_component_query_without_a_word(filled: Served) -> None:
    big = [{"name": "cpu", "amount": 2**31, "scores": []}]
    ask(filled, "POST", "/record", a_record("big", components=big))

    assert ids(filled, "?component[cpu][gte]=1") == []
    assert len(ids(filled)) == 4


def test_an_answer_that_breaks_off_ends_as_if_there_were_no_more(
    filled: Served, auditor: Auditor
) -> None:
    auditor.breaks_after = 2

    assert ids(filled) == ["b", "a"]


def test_metrics_count_the_table(filled: Served) -> None:
    status, media_type, body = ask(filled, "GET", "/metrics")

    assert (status, media_type) == (200, "text/plain")
    assert b"\nnum_records_database 3\n" in body
