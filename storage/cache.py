"""The read cache: answers of backends, kept for when they are away. Awaitable.

Promises: what it gives is what was put in, or nothing; no trouble with the file is ever an error
for the one who asks; several processes may use one file at once. The outbox is never touched.
What it tells, once until it goes well again: `cache.damaged`, `cache.renewed`, `cache.not_kept`,
`cache.not_read`, each with a reason.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from storage import cache_facts, cache_rows
from storage.cache_file import CacheFile, Tell, Unusable
from storage.cache_rows import Found
from storage.cached import Fact, Kept, Label, OpenQuestion, Stock
from storage.dialect import storable

R = TypeVar("R")

USED_MS = 60_000  # how exact `used_at` is: a read must not cost a write


class Cache:
    """One file. Opened when it is used first; made by the first write.

    `max_bytes`: what all answers together may take, as stored. A larger one than half of that is
    not kept. Scopes are the addresses of backends.
    """

    def __init__(self, path: Path, *, max_bytes: int, now: Callable[[], int], tell: Tell) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._now = now
        self._tell = tell
        self._told: set[str] = set()
        self._pins: dict[str, frozenset[str]] = {}
        self._pins_lost = False
        self._file = CacheFile(path, self._began_anew)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache")

    def shelf(self, scopes: Sequence[str]) -> "CacheShelf":
        """What is kept of one backend: of its address, and of its former ones.

        Looks in all of them, the newest wins; what is kept goes to the first.
        """
        return CacheShelf(self, scopes)

    async def pinned(self, scope: str, keys: Collection[str]) -> None:
        """These answers of a scope, and no others of it, are the last to make room."""
        wanted = frozenset(storable(key) for key in keys)
        self._pins[scope] = wanted
        await self.write(partial(cache_rows.pin, scope=storable(scope), keys=wanted))

    async def want(self, scope: str, key: str, question: Any) -> None:
        """To be asked again within a day: it was answered while the backend was away.

        `question` is JSON.
        """
        one = OpenQuestion(storable(scope), storable(key), question, self._now())
        await self.write(partial(cache_facts.want, wanted=one))

    async def wanted(self, limit: int = 100) -> list[OpenQuestion]:
        """What is to be asked again, those first that wait longest."""
        return await self.read(partial(cache_facts.wants, now=self._now(), limit=limit), [])

    async def unwant(self, scope: str, key: str) -> None:
        """It was asked again."""
        await self.write(partial(cache_facts.unwant, scope=storable(scope), key=storable(key)))

    async def overview(self) -> dict[str, Stock]:
        """How much is kept, per scope."""
        return await self.read(cache_rows.stock, {})

    async def forget(self, scope: str | None = None, older_than: int | None = None) -> int:
        """Delete answers, of one scope or of all, and return how many.

        `older_than`: only those fetched before (epoch ms); otherwise facts and wanted questions
        go, too.
        """
        scope = None if scope is None else storable(scope)
        return await self.write(partial(cache_rows.forget, scope=scope, older_than=older_than)) or 0

    async def close(self) -> None:
        """Finish what was begun, and close the file."""
        await self.run(self._file.close)
        self._thread.shutdown()

    async def run(self, work: Callable[[], R]) -> R:
        """Run something in the cache's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def read(self, look: Callable[[Connection], R], default: R) -> R:
        """Look at the rows; `default` when they cannot be read."""
        return await self.run(partial(self.read_now, look, default))

    async def write(self, change: Callable[[Connection], R]) -> R | None:
        """Change the rows; None when that cannot be, which is told."""
        return await self.run(partial(self.write_now, change))

    def read_now(self, look: Callable[[Connection], R], default: R) -> R:
        """As `read`, in the cache's thread."""
        try:
            found = self._file.run(look)
        except Unusable as exc:
            if exc.reason:
                self._once("cache.not_read", exc.reason)
            return default
        self._told.discard("cache.not_read")
        return found

    def write_now(self, change: Callable[[Connection], R]) -> R | None:
        """As `write`, in the cache's thread."""
        try:
            done = self._file.run(change, writes=True)
            self._pin_again()
        except Unusable as exc:
            self._once("cache.not_kept", exc.reason)
            return None
        self._told.discard("cache.not_kept")
        return done

    def find_now(self, scopes: Sequence[str], key: str) -> Kept | None:
        """The kept answer to a question, in the cache's thread."""
        nothing = Found(None)
        found = self.read_now(partial(cache_rows.find, scopes=scopes, key=key), nothing)
        if found.damaged:
            self._tell("cache.damaged", reason="a kept answer was altered on the disk", key=key)
            self._try(partial(cache_rows.drop, ids=found.damaged))
        now = self._now()
        if found.kept is not None and abs(now - found.used_at) > USED_MS:
            self._try(partial(cache_rows.touch, number=found.id, now=now))
        return found.kept

    def keep_now(self, scope: str, kept: Kept) -> None:
        """Keep an answer, in the cache's thread."""
        packed = cache_rows.pack(kept)
        if packed.size > self._max_bytes // 2:
            reason = (
                f"an answer of {packed.size} bytes is larger than half of what may be kept"
                f" ({self._max_bytes} bytes)"
            )
            self._tell("cache.not_kept", reason=reason, key=kept.label.key)
            return
        self.write_now(
            partial(
                cache_rows.keep,
                scope=scope,
                packed=packed,
                now=self._now(),
                room=self._max_bytes,
            )
        )

    def note_now(
        self, scopes: Sequence[str], values: Mapping[str, Any], seen_at: int
    ) -> Mapping[str, Fact]:
        """Note what was seen, in the cache's thread; said also when it cannot be kept."""
        now = self._now()

        def as_now(connection: Connection) -> dict[str, Fact]:
            known = cache_facts.facts(connection, scopes, list(values))
            return {
                name: cache_facts.merged(known.get(name), name, value, seen_at, now=now)
                for name, value in values.items()
            }

        def noted(connection: Connection) -> dict[str, Fact]:
            seen = as_now(connection)
            cache_facts.note(connection, scopes[0], seen)
            return seen

        seen = self.write_now(noted)
        if seen is not None:
            return seen
        return self.read_now(
            as_now, {name: Fact(name, value, seen_at) for name, value in values.items()}
        )

    def _try(self, change: Callable[[Connection], None]) -> None:
        """A change that only tidies up: not waited for, not told."""
        try:
            self._file.run(change, writes=True, patience_ms=0)
        except (Unusable, sqlite3.Error, DBAPIError):
            return

    def _once(self, event: str, reason: str) -> None:
        if event not in self._told:
            self._told.add(event)
            self._tell(event, reason=reason)

    def _began_anew(self, event: str, **about: Any) -> None:
        self._pins_lost = True
        self._tell(event, **about)

    def _pin_again(self) -> None:
        if self._pins_lost:
            self._pins_lost = False
            for scope, keys in self._pins.items():
                self._try(partial(cache_rows.pin, scope=storable(scope), keys=keys))


