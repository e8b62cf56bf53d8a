"""A telemetry lane against a server that loses answers: what is held once, what is current."""

import random
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.base import Adapter
from adapters.telemetry import KIND, Options
from adapters.verdict import Refused, Rejected, Uncertain, Unreachable
from storage.entry import Claim, Doubt, Receipt
from tests.adapter_lane import drained, lived
from tests.builders import NOW, a_claim, an_entry
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site
from tests.telemetry_losses import copies, events, telemetry_lane

NUMBER = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.mark.parametrize(
    ("knowing", "shape"),
    [
        ("site_dir", "backlog of one type"),
        ("sole_writer", "backlog of one type"),
        ("sole_writer", "events in memory only"),
        ("both", "events in memory only"),
    ],
)
async def test_with_the_files_or_the_count_each_event_is_held_exactly_once(
    server: Served, tmp_path: Path, knowing: str, shape: str
) -> None:
    held = await copies(tmp_path, server, knowing, shape, NUMBER)

    assert held == {f"e{number}": 1 for number in range(NUMBER)}
    assert server.faulty.requests.total() > NUMBER + 2, "no answer was lost"


async def test_with_neither_an_event_may_be_held_twice_and_none_is_lost(
    server: Served, tmp_path: Path
) -> None:
    held = await copies(tmp_path, server, "neither", "events out of `current`", NUMBER)

    assert held.keys() == {f"e{number}" for number in range(NUMBER)}
    assert max(held.values()) > 1


async def test_runs_and_events_keep_their_order_while_answers_are_lost(
    server: Served, tmp_path: Path
) -> None:
    emulator = TelemetryEmulator(tmp_path / "site")
    server.serve(emulator)
    server.fault("drop_after", method="POST", probability=0.3)
    server.faulty.dice = random.Random(3)
    kinds = ["event", "run_start", "event", "run_stop", "event"]
    marks = range(len(kinds) * 2)
    payloads = {"event": {"type": "t", "data": 0}, "run_start": {"run_id": "X"}, "run_stop": {}}
    entries = [
        an_entry(kind=kind, payload=payloads[kind], stream="telemetry")
        for kind in (kinds[mark % len(kinds)] for mark in marks)
    ]
    async with telemetry_lane(tmp_path, server, Options(site_dir=emulator.site_dir)) as world:
        await world.accept(*entries)
        await drained(world)

    assert world.outbox.delivered["events"] == len(entries)
    streams = [one["stream"] for one in emulator.ledger()]
    assert streams == ["site", "run", "site", "site", "run", "site"]
    assert [what for what, _ in emulator.store.runs] == ["start", "stop", "start", "stop"]


async def test_what_waits_for_the_end_of_another_run_keeps_its_order_and_says_so(
    server: Served, tmp_path: Path
) -> None:
    emulator = TelemetryEmulator(tmp_path / "site")
    server.serve(emulator)
    emulator.store.start_run("theirs", None, {})
    marks = [an_entry(payload={"type": "t", "data": n}, stream="telemetry") for n in range(2)]
    start = an_entry(kind="run_start", payload={"run_id": "ours"}, stream="telemetry")
    async with telemetry_lane(tmp_path, server, Options()) as world:
        await world.accept(marks[0], start, marks[1])
        await world.live(60)
        rest, held = await world.rest(), len(emulator.ledger())
        emulator.store.stop_run()
        await drained(world)

    assert rest is not None
    assert (rest.state, held) == ("refused", 1)
    assert "the run 'theirs', begun" in rest.reason
    assert [one["meta"].get("run_id") for one in emulator.ledger()] == ["theirs", "ours"]


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_event_of_ours_ever_replaces_a_newer_value(
    server: Served, tmp_path: Path, seed: int
) -> None:
    """Also with a backlog, a live producer, and answers and requests lost."""
    dice = random.Random(seed)
    emulator = TelemetryEmulator(tmp_path / "site")
    server.serve(emulator)
    server.fault("drop_after", path="/event", probability=0.3)
    server.fault("drop_before", probability=0.2)
    server.faulty.dice = dice
    backlog = events(NUMBER)
    async with telemetry_lane(tmp_path, server, Options()) as world:
        while backlog or world.outbox.delivered["events"] < NUMBER:
            if backlog and dice.random() < 0.5:
                await world.accept(backlog.pop(0))
            if dice.random() < 0.1:
                live(emulator, second=max(0, NUMBER - len(backlog) - dice.randrange(4)))
            await lived(world)

    changes = [(datetime.fromisoformat(ts), id_) for _, ts, id_ in emulator.store.became_current]
    late = [id_ for (before, _), (ts, id_) in pairwise(changes) if id_ and ts <= before]
    assert late == []
    assert any(id_ is None for _, id_ in changes)
    assert any(id_ for _, id_ in changes)


def live(emulator: TelemetryEmulator, second: int) -> None:
    """Another program posts, straight to the server, what is newer than what it shows."""
    ts = f"2026-01-01T00:00:{second:02}.500Z"
    shown = emulator.store.snapshot().get("weather")
    if shown is None or shown["ts"] < ts:
        body = {"type": "weather", "data": "live", "meta": {}}
        emulator.store.append(body, ts, make_current=True, permanently=True)


# The count


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path))
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[Adapter]:
    made = KIND.adapter(a_site(served.url, options=Options(sole_writer=True)))
    yield made
    await made.close()


