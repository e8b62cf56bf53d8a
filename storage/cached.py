"""The values of the read cache: answers that were fetched once, and small facts beside them;
and what waits in the outbox, as a reader sees it.

Frozen, no I/O. What they mean is for the readers in `adapters/`; the cache only keeps them. All
times are epoch ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a kept answer without loading its data.

    `key`: the question in one canonical form. `family`: answers of one family may imply each
    other. `about`: JSON of the reader's own, that says what was asked. `fetched_at`: when its
    fetch began: nothing in it is older. `settled`: the reader took it for final then.
    """

    key: str
    family: str
    fetched_at: int
    complete: bool
    settled: bool
    about: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept answer. `data` and `meta` are JSON, as the reader made them."""

    label: Label
    data: Any
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something small that a reader remembers of its backend: the state of a run, say.

    `value` is JSON; `seen_at`: when it was last seen so; `since`: when it was first seen so, or
    None while it was never seen otherwise.
    """

    name: str
    value: Any
    seen_at: int
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """An entry of our own outbox that its backend does not have yet.

    `state`: pending, leased or held. `created_at`: its producer's time (epoch ms), which the
    backend will be told; None: the time at which it was accepted.
    """

    id: str
    kind: str
    payload: Mapping[str, Any]
    state: str
    accepted_at: int
    created_at: int | None = None

    @property
    def made_at(self) -> int:
        """When it was made, as its backend will be told (epoch ms)."""
        return self.accepted_at if self.created_at is None else self.created_at


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that was answered from the cache because the backend was away.

    `question` is JSON: what it takes to ask it again.
    """

    scope: str
    key: str
    question: Any
    wanted_at: int


@dataclass(frozen=True, slots=True)
class Stock:
    """How much is kept of one backend. `bytes`: as stored; `oldest_at`: None when nothing is."""

    answers: int = 0
    bytes: int = 0
    oldest_at: int | None = None
    settled: int = 0
