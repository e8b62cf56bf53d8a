"""A cache whose file is damaged in every way: the right answer or none, and it goes on."""

import asyncio
import os
import random
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage.cached import Fact
from tests.builders import NOW
from tests.cache_world import World, an_answer, cache_at

NOISE = random.Random(7)
ANSWERS = {
    str(number): [{"run": number, "text": NOISE.randbytes(number * 200 % 1500).hex()}]
    for number in range(12)
}
FACTS = {f"run {number}": {"state": "open", "number": number} for number in range(8)}


async def fill(world: World) -> None:
    for key, data in ANSWERS.items():
        await world.shelf.put(an_answer(key, data=data))
    await world.shelf.note(FACTS, NOW)
    await world.cache.want("http://oms.test", "q", {"resource": "runs"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "cache.db"

    async def make() -> None:
        async with cache_at(path) as world:
            await fill(world)

    asyncio.run(make())
    return path.read_bytes()


async def check(world: World, *, also_writes: bool = True) -> int:
    """Nothing wrong comes out, and an answer can be kept. How much is still there."""
    there = 0
    for key, data in ANSWERS.items():
        found = await world.shelf.get(key)
        if found is not None:
            assert found.data == data, key
            assert dict(found.label.about) == {"from": 1, "to": 9}
            assert dict(found.meta) == {"total": 3}
            assert (found.label.fetched_at, found.label.settled) == (NOW, False)
            there += 1
    for label in await world.shelf.family("runs"):
        assert (label.key in ANSWERS, label.fetched_at, label.complete) == (True, NOW, True)
    for name, fact in (await world.shelf.facts(list(FACTS))).items():
        assert fact == Fact(name, FACTS[name], NOW, None)
    for wanted in await world.cache.wanted():
        assert wanted.question == {"resource": "runs"}
    await world.cache.overview()
    if also_writes:
        await world.shelf.put(an_answer("0", data=ANSWERS["0"]))
        found = await world.shelf.get("0")
        assert found is not None
        assert found.data == ANSWERS["0"]
        assert (await world.shelf.note({"run 0": FACTS["run 0"]}, NOW))["run 0"].seen_at == NOW
    return there


def overwrite(path: Path, content: bytes) -> None:
    """In place, as a disk does it: the file stays the same one."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


@pytest.mark.parametrize(("bits", "step"), [(0xFF, 1024), (0x04, 2560)], ids=["a byte", "a bit"])
async def test_a_flip_anywhere_between_two_uses(
    whole: bytes, tmp_path: Path, bits: int, step: int
) -> None:
    path = tmp_path / "cache.db"
    survived = 0
    places = [*range(0, 16, 5), *range(16, 29), *range(30, 100, 5), *range(100, len(whole), step)]
    for number, place in enumerate(places):
        content = bytearray(whole)
        content[(place + number * 7) % len(content) if place >= 100 else place] ^= bits
        path.write_bytes(content)
        async with cache_at(path) as world:
            survived += await check(world)
        assert set(world.events) <= {"cache.damaged", "cache.renewed"}, (place, world.told)
    assert survived > len(places) * len(ANSWERS) / 3, "one flip does not cost everything"


async def test_a_flip_anywhere_while_it_is_open(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    for number, place in enumerate(range(0, len(whole), 2048)):
        path.unlink(missing_ok=True)
        path.write_bytes(whole)
        async with cache_at(path) as world:
            assert await world.shelf.get("3") is not None
            content = bytearray(whole)
            content[(place + number * 13) % len(content)] ^= 0x41
            content[24:28] = b"\0\0\0\7"  # as if another process had written
            overwrite(path, content)
            await check(world)
        assert set(world.events) <= {"cache.damaged", "cache.renewed"}, (place, world.told)


@pytest.mark.parametrize("open_", [False, True], ids=["closed", "open"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
async def test_a_file_cut_short(whole: bytes, tmp_path: Path, part: float, open_: bool) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(whole)
    async with cache_at(path) as world:
        if open_:
            await world.shelf.get("1")
        overwrite(path, whole[: int(len(whole) * part)])
        await check(world)
        assert await world.shelf.get("0") is not None
    assert set(world.events) <= {"cache.damaged"}


def a_folder(path: Path) -> None:
    path.unlink()
    (path / "with" / "something").mkdir(parents=True)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def text(path: Path) -> None:
    path.write_text("this is no database\n" * 500)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere/at/all")


def a_folder_for_a_journal(path: Path) -> None:
    path.with_name(path.name + "-journal").mkdir()


def a_strange_journal(path: Path) -> None:
    path.with_name(path.name + "-journal").write_bytes(
        bytes.fromhex("d9d505f920a163d7") + b"\0\0\0\2" + bytes(range(256)) * 20
    )


def removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("open_", [False, True], ids=["closed", "open"])
@pytest.mark.parametrize(
    "harm",
    [
        a_folder,
        a_pipe,
        text,
        zeros,
        a_link_to_nothing,
        a_folder_for_a_journal,
        a_strange_journal,
        removed,
    ],
)
async def test_something_else_in_its_place(
    whole: bytes, tmp_path: Path, harm: Callable[[Path], None], open_: bool
) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(whole)
    aside = path.with_name("cache.db.damaged")
    (aside / "older").mkdir(parents=True)
    async with cache_at(path) as world:
        if open_:
            await world.shelf.get("1")
        harm(path)
        await check(world)
    assert set(world.events) <= {"cache.damaged"}
    if harm in (a_folder, text, zeros):
        assert world.events == ["cache.damaged"]
        assert not (aside / "older").exists(), "one is kept"
    async with cache_at(path) as again:
        assert await again.shelf.get("0") is not None


async def test_one_who_has_it_open_follows_when_another_begins_it_anew(
    whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(whole)
    async with cache_at(path) as one, cache_at(path) as two:
        assert await two.shelf.get("1") is not None
        text(path)
        await one.shelf.put(an_answer("new"))
        assert await two.shelf.get("new") is not None
        assert await two.shelf.get("1") is None
        await two.shelf.put(an_answer("more"))
        assert await one.shelf.get("more") is not None
    assert (one.events, two.events) == (["cache.damaged"], [])


async def test_the_data_of_another_answer_is_no_answer(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(whole)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        others = zlib.compress(b"[1]")
        connection.execute("UPDATE answer SET data = ? WHERE key = '3'", (others,))
        connection.execute("UPDATE answer SET about = '{}' WHERE key = '4'")
        connection.execute("UPDATE fact SET value = '1' WHERE name = 'run 3'")
        connection.execute("UPDATE want SET question = '1'")
    async with cache_at(path) as world:
        assert await world.shelf.get("3") is None
        assert await world.shelf.get("4") is None
        assert await check(world) == len(ANSWERS) - 2
        assert "run 3" not in await world.shelf.facts(list(FACTS))
        assert await world.cache.wanted() == []
    assert world.events == ["cache.damaged", "cache.damaged"]


async def test_pins_count_again_after_damage(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    async with cache_at(path, max_bytes=4000) as world:
        await world.cache.pinned("http://oms.test", {"0"})
        text(path)
        for number in range(9):
            world.now += 1
            await world.shelf.put(an_answer(str(number), data=os.urandom(400).hex()))
        assert await world.shelf.get("0") is not None
        assert await world.shelf.get("1") is None
