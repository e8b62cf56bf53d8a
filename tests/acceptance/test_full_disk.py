"""A disk that is really full: nothing acknowledged is lost, deliveries go on, nothing loops.

A small tmpfs in a mount namespace of its own is the disk; a process that only sleeps holds it, so
that it outlives the daemon.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.wrecks.mark import Mark, read_mark, write_mark
from tests.ledgers import balance, payload
from tests.world import World, wait_until

UNSHARE, NSENTER = shutil.which("unshare"), shutil.which("nsenter")
HOLD = 'mount -t tmpfs -o size=40m none "$1" && echo mounted && exec sleep 1000'


def may_mount(tmp: str = "/mnt") -> bool:
    if UNSHARE is None or NSENTER is None:
        return False
    tried = [UNSHARE, "--mount", "mount", "-t", "tmpfs", "none", tmp]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not may_mount(), reason="to mount a small disk needs root")


class SmallDisk:
    """The disk that holds a world's state_dir."""

    def __init__(self, world: World, holder: int) -> None:
        self.prefix = [str(NSENTER), f"--mount=/proc/{holder}/ns/mnt", f"--wd={Path.cwd()}"]
        self.state = Path(f"/proc/{holder}/root{world.home}/state")

    def fill(self) -> None:
        with (self.state / "filler").open("ab", buffering=0) as filler:
            for size in (2**20, 2**12):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    pass

    def empty(self) -> None:
        (self.state / "filler").unlink()


@contextmanager
def small_disk(world: World) -> Iterator[SmallDisk]:
    state = world.home / "state"
    state.mkdir()
    with subprocess.Popen(
        [str(UNSHARE), "--mount", "sh", "-c", HOLD, "sh", str(state)], stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"mounted\n"
            yield SmallDisk(world, holder.pid)
        finally:
            world.kill_if_alive()
            holder.kill()


def pause(world: World, verb: str) -> None:
    assert world.request("POST", f"/v1/backends/events/{verb}", admin=True)[0] == 200


def big(mark: str) -> dict[str, Any]:
    return payload("events", mark, event_data={"mark": mark, "more": "x" * 20_000})


def put_until_refused(world: World, most: int, name: str = "n") -> list[tuple[str, str]]:
    accepted = []
    for number in range(most):
        mark = f"{name}{number}"
        status, body = world.put("events", big(mark))
        if status != 202:
            assert (status, body["title"]) == (507, "Insufficient Storage")
            break
        accepted.append(("events", mark))
    return accepted


def arrived(world: World, accepted: list[tuple[str, str]]) -> bool:
    return balance(world, accepted).delivered == len(accepted)


def test_on_a_full_disk_producers_are_refused_and_deliveries_go_on() -> None:
    with World() as world, small_disk(world) as disk:
        world.start(prefix=disk.prefix)
        pause(world, "pause")
        accepted = put_until_refused(world, 40)
        assert len(accepted) == 40
        disk.fill()

        fitting = put_until_refused(world, 400, "m")  # into what the log has already
        assert len(fitting) < 400
        accepted += fitting
        dropped = world.drop("events/later.json", json.dumps(big("spooled")).encode())
        pause(world, "resume")
        wait_until(lambda: arrived(world, accepted), 20, lambda: world.log.read_text()[-3000:])
        assert dropped.exists()

        disk.empty()
        wait_until(lambda: not dropped.exists(), 45, world.status)
        assert world.put("events", payload("events", "after"))[0] == 202
        accepted += [("events", "after"), ("events", "spooled")]
        wait_until(lambda: balance(world, accepted).exact, 20, world.status)
        assert world.stop() == 0


@pytest.mark.parametrize("end", [World.kill, World.stop])
def test_an_agent_that_ends_on_a_full_disk_starts_on_it_again(
    end: Callable[[World], object],
) -> None:
    with World() as world, small_disk(world) as disk:
        world.start(prefix=disk.prefix)
        pause(world, "pause")
        accepted = put_until_refused(world, 40)
        disk.fill()
        end(world)

        world.start(prefix=disk.prefix)
        assert "database.damaged" not in world.log.read_text()
        pause(world, "resume")

        wait_until(lambda: balance(world, accepted).exact, 20, world.status)
        assert world.stop() == 0


def test_a_full_disk_takes_the_word_that_all_was_put_away() -> None:
    with World() as world, small_disk(world) as disk:
        write_mark(disk.state, Mark("0001", clean=False))
        disk.fill()

        write_mark(disk.state, Mark("0001", clean=True))

        assert read_mark(disk.state) == Mark("0001", clean=True)


def test_an_agent_without_any_room_waits_for_it_and_says_so() -> None:
    with World() as world, small_disk(world) as disk:
        disk.fill()
        world.launch(prefix=disk.prefix)
        wait_until(lambda: b"disk.refused" in world.log.read_bytes(), 20)

        disk.empty()

        wait_until(world.answers, 20, lambda: world.log.read_text()[-3000:])
        assert world.log.read_text().count("disk.refused") == 1
        assert world.stop() == 0
