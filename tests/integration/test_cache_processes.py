"""Several processes on one cache, without an agent between them."""

import asyncio
import subprocess
import sys
from pathlib import Path

from storage.cached import Fact
from tests.builders import NOW, repository
from tests.cache_world import an_answer, cache_at

WRITER = """
import asyncio, sys
from pathlib import Path
from tests.cache_world import an_answer, cache_at
from tests.builders import NOW

async def main():
    who = sys.argv[2]
    async with cache_at(Path(sys.argv[1])) as world:
        for number in range(40):
            key = f"{who} {number}"
            await world.shelf.put(an_answer(key, data=[key] * 500))
            await world.shelf.put(an_answer("both", data=[who] * 20_000, fetched_at=NOW + number))
            await world.shelf.note({key: number}, NOW)
            found = await world.shelf.get("both")
            assert found.data in (["one"] * 20_000, ["two"] * 20_000)
    assert world.told == [], world.told

asyncio.run(main())
"""


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, who], cwd=repository())
        for who in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    asyncio.run(all_is_there(path))


async def all_is_there(path: Path) -> None:
    async with cache_at(path) as world:
        for who in ("one", "two"):
            for number in range(40):
                found = await world.shelf.get(f"{who} {number}")
                assert found is not None
                assert found.data == [f"{who} {number}"] * 500
            assert len(await world.shelf.facts([f"{who} {n}" for n in range(40)])) == 40
        last = await world.shelf.get("both")
        assert last is not None
        assert last.label.fetched_at == NOW + 39


def test_one_killed_in_the_middle_of_a_write_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    asyncio.run(put_one(path))
    killed = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE answer SET data = zeroblob(300000), sum = 'x'")
connection.execute("DELETE FROM fact")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", killed, path], check=False, cwd=repository())
    assert path.with_name("cache.db-journal").stat().st_size > 0
    asyncio.run(it_is_as_before(path))


async def put_one(path: Path) -> None:
    async with cache_at(path) as world:
        await world.shelf.put(an_answer("before"))


async def it_is_as_before(path: Path) -> None:
    async with cache_at(path) as world:
        found = await world.shelf.get("before")
        assert found is not None
        assert found.data == {"of": "before"}
        assert await world.shelf.note({"run": 1}, NOW) == {"run": Fact("run", 1, NOW)}
    assert world.told == []
