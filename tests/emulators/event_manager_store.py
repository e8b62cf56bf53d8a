"""The document store behind an emulated Event Manager: MongoDB as far as the server uses it.

Promises: with unique ids the first document of an id stays and later ones are dropped
silently (sheet, section 3); without them (the 0.8.1 in-memory store) every insert counts.
Raises QueryFailed where the database would raise.
"""

import json
import operator
import threading
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
    "$in": lambda value, wanted: value in wanted,
}
MISSING = object()


class QueryFailed(Exception):
    """The database does not understand the filter."""


class Store:
    """Documents in order of arrival. Safe to read from another thread than the server's."""

    def __init__(self, *, unique_ids: bool) -> None:
        self.unique_ids = unique_ids
        self._lock = threading.Lock()
        self._documents: list[Document] = []
        self._first: dict[str, Document] = {}
        self._archived_by_us: set[str] = set()

    def insert(self, document: Document) -> bool:
        """Store `document`; False when its id is taken and nothing was stored."""
        with self._lock:
            if self.unique_ids and document["_id"] in self._first:
                return False
            self._documents.append(document)
            self._first.setdefault(document["_id"], document)
            return True

    def get(self, event_id: str) -> Document | None:
        with self._lock:
            return self._first.get(event_id)

    def all(self) -> list[Document]:
        """Copies of all documents, oldest first."""
        with self._lock:
            return [json.loads(json.dumps(document)) for document in self._documents]

    def find(self, wanted: Any) -> list[Document]:
        if not isinstance(wanted, dict):
            raise QueryFailed("a filter is an object")
        return [document for document in self.all() if matches(document, wanted)]

    def archive(self, ids: list[str], at: str) -> int:
        """Mark the documents of `ids`; how many were not archived before."""
        with self._lock:
            fresh = [d for d in self._documents if d["_id"] in ids and not d["archived"]]
            for document in fresh:
                document.update(archived=True, archived_at=at)
                self._archived_by_us.add(document["_id"])
            return len(fresh)

    def purge(self) -> int:
        """Forget archived documents; how many. Their ids are free again.

        Only those that `archive` marked: an `archived_at` posted by a client is text and not a
        date, and no purge ever meets it (sheet, section 4).
        """
        with self._lock:
            kept = [d for d in self._documents if d["_id"] not in self._archived_by_us]
            self._archived_by_us.clear()
            gone = len(self._documents) - len(kept)
            self._documents = kept
            self._first = {document["_id"]: document for document in reversed(kept)}
            return gone


def matches(document: Document, wanted: dict[str, Any]) -> bool:
    return all(satisfies(value_at(document, path), condition) for path, condition in wanted.items())


def value_at(document: Any, path: str) -> Any:
    """What a dotted path points to; MISSING when nothing is there."""
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return MISSING
        document = document[name]
    return document


def satisfies(value: Any, condition: Any) -> bool:
    if not (isinstance(condition, dict) and any(name.startswith("$") for name in condition)):
        return bool(value == condition)
    if not condition.keys() <= COMPARISONS.keys():
        raise QueryFailed(f"unknown operator in {condition}")
    if value is MISSING:
        return condition.keys() == {"$ne"}
    try:
        return all(COMPARISONS[name](value, wanted) for name, wanted in condition.items())
    except TypeError:  # MongoDB finds no order between types, and nothing then
        return False
