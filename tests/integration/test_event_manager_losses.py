"""A whole lane to an Event Manager that loses answers: each event and each mail once."""

import random
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from adapters.event_manager import KIND, address
from adapters.event_manager.payload import EventPayload
from agent.retry import Policy
from storage.entry import Entry
from tests.adapter_lane import adapter_lane, drained, lived
from tests.builders import an_entry
from tests.emulators.event_manager import EventManager
from tests.emulators.event_manager_lane import site_for
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld

ALARMING = 40


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(EventManager()) as made:
        yield made


@pytest.fixture
def manager(server: Served) -> EventManager:
    made = EventManager("0.8.1")
    server.serve(made)
    return made


def events_lane(
    folder: Path, server: Served, *, limit: float = 10, suppress: bool = False, **route: Any
) -> AbstractAsyncContextManager[LaneWorld]:
    options = {"alert_late": "suppress"} if suppress else {}

    def site(now: Any) -> Any:
        return site_for(server.url, limit=limit, now=now, **options)

    return adapter_lane(folder, KIND, site, **{"concurrency": 4, **route})


def an_event(**payload: Any) -> Entry:
    urgency = address(EventPayload.model_validate(payload)).urgency
    return an_entry(payload=payload, urgency=urgency)


@pytest.mark.parametrize("mode", ["drop_after", "status_after"])
async def test_at_thirty_percent_lost_answers_each_event_is_stored_and_mailed_once(
    server: Served, manager: EventManager, tmp_path: Path, mode: str
) -> None:
    server.fault(mode, probability=0.3)
    server.faulty.dice = random.Random(1)
    levels = [10, 20, 30, 40, 50]
    entries = [an_event(log_level=levels[n % 5], alert=n % 7 == 0) for n in range(25)]
    async with events_lane(tmp_path, server) as world:
        await world.accept(*entries)
        await drained(world)

    ids = [one.id for one in entries]
    assert sorted(one["_id"] for one in manager.ledger()) == sorted(ids)
    alarming = [n for n in range(25) if levels[n % 5] >= ALARMING or n % 7 == 0]
    assert manager.mails == {ids[n]: 1 for n in alarming}
    assert server.faulty.requests["POST /event"] == len(entries), "a resend mails again"
    assert server.faulty.requests.total() > len(entries), "no answer was lost"


async def test_two_equal_events_in_doubt_together_are_two_events_at_the_end(
    server: Served, manager: EventManager, tmp_path: Path
) -> None:
    server.fault("drop_after", path="/event", method="POST", times=1)
    server.fault("drop_before", path="/event", method="POST", times=1)
    server.fault("drop_before", path="/event", method="GET")  # until both are in doubt
    first, second = an_event(log_level=50), an_event(log_level=50)
    async with events_lane(tmp_path, server) as world:
        await world.accept(first, second)
        for _ in range(100):
            await lived(world)
            if (await world.outbox.looks.census(now=world.clock.now()))["events"].in_doubt == 2:
                break
        else:
            raise AssertionError("they are not in doubt together")
        server.heal()
        await drained(world)

    assert manager.counts() == {key: {"events": 1, "mails": 1} for key in (first.id, second.id)}


async def test_what_a_stalled_server_stores_after_we_have_left_is_not_mailed_twice(
    server: Served, manager: EventManager, tmp_path: Path
) -> None:
    manager.slow_inserts, manager.stall_seconds = 1, 0.5
    entry = an_event(alert=True)
    async with events_lane(tmp_path, server, limit=0.15) as world:
        await world.accept(entry)
        await drained(world)

    assert manager.counts() == {entry.id: {"events": 1, "mails": 1}}
    assert server.faulty.requests["POST /event"] == 1


async def test_one_event_that_can_never_be_stored_is_a_dead_letter_and_the_others_flow(
    server: Served, manager: EventManager, tmp_path: Path
) -> None:
    poison = an_event(event_data=2**63)  # the door would refuse it; the server says 500 for ever
    entries = [an_event(event_data=number) for number in range(60)]
    async with events_lane(tmp_path, server, policy=Policy(max_attempts=3)) as world:
        await world.accept(*entries[:20], poison, *entries[20:40])
        await drained_but(world, poison)
        for entry in entries[40:]:
            await world.accept(entry)
            await drained_but(world, poison)
            await world.live(60)
        shown = await world.shown(poison.key)

    assert sorted(one["event_data"] for one in manager.ledger()) == list(range(60))
    assert shown["state"] == "dead"
    assert (shown["last_error"]["class"], shown["history"][0]["status"]) == ("Uncertain", 500)
    assert "Internal Server Error" in shown["history"][0]["excerpt"]
    assert server.faulty.requests["POST /event"] < len(entries) + 12


@pytest.mark.parametrize("tried_in_time", [True, False])
async def test_late_is_what_was_not_tried_in_time_however_long_it_is_in_doubt(
    server: Served, manager: EventManager, tmp_path: Path, *, tried_in_time: bool
) -> None:
    entry = an_event(log_level=40)
    server.fault("drop_before", method="POST" if tried_in_time else "", times=1)
    async with events_lane(tmp_path, server, suppress=True) as world:
        await world.accept(entry)
        if tried_in_time:
            await lived(world)  # it went out, and nobody knows whether it arrived
        server.unplug()
        await world.live(3600)
        server.plug()
        await drained(world)

    (stored,) = manager.ledger()
    note = {} if tried_in_time else {"holdfast": {"log_level": 40}}
    assert (stored["log_level"], stored["event_data"]) == (40 if tried_in_time else 30, note)
    assert manager.mails[entry.id] == tried_in_time


async def test_after_an_outage_errors_go_first_within_the_limits_and_nothing_waits_for_ever(
    server: Served, tmp_path: Path
) -> None:
    quiet = [an_event(log_level=10, event_data=n) for n in range(160)]
    loud = [an_event(log_level=(40, 50)[n % 2], event_data=n) for n in range(40)]
    async with events_lane(tmp_path, server) as world:
        manager = EventManager("0.8.1", rate_limit=True, clock=world.clock.monotonic)
        server.serve(manager)
        server.faulty.requests.clear()
        server.unplug()
        world.on_pause = lambda: world.clock.advance(world.pauses[-1])
        await world.accept(*quiet[:80], *loud, *quiet[80:])
        for _ in range(3):
            await lived(world)
        server.plug()
        await drained(world)

    order = [one["log_level"] for one in manager.ledger()]
    last_loud = max(at for at, level in enumerate(order) if level >= ALARMING)
    assert sorted(one["_id"] for one in manager.ledger()) == sorted(e.id for e in quiet + loud)
    assert last_loud < 2 * len(loud), "errors wait for a backlog of debug events"
    assert 10 in order[:last_loud], "a flood of errors would shut out everything else"
    assert server.faulty.requests["POST /event"] == len(quiet + loud), "some met a 429"


async def drained_but(world: LaneWorld, entry: Entry) -> None:
    """Until nothing waits but `entry`, if it still does."""
    while True:
        await lived(world)
        page, _ = await world.outbox.looks.list_entries(limit=1000)
        if {one["id"] for one in page} <= {entry.id}:
            return
