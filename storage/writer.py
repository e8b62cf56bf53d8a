"""Group commit: one thread owns the only read-write connection.

Whatever waits when the thread turns to the queue is run in one transaction and answered
after its fsynced commit, so thirty producers share one fsync.

Promises: an answer means durable; requests run in the order in which they were put; a
request that fails takes only itself down (the others of its group are run again alone, and
verbs are pure over the connection, so they may run twice).
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from storage.errors import DiskRefused

T = TypeVar("T")
R = TypeVar("R")

CLOSED = object()
GROUP_LIMIT = 5000  # items in one transaction: bounds how long one answer can wait for others


@dataclass(frozen=True, slots=True)
class Request:
    """Run `verb(connection, items)`; its results, one per item, answer `future`."""

    verb: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    items: Sequence[Any]
    future: "Future[Any]"


@dataclass(frozen=True, slots=True)
class Pause:
    """Run `work` between two groups: for what cannot be done inside a transaction."""

    work: Callable[[], None]
    future: "Future[None]"


class Writer:
    """The writer thread. Made by `Outbox.open`, which alone has the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[Request | Pause | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)
        self._closed = False
        self._thread.start()

    def put(
        self, verb: Callable[[Connection, Sequence[T]], Sequence[R]], items: Sequence[T]
    ) -> "Future[Sequence[R]]":
        """Queue one verb over a list; requests with the same verb in a row run as one list."""
        future: Future[Sequence[R]] = Future()
        if self._closed:
            future.set_exception(RuntimeError("the outbox is closed"))
        else:
            self._queue.put(Request(verb, items, future))
        return future

    def call(self, verb: Callable[[Connection], R]) -> "Future[R]":
        """Queue one verb that answers once, not per item."""
        answer: Future[R] = Future()

        def unwrap(done: "Future[Sequence[R]]") -> None:
            if (error := done.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result()[0])

        self.put(lambda connection, _: [verb(connection)], [None]).add_done_callback(unwrap)
        return answer

    def between(self, work: Callable[[], None]) -> "Future[None]":
        """Run `work` on the writer thread while no transaction is open."""
        answer: Future[None] = Future()
        self._queue.put(Pause(work, answer))
        return answer

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            if isinstance(first, Pause):
                answer(first.future, first.work)
                continue
            group, after = self._group(first)
            self._commit(group)
            if isinstance(after, Pause):
                answer(after.future, after.work)
            elif after is CLOSED:
                return

    def _group(self, first: Request) -> tuple[list[Request], Pause | object | None]:
        """All requests that wait now, and what ended the gathering: a Pause, CLOSED, or nothing."""
        group: list[Request] = []
        one: Request | Pause | None = first
        while isinstance(one, Request):
            # A request whose caller has given up before its turn is not run at all.
            if one.future.set_running_or_notify_cancel():
                group.append(one)
            if sum(len(each.items) for each in group) >= GROUP_LIMIT:
                return group, None
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                return group, None
        return group, CLOSED if one is None else one

    def _commit(self, group: list[Request]) -> None:
        if not group:
            return
        try:
            with self._engine.begin() as connection:
                results = [run(connection, requests) for requests in in_a_row(group)]
        except Exception as raised:  # noqa: BLE001 - answered to the caller, whose it is
            exc = self._translate(raised)
            if len(group) == 1:
                group[0].future.set_exception(exc)
            else:
                for one in group:
                    self._commit([one])
            return
        for future, result in [pair for part in results for pair in part]:
            future.set_result(result)

    def _translate(self, raised: Exception) -> Exception:
        if not isinstance(raised, OperationalError):
            return raised
        # After an I/O error SQLite's view of the file is not to be trusted (facts 4).
        self._engine.dispose()
        refused = DiskRefused(str(raised.orig))
        refused.__cause__ = raised
        return refused


def answer(future: "Future[None]", work: Callable[[], None]) -> None:
    """Run `work` and answer with how it ended."""
    try:
        work()
    except Exception as exc:  # noqa: BLE001 - answered to the caller, whose it is
        future.set_exception(exc)
    else:
        future.set_result(None)


def in_a_row(group: list[Request]) -> list[list[Request]]:
    """Neighbours with the same verb, together; the order of arrival is kept."""
    rows: list[list[Request]] = []
    for one in group:
        if rows and rows[-1][0].verb == one.verb:
            rows[-1].append(one)
        else:
            rows.append([one])
    return rows


def run(
    connection: Connection, requests: list[Request]
) -> list[tuple["Future[Any]", Sequence[Any]]]:
    """Run one verb over the items of all requests; hand each request its part of the results."""
    items = [item for one in requests for item in one.items]
    results = requests[0].verb(connection, items)
    answers = []
    start = 0
    for one in requests:
        answers.append((one.future, results[start : start + len(one.items)]))
        start += len(one.items)
    return answers
