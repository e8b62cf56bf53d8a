"""What recurs around the lanes: expiring, clamping, and telling systemd that we live."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.verdict import Throttled
from agent.duties import DAY_MS, Duties
from agent.notify import Notifier
from config.settings import Settings
from storage.entry import Wanted
from storage.settlement import GiveBack
from tests.builders import NOW, an_entry
from tests.lane_world import Disk, LaneWorld, lane_world


class Loops:
    """Stands in for the loops of an agent: one of them may have stopped."""

    stopped: str | None = None

    def stopped_loop(self) -> str | None:
        return self.stopped


class Systemd:
    """The other end of the notify socket."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def heard(self) -> list[bytes]:
        words = []
        while True:
            try:
                words.append(self._socket.recv(100))
            except BlockingIOError:
                return words

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


@pytest.fixture
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    made = Systemd(tmp_path_factory.mktemp("n"))
    yield made
    made.close()


def duties(world: LaneWorld, systemd: Systemd | None = None, loops: Loops | None = None) -> Duties:
    environment = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "300000"} if systemd else {}
    return Duties(
        Settings(),
        world.outbox,
        {"events": world.lane},
        loops or Loops(),  # type: ignore[arg-type]
        Notifier(environment),
        world.clock,  # type: ignore[arg-type]
    )


async def test_an_entry_past_its_time_is_a_dead_letter_and_told(world: LaneWorld) -> None:
    await world.accept(an_entry("a", expires_at=world.clock.now() + 1000))
    world.clock.advance(1)

    await duties(world).expire_entries()

    assert (await world.shown("a"))["last_error"]["class"] == "Expired"
    assert len(world.told("entry.expired")) == 1


async def test_receipts_are_kept_for_the_dedup_window_and_no_longer(world: LaneWorld) -> None:
    await world.accept("a")
    await world.step()
    keep = Settings().receipts.keep_days * DAY_MS / 1000

    world.clock.advance(keep)
    await duties(world).expire_receipts()
    assert (await world.outbox.looks.list_receipts())[0] != []
    world.clock.advance(0.001)
    await duties(world).expire_receipts()

    assert (await world.outbox.looks.list_receipts())[0] == []


async def test_what_a_wrong_clock_made_due_in_years_is_due_now(world: LaneWorld) -> None:
    await world.accept("wrong", "right")
    claims = await world.outbox.claim("events", Wanted(requests=2), now=world.clock.now())
    horizon = world.clock.now() + world.lane.route.longest_delay_ms
    ends = [
        GiveBack(one, due, in_doubt=False)
        for one, due in zip(claims, (horizon + 1, horizon), strict=True)
    ]
    await world.outbox.settle("events", ends, now=world.clock.now())

    await duties(world).clamp()
    await world.steps(2)

    assert [await world.state(key) for key in ("wrong", "right")] == ["delivered", "pending"]


async def test_systemd_hears_of_us_as_long_as_every_loop_goes_round(
    world: LaneWorld, systemd: Systemd
) -> None:
    loops = Loops()
    made = duties(world, systemd, loops)

    await made.feed()
    assert systemd.heard() == [b"WATCHDOG=1"]
    loops.stopped = "lane events"
    await made.feed()

    assert systemd.heard() == []
    assert world.told("loop.stopped")[0]["loop"] == "lane events"


async def test_systemd_does_not_hear_of_an_agent_that_cannot_write(
    world: LaneWorld, systemd: Systemd
) -> None:
    go_on = threading.Event()
    held = world.outbox._writer.between(lambda: go_on.wait() and None)

    with pytest.raises(TimeoutError):
        await duties(world, systemd).feed()
    go_on.set()
    held.result()

    assert systemd.heard() == []


async def test_a_disk_that_refuses_is_no_reason_for_a_restart(
    world: LaneWorld, systemd: Systemd
) -> None:
    disk = Disk(world.outbox)

    def ping_writes() -> object:
        return world.outbox._call(lambda c: c.exec_driver_sql("DELETE FROM audit") and None)

    world.outbox.ping = ping_writes  # type: ignore[method-assign, assignment]
    disk.refuse()

    await duties(world, systemd).feed()

    assert systemd.heard() == [b"WATCHDOG=1"]


def test_everything_that_recurs_has_a_row(world: LaneWorld, systemd: Systemd) -> None:
    names = {row.name for row in duties(world, systemd).table()}

    assert names == {
        "drain:events",
        "entries:expire",
        "entries:clamp",
        "times:correct",
        "receipts:expire",
        "payloads:room",
        "database:checkpoint",
        "database:examine",
        "watchdog",
    }


async def wait_by_itself(world: LaneWorld, key: str, seconds: float) -> None:
    """An entry that is due so many seconds from now."""
    await world.accept(key)
    (claim,) = await world.outbox.claim("events", Wanted(), now=world.clock.now())
    due = world.clock.now() + round(seconds * 1000)
    await world.outbox.settle("events", [GiveBack(claim, due, in_doubt=False)], now=NOW)


@pytest.mark.parametrize("step", [-365 * 86_400.0, -1800.0, 1800.0, 365 * 86_400.0])
async def test_after_a_step_of_the_clock_nothing_freezes_and_nothing_stampedes(
    world: LaneWorld, step: float
) -> None:
    await wait_by_itself(world, "a", 100)
    made = duties(world)

    world.clock.wall += round(step * 1000)
    await made.follow_clock(step)
    await world.live(99)
    assert world.adapter.sent == []
    await world.live(7)

    assert await world.state("a") == "delivered"


@pytest.mark.parametrize("step", [-1800.0, 1800.0])
async def test_a_stored_rest_keeps_its_distance_through_a_step_and_a_restart(
    world: LaneWorld, step: float
) -> None:
    await world.accept("a")
    world.adapter.script = [Throttled("429", retry_after=1000)]
    await world.step()

    world.clock.wall += round(step * 1000)
    await duties(world).follow_clock(step)
    await world.restart()
    await world.live(990)
    assert len(world.adapter.sent) == 1
    await world.live(20)

    assert await world.state("a") == "delivered"


async def test_what_expired_by_a_clock_that_was_ahead_waits_again(world: LaneWorld) -> None:
    await world.accept(
        an_entry("a", expires_at=world.clock.now() + 3_600_000),
        an_entry("b", expires_at=world.clock.now() + 1),
    )
    made = duties(world)
    world.clock.wall += DAY_MS
    await made.expire_entries()
    assert await world.state("a") == "dead"

    world.clock.wall -= DAY_MS - 1
    await made.follow_clock(-86_400)

    assert await world.state("a") == "pending"
    assert await world.state("b") == "dead"
    assert world.outbox.waiting["events"] == 1


async def test_a_clock_that_was_just_set_forgets_no_receipt(world: LaneWorld) -> None:
    await world.accept("a")
    await world.step()
    made = duties(world)
    world.clock.wall += 365 * DAY_MS
    await made.follow_clock(365 * 86_400)
    world.clock.advance(3599)

    await made.expire_receipts()
    assert (await world.shown("a"))["state"] == "delivered"
    world.clock.advance(1)
    await made.expire_receipts()

    assert (await world.outbox.looks.list_receipts())[0] == []
