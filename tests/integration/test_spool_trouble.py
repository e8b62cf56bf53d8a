"""Trouble around the spool: full disks, bugs, changing files, missing permissions."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.intake import Intake
from agent.refusal import no_room
from agent.spool.readiness import Happening
from storage.entry import Entry
from tests.spool_world import Troubled, World, a_world, event

NOBODY = 65534


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


async def full(_intake: Intake, entries: Sequence[Entry]) -> Any:
    return [no_room("the disk is full") for _ in entries]


async def test_files_wait_for_a_full_disk_with_a_growing_pause(world: World) -> None:
    world.start(intake=Troubled(world.intake, full))
    world.drop("events/a.json", event(1))
    due = await world.settle()

    assert due == world.time + 1
    assert world.spool.counts() == {"waiting": 1, "blocked": 0, "rejected": 0}
    for pause in (2, 4, 8, 16, 32, 60, 60):
        world.time = due
        due = await world.spool.step()
        assert due == world.time + pause


async def test_nothing_is_tried_before_the_pause_is_over(world: World) -> None:
    calls = []

    async def counted(intake: Intake, entries: Sequence[Entry]) -> Any:
        calls.append(len(entries))
        return await full(intake, entries)

    world.start(intake=Troubled(world.intake, counted))
    await world.arrive("events/a.json", event(1))
    await world.arrive("events/b.json", event(2))

    assert calls == [1]


async def test_when_there_is_room_again_all_goes_on_in_order(world: World) -> None:
    world.start(intake=Troubled(world.intake, full))
    await world.arrive("events/a.ndjson", event(1) + "\n{broken\n" + event(2))
    assert world.left() == ["events/a.ndjson"]
    assert world.aside() == []

    world.start(intake=world.intake)
    await world.settle()
    assert [p["event_data"]["n"] for p in await world.payloads()] == [1, 2]
    assert world.aside() == ["events/a.ndjson"]


async def test_one_backend_that_waits_does_not_hold_up_another(world: World) -> None:
    async def full_for_elog(intake: Intake, entries: Sequence[Entry]) -> Any:
        if entries[0].backend == "elog":
            return await full(intake, entries)
        return await intake.accept(entries)

    world.start(intake=Troubled(world.intake, full_for_elog))
    world.drop("elog/a.json", '{"experiment": "x", "text": "y"}')
    world.drop("events/b.json", event(1))
    await world.settle()

    assert [one["backend"] for one in await world.entries()] == ["events"]


async def test_a_bug_with_one_file_does_not_stop_the_others(world: World) -> None:
    async def broken(intake: Intake, entries: Sequence[Entry]) -> Any:
        if any('"n":2' in one.payload for one in entries):
            raise KeyError("a bug")
        return await intake.accept(entries)

    world.start(intake=Troubled(world.intake, broken))
    for number in (1, 2, 3):
        world.drop(f"events/{number}.json", event(number))
    await world.settle()

    assert [p["event_data"]["n"] for p in await world.payloads()] == [1, 3]
    ((path, why),) = world.spool.blocked_files()
    assert path == "events/2.json"
    assert "KeyError" in why
    assert world.left() == ["events/2.json"]


async def test_a_file_that_changes_while_it_is_accepted_stays(world: World) -> None:
    target = world.root / "events/a.ndjson"

    async def slow(intake: Intake, entries: Sequence[Entry]) -> Any:
        outcome = await intake.accept(entries)
        with target.open("a") as late:
            late.write("\n" + event(2))
        return outcome

    world.start(intake=Troubled(world.intake, slow))
    await world.arrive("events/a.ndjson", event(1))

    assert target.exists()
    assert world.spool.counts()["waiting"] == 1


async def test_a_folder_whose_files_change_while_it_is_accepted_stays(world: World) -> None:
    body = world.drop("elog/a.entry/entry.json", '{"experiment": "x", "text": "y"}')
    plot = world.drop("elog/a.entry/plot.png", b"early")

    async def slow(intake: Intake, entries: Sequence[Entry]) -> Any:
        outcome = await intake.accept(entries)
        plot.write_bytes(b"later")
        return outcome

    world.start(intake=Troubled(world.intake, slow))
    await world.settle()

    assert body.exists()
    assert plot.exists()


async def test_stopping_takes_what_is_at_hand_and_leaves_the_rest(world: World) -> None:
    stopping: list[asyncio.Task[None]] = []

    async def stops(intake: Intake, entries: Sequence[Entry]) -> Any:
        stopping.append(asyncio.create_task(world.spool.stop()))
        await asyncio.sleep(0)
        return await intake.accept(entries)

    world.start(intake=Troubled(world.intake, stops), batch_entries=1, settle_seconds=0)
    world.drop("events/a.json", event(1))
    world.drop("events/b.json", event(2))
    await world.spool.step()
    await world.spool.drain(every=0)
    await stopping[0]

    assert len(await world.entries()) == 1
    assert len(world.left()) == 1


async def test_a_file_that_is_replaced_while_it_is_accepted_is_taken_as_well(
    world: World,
) -> None:
    target = world.root / "events/a.json"

    async def slow(intake: Intake, entries: Sequence[Entry]) -> Any:
        outcome = await intake.accept(entries)
        other = world.drop("events/.new", event(2))
        other.rename(target)
        return outcome

    world.start(intake=Troubled(world.intake, slow))
    await world.arrive("events/a.json", event(1))
    world.start(intake=world.intake)
    await world.settle()

    assert [p["event_data"]["n"] for p in await world.payloads()] == [1, 2]
    assert world.left() == []


async def test_a_cancelled_pass_leaves_the_files_for_the_next(world: World) -> None:
    reached = asyncio.Event()

    async def hangs(_intake: Intake, _entries: Sequence[Entry]) -> Any:
        reached.set()
        await asyncio.Event().wait()

    world.start(intake=Troubled(world.intake, hangs))
    world.drop("events/a.json", event(1))
    await world.spool.step()
    world.time += 5
    running = asyncio.create_task(world.spool.step())
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    world.start(intake=world.intake)
    await world.settle()
    assert len(await world.entries()) == 1


async def test_lost_events_are_made_up_for_by_waiting(world: World) -> None:
    target = world.drop("events/a.json", event(1))
    world.spool.note(Happening.WRITTEN, str(target))
    world.spool.note_lost()

    await world.settle()
    assert len(await world.entries()) == 1


@contextmanager
def as_agent() -> Iterator[None]:
    """Root may do everything: act as somebody else meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own cannot be."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture
