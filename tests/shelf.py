"""A shelf for kept answers and facts in a dict, for tests of readers."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.cached import Fact, Kept, Label


class DictShelf:
    """Implements `adapters.reading.Shelf`. `kept` and `known` may be looked at."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.known: dict[str, Fact] = {}

    async def get(self, key: str) -> Kept | None:
        return self.kept.get(key)

    async def family(self, family: str) -> Sequence[Label]:
        found = [one.label for one in self.kept.values() if one.label.family == family]
        return sorted(found, key=lambda label: -label.fetched_at)

    async def put(self, kept: Kept) -> None:
        self.kept[kept.label.key] = kept

    async def facts(self, names: Sequence[str]) -> Mapping[str, Fact]:
        return {name: self.known[name] for name in names if name in self.known}

    async def note(self, values: Mapping[str, Any], seen_at: int) -> Mapping[str, Fact]:
        for name, value in values.items():
            self.known[name] = noted(self.known.get(name), Fact(name, value, seen_at))
        return {name: self.known[name] for name in values}


def noted(before: Fact | None, now: Fact) -> Fact:
    """What is remembered when something is seen again, so or otherwise."""
    if before is None:
        return now
    if now.seen_at < before.seen_at:
        return before
    since = before.since if before.value == now.value else now.seen_at
    return Fact(now.name, now.value, now.seen_at, since)
