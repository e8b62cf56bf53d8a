"""A host whose clock was wrong at boot, and is set right while entries wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import Uncertain
from agent.clock import Clock
from agent.duties import Duties
from agent.notify import Notifier
from config.settings import Settings
from storage.entry import Entry, Stamp
from tests.builders import NOW, an_entry
from tests.lane_world import LaneWorld, lane_world

YEAR_MS = 365 * 86_400_000
THEN = NOW - 6 * YEAR_MS  # what the host believed at boot


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


def early(key: str, **changes: object) -> Entry:
    """Accepted 40 s before now, by a clock that is six years late."""
    fields: dict[str, object] = {
        "accepted": Stamp(THEN, 960_000, "boot", False),
        "created_at": THEN,
        "stamped": True,
    }
    return an_entry(key, **{**fields, **changes})


async def set_right(world: LaneWorld) -> None:
    duties = Duties(
        Settings(),
        world.outbox,
        {"events": world.lane},
        None,  # type: ignore[arg-type]
        Notifier({}),
        world.clock,  # type: ignore[arg-type]
    )
    await duties.correct_times()


async def test_a_time_that_we_stamped_is_set_right_and_the_raw_one_kept(world: LaneWorld) -> None:
    await world.accept(early("a"))

    await set_right(world)

    shown = await world.shown("a")
    assert shown["created_at"] == shown["accepted_at"] == "2026-09-21T14:12:40.000Z"
    assert shown["clock"] == {
        "synchronised": True,
        "raw_accepted_at": "2020-09-22T14:13:20.000Z",
        "raw_created_at": "2020-09-22T14:13:20.000Z",
    }
    (line,) = world.told("clock.corrected")
    assert line["entries"] == 1
    await world.step()
    (claim,) = world.adapter.claims
    assert (claim.created_at, claim.raw_created_at) == (NOW - 40_000, THEN)


async def test_a_producers_own_time_is_never_touched(world: LaneWorld) -> None:
    await world.accept(early("a", created_at=123_456, stamped=False))

    await set_right(world)
    await world.step()

    (claim,) = world.adapter.claims
    assert (claim.created_at, claim.raw_created_at) == (123_456, None)
    assert claim.accepted_at == NOW - 40_000


@pytest.mark.parametrize(
    "stamp",
    [
        Stamp(THEN, 960_000, "another boot", False),
        Stamp(THEN, 960_000, "boot", True),
        Stamp(NOW - 40_500, 960_000, "boot", False),
    ],
)
async def test_other_boots_right_clocks_and_trifles_are_left_alone(
    world: LaneWorld, stamp: Stamp
) -> None:
    await world.accept(early("a", accepted=stamp, created_at=stamp.wall))

    await set_right(world)

    shown = await world.shown("a")
    assert shown["clock"]["raw_accepted_at"] is None
    await world.step()
    assert world.adapter.claims[0].created_at == stamp.wall


async def test_what_may_be_out_there_keeps_its_time(world: LaneWorld) -> None:
    await world.accept(early("a"))
    world.adapter.script = [Uncertain("read timed out")]
    await world.step()

    await set_right(world)
    await world.live(60)

    assert {one.created_at for one in world.adapter.claims} == {THEN}


def test_the_stamp_counts_the_time_that_the_host_sleeps() -> None:
    first, second = Clock().stamp(), Clock().stamp()

    up = float(Path("/proc/uptime").read_text().split()[0]) * 1000

    assert first.monotonic <= second.monotonic <= up + 20
    assert up - first.monotonic < 60_000
