"""Real inotify events: what the watch tells the spool, and the spool under real time."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.spool.readiness import Happening
from agent.watch import Watch
from tests.spool_world import World, a_world, event

PATIENCE = 20.0  # seconds before a test gives up; nothing here takes one


class Listener:
    """Writes down what it is told, and lets tests wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self._news = asyncio.Event()

    def note(self, happening: Happening, path: str) -> None:
        self._add(happening, path)

    def note_moved(self, source: str, target: str) -> None:
        self._add("moved", source, target)

    def note_lost(self) -> None:
        self._add("lost")

    def _add(self, *what: object) -> None:
        self.told.append(what)
        self._news.set()

    async def hear(self, *what: object) -> None:
        async with asyncio.timeout(PATIENCE):
            while what not in self.told:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def listener() -> Listener:
    return Listener()


@pytest.fixture
async def watch(tmp_path: Path, listener: Listener) -> AsyncIterator[Watch]:
    (tmp_path / "spool/events").mkdir(parents=True)
    made = Watch(tmp_path / "spool", asyncio.get_running_loop())
    made.start(listener)
    assert made.ensure()
    yield made
    await asyncio.to_thread(made.stop)


@pytest.mark.usefixtures("watch")
async def test_a_file_renamed_in_from_outside_has_no_source(
    tmp_path: Path, listener: Listener
) -> None:
    (tmp_path / "a").write_text("x")
    target = (tmp_path / "a").rename(tmp_path / "spool/events/a.json")

    await listener.hear("moved", "", str(target))


@pytest.mark.usefixtures("watch")
async def test_a_file_renamed_inside_has_both_names(tmp_path: Path, listener: Listener) -> None:
    part = tmp_path / "spool/events/a.part"
    part.write_text("x")
    target = part.rename(tmp_path / "spool/events/a.json")

    await listener.hear("moved", str(part), str(target))


@pytest.mark.usefixtures("watch")
async def test_a_file_written_in_place_is_created_written_and_closed(
    tmp_path: Path, listener: Listener
) -> None:
    target = tmp_path / "spool/events/a.json"
    target.write_text("x")

    for happening in (Happening.CREATED, Happening.WRITTEN, Happening.CLOSED):
        await listener.hear(happening, str(target))


@pytest.mark.usefixtures("watch")
async def test_reading_a_file_wakes_nobody(tmp_path: Path, listener: Listener) -> None:
    target = tmp_path / "spool/events/a.json"
    target.write_text("x")
    await listener.hear(Happening.CLOSED, str(target))
    told = len(listener.told)
    target.read_text()
    (tmp_path / "spool/events/b.json").write_text("x")
    await listener.hear(Happening.CLOSED, str(tmp_path / "spool/events/b.json"))

    assert all(str(target) not in what for what in listener.told[told:])


async def test_a_spool_made_anew_is_watched_again(
    tmp_path: Path, watch: Watch, listener: Listener
) -> None:
    shutil.rmtree(tmp_path / "spool")
    assert watch.ensure() is False
    (tmp_path / "spool/events").mkdir(parents=True)
    assert watch.ensure() is True
    target = tmp_path / "spool/events/a.json"
    target.write_text("x")

    await listener.hear(Happening.CLOSED, str(target))


async def test_a_thread_of_watchdogs_that_ended_is_noticed_and_made_anew(
    tmp_path: Path, watch: Watch, listener: Listener
) -> None:
    assert watch.ensure()
    target = tmp_path / "spool/events/a.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    (emitter,) = watch._observer.emitters  # type: ignore[union-attr]
    await watch.look()
    assert "lost" not in listener.told
    emitter.stop()
    await asyncio.to_thread(emitter.join)
    await watch.look()
    await listener.hear("lost")
    assert watch.ensure()
    target.write_text("x")

    await listener.hear(Happening.CLOSED, str(target))


async def test_an_overflow_that_watchdog_logs_is_passed_on(
    watch: Watch, listener: Listener
) -> None:
    assert watch.ensure()
    logging.getLogger("watchdog.observers.inotify").warning("Inotify queue overflowed")

    await listener.hear("lost")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    """Spool and watch together, on the real clock; settling would take ten minutes."""
    async with a_world(tmp_path) as world:
        loop = asyncio.get_running_loop()
        watch = Watch(world.root, loop)
        world.start(monotonic=loop.time, ensure_watch=watch.ensure, settle_seconds=600)
        watch.start(world.spool)
        await world.spool.step()
        yield world
        await asyncio.to_thread(watch.stop)


async def until(world: World, true: Callable[[], bool]) -> None:
    """Pass after pass, each begun by an event or by what the last one said is due."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while True:
            due = await world.spool.step()
            if true():
                return
            await world.spool.wait(due - loop.time())


async def test_the_daemons_loop_takes_what_comes(running: World) -> None:
    loop, taken = asyncio.get_running_loop(), asyncio.Event()
    running.start(
        checkpoint=lambda step: step == "spool.removed" and loop.call_soon_threadsafe(taken.set),
        settle_seconds=0,
    )
    draining = asyncio.create_task(running.spool.drain(every=0))
    running.drop("events/.a", event(1)).rename(running.root / "events/a.json")
    async with asyncio.timeout(PATIENCE):
        await taken.wait()
        await running.spool.stop()
        await draining

    assert len(await running.entries()) == 1


async def test_a_renamed_file_is_taken_by_its_event_alone(running: World, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(event(1))
    (tmp_path / "a").rename(running.root / "events/a.json")
    await until(running, lambda: not running.left())

    assert len(await running.entries()) == 1


async def test_a_file_written_in_place_is_taken_soon_after_it_is_closed(running: World) -> None:
    running.drop("events/a.json", event(1))
    await until(running, lambda: not running.left())

    assert len(await running.entries()) == 1


async def test_a_folder_renamed_in_is_taken_whole(running: World, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/entry.json").write_text('{"experiment": "x", "text": "y"}')
    (tmp_path / "a/plot.png").write_bytes(b"PNG")
    (tmp_path / "a").rename(running.root / "elog/a.entry")
    await until(running, lambda: not running.left())

    assert [len(one["attachments"]) for one in await running.entries()] == [1]


async def test_what_was_corrected_and_moved_back_is_taken_at_once(running: World) -> None:
    running.drop("events/.a", "{broken").rename(running.root / "events/a.json")
    aside = running.root / ".rejected/events/a.json"
    await until(running, aside.exists)
    aside.write_text(event(1))
    aside.rename(running.root / "events/a.json")
    await until(running, lambda: not running.left())

    assert len(await running.entries()) == 1


async def test_a_storm_of_files_is_taken_once_each(running: World, tmp_path: Path) -> None:
    (tmp_path / "storm").mkdir()
    for number in range(1000):
        (tmp_path / "storm" / f"{number}").write_text(event(number))
    for number in range(1000):
        (tmp_path / "storm" / f"{number}").rename(running.root / f"events/{number}.json")
    await until(running, lambda: not running.left())

    numbers = [payload["event_data"]["n"] for payload in await running.payloads()]
    assert sorted(numbers) == list(range(1000))
