"""A backend that can only be asked, for tests of the engine: a shelf of books, and its reader.

It is a fake of what is on the other side of the network; questions are books by their title.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from adapters.base import BackendKind
from adapters.oms import OmsAdapter
from adapters.reading import (
    Fetched,
    Misasked,
    Plan,
    Progress,
    Question,
    Queued,
    Recalled,
    Resource,
    Shelf,
    recall_exactly,
)

LIBRARY = {
    "library": BackendKind(
        options=BaseModel,
        adapter=OmsAdapter,
        kinds={},
        main_kind="",
        resources={"book": Resource("A book.", {"title": "Its title."}, subject="title")},
    )
}


@dataclass
class Library:
    """What the backend has, and how it behaves. `trouble` is raised instead of an answer.

    While `open` is not set, whoever asks waits. `asked`: every title that was asked for; `begun`
    the same, to wait for. `steps`: how far it says that it is, at once.
    """

    books: dict[str, Any] = field(default_factory=dict)
    trouble: Exception | None = None
    complete: bool = True
    settled: bool = False
    asked: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[tuple[int, int | None]] = field(default_factory=list)
    begun: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.open.set()


class LibraryReader:
    """Reader of a Library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.closed = False

    def plan(self, question: Question) -> Plan:
        """Titles are in capitals, and mean the same in any."""
        given = dict(question.parameters)
        unknown = set(given) - {"title"}
        if unknown:
            raise Misasked(f"there is no {unknown}", parameter=min(unknown))
        key = given.get("title", "").upper()
        return Plan(question, key, "books", key, {"title": key})

    async def fetch(self, plan: Plan, _: Shelf, progress: Progress) -> Fetched:
        """The book."""
        library = self._library
        library.asked.append(plan.key)
        library.begun.put_nowait(plan.key)
        for step in library.steps:
            progress(*step)
        await library.open.wait()
        if library.trouble is not None:
            raise library.trouble
        return Fetched(
            library.books.get(plan.key),
            complete=library.complete,
            settled=library.settled,
            meta={"pages": 1},
            notes=() if library.complete else ("a page is torn out",),
        )

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:
        """Only the very book, never a part of it."""
        del partial
        return await recall_exactly(plan, shelf)

    def queued(self, plan: Plan) -> Sequence[str] | None:
        """Books that we have written ourselves."""
        return None if plan.key == "UNTELLABLE" else ["book"]

    def merged(self, _: Plan, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
        """As a list behind the book."""
        ours = [{"queued": True, "id": one.id, **one.payload} for one in entries]
        return [data, *ours], len(ours)

    def shown(self, plan: Plan) -> str:
        """A request."""
        return f"GET http://library/{plan.key}"

    async def close(self) -> None:
        """Remember it."""
        self.closed = True
