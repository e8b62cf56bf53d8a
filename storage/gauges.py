"""How much waits for each backend, known without counting: kept by what the verbs answer.

Promises: equal to the tables after each answer, so that a budget can be judged and a place in
the queue told without asking the database.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from storage.amend import Found
from storage.census import Census
from storage.entry import Accepted, Entry
from storage.loss import Lost
from storage.settlement import Bury, Confirm, Settlement, Supersede
from storage.states import State
from storage.wrecks.salvage import Restored


class Gauges:
    """Per backend: entries still to be delivered, bytes held (dead letters too), confirms ever."""

    def __init__(self) -> None:
        self.waiting: Counter[str] = Counter()
        self.size: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self._lock = threading.Lock()  # what is salvaged is counted from another thread

    def begin(self, found: Mapping[str, Census]) -> None:
        """Take the tables' own count."""
        with self._lock:
            for gauge in (self.waiting, self.size, self.delivered):
                gauge.clear()
            for name, one in found.items():
                self.waiting[name] = one.waiting
                self.size[name] = one.size
                self.delivered[name] = one.delivered

    def salvaged(self, done: Restored) -> None:
        """Entries and counts came back from a damaged database."""
        with self._lock:
            self.waiting.update(done.waiting)
            self.size.update(done.size)
            self.delivered.update(done.delivered)

    def accepted(self, entries: Sequence[Entry], outcomes: Sequence[Accepted]) -> None:
        """Entries came in."""
        with self._lock:
            for one, outcome in zip(entries, outcomes, strict=True):
                if outcome.state in ("accepted", "retried"):
                    self.waiting[one.backend] += 1
                if outcome.state == "accepted":
                    self.size[one.backend] += one.size - outcome.replaced_size

    def settled(self, backend: str, ended: Iterable[Settlement]) -> None:
        """Claims ended."""
        with self._lock:
            for one in ended:
                if isinstance(one, Confirm | Bury | Supersede):
                    self.waiting[backend] -= 1
                if isinstance(one, Confirm):
                    self.delivered[backend] += 1
                if isinstance(one, Confirm | Supersede):
                    self.size[backend] -= one.claim.size

    def retried(self, found: Iterable[Found]) -> None:
        """Dead letters wait again."""
        with self._lock:
            for one in found:
                if one.state is State.DEAD:
                    self.waiting[one.backend] += 1

    def discarded(self, found: Iterable[Found]) -> None:
        """Entries that were not in flight are gone."""
        with self._lock:
            for one in found:
                if one.state is not State.LEASED:
                    self.size[one.backend] -= one.size
                    self.waiting[one.backend] -= one.state is not State.DEAD

    def returned(self, backend: str, sizes: Sequence[int]) -> None:
        """Delivered entries wait again; so many bytes each."""
        with self._lock:
            self.waiting[backend] += len(sizes)
            self.size[backend] += sum(sizes)

    def resized(self, backend: str, by: int) -> None:
        """An entry takes so many bytes more, or less, than it did."""
        with self._lock:
            self.size[backend] += by

    def lost(self, backend: str, gone: Iterable[Lost]) -> None:
        """Entries were given up for newer ones."""
        with self._lock:
            for one in gone:
                self.size[backend] -= one.size
                self.waiting[backend] -= one.state is not State.DEAD

    def expired(self, backends: Iterable[str]) -> None:
        """One entry of each of these became a dead letter."""
        with self._lock:
            for backend in backends:
                self.waiting[backend] -= 1

    def unexpired(self, backends: Iterable[str]) -> None:
        """One dead letter of each of these waits again."""
        with self._lock:
            for backend in backends:
                self.waiting[backend] += 1
