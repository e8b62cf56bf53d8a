"""The cache beside a model of what it promises: puts, gets, evictions, facts, in any order."""

import asyncio
import json
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storage.cached import Fact
from tests.cache_world import URL, World, an_answer

R = TypeVar("R")

ROOM = 6000
KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
VALUES = st.sampled_from([None, True, 1, 1.0, "1", [], {"a": 1, "b": [2]}])
LATER = st.integers(-3000, 0)


class CacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.begin()
        self.put_in: dict[str, dict[int, Any]] = {}
        self.newest: dict[str, int] = {}
        self.seen: dict[str, Fact] = {}

    def begin(self) -> None:
        self.world = World(Path(self.folder.name) / "cache.db", max_bytes=ROOM)

    def run_(self, work: Coroutine[Any, Any, R]) -> R:
        return self.loop.run_until_complete(work)

    @rule(key=KEYS, value=VALUES, later=LATER, length=st.integers(0, 2500))
    def put(self, key: str, value: Any, later: int, length: int) -> None:
        self.world.now += 1000
        at = self.world.now + later
        data = [value, "".join(chr(33 + (n * n + at + n // 7) % 90) for n in range(length))]
        self.run_(self.world.shelf.put(an_answer(key, data=data, fetched_at=at)))
        if at >= self.newest.get(key, 0):
            self.newest[key] = at
            self.put_in.setdefault(key, {})[at] = data
            found = self.run_(self.world.shelf.get(key))
            assert found is not None, "what was just kept is there"

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        self.world.now += 61_000
        found = self.run_(self.world.shelf.get(key))
        if found is not None:
            assert found.label.fetched_at == self.newest[key]
            wanted = self.put_in[key][found.label.fetched_at]
            assert json.dumps(found.data) == json.dumps(wanted)
        elif key in self.newest:  # it has made room, so anything may take its place
            del self.newest[key]

    @rule(keys=st.sets(KEYS, max_size=2))
    def pin(self, keys: set[str]) -> None:
        self.run_(self.world.cache.pinned(URL, keys))

    @rule(name=KEYS, value=VALUES, later=LATER)
    def note(self, name: str, value: Any, later: int) -> None:
        at = self.world.now + later
        known = self.seen.get(name)
        if known is None:
            self.seen[name] = Fact(name, value, at)
        elif at >= known.seen_at:
            same = json.dumps(known.value) == json.dumps(value)
            self.seen[name] = Fact(name, value, at, known.since if same else at)
        noted = self.run_(self.world.shelf.note({name: value}, at))
        assert noted == {name: self.seen[name]}

    @rule()
    def again(self) -> None:
        self.run_(self.world.cache.close())
        now = self.world.now
        self.begin()
        self.world.now = now

    @invariant()
    def room_is_kept(self) -> None:
        held = self.run_(self.world.cache.overview())
        assert sum(stock.bytes for stock in held.values()) <= ROOM
        assert self.run_(self.world.shelf.facts("abcde")) == self.seen
        assert self.world.told == []

    def teardown(self) -> None:
        self.run_(self.world.cache.close())
        self.loop.close()
        self.folder.cleanup()


TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
