"""The port for questions: Reader, beside the Adapter, and the words that both sides use.

A reader knows what can be asked of one kind of backend, how it is asked, and what may be said
from kept answers when the backend is away. It decides nothing about modes, ages and waiting: the
engine does (`agent/reads`), and it keeps what was fetched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from storage.cached import Fact, Kept, Label, Queued

__all__ = [
    "UNKNOWN",
    "WRONG",
    "Fetched",
    "Misasked",
    "NotKept",
    "Parameters",
    "Plan",
    "Progress",
    "Question",
    "Queued",
    "Reader",
    "Recalled",
    "Resource",
    "Shelf",
    "recall_exactly",
]

UNKNOWN = 404
WRONG = 422

Parameters = Sequence[tuple[str, str]]
Progress = Callable[[int, int | None], None]  # rows so far, and of how many as far as is known


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a resource of the backend and parameters, decoded, in the order given."""

    resource: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that can be asked for, in words for `--help` and for refusals.

    `parameters`: name to what it is. `subject`: the parameter that a bare word on the command
    line gives. `required`: the parameters that have to be there.
    """

    summary: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    required: tuple[str, ...] = ()


class Misasked(Exception):
    """The question makes no sense, here or to the backend. `detail` says what would.

    `status`: 404 when there is no such thing to ask for, else 422. `parameter`: the one at fault.
    """

    def __init__(self, detail: str, *, parameter: str | None = None, status: int = WRONG) -> None:
        super().__init__(detail)
        self.detail = detail
        self.parameter = parameter
        self.status = status


class NotKept(Exception):
    """No kept answer, nor several of them together, says this. `detail` names what is missing.

    `missing`: intervals of run numbers, both ends included, where that is what is missing.
    """

    def __init__(self, detail: str, missing: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.missing = tuple(missing)


@dataclass(frozen=True, slots=True)
class Plan:
    """A question that makes sense. `key`: equal questions have equal keys, whatever their form.

    `family`: the kept answers that may imply this one carry the same. `spec`: the reader's own.
    `about`: JSON that is kept beside the answer. `kept`: is the answer worth keeping?
    """

    question: Question
    key: str
    family: str
    spec: Any
    about: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the backend answered just now. `settled`: it will not change any more, as far as
    anybody can tell. `complete`: nothing that was asked for is missing. `notes`: for people.
    """

    data: Any
    complete: bool = True
    settled: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recalled:
    """What kept answers say. `source`: "cache" for the very answer, "derived" when it was made
    of others. `fetched_at`: of the oldest part (epoch ms). `missing`: as in NotKept, with a
    partial answer.
    """

    data: Any
    source: Literal["cache", "derived"]
    fetched_at: int
    complete: bool
    settled: bool
    meta: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: tuple[tuple[int, int], ...] = ()


class Shelf(Protocol):
    """The kept answers and facts of one backend. What is damaged is as if it were not there."""

    async def get(self, key: str) -> Kept | None:
        """The kept answer to a question."""
        ...

    async def family(self, family: str) -> Sequence[Label]:
        """The labels of all kept answers of a family, newest first."""
        ...

    async def put(self, kept: Kept) -> None:
        """Keep an answer in the place of the last one of the same key."""
        ...

    async def facts(self, names: Sequence[str]) -> Mapping[str, Fact]:
        """What is remembered under these names."""
        ...

    async def note(self, values: Mapping[str, Any], seen_at: int) -> Mapping[str, Fact]:
        """Remember what was seen at a time; gives the facts as they are now.

        Another value than the remembered one sets `since`; what was seen earlier than the
        remembered one changes nothing.
        """
        ...


class Reader(Protocol):
    """How one backend is asked. One instance per configured backend."""

    def plan(self, question: Question) -> Plan:
        """Judge a question, without asking anybody. Raises Misasked."""
        ...

    async def fetch(self, plan: Plan, shelf: Shelf, progress: Progress) -> Fetched:
        """Ask the backend. Raises a DeliveryError when it gives no answer, Misasked.

        May look on the shelf for what need not be asked again, and note facts there.
        """
        ...

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:
        """Say it from kept answers alone. Raises NotKept, Misasked.

        `partial`: say what can be said, and what is missing.
        """
        ...

    def queued(self, plan: Plan) -> Sequence[str] | None:
        """The kinds of entry of ours that belong into this answer; None: it cannot be told."""
        ...

    def merged(self, plan: Plan, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
        """`data` with what waits in the outbox, each marked `"queued": true`; and how many."""
        ...

    def shown(self, plan: Plan) -> str:
        """The request that `fetch` sends first, as a person would type it: GET and the URL."""
        ...

    async def close(self) -> None:
        """Close connections. No other method is called afterwards."""
        ...


async def recall_exactly(plan: Plan, shelf: Shelf) -> Recalled:
    """What a reader says whose answers do not imply each other. Raises NotKept."""
    kept = await shelf.get(plan.key)
    if kept is None:
        raise NotKept("this was never asked while the backend could be reached")
    label = kept.label
    return Recalled(
        kept.data,
        "cache",
        label.fetched_at,
        complete=label.complete,
        settled=label.settled,
        meta=kept.meta,
    )
