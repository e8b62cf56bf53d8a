"""The read cache on a real file: what is kept, found, pushed out and forgotten."""

import os
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from storage.cached import Fact, Kept, Stock
from tests.builders import NOW
from tests.cache_world import URL, an_answer, cache_at

OLD_URL = "http://old.test"
DAY_MS = 24 * 3600 * 1000


def noise(number: int, size: int) -> str:
    """What cannot be compressed to much less than half."""
    return random.Random(number).randbytes(size).hex()


def same(found: Kept | None, put: Kept) -> bool:
    return found is not None and (
        replace(found.label, size=0) == put.label
        and found.data == put.data
        and dict(found.meta) == dict(put.meta)
    )


async def test_what_was_put_in_comes_out_also_after_a_restart(tmp_path: Path) -> None:
    put = an_answer(
        data=[{"run": 1, "x": 1.5, "y": None, "text": "\ud800 ä \0"}], complete=False, settled=True
    )
    async with cache_at(tmp_path / "deep" / "cache.db") as world:
        assert await world.shelf.get("q") is None
        assert not world.path.exists(), "a look makes no file"
        await world.shelf.put(put)
        found = await world.shelf.get("q")
        assert same(found, put)
        assert found is not None
        assert found.label.size > 0
    async with cache_at(world.path) as again:
        assert same(await again.shelf.get("q"), put)
        assert await again.shelf.get("other") is None
    assert world.told == again.told == []
    assert world.path.stat().st_mode & 0o777 == 0o640
    assert world.path.parent.stat().st_mode & 0o777 == 0o700


async def test_keys_of_any_characters_are_kept_apart(tmp_path: Path) -> None:
    keys = ["a", "A", "a\0b", "ä", "\ud800", "'; --", "x" * 5000]
    async with cache_at(tmp_path / "cache.db") as world:
        for key in keys:
            await world.shelf.put(an_answer(key, data=[key], family=key))
        for key in keys:
            found = await world.shelf.get(key)
            assert found is not None
            assert found.data == [key]
            assert [label.family for label in await world.shelf.family(key)] != []


