""" "current" from the door to the logbook: whatever changes in between, nothing goes elsewhere.

The outbox, the lane, the adapter and the sockets are real; only the clock is ours.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.elog import KIND
from agent.resolving import Resolver
from storage.entry import Entry, Wanted
from tests.builders import NOW, an_entry
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_lane import elog_world
from tests.emulators.elog_site import EXPERIMENT
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld

OTHER = "mfxl1000223"
HOUR = 3_600_000  # ms


@pytest.fixture
def served(server: Served) -> Served:
    """Two experiments; the first is active, and its second run going on, for an hour."""
    server.serve(ElogEmulator(experiments=(EXPERIMENT, OTHER), now=lambda: NOW - HOUR))
    return server


@pytest.fixture
async def world(served: Served, tmp_path: Path) -> AsyncIterator[LaneWorld]:
    async with elog_world(served, tmp_path) as made:
        yield made


def an_open(world: LaneWorld, key: str, kind: str = "post", **more: Any) -> Entry:
    """As intake makes it of the payload, now."""
    content = {"post": {"text": key}, "run_params": {"params": {"a": 1}}}[kind]
    payload = {"experiment": "current", "run": "current", **content, **more}
    address = KIND.kinds[kind].address(KIND.kinds[kind].payload.model_validate(payload))
    return an_entry(
        key,
        backend="elog",
        kind=kind,
        payload=payload,
        created_at=world.clock.now(),
        accepted=world.clock.stamp(),
        stream=address.stream,
        scope=address.scope,
        labels=address.labels,
        open=address.open,
    )


async def accept(world: LaneWorld, *entries: Entry, online: bool = False) -> None:
    """As intake does: what is open is found out at once where the backend is there."""
    resolver = Resolver({"elog": world.lane.route}, lambda _: online)
    await world.accept(*[await resolver.resolved(one) for one in entries])


def places(served: Served) -> dict[str, tuple[str, int | None]]:
    """Experiment and run of each text, and of run parameters."""
    return {
        one.get("content", "params"): (one["experiment"], one.get("run_num", one.get("run")))
        for one in served.emulator.ledger()
    }


def switch(served: Served, world: LaneWorld, name: str = OTHER) -> None:
    """Another experiment, and its run, some time later."""
    world.clock.advance(600)
    served.emulator.world.switch(name)
    served.emulator.world.begin_run(name, 9)
    world.clock.advance(600)


async def states(world: LaneWorld, *keys: str) -> list[str]:
    return [await world.state(key) for key in keys]


async def test_what_was_resolved_at_accept_stays_whatever_is_current_by_then(
    served: Served, world: LaneWorld
) -> None:
    entries = [an_open(world, "post"), an_open(world, "params", "run_params")]
    await accept(world, *entries, online=True)
    shown = await world.shown("post")
    assert shown["labels"] == {"experiment": EXPERIMENT, "run": "2"}
    assert (shown["stream"], shown["scope"]) == (EXPERIMENT, EXPERIMENT)
    switch(served, world)

    await world.live(60)

    assert places(served) == {"post": (EXPERIMENT, 2), "params": (EXPERIMENT, 2)}


async def test_what_was_written_offline_goes_where_it_belonged_if_nothing_has_changed(
    served: Served, world: LaneWorld
) -> None:
    served.unplug()
    entries = [an_open(world, "post"), an_open(world, "params", "run_params")]
    await accept(world, *entries, online=True)
    assert (await world.shown("post"))["stream"] == "current"
    await world.live(120)

    world.clock.advance(8 * 3600)
    served.plug()
    await world.live(150)

    assert places(served) == {"post": (EXPERIMENT, 2), "params": (EXPERIMENT, 2)}
    receipts, _ = await world.outbox.looks.list_receipts(labels={"experiment": EXPERIMENT})
    assert {one["key"] for one in receipts} == {"post", "params"}


async def test_what_was_written_before_a_switch_is_held_and_holds_up_nothing(
    served: Served, world: LaneWorld
) -> None:
    await accept(world, an_open(world, "before"), an_open(world, "params", "run_params"))
    switch(served, world)
    later = [an_open(world, "later"), an_open(world, "named", experiment=EXPERIMENT, run=2)]
    await accept(world, *later)
    world.clock.advance(60)

    await world.live(60)

    assert places(served) == {"later": (OTHER, 9), "named": (EXPERIMENT, 2)}
    assert await states(world, "before", "params") == ["held", "held"]
    shown = await world.shown("before")
    assert f"{OTHER} is active there since" in shown["last_error"]["detail"]
    assert not shown["in_doubt"]

    await world.outbox.release([shown["id"]], now=world.clock.now(), who="x")
    await world.live(60)

    assert await world.state("before") == "held"
    assert len(places(served)) == 2


@pytest.mark.parametrize("kind", ["post", "run_params"])
@pytest.mark.parametrize("experiment", ["current", EXPERIMENT])
async def test_a_run_that_has_changed_is_agreed_to_by_a_release(
    served: Served, world: LaneWorld, kind: str, experiment: str
) -> None:
    await accept(world, an_open(world, "mine", kind, experiment=experiment))
    world.clock.advance(600)
    served.emulator.world.begin_run(EXPERIMENT, 3)
    await accept(world, an_open(world, "named", experiment=EXPERIMENT, run=3))

    await world.live(60)

    assert places(served) == {"named": (EXPERIMENT, 3)}
    shown = await world.shown("mine")
    known = {"experiment": EXPERIMENT} if experiment == "current" else {}
    assert (shown["state"], shown["resolved"]) == ("held", {**known, "run": 2})
    assert "Release it if run 2 is meant" in shown["last_error"]["detail"]

    switch(served, world)
    await world.outbox.release([shown["id"]], now=world.clock.now(), who="x")
    await world.live(60)

    arrived = "mine" if kind == "post" else "params"
    assert places(served)[arrived] == (EXPERIMENT, 2)
    assert (await world.shown("mine"))["labels"] == {"experiment": EXPERIMENT, "run": "2"}


async def test_once_resolved_it_stays_also_over_a_restart_before_it_was_sent(
    served: Served, world: LaneWorld
) -> None:
    served.fault("retry_after", path="new_elog_entry", seconds=30)
    await accept(world, an_open(world, "post"))
    await world.live(20)
    assert (await world.shown("post"))["resolved"] == {"experiment": EXPERIMENT, "run": 2}
    assert places(served) == {}
    switch(served, world)
    await world.restart()
    served.heal()

    await world.live(400)

    assert places(served) == {"post": (EXPERIMENT, 2)}


async def test_a_lost_one_is_looked_for_where_it_went(served: Served, world: LaneWorld) -> None:
    served.fault("drop_after", path="new_elog_entry", times=1)
    await accept(world, an_open(world, "post"))
    await world.live(5)
    assert (await world.shown("post"))["in_doubt"]
    switch(served, world)
    await world.restart()

    await world.live(300)

    assert places(served) == {"post": (EXPERIMENT, 2)}
    assert len(served.emulator.ledger()) == 1
    searched = {path for path in served.faulty.requests if "search_elog" in path}
    assert searched == {f"GET /ws-jwt/lgbk/lgbk/{EXPERIMENT}/ws/search_elog"}


async def test_what_a_crash_left_open_was_never_sent(served: Served, world: LaneWorld) -> None:
    await accept(world, an_open(world, "post"), an_open(world, "stays", experiment=EXPERIMENT))
    assert len(await world.outbox.claim("elog", Wanted(requests=2), now=world.clock.now())) == 2
    world.outbox.recover(world.clock.now())
    served.emulator.world.begin_run(EXPERIMENT, 2)  # as if it had begun by now
    switch(served, world)
    await world.restart()

    await world.live(300)

    assert await states(world, "post", "stays") == ["held", "held"]
    assert places(served) == {}


async def test_in_standby_only_what_is_current_waits(served: Served, world: LaneWorld) -> None:
    served.emulator.world.stand_by("mfx")
    await accept(world, an_open(world, "a"), an_open(world, "b", experiment=EXPERIMENT, run=2))

    await world.live(60)

    assert places(served) == {"b": (EXPERIMENT, 2)}
    shown = await world.shown("a")
    assert (shown["state"], shown["attempts"], shown["in_doubt"]) == ("pending", 0, False)
    rest = await world.rest("current")
    assert rest is not None
    assert "no experiment is active on MFX/0" in rest.reason

    served.emulator.world.switch(EXPERIMENT)
    world.clock.advance(10)
    await accept(world, *(an_open(world, f"c{number}", run=2) for number in range(3)))
    await world.live(150)

    assert await states(world, "a", "c0", "c1", "c2") == ["held", *["delivered"] * 3]
    assert await world.rest("current") is None


async def test_a_typing_error_beside_a_current_run_is_a_dead_letter(
    served: Served, world: LaneWorld
) -> None:
    await accept(world, an_open(world, "typo", experiment="mfxl1000l23"))

    await world.live(60)

    assert await world.state("typo") == "dead"
    assert "knows no experiment mfxl1000l23" in (await world.shown("typo"))["last_error"]["detail"]
    assert places(served) == {}


async def test_what_is_late_is_late_by_when_it_was_first_sent_where_it_belongs(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path, late_after_seconds=600) as world:
        served.unplug()
        await accept(world, an_open(world, "post"))
        await world.live(5)
        world.clock.advance(700)
        served.plug()
        await world.live(30)

    (entry,) = served.emulator.ledger()
    assert entry["content"].startswith("post\n(Written 2026-09-21 ")
    assert "UTC on mfx-daq" in entry["content"]