async def foreign(open_place: Path) -> AsyncIterator[World]:
    """A world that belongs to the agent's user."""
    async with a_world(open_place) as made:
        if os.geteuid() == 0:
            give_away(open_place)
        yield made


def give_away(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)


async def settle(world: World) -> None:
    with as_agent():
        await world.settle()


async def test_an_unreadable_file_is_left_alone_until_it_is_readable(foreign: World) -> None:
    target = foreign.drop("events/a.json", event(1))
    foreign.drop("events/b.json", event(2)).chmod(0o644)
    target.chmod(0)
    await settle(foreign)

    ((path, why),) = foreign.spool.blocked_files()
    assert (path, "chmod g+r" in why) == ("events/a.json", True)
    assert foreign.spool.counts() == {"waiting": 0, "blocked": 1, "rejected": 0}
    target.chmod(0o644)
    await settle(foreign)
    assert foreign.spool.counts() == {"waiting": 0, "blocked": 0, "rejected": 0}
    assert len(await foreign.entries()) == 2


async def test_a_file_that_could_not_be_removed_is_not_accepted(foreign: World) -> None:
    foreign.drop("events/a.json", event(1)).chmod(0o644)
    (foreign.root / "events").chmod(0o555)
    await settle(foreign)

    assert await foreign.entries() == []
    assert "chmod g+rwxs" in foreign.spool.blocked_files()[0][1]


async def test_a_folder_entry_that_could_not_be_removed_is_not_accepted(foreign: World) -> None:
    body = foreign.drop("elog/a.entry/entry.json", '{"experiment": "x", "text": "y"}')
    body.chmod(0o644)
    body.parent.chmod(0o555)
    await settle(foreign)

    assert await foreign.entries() == []
    assert "a.entry" in foreign.spool.blocked_files()[0][1]
    body.parent.chmod(0o777)
    await settle(foreign)
    assert len(await foreign.entries()) == 1
    assert foreign.left() == []


async def test_a_folder_that_cannot_be_entered_is_blocked(foreign: World) -> None:
    body = foreign.drop("elog/a.entry/entry.json", '{"experiment": "x", "text": "y"}')
    body.parent.chmod(0)
    await settle(foreign)

    assert "cannot read this folder" in foreign.spool.blocked_files()[0][1]
    body.parent.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of two users")
async def test_another_users_file_in_a_sticky_folder_is_left_alone(foreign: World) -> None:
    os.chown(foreign.root / "events", 0, 0)
    (foreign.root / "events").chmod(0o1777)
    foreign.drop("events/a.json", event(1)).chmod(0o644)
    await settle(foreign)

    assert await foreign.entries() == []
    assert "sticky" in foreign.spool.blocked_files()[0][1]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of two users")
async def test_who_was_seen_writing_must_be_seen_closing_where_nobody_can_ask(
    foreign: World,
) -> None:
    target = foreign.drop("events/a.ndjson", event(1))
    target.chmod(0o644)
    foreign.spool.note(Happening.WRITTEN, str(target))
    await settle(foreign)
    assert foreign.spool.counts() == {"waiting": 1, "blocked": 0, "rejected": 0}

    foreign.time += 600
    await settle(foreign)
    assert "has not closed it" in foreign.spool.blocked_files()[0][1]

    foreign.spool.note(Happening.CLOSED, str(target))
    await settle(foreign)
    assert len(await foreign.entries()) == 1
