"""A reader with a shelf of its own, asked as the engine asks it."""

from dataclasses import dataclass, field
from typing import Any

from adapters.reading import Fetched, Misasked, Plan, Question, Queued, Reader, Recalled
from storage.cached import Kept, Label
from tests.shelf import DictShelf


@dataclass
class Questioner:
    """`at`: the time (epoch ms) under which the next answer is kept; each takes a second."""

    reader: Reader
    shelf: DictShelf = field(default_factory=DictShelf)
    at: int = 1_790_000_000_000
    rows: list[tuple[int, int | None]] = field(default_factory=list)

    def plan(self, resource: str, **parameters: Any) -> Plan:
        pairs = tuple((name, str(value)) for name, value in parameters.items())
        return self.reader.plan(Question(resource, pairs))

    async def live(self, resource: str, **parameters: Any) -> Fetched:
        """Ask the backend, and keep the answer."""
        plan = self.plan(resource, **parameters)
        fetched = await self.reader.fetch(plan, self.shelf, lambda n, of: self.rows.append((n, of)))
        self.at += 1000
        label = Label(plan.key, plan.family, self.at, fetched.complete, fetched.settled, plan.about)
        await self.shelf.put(Kept(label, fetched.data, fetched.meta))
        return fetched

    async def offline(self, resource: str, *, partial: bool = False, **params: Any) -> Recalled:
        return await self.reader.recall(self.plan(resource, **params), self.shelf, partial=partial)

    def with_ours(
        self, resource: str, data: Any, *entries: Queued, **parameters: Any
    ) -> tuple[Any, int]:
        return self.reader.merged(self.plan(resource, **parameters), data, entries)

    def refusal(self, resource: str, **parameters: Any) -> Misasked:
        """What is wrong with a question."""
        try:
            self.plan(resource, **parameters)
        except Misasked as exc:
            return exc
        raise AssertionError(f"{resource} {parameters} makes sense")
