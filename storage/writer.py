"""Group commit: one thread owns the only read-write connection.

Whatever waits when the thread turns to the queue is run in one transaction and answered
after its fsynced commit, so thirty producers share one fsync.

Promises: an answer means durable; requests run in the order in which they were put; a
request that fails takes only itself down (the others of its group are run again alone, and
verbs are pure over the connection, so they may run twice); a request whose caller has given
up before its turn is not run; nobody waits for an answer that cannot come.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from storage.errors import DiskRefused, disk_refusal
from storage.reserve import Reserve

T = TypeVar("T")
R = TypeVar("R")

GROUP_LIMIT = 5000  # items in one transaction: bounds how long one answer can wait for others


@dataclass(frozen=True, slots=True)
class Request:
    """Run `verb(connection, items)`; its results answer `future`, in the form that `put` said.

    `fills`: it brings in what was not there, and may not use the reserve.
    """

    verb: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    items: Sequence[Any]
    future: "Future[Any]"
    single: bool = False
    fills: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Run `work` between two groups: for what cannot be done inside a transaction."""

    work: Callable[[], object]
    future: "Future[Any]"


class Closed:
    """Put last: end the thread."""


Queued = Request | Pause | Closed


class Writer:
    """The writer thread. Made by `Outbox`, which alone has the engine."""

    def __init__(
        self,
        engine: Engine,
        mend: Callable[[BaseException], bool] = lambda _: False,
        reserve: Reserve | None = None,
    ) -> None:
        """`mend` is asked on the writer's thread what to do about an error of the database.

        True: it is another one now, and what has failed is to be run again.
        """
        self._engine = engine
        self._mend = mend
        self._reserve = reserve
        self._queue: queue.SimpleQueue[Queued] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)
        self._closed = False
        self._door = threading.Lock()  # nothing is queued behind the Closed
        self._thread.start()

    def put(
        self, verb: Callable[[Connection, Sequence[T]], Sequence[R]], items: Sequence[T]
    ) -> "Future[Sequence[R]]":
        """Queue one verb over a list; requests with the same verb in a row run as one list."""
        return self._enqueue(Request(verb, items, Future(), fills=True))

    def call(self, verb: Callable[[Connection], R], *, fills: bool = False) -> "Future[R]":
        """Queue one verb that answers once, not per item."""

        def listed(connection: Connection, _: Sequence[None]) -> Sequence[R]:
            return [verb(connection)]

        return self._enqueue(Request(listed, [None], Future(), single=True, fills=fills))

    def between(self, work: Callable[[], R]) -> "Future[R]":
        """Run `work` on the writer thread while no transaction is open."""
        return self._enqueue(Pause(work, Future()))

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._door:
            self._closed = True
            self._queue.put(Closed())
        self._thread.join()

    def _enqueue(self, one: Request | Pause) -> "Future[Any]":
        with self._door:
            if self._closed:
                one.future.set_exception(RuntimeError("the outbox is closed"))
            else:
                self._queue.put(one)
        return one.future

    def _run(self) -> None:
        one: Queued | None = self._queue.get()
        while not isinstance(one, Closed):
            if isinstance(one, Request):
                group, one = self._group(one)
                self._commit(self._admitted(group))
            elif isinstance(one, Pause):
                self._answer(one)
                one = None
            if one is None:
                one = self._queue.get()

    def _group(self, first: Request) -> tuple[list[Request], Queued | None]:
        """All requests that wait now, and what else came up behind them, if anything."""
        group: list[Request] = []
        items = 0
        one: Queued = first
        while isinstance(one, Request):
            if one.future.set_running_or_notify_cancel():
                group.append(one)
                items += len(one.items)
            if items >= GROUP_LIMIT:
                return group, None
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                return group, None
        return group, one

    def _commit(self, group: list[Request], *, mended: bool = False) -> None:
        if not group:
            return
        try:
            with self._engine.begin() as connection:
                results = [run(connection, requests) for requests in in_a_row(group)]
        except Exception as raised:  # noqa: BLE001 - answered to the caller, whose it is
            if self._make_room(raised, group):
                self._commit(self._admitted(group), mended=mended)
                return
            exc = self._judge(raised, may_mend=not mended)
            if exc is None:
                self._commit(group, mended=True)
                return
            if len(group) == 1:
                group[0].future.set_exception(exc)
            else:
                for one in group:
                    self._commit([one])
            return
        for request, result in [pair for part in results for pair in part]:
            request.future.set_result(result[0] if request.single else result)

    def _admitted(self, group: list[Request]) -> list[Request]:
        """Without what would fill a disk on which only the reserve was left: that is refused."""
        if self._reserve is None or self._reserve.held or self._reserve.hold():
            return group
        for one in group:
            if one.fills:
                one.future.set_exception(DiskRefused("there is no room left on the disk"))
        return [one for one in group if not one.fills]

    def _make_room(self, raised: Exception, group: list[Request]) -> bool:
        """The disk is full: may what ends entries have the reserve?"""
        if self._reserve is None or all(one.fills for one in group):
            return False
        if not self._reserve.helps(raised) or not self._reserve.give_up():
            return False
        self._engine.dispose()
        return True

    def _answer(self, pause: Pause) -> None:
        """Run the work of a pause and answer with how it ended."""
        if not pause.future.set_running_or_notify_cancel():
            return
        try:
            done = pause.work()
        except Exception as exc:  # noqa: BLE001 - answered to the caller, whose it is
            pause.future.set_exception(self._judge(exc, may_mend=True) or exc)
        else:
            pause.future.set_result(done)

    def _judge(self, raised: Exception, *, may_mend: bool) -> Exception | None:
        """What to answer; None: the database is another one now, and all is to be run again."""
        try:
            if may_mend and self._mend(raised):
                return None
        except Exception as exc:  # noqa: BLE001 - answered to the callers: nothing was stored
            refused = DiskRefused(f"the database is damaged, and no new one could be made: {exc}")
            refused.__cause__ = exc
            return refused
        return self._translate(raised)

    def _translate(self, raised: Exception) -> Exception:
        reason = disk_refusal(raised)
        if reason is None:
            return raised
        # After an I/O error SQLite's view of the file is not to be trusted (facts 4).
        self._engine.dispose()
        refused = DiskRefused(reason)
        refused.__cause__ = raised
        return refused


def in_a_row(group: list[Request]) -> list[list[Request]]:
    """Neighbours with the same verb, together; the order of arrival is kept."""
    rows: list[list[Request]] = []
    for one in group:
        if rows and rows[-1][0].verb == one.verb:
            rows[-1].append(one)
        else:
            rows.append([one])
    return rows


def run(connection: Connection, requests: list[Request]) -> list[tuple[Request, Sequence[Any]]]:
    """Run one verb over the items of all requests; hand each request its part of the results."""
    items = [item for one in requests for item in one.items]
    results = requests[0].verb(connection, items)
    answers = []
    start = 0
    for one in requests:
        answers.append((one, results[start : start + len(one.items)]))
        start += len(one.items)
    return answers
