"""Group commit: what is grouped, what is answered, and what is on the disk by then."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from storage.engine import checkpoint, writing_engine
from storage.errors import DiskRefused
from storage.writer import GROUP_LIMIT, Writer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = writing_engine(tmp_path / "some.db")
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE note (number INTEGER PRIMARY KEY, said TEXT)"))
    yield made
    made.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    made = Writer(engine)
    yield made
    made.close()


class Commits:
    """How many transactions were committed, and how many rolled back."""

    def __init__(self, engine: Engine) -> None:
        self.done = 0
        self.undone = 0
        event.listen(engine, "commit", self._committed)
        event.listen(engine, "rollback", self._rolled_back)

    def _committed(self, _: Connection) -> None:
        self.done += 1

    def _rolled_back(self, _: Connection) -> None:
        self.undone += 1


class Gate:
    """Holds the writer thread, so that requests gather behind it."""

    def __init__(self, writer: Writer) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        writer.between(self._hold)
        self._entered.wait()

    def _hold(self) -> None:
        self._entered.set()
        self._open.wait()

    def open(self) -> None:
        self._open.set()


def note(connection: Connection, items: Sequence[str]) -> list[int]:
    numbers = []
    for said in items:
        if said == "bad":
            raise ValueError(said)
        row = connection.execute(
            text("INSERT INTO note (said) VALUES (:said) RETURNING number"), {"said": said}
        )
        numbers.append(row.scalar_one())
    return numbers


def notes(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return list(connection.execute(text("SELECT said FROM note ORDER BY number")).scalars())


def test_what_waits_together_is_committed_together(engine: Engine, writer: Writer) -> None:
    commits = Commits(engine)
    gate = Gate(writer)
    futures = [writer.put(note, [f"n{n}"]) for n in range(500)]
    gate.open()

    numbers = [future.result()[0] for future in futures]

    assert commits.done == 1
    assert numbers == list(range(1, 501))


def test_nothing_is_answered_before_its_commit(engine: Engine, writer: Writer) -> None:
    seen: list[list[str]] = []
    gate = Gate(writer)
    for said in ("a", "b"):
        answer = writer.put(note, [said])
        # Called in the writer's thread, at the moment of the answer.
        answer.add_done_callback(lambda _: seen.append(seen_from_outside(engine)))
    gate.open()
    answer.result()
    writer.close()

    assert seen == [["a", "b"], ["a", "b"]]


def seen_from_outside(engine: Engine) -> list[str]:
    """What another connection reads: all that is committed, and nothing else."""
    with closing(sqlite3.connect(str(engine.url.database))) as connection:
        return [said for (said,) in connection.execute("SELECT said FROM note ORDER BY number")]


def test_a_group_has_a_limit(engine: Engine, writer: Writer) -> None:
    commits = Commits(engine)
    gate = Gate(writer)
    many = [f"n{n}" for n in range(GROUP_LIMIT)]
    futures = [writer.put(note, many), writer.put(note, ["after"])]
    gate.open()

    assert [len(future.result()) for future in futures] == [GROUP_LIMIT, 1]
    assert commits.done == 2


def test_requests_run_in_the_order_in_which_they_were_put(engine: Engine, writer: Writer) -> None:
    other = partial(note)
    gate = Gate(writer)
    futures = [writer.put(note if n % 3 else other, [f"n{n:02}"]) for n in range(30)]
    gate.open()

    for future in futures:
        future.result()

    assert notes(engine) == [f"n{n:02}" for n in range(30)]


def test_a_request_that_fails_takes_only_itself_down(engine: Engine, writer: Writer) -> None:
    gate = Gate(writer)
    futures = [writer.put(note, [said]) for said in ("a", "bad", "b")]
    gate.open()

    assert [futures[0].result(), futures[2].result()] == [[1], [2]]
    with pytest.raises(ValueError, match="bad"):
        futures[1].result()
    assert notes(engine) == ["a", "b"]


def test_a_request_that_fails_leaves_nothing_behind(engine: Engine, writer: Writer) -> None:
    with pytest.raises(ValueError, match="bad"):
        writer.put(note, ["half of it", "bad"]).result()

    assert notes(engine) == []


def test_a_request_whose_caller_gave_up_is_not_run(engine: Engine, writer: Writer) -> None:
    gate = Gate(writer)
    given_up = [writer.put(note, ["a"]), writer.call(lambda c: note(c, ["b"]))]
    kept = writer.put(note, ["c"])
    assert all(future.cancel() for future in given_up)
    gate.open()

    kept.result()

    assert notes(engine) == ["c"]
    for future in given_up:
        with pytest.raises(CancelledError):
            future.result()


def test_a_request_that_has_begun_cannot_be_given_up(writer: Writer) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(_: Connection) -> str:
        entered.set()
        go_on.wait()
        return "done"

    future = writer.call(slow)
    entered.wait()

    assert not future.cancel()
    go_on.set()
    assert future.result() == "done"


def test_closing_finishes_what_is_queued(engine: Engine) -> None:
    writer = Writer(engine)
    gate = Gate(writer)
    futures = [writer.put(note, [f"n{n}"]) for n in range(50)]
    closing_it = threading.Thread(target=writer.close)
    closing_it.start()
    gate.open()
    closing_it.join()

    assert all(future.done() for future in futures)
    assert len(notes(engine)) == 50


@pytest.mark.parametrize("way", ["put", "call", "between"])
def test_a_closed_writer_answers_at_once(engine: Engine, way: str) -> None:
    writer = Writer(engine)
    writer.close()
    ask: dict[str, Any] = {
        "put": lambda: writer.put(note, ["a"]),
        "call": lambda: writer.call(lambda _: None),
        "between": lambda: writer.between(lambda: None),
    }

    with pytest.raises(RuntimeError, match="closed"):
        ask[way]().result(timeout=5)


def test_work_between_groups_keeps_its_turn(engine: Engine, writer: Writer) -> None:
    seen: list[int] = []
    gate = Gate(writer)
    writer.put(note, ["a"])
    pause = writer.between(lambda: seen.append(len(notes(engine))))
    last = writer.put(note, ["b"])
    gate.open()

    pause.result()
    last.result()

    assert seen == [1]


def test_work_that_fails_between_groups_is_answered_and_the_thread_lives(writer: Writer) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        writer.between(fail).result()

    assert writer.put(note, ["a"]).result() == [1]


def test_the_writers_connection_syncs_every_commit(engine: Engine, writer: Writer) -> None:
    def ask(connection: Connection) -> list[Any]:
        names = ("synchronous", "journal_mode", "auto_vacuum")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert writer.call(ask).result() == [2, "wal", 2]
    writer.between(engine.dispose).result()
    assert writer.call(ask).result() == [2, "wal", 2]


def test_a_disk_that_refuses_is_told_as_such_and_recovers(engine: Engine, writer: Writer) -> None:
    def forbid(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only = 1")

    writer.call(forbid).result()

    with pytest.raises(DiskRefused, match="readonly"):
        writer.put(note, ["a"]).result()
    assert writer.put(note, ["b"]).result() == [1]  # on another connection
    assert notes(engine) == ["b"]


def test_a_statement_of_ours_that_is_wrong_is_no_refusal_of_the_disk(writer: Writer) -> None:
    def wrong(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM nowhere")

    with pytest.raises(Exception, match="no such table") as raised:
        writer.call(wrong).result()

    assert not isinstance(raised.value, DiskRefused)


def test_a_checkpoint_does_not_wait_for_a_reader(
    tmp_path: Path, engine: Engine, writer: Writer
) -> None:
    writer.put(note, ["a"]).result()
    with closing(sqlite3.connect(tmp_path / "some.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM note").fetchall()
        writer.put(note, ["b"]).result()

        writer.between(lambda: checkpoint(engine)).result(timeout=5)

    assert notes(engine) == ["a", "b"]


def test_a_checkpoint_cuts_the_log(tmp_path: Path, engine: Engine, writer: Writer) -> None:
    writer.put(note, [f"n{n}" for n in range(1000)]).result()
    log = tmp_path / "some.db-wal"
    assert log.stat().st_size > 0

    writer.between(lambda: checkpoint(engine)).result()

    assert log.stat().st_size == 0