class CacheShelf:
    """What is kept of one backend. Made by `Cache.shelf`."""

    def __init__(self, cache: Cache, scopes: Sequence[str]) -> None:
        self._cache = cache
        self._scopes = [storable(scope) for scope in scopes]

    async def get(self, key: str) -> Kept | None:
        """The kept answer to a question."""
        return await self._cache.run(partial(self._cache.find_now, self._scopes, storable(key)))

    async def family(self, family: str) -> Sequence[Label]:
        """The labels of all kept answers of a family, newest first."""
        look = partial(cache_rows.labels, scopes=self._scopes, family=storable(family))
        return await self._cache.read(look, [])

    async def put(self, kept: Kept) -> None:
        """Keep an answer in the place of the last one of the same key."""
        await self._cache.run(partial(self._cache.keep_now, self._scopes[0], kept))

    async def facts(self, names: Sequence[str]) -> Mapping[str, Fact]:
        """What is remembered under these names."""
        look = partial(cache_facts.facts, scopes=self._scopes, names=list(names))
        return await self._cache.read(look, {})

    async def note(self, values: Mapping[str, Any], seen_at: int) -> Mapping[str, Fact]:
        """Remember what was seen at a time; gives the facts as they are now."""
        return await self._cache.run(partial(self._cache.note_now, self._scopes, values, seen_at))
