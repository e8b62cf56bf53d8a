"""A cache for tests: its clock, what it told, and small answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from storage.cache import Cache
from storage.cached import Kept, Label
from tests.builders import NOW

R = TypeVar("R")

URL = "http://oms.test"
MANY = 50 * 1024 * 1024


class World:
    def __init__(self, path: Path, *, max_bytes: int = MANY) -> None:
        self.path = path
        self.now = NOW
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.cache = Cache(
            path,
            max_bytes=max_bytes,
            now=lambda: self.now,
            tell=lambda event, **about: self.told.append((event, about)),
        )
        self.shelf = self.cache.shelf([URL])

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.told]


@asynccontextmanager
async def cache_at(path: Path, *, max_bytes: int = MANY) -> AsyncIterator[World]:
    world = World(path, max_bytes=max_bytes)
    try:
        yield world
    finally:
        await world.cache.close()


def an_answer(key: str = "q", data: Any = None, **changes: Any) -> Kept:
    fields: dict[str, Any] = {
        "family": "runs",
        "fetched_at": NOW,
        "complete": True,
        "settled": False,
        "about": {"from": 1, "to": 9},
    }
    meta = changes.pop("meta", {"total": 3})
    fields.update(changes)
    return Kept(Label(key, **fields), data if data is not None else {"of": key}, meta)