def hidden() -> Claim:
    return a_claim({"type": "t", "data": 1, "make_current": False})


async def lost(served: Served, adapter: Adapter, mode: str = "drop_after") -> Claim:
    """An event that was sent, and whose answer was lost. One before it was stored."""
    await adapter.deliver([hidden()])
    claim = hidden()
    served.fault(mode, method="POST", path="/event", times=1)
    (verdict,) = await adapter.deliver([claim])
    assert type(verdict) is Uncertain
    return claim


async def found(adapter: Adapter, claim: Claim) -> list[str]:
    return [one.remote_id for one in await adapter.find(Doubt(claim, NOW, NOW))]


def probes(served: Served) -> int:
    return sum(one["type"] == "_probe" for one in served.emulator.ledger())


def another_posts(served: Served) -> None:
    body = {"type": "t", "data": "theirs", "meta": {}}
    served.emulator.store.append(body, None, make_current=False, permanently=True)


@pytest.mark.parametrize("mode", ["drop_after", "drop_before"])
async def test_the_count_tells_whether_a_lost_event_has_landed(
    served: Served, adapter: Adapter, mode: str
) -> None:
    claim = await lost(served, adapter, mode)
    expected = [claim.id] if mode == "drop_after" else []

    assert [await found(adapter, claim) for _ in range(3)] == [expected] * 3
    assert not list(served.emulator.site_dir.glob("*probe*"))
    assert "_probe" not in served.emulator.store.snapshot()


async def test_an_event_that_lands_between_two_looks_is_found_by_the_second(
    served: Served, adapter: Adapter
) -> None:
    claim = await lost(served, adapter, "drop_before")
    assert await found(adapter, claim) == []
    another_posts(served)  # for the count, it is the same

    assert await found(adapter, claim) == [claim.id]


async def test_what_more_than_one_may_have_counted_decides_nothing(
    served: Served, adapter: Adapter
) -> None:
    claim = await lost(served, adapter)
    another_posts(served)

    assert await found(adapter, claim) == []


async def test_a_server_that_was_started_again_decides_nothing(
    served: Served, adapter: Adapter
) -> None:
    claim = await lost(served, adapter)
    served.emulator.restart()

    assert await found(adapter, claim) == []


@pytest.mark.parametrize("mode", ["drop_after", "drop_before"])
async def test_a_lost_probe_is_taken_into_account(
    served: Served, adapter: Adapter, mode: str
) -> None:
    claim = await lost(served, adapter)
    served.fault(mode, method="POST", path="/event", times=1)
    with pytest.raises(Uncertain):
        await found(adapter, claim)

    # One seq more than before: the event's or the probe's, when only one of them was counted.
    assert await found(adapter, claim) == ([claim.id] if mode == "drop_after" else [])


@pytest.mark.parametrize("version", ["0.3.3", "0.3.5"])
async def test_a_server_that_would_write_a_probe_into_its_file_gets_none(
    server: Served, tmp_path: Path, version: str
) -> None:
    server.serve(TelemetryEmulator(tmp_path, version=version))
    adapter = KIND.adapter(a_site(server.url, options=Options(sole_writer=True)))
    claim = await lost(server, adapter)
    landed = await found(adapter, claim)
    await adapter.close()

    assert (landed, probes(server)) == (([], 0) if version == "0.3.3" else ([claim.id], 2))


async def test_the_version_is_asked_before_every_probe(served: Served, adapter: Adapter) -> None:
    claim = await lost(served, adapter)
    served.emulator.version = "0.3.3"  # set back, and started again

    assert (await found(adapter, claim), probes(served)) == ([], 1)


async def test_an_event_that_was_refused_is_not_counted(served: Served, adapter: Adapter) -> None:
    await adapter.deliver([hidden()])
    (verdict,) = await adapter.deliver([a_claim({"type": "without data", "make_current": False})])
    assert type(verdict) is Rejected
    claim = hidden()
    served.fault("drop_after", path="/event", times=1)
    await adapter.deliver([claim])

    assert (await found(adapter, claim), probes(served)) == ([claim.id], 2)


async def test_a_run_has_a_count_of_its_own(served: Served, adapter: Adapter) -> None:
    for _ in range(2):
        await adapter.deliver([hidden()])
    await adapter.deliver([a_claim({}, kind="run_start")])
    claim = hidden()
    served.fault("drop_after", path="/event", times=1)
    (unsent,) = await adapter.deliver([claim])  # the probe before it was lost
    served.fault("drop_after", path="/event", times=2).times = 0
    first, second = (one["type"] for one in served.emulator.ledger()[-2:])

    assert (type(unsent), first, second) == (Unreachable, "t", "_probe")
    assert isinstance((await adapter.deliver([claim]))[0], Receipt)


async def test_what_was_in_doubt_before_a_restart_of_ours_is_not_decided(
    served: Served, adapter: Adapter
) -> None:
    claim = await lost(served, adapter)
    restarted = KIND.adapter(a_site(served.url, options=Options(sole_writer=True)))

    assert await found(restarted, claim) == []
    (again,) = await restarted.deliver([claim])
    await restarted.close()
    assert isinstance(again, Receipt)


async def test_where_the_count_cannot_be_read_the_event_is_not_sent(
    served: Served, adapter: Adapter
) -> None:
    served.fault("html", path="/event")
    (refused,) = await adapter.deliver([hidden()])

    assert type(refused) is Refused
    assert not refused.landed
    assert served.faulty.requests["POST /event"] == 1
