"""The kept answers of one backend in memory, for tests of readers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from storage.cached import Fact, Kept, Label


class DictShelf:
    """A Shelf (adapters/reading.py). What is kept goes through JSON, as on disk."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.known: dict[str, Fact] = {}

    async def get(self, key: str) -> Kept | None:
        return self.kept.get(key)

    async def family(self, family: str) -> Sequence[Label]:
        labels = [kept.label for kept in self.kept.values() if kept.label.family == family]
        return sorted(labels, key=lambda label: -label.fetched_at)

    async def put(self, kept: Kept) -> None:
        data = json.loads(json.dumps(kept.data, allow_nan=False))
        about = json.loads(json.dumps(dict(kept.label.about)))
        label = Label(
            kept.label.key,
            kept.label.family,
            kept.label.fetched_at,
            kept.label.complete,
            kept.label.settled,
            about,
        )
        self.kept[kept.label.key] = Kept(label, data, dict(kept.meta))

    async def facts(self, names: Sequence[str]) -> Mapping[str, Fact]:
        return {name: self.known[name] for name in names if name in self.known}

    async def note(self, values: Mapping[str, Any], seen_at: int) -> Mapping[str, Fact]:
        for name, value in values.items():
            before = self.known.get(name)
            if before is None:
                self.known[name] = Fact(name, value, seen_at)
            elif seen_at >= before.seen_at:
                since = before.since if value == before.value else seen_at
                self.known[name] = Fact(name, value, seen_at, since)
        return await self.facts(list(values))
