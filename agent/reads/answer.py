"""What a question gets: an Answer that says where it is from, or Unanswerable. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Source = Literal["live", "cache", "derived"]
Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and how far it may be trusted.

    `source`: "live" was asked for just now, "cache" is the very answer of an earlier time,
    "derived" was made of other answers (or of our own outbox alone). `fetched_at`: nothing in it
    is older (epoch ms); None: the backend was never asked. `settled`: it is not expected to change
    any more. `complete`: nothing is missing. `stale`: the backend may say something else by now.
    `queued`: how many entries of our own outbox are in it.
    """

    backend: str
    resource: str
    data: Any
    source: Source
    fetched_at: int | None
    settled: bool
    complete: bool
    stale: bool
    meta: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: tuple[Interval, ...] = ()
    queued: int | None = None

    def told(self) -> dict[str, Any]:
        """As JSON (design section 9): the marks first, the data, then what belongs to it."""
        said: dict[str, Any] = {
            "backend": self.backend,
            "resource": self.resource,
            "source": self.source,
            "fetched_at": None if self.fetched_at is None else iso(self.fetched_at),
            "settled": self.settled,
            "complete": self.complete,
            "stale": self.stale,
        }
        if self.queued is not None:
            said["queued"] = self.queued
        said |= {"data": self.data, "meta": dict(self.meta), "notes": list(self.notes)}
        if self.missing:
            said["missing"] = [list(one) for one in self.missing]
        return said


class Unanswerable(Exception):
    """There is no answer now. `detail`: why the backend gave none, and what was never kept."""

    def __init__(self, detail: str, missing: tuple[Interval, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.missing = missing


def iso(moment: int) -> str:
    """Epoch ms as ISO 8601 in UTC, to the second."""
    return f"{EPOCH + timedelta(milliseconds=moment):%Y-%m-%dT%H:%M:%SZ}"
