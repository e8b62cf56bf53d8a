"""What recurs around the lanes: expiring, clamping, and telling systemd that we live."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.duties import DAY_MS, Duties
from agent.notify import Notifier
from config.settings import Settings
from storage.entry import GiveBack, Wanted
from tests.builders import an_entry
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
    assert (await world.outbox.list_receipts())[0] != []
    world.clock.advance(0.001)
    await duties(world).expire_receipts()

    assert (await world.outbox.list_receipts())[0] == []


async def test_what_a_wrong_clock_made_due_in_years_is_due_now(world: LaneWorld) -> None:
    await world.accept("wrong", "right")
    claims = await world.outbox.claim("events", Wanted(requests=2), now=world.clock.now())
    horizon = world.clock.now() + round(world.policy.longest() * 1000)
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
        "receipts:expire",
        "database:checkpoint",
        "watchdog",
    }