async def test_the_last_answer_takes_the_place_of_an_older_one_only(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        await world.shelf.put(an_answer(data=1, fetched_at=NOW - 10))
        await world.shelf.put(an_answer(data=2, fetched_at=NOW - 5))
        await world.shelf.put(an_answer(data=0, fetched_at=NOW - 20))  # it began earlier
        found = await world.shelf.get("q")
        assert found is not None
        assert (found.data, found.label.fetched_at) == (2, NOW - 5)
        await world.shelf.put(an_answer(data=3, fetched_at=NOW + DAY_MS))  # a wrong clock's
        await world.shelf.put(an_answer(data=4, fetched_at=NOW))
        found = await world.shelf.get("q")
        assert found is not None
        assert found.data == 4


async def test_a_former_address_still_counts_and_the_newest_wins(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        both = world.cache.shelf([URL, OLD_URL])
        old = world.cache.shelf([OLD_URL])
        await old.put(an_answer(data="old", fetched_at=NOW - 9))
        assert (found := await both.get("q")) is not None
        assert found.data == "old"
        assert await world.shelf.get("q") is None
        await both.put(an_answer(data="new", fetched_at=NOW - 5))
        assert (found := await both.get("q")) is not None
        assert found.data == "new"
        assert (found := await old.get("q")) is not None
        assert found.data == "old", "what is kept goes to the first address"
        assert [one.fetched_at for one in await both.family("runs")] == [NOW - 5]


async def test_a_family_is_listed_newest_first_and_without_data(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        for key, at in (("a", 3), ("b", 9), ("c", 6)):
            await world.shelf.put(an_answer(key, fetched_at=at, about={"key": key}))
        await world.shelf.put(an_answer("d", family="fills"))
        listed = await world.shelf.family("runs")
        assert [(one.key, one.fetched_at, dict(one.about)) for one in listed] == [
            ("b", 9, {"key": "b"}),
            ("c", 6, {"key": "c"}),
            ("a", 3, {"key": "a"}),
        ]
        assert await world.shelf.family("shifts") == []


async def test_what_was_not_used_longest_makes_room_and_pins_go_last(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db", max_bytes=40_000) as world:

        async def put(number: int) -> set[str]:
            world.now += DAY_MS
            await world.shelf.put(an_answer(str(number), data=noise(number, 10_000)))
            return {one.key for one in await world.shelf.family("runs")}

        await world.cache.pinned(URL, {"0"})
        for number in range(4):
            await put(number)
        assert await put(4) == {"0", "3", "4"}
        world.now += DAY_MS
        assert await world.shelf.get("3") is not None
        assert await put(5) == {"0", "3", "5"}
        await world.cache.pinned(URL, set())
        assert await put(6) == {"3", "5", "6"}
        assert (await world.cache.overview())[URL].bytes <= 40_000
        assert world.path.stat().st_size < 100_000
    assert world.told == []


async def test_an_answer_larger_than_half_is_not_kept_and_said(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db", max_bytes=20_000) as world:
        await world.shelf.put(an_answer(data="small"))
        await world.shelf.put(an_answer(data=noise(1, 20_000), fetched_at=NOW + 1))
        found = await world.shelf.get("q")
        assert found is not None
        assert found.data == "small", "what was kept before is as true as it was"
    assert world.events == ["cache.not_kept"]
    assert "larger than half" in world.told[0][1]["reason"]


async def test_the_file_shrinks_when_answers_go(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        for number in range(20):
            await world.shelf.put(an_answer(str(number), data=noise(number, 20_000)))
        full = world.path.stat().st_size
        assert await world.cache.forget() == 20
        assert world.path.stat().st_size < full / 4


async def test_a_read_writes_at_most_once_a_minute(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        await world.shelf.put(an_answer())
        before = world.path.read_bytes()
        world.now += 59_000
        await world.shelf.get("q")
        assert world.path.read_bytes() == before
        world.now += 2_000
        await world.shelf.get("q")
        assert world.path.read_bytes() != before


async def test_facts_say_since_when(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        shelf = world.shelf
        assert await shelf.facts(["run 1"]) == {}
        assert await shelf.note({"run 1": {"open": True}}, NOW - 50) == {
            "run 1": Fact("run 1", {"open": True}, NOW - 50, None)
        }
        same_value = await shelf.note({"run 1": {"open": True}}, NOW - 40)
        assert same_value["run 1"] == Fact("run 1", {"open": True}, NOW - 40, None)
        closed = Fact("run 1", {"open": False}, NOW - 30, NOW - 30)
        assert (await shelf.note({"run 1": {"open": False}}, NOW - 30))["run 1"] == closed
        assert (await shelf.note({"run 1": {"open": True}}, NOW - 35))["run 1"] == closed
        assert (await shelf.note({"run 1": {"open": False}, "\ud800": 2}, NOW - 5)) == {
            "run 1": Fact("run 1", {"open": False}, NOW - 5, NOW - 30),
            "\ud800": Fact("\ud800", 2, NOW - 5, None),
        }
        assert await shelf.facts(["run 1", "run 2"]) == {
            "run 1": Fact("run 1", {"open": False}, NOW - 5, NOW - 30)
        }


async def test_what_a_clock_ahead_of_time_saw_gives_way(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        await world.shelf.note({"run": "open"}, NOW + DAY_MS)
        seen = await world.shelf.note({"run": "closed"}, NOW)
        assert seen["run"] == Fact("run", "closed", NOW, NOW)


async def test_facts_of_a_former_address_are_carried_over(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        await world.cache.shelf([OLD_URL]).note({"run": "open"}, NOW - 9)
        both = world.cache.shelf([URL, OLD_URL])
        assert (await both.note({"run": "closed"}, NOW - 5))["run"].since == NOW - 5
        assert (await both.facts(["run"]))["run"].value == "closed"
        assert (await world.shelf.facts(["run"]))["run"].since == NOW - 5


async def test_five_thousand_facts_at_once(tmp_path: Path) -> None:
    names = [f"run {number}" for number in range(12_000)]
    async with cache_at(tmp_path / "cache.db") as world:
        await world.shelf.note(dict.fromkeys(names, "open"), NOW)
        assert len(await world.shelf.facts(names)) == len(names)


async def test_questions_to_be_asked_again_wait_for_a_day(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        cache = world.cache
        await cache.want(URL, "a", {"resource": "runs", "parameters": [["last", "5"]]})
        world.now += 10
        await cache.want(URL, "b", {"resource": "fills", "parameters": []})
        await cache.want(OLD_URL, "a", {"resource": "runs", "parameters": []})
        assert [(one.scope, one.key) for one in await cache.wanted(2)] == [(URL, "a"), (URL, "b")]
        assert (await cache.wanted(1))[0].question["parameters"] == [["last", "5"]]
        await cache.unwant(URL, "b")
        assert len(await cache.wanted()) == 2
        world.now += DAY_MS - 5
        assert [one.scope for one in await cache.wanted()] == [OLD_URL]


async def test_an_overview_and_forgetting(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        assert await world.cache.overview() == {}
        await world.shelf.put(an_answer("a", fetched_at=5, settled=True))
        await world.shelf.put(an_answer("b", fetched_at=9))
        await world.cache.shelf([OLD_URL]).put(an_answer("c", fetched_at=7))
        await world.shelf.note({"run": 1}, NOW)
        found = await world.cache.overview()
        assert replace(found[URL], bytes=0) == Stock(2, 0, 5, 1)
        assert found[OLD_URL].answers == 1
        assert await world.cache.forget(URL, older_than=9) == 1
        assert [one.key for one in await world.shelf.family("runs")] == ["b"]
        assert await world.shelf.facts(["run"]) != {}
        assert await world.cache.forget(URL) == 1
        assert await world.shelf.facts(["run"]) == {}
        assert set(await world.cache.overview()) == {OLD_URL}


async def test_another_version_is_begun_anew(tmp_path: Path) -> None:
    async with cache_at(tmp_path / "cache.db") as world:
        await world.shelf.put(an_answer())
    with closing(sqlite3.connect(world.path)) as other:
        other.execute("PRAGMA user_version = 99")
    async with cache_at(world.path) as world:
        assert await world.shelf.get("q") is None
        await world.shelf.put(an_answer())
        assert await world.shelf.get("q") is not None
    assert world.events == ["cache.renewed"]
    assert not world.path.with_name("cache.db.damaged").exists()


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that other users reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/") and not folder.is_mount():
            with_all = folder.stat().st_mode | 0o011
            folder.chmod(with_all)
    return tmp_path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_reads_what_may_not_be_written(open_folder: Path) -> None:
    path = open_folder / "cache.db"
    async with cache_at(path) as world:
        await world.shelf.put(an_answer())
    path.chmod(0o644)
    os.seteuid(65534)
    try:
        async with cache_at(path) as other:
            other.now += DAY_MS
            assert await other.shelf.get("q") is not None
            await other.shelf.put(an_answer("r"))
            await other.shelf.put(an_answer("s"))
            assert (await other.shelf.note({"run": 1}, NOW))["run"] == Fact("run", 1, NOW)
            assert await other.shelf.get("q") is not None
    finally:
        os.seteuid(0)
    assert other.events == ["cache.not_kept"]
    assert "may not write" in other.told[0][1]["reason"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_what_may_not_be_read_is_as_if_not_there(open_folder: Path) -> None:
    path = open_folder / "cache.db"
    async with cache_at(path) as world:
        await world.shelf.put(an_answer())
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        async with cache_at(path) as other:
            assert await other.shelf.get("q") is None
            await other.shelf.put(an_answer("r"))
    finally:
        os.seteuid(0)
    assert other.events == ["cache.not_read", "cache.not_kept"]
    async with cache_at(path) as world:
        assert await world.shelf.get("q") is not None


async def test_a_process_that_hangs_on_the_file_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.cache_file.PATIENCE_MS", 30)
    async with cache_at(tmp_path / "cache.db") as world:
        await world.shelf.put(an_answer())
    with closing(sqlite3.connect(world.path, isolation_level=None)) as hung:
        hung.execute("BEGIN EXCLUSIVE")
        async with cache_at(world.path) as asker:
            assert await asker.shelf.get("q") is None
            await asker.shelf.put(an_answer("r"))
            await asker.shelf.put(an_answer("s"))
            assert asker.events == ["cache.not_read", "cache.not_kept"]
            hung.execute("ROLLBACK")
            await asker.shelf.put(an_answer("s"))
            assert await asker.shelf.get("q") is not None
            assert await asker.shelf.get("s") is not None
            assert asker.events == ["cache.not_read", "cache.not_kept"]
