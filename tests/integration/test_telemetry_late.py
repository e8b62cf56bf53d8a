"""Telemetry that comes late: readings that nobody needs any more, events of another run."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.telemetry import KIND, Options, wire
from adapters.verdict import Parked
from storage.entry import Alike, Entry, Receipt
from tests.adapter_lane import drained, lived
from tests.builders import a_claim, an_entry
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.lane_world import LaneWorld
from tests.telemetry_losses import telemetry_lane


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path / "site"))
    return server


@pytest.fixture
async def world(served: Served, tmp_path: Path) -> AsyncIterator[LaneWorld]:
    async with telemetry_lane(tmp_path, served, Options(ended_runs="wait")) as made:
        yield made


def accepted(key: str, payload: dict[str, Any], kind: str = "event") -> Entry:
    """As the intake would have it."""
    address = KIND.kinds[kind].address(KIND.kinds[kind].payload.model_validate(payload))
    return an_entry(
        key,
        kind=kind,
        payload=payload,
        stream=address.stream,
        scope=address.scope,
        slot=address.slot,
        labels=address.labels,
    )


def reading(key: str, event_type: str = "weather", **fields: Any) -> Entry:
    """An event in memory only."""
    payload = {"type": event_type, "data": key, "store_permanently": False, **fields}
    return accepted(key, payload)


def of_run(key: str, run: str | int, **fields: Any) -> Entry:
    return accepted(key, {"type": "image", "data": key, "meta": {"run_id": run}, **fields})


def run(what: str, run_id: str) -> Entry:
    return accepted(f"{what} {run_id}", {"run_id": run_id}, kind=f"run_{what}")


def told(served: Served) -> list[Any]:
    return [one["data"] for one in served.emulator.ledger()]


async def scopes(world: LaneWorld) -> list[tuple[str, str]]:
    return [(one.scope, one.reason) for one in await world.outbox.looks.rests()]


# Readings in memory only


async def test_of_a_backlog_of_readings_the_newest_of_each_type_is_sent(
    served: Served, world: LaneWorld
) -> None:
    entries = [reading(f"r{n}", f"t{n % 5}") for n in range(1200)]
    await world.outbox.accept(entries)

    await drained(world)

    assert told(served) == ["r1195", "r1196", "r1197", "r1198", "r1199"]
    shown = served.emulator.store.snapshot()
    assert {name: one["data"] for name, one in shown.items()} == {
        f"t{n}": f"r{1195 + n}" for n in range(5)
    }
    census = (await world.outbox.looks.census(now=world.clock.now()))["events"]
    assert (census.superseded, census.delivered, census.size) == (1195, 5, 0)
    assert (world.outbox.waiting["events"], world.outbox.size["events"]) == (0, 0)
    gone = await world.outbox.looks.show(entries[600].id)
    assert gone is not None
    assert gone["state"] == "superseded"


async def test_only_readings_give_way_and_only_to_what_will_be_current(
    served: Served, world: LaneWorld
) -> None:
    await world.outbox.accept(
        [
            reading("gives way"),
            accepted("is kept", {"type": "weather", "data": "is kept"}),
            reading("gives way to an event that is stored"),
            reading("was never to be current", make_current=False),
            reading("another type", "dome"),
            accepted("newest", {"type": "weather", "data": "newest"}),
            reading("no successor", make_current=False),
        ]
    )

    await drained(world)

    assert told(served) == [
        "is kept",
        "was never to be current",
        "another type",
        "newest",
        "no successor",
    ]


async def test_a_reading_that_may_have_been_sent_is_looked_for(
    served: Served, world: LaneWorld
) -> None:
    await world.outbox.accept([reading("a")])
    served.fault("drop_after", path="/event", times=1)
    await lived(world)
    await world.outbox.accept([reading("b"), reading("c")])

    await drained(world)

    assert told(served) == ["a", "c"]
    assert [await world.state(key) for key in ("a", "c")] == ["delivered", "delivered"]


@pytest.mark.parametrize(
    ("payload", "claim", "gives_way"),
    [
        ({}, {}, True),
        ({"make_current": True}, {}, True),
        ({}, {"newest_of_slot": True}, False),
        ({}, {"in_doubt": True}, False),
        ({"make_current": False}, {}, False),
        ({"store_permanently": True}, {}, False),
    ],
)
def test_which_reading_gives_way(
    payload: dict[str, Any], claim: dict[str, Any], gives_way: bool
) -> None:
    body = {"type": "t", "data": 1, "store_permanently": False, **payload}
    verdict = wire.superseded(a_claim(body, **{"newest_of_slot": False, **claim}))

    assert (verdict is not None) is gives_way
    if verdict is not None:
        assert verdict.alike == Alike("t", {"store_permanently": False})


async def test_readings_leave_while_the_server_is_away(served: Served, world: LaneWorld) -> None:
    served.fault("drop_before")
    await world.outbox.accept([reading(f"r{n}") for n in range(50)])
    for _ in range(8):
        await lived(world)

    assert world.outbox.waiting["events"] == 1
    served.heal()
    await drained(world)
    assert told(served) == ["r49"]


# Events of another run


async def test_an_event_of_another_run_waits_and_holds_up_nothing(
    served: Served, world: LaneWorld
) -> None:
    late = [of_run("late 1", "X"), of_run("late 2", "X"), of_run("of 7", 7)]
    await world.outbox.accept([run("start", "Y"), *late, of_run("now", "Y")])
    for _ in range(20):
        await lived(world)

    assert told(served) == ["now"]
    resting = dict(await scopes(world))
    assert resting.keys() == {"run/7", "run/X"}
    assert "the run 'Y', begun" in resting["run/X"]
    assert "events of the run 'X' wait" in resting["run/X"]
    assert 'ended_runs = "wait"' in resting["run/X"]

    await world.outbox.accept([of_run("later", "X"), run("stop", "Y"), run("start", "Z")])
    for _ in range(20):
        await lived(world)
    assert [what for what, _ in served.emulator.store.runs] == ["start", "stop", "start"]
    assert told(served) == ["now"]

    served.emulator.store.stop_run()
    await drained(world)
    assert told(served)[0] == "now"
    of_x = [one for one in told(served) if one.startswith("late")]
    assert of_x == ["late 1", "late 2", "later"]
    assert {one["stream"] for one in served.emulator.ledger()[1:]} == {"site"}
    assert await scopes(world) == []


async def test_an_event_of_another_run_goes_on_when_its_own_is_active_again(
    served: Served, world: LaneWorld
) -> None:
    served.emulator.store.start_run("Y", None, {})
    await world.outbox.accept([of_run("late", "X")])
    for _ in range(5):
        await lived(world)
    served.emulator.store.stop_run()
    served.emulator.store.start_run("X", None, {})

    await drained(world)

    (stored,) = served.emulator.ledger()
    assert (stored["stream"], stored["meta"]["run_id"]) == ("run", "X")


async def test_behind_an_event_that_waits_the_next_one_goes_on(
    served: Served, world: LaneWorld
) -> None:
    served.emulator.store.start_run("Y", None, {})
    late, own = (a_claim({"type": "t", "data": 1, "meta": {"run_id": run}}) for run in "XY")

    verdicts = await world.lane.route.adapter.deliver([late, own])

    assert [type(one) for one in verdicts] == [Parked, Receipt]


async def test_by_default_it_is_sent_at_once_and_keeps_the_name_of_its_run(
    served: Served, tmp_path: Path
) -> None:
    served.emulator.store.start_run("Y", None, {})
    async with telemetry_lane(tmp_path, served, Options()) as world:
        await world.outbox.accept([of_run("late", "X")])
        await drained(world)

    (stored,) = served.emulator.ledger()
    assert (stored["meta"]["run_id"], stored["meta"]["origin_run_id"]) == ("Y", "X")
    assert "GET /run" not in served.faulty.requests


async def test_while_it_is_not_known_which_run_is_active_nothing_is_sent(
    served: Served, world: LaneWorld
) -> None:
    served.fault("status", path="/run", status=502)
    await world.outbox.accept([of_run("late", "X")])
    await lived(world)

    assert served.faulty.requests["POST /event"] == 0
    assert world.told("backend.rests")[0]["state"] == "offline"


# What is never sent


async def test_a_night_of_everything_never_asks_the_server_to_shut_down(
    served: Served, world: LaneWorld
) -> None:
    await world.outbox.accept(
        [
            run("start", "X"),
            of_run("e", "X"),
            reading("r"),
            accepted("odd", {"type": "../shutdown", "data": None}),
            accepted("query", {"type": "a/../../shutdown?x#y", "data": None}),
            run("start", "X"),
            run("stop", "shutdown"),
            run("stop", "X"),
        ]
    )
    served.fault("drop_after", path="/event", times=2)

    await drained(world)

    assert served.faulty.requests["POST /event"] >= 4
    assert {name.split(" ")[1] for name in served.faulty.requests if "shutdown" in name} <= {
        "/current/..%2Fshutdown",
        "/current/../shutdown",
    }
    assert not [name for name in served.faulty.requests if name.startswith("POST /s")]
    ends = {name for name in served.faulty.requests if name.startswith("POST")}
    assert ends == {"POST /event", "POST /run/start", "POST /run/stop"}
