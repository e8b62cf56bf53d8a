"""Hot statements go along an index, in its own order: that keeps them flat at a million."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from storage import accept as accepting
from storage import amend, census, claim, settle
from storage.delivered import Meant, delivered_page
from storage.engine import writing_engine
from storage.entry import Receipt, Wanted
from storage.kept import forget_kept
from storage.lists import holds_receipt, show_entry
from storage.pages import RARE, entry_page, receipt_page
from storage.resend import send_again
from storage.retention import expire_receipts
from storage.settlement import Bury, Confirm, Failure, GiveBack
from storage.states import State
from tests.builders import NOW, an_entry
from tests.fresh import put_database

URLS = {"events": "http://events.test"}
NO = Failure("Rejected", "entry", "no")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = writing_engine(put_database(tmp_path))
    with engine.begin() as made:
        yield made
    engine.dispose()


def plans(connection: Connection, act: Callable[[], object]) -> list[str]:
    """How SQLite goes about every statement that `act` makes it run."""
    raw: Any = connection.connection.driver_connection
    asked: list[str] = []
    raw.set_trace_callback(asked.append)
    try:
        act()
    finally:
        raw.set_trace_callback(None)
    steps = []
    for statement in asked:
        steps += [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")]
    return steps


def assert_flat(steps: list[str]) -> None:
    """No step walks a table, or sorts what a table holds."""
    scans = [step for step in steps if step.startswith("SCAN") and "CONSTANT ROW" not in step]
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    assert (scans, sorts) == ([], [])


def fill(connection: Connection, number: int = 20) -> list[Any]:
    """Entries with everything that entries may have; those that are claimable, claimed."""
    entries = [
        an_entry(
            f"k{n}",
            stream=("s", None)[n % 2],
            slot="weather",
            scope="exp",
            labels={"run": "7"},
            expires_at=NOW + 1000,
        )
        for n in range(number)
    ]
    accepting.accept(connection, entries, URLS)
    return claimed(connection, requests=3)


def claimed(connection: Connection, **wanted: Any) -> list[Any]:
    return claim.claim(
        connection, "events", Wanted(**wanted), token="t", now=NOW, attachments=Path()
    )


@pytest.mark.parametrize("closed", [(), ("locked", "parked")])
@pytest.mark.parametrize("first", ["oldest", "retried", "newest"])
def test_claiming_is_flat(connection: Connection, first: str, closed: tuple[str, ...]) -> None:
    fill(connection)

    steps = plans(connection, lambda: claimed(connection, requests=2, first=first, closed=closed))

    assert_flat(steps)
    assert any("INDEX entry_ready " in step for step in steps)
    assert any("INDEX entry_slot " in step for step in steps)


def test_accepting_is_flat(connection: Connection) -> None:
    fill(connection)
    more = [an_entry(f"k{n}", stream="s") for n in range(15, 25)]

    assert_flat(plans(connection, lambda: accepting.accept(connection, more, URLS)))


@pytest.mark.parametrize(
    "end",
    [
        lambda one: Confirm(one, Receipt(one.id, "r")),
        lambda one: GiveBack(one, NOW, in_doubt=True, failure=NO),
        lambda one: Bury(one, NO),
    ],
    ids=["confirm", "give back", "bury"],
)
def test_settling_is_flat(connection: Connection, end: Callable[[Any], Any]) -> None:
    ends = [end(one) for one in fill(connection)]

    steps = plans(
        connection,
        lambda: settle.settle(connection, ends, "events", URLS["events"], token="t", now=NOW),
    )

    assert_flat(steps)


@pytest.mark.parametrize(
    ("verb", "index"),
    [
        (lambda c, ids: amend.retry(c, ids, now=NOW, who="test"), "sqlite_autoindex_entry_1"),
        (lambda c, ids: amend.discard(c, ids, now=NOW, who="test"), "entry_stream"),
        (lambda c, _: amend.expire(c, now=NOW + 2000), "entry_expiry"),
        (
            lambda c, _: amend.clamp_due(c, backend="events", now=NOW, horizon=NOW),
            "entry_ready",
        ),
        (lambda c, _: census.next_due(c, "events", after=NOW), "entry_ready"),
        (lambda c, ids: show_entry(c, ids[0]), "sqlite_autoindex_entry_1"),
        (lambda c, ids: holds_receipt(c, "events", "", ids), "receipt_remote"),
        (lambda c, _: census.rates(c, now=NOW), "receipt_age"),
        (lambda c, ids: amend.hold(c, ids, now=NOW, who="test"), "sqlite_autoindex_entry_1"),
        (lambda c, ids: amend.release(c, ids, now=NOW, who="test"), "sqlite_autoindex_entry_1"),
        (lambda c, _: show_entry(c, follower(c)), "entry_head"),
    ],
    ids=[
        "retry",
        "discard",
        "expire",
        "clamp",
        "next_due",
        "show",
        "holds_receipt",
        "rates",
        "hold",
        "release",
        "follower",
    ],
)
def test_the_other_verbs_go_along_their_index(
    connection: Connection, verb: Callable[[Connection, list[str]], object], index: str
) -> None:
    ends = [Bury(one, NO) for one in fill(connection)]
    settle.settle(connection, ends, "events", URLS["events"], token="t", now=NOW)
    ids = list(connection.execute(text("SELECT id FROM entry WHERE state = 3")).scalars())

    steps = plans(connection, lambda: verb(connection, ids))

    assert not [step for step in steps if step.startswith("SCAN entry")], steps
    assert any(f"INDEX {index} " in step for step in steps), steps


def follower(connection: Connection) -> str:
    """An entry that waits behind another one of its stream."""
    query = (
        "SELECT id FROM entry WHERE backend = 'events' AND stream = 's' AND state <> 3"
        " AND head = 0 LIMIT 1"
    )
    return str(connection.execute(text(query)).scalar())


def test_what_waits_in_a_scope_is_counted_in_its_index_alone(connection: Connection) -> None:
    fill(connection)

    steps = plans(connection, lambda: census.waiting_in(connection, [("events", "exp")]))

    reads = [step for step in steps if " entry " in step]
    assert len(reads) == 2
    assert all(step.startswith("SEARCH entry USING COVERING INDEX entry_scope ") for step in reads)


def test_reclaiming_reads_only_what_is_in_flight(connection: Connection) -> None:
    fill(connection)

    steps = plans(connection, lambda: settle.reclaim(connection, now=NOW))

    assert steps == ["SCAN entry USING INDEX entry_lease"]


def test_forgetting_receipts_reads_only_what_is_old(connection: Connection) -> None:
    ends = [Confirm(one, Receipt(one.id, "r")) for one in fill(connection)]
    settle.settle(connection, ends, "events", URLS["events"], token="t", now=NOW)

    steps = plans(connection, lambda: expire_receipts(connection, before=NOW + 1))

    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN audit"]


@pytest.mark.parametrize(
    ("asked", "index"), [({}, "receipt_age"), ({"ids": ["a", "b"]}, "receipt_entry_id")]
)
def test_pages_of_what_was_delivered_are_flat(
    connection: Connection, asked: dict[str, Any], index: str
) -> None:
    meant = Meant("events", URLS["events"], NOW, **asked)

    steps = plans(connection, lambda: delivered_page(connection, meant, limit=9, payloads=True))

    assert steps[0].startswith(f"SEARCH receipt USING INDEX {index} "), steps
    assert asked or not [step for step in steps if "TEMP B-TREE" in step]


def test_sending_again_and_forgetting_what_is_kept_are_flat(connection: Connection) -> None:
    claims = fill(connection)
    ends = [Confirm(one, Receipt(one.id, "r"), keep=True) for one in claims]
    settle.settle(connection, ends, "events", URLS["events"], token="t", now=NOW)
    where = {"backend": "events", "from_url": URLS["events"], "url": URLS["events"]}
    ids = [one.id for one in claims][:3]

    steps = plans(
        connection, lambda: send_again(connection, ids, now=NOW, who="test", **where)
    ) + plans(connection, lambda: forget_kept(connection, before=NOW + 1))

    assert not [step for step in steps if step.startswith("SCAN")], steps


def test_counting_reads_one_index_and_no_row(connection: Connection) -> None:
    steps = plans(connection, lambda: census.census(connection, now=NOW))

    assert steps == ["SCAN entry USING COVERING INDEX entry_census", "SCAN tally"]


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("backend", [None, "events"])
def test_a_page_of_entries_comes_out_of_an_index_in_order(
    connection: Connection, backend: str | None, state: State | None
) -> None:
    fill(connection)
    accepting.accept(connection, [an_entry("b", backend="elog")], URLS)

    def look() -> None:
        entry_page(connection, backend=backend, state=state, labels={}, limit=5, after=3)

    steps = [step for step in plans(connection, look) if "SCAN entry USING COVERING" not in step]
    assert_flat(steps)  # that one scan is a leap to the first backend, LIMIT 1


def test_a_claim_reads_no_more_heads_than_it_could_take(connection: Connection) -> None:
    accepting.accept(connection, [an_entry(f"k{n}") for n in range(100)], URLS)

    found = claim._heads(connection, "events", Wanted(requests=3, first="newest"), NOW)

    assert len(found) <= 4


@pytest.mark.parametrize("common", [False, True])
def test_pages_by_label_are_the_same_for_rare_and_common_labels(
    connection: Connection, common: bool
) -> None:
    number = RARE + 50 if common else 30
    entries = [
        an_entry(
            f"k{n}", labels={"run": "7", "odd": str(n % 2)}, backend=("events", "elog")[n % 3 == 0]
        )
        for n in range(number)
    ]
    accepting.accept(connection, [*entries, an_entry("other")], URLS)
    expected = [one.key for n, one in enumerate(entries) if n % 2 and n % 3]

    found: list[str] = []
    after = 0
    while page := entry_page(
        connection,
        backend="events",
        state=State.PENDING,
        labels={"run": "7", "odd": "1"},
        limit=number // 4,
        after=after,
    ):
        found += [row.key for row in page]
        after = page[-1].seq

    assert found == expected


def test_pages_meet_every_entry_once_in_order(connection: Connection) -> None:
    accepting.accept(
        connection,
        [an_entry(f"k{n:03}", backend=("events", "elog", "other")[n % 3]) for n in range(100)],
        URLS,
    )
    connection.execute(text("UPDATE entry SET state = seq % 4"))

    for backend in (None, "elog", "nobody"):
        for state in (None, State.DEAD):
            found: list[int] = []
            while page := entry_page(
                connection,
                backend=backend,
                state=state,
                labels={},
                limit=9,
                after=found[-1] if found else 0,
            ):
                found += [row.seq for row in page]
            fits = [
                row.seq
                for row in connection.execute(text("SELECT * FROM entry ORDER BY seq"))
                if backend in (None, row.backend) and state in (None, row.state)
            ]
            assert found == fits


@pytest.mark.parametrize("key", [None, "k3"])
@pytest.mark.parametrize("backend", [None, "events", "elog"])
@pytest.mark.parametrize("labels", [{}, {"run": "7"}, {"run": "8"}])
def test_pages_of_receipts_are_what_was_asked_for(
    connection: Connection, key: str | None, backend: str | None, labels: dict[str, str]
) -> None:
    for number in range(12):
        name = ("events", "elog")[number % 2]
        url = f"http://{name}{number % 3}.test"
        connection.execute(
            text(
                "INSERT INTO receipt (entry_id, backend, backend_url, kind, key, digest,"
                " delivered_at, remote_id, duplicate, labels)"
                " VALUES (:id, :backend, :url, 'event', :key, '', 0, 'r', 0, '{}')"
            ),
            {"id": f"id{number}", "backend": name, "url": url, "key": f"k{number // 3}"},
        )
        connection.execute(
            text("INSERT INTO label VALUES (:id, 'run', :run)"),
            {"id": f"id{number}", "run": str(7 + number % 2)},
        )

    found = receipt_page(connection, backend=backend, key=key, labels=labels, limit=5, after=0)

    rows = connection.execute(text("SELECT * FROM receipt ORDER BY number")).all()
    fits = [
        row.number
        for row in rows
        if backend in (None, row.backend)
        and key in (None, row.key)
        and (not labels or labels["run"] == str(7 + (row.number - 1) % 2))
    ]
    assert [row.number for row in found] == fits[:5]
