"""The stage: a world with its troubles, and a supervisor that starts the agent again.

Every act of a schedule is a method here. What this host cannot do (a disk of its own to fill,
a clock to set) is skipped, counted, and told with the reason. Nothing here is in the agent:
the disk is a small tmpfs, or a limit of the process; the clock is libfaketime's.
"""

import os
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from storage.crash import VARIABLE
from tests.handing import CUT
from tests.soak.schedule import Act
from tests.world import World, wait_until
from tests.zygote import Zygote

DISK_MIB = 48
GRACE_SECONDS = 5.0  # as in the settings of the world
STOP_MARGIN_SECONDS = 10.0
LIBRARY = "libfaketimeMT.so.1"


class Stage:
    """Plays acts on a world. `violations`: what no trouble excuses."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[str] = []
        self.played: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.lives = 0
        self.slowest_stop = 0.0
        self._wanted_up = True
        self._stopped = False
        self._may_crash: str | None = None
        self._offset = 0
        self._unheard: set[str] = set()
        self._disk = mounted(world.home / "state")
        self._clock = find_library()
        if self._disk is None:
            self.skipped["tmpfs"] = "mounting is not permitted: files are limited instead"
        if self._clock is None:
            self.skipped["step_clock"] = f"{LIBRARY} is not installed (package faketime)"

    def play(self, act: Act) -> None:
        """Do what the act says."""
        if act.verb in self.skipped:
            return
        self.played[act.verb] += 1
        getattr(self, f"_{act.verb}")(**act.what)

    def begin(self, *, quick: bool) -> None:
        """The first life. `quick`: as `tests.zygote` has it."""
        if quick:
            self.world.zygote = Zygote(self._faketime())
        self._start()
        wait_until(self.world.answers, 30)

    def stop_agent(self) -> None:
        """An orderly stop."""
        self._term()

    def supervise(self) -> None:
        """As a service manager does: an agent that has ended is started again."""
        self._stamp_files()
        for backend in sorted(self._unheard):  # the agent was away when it was to be resumed
            self._resume(backend)
        process = self.world.process
        if not self._wanted_up or process is None or process.poll() is None:
            return
        reached = f"crash point reached: {(self._may_crash or '').partition(':')[0]}"
        if process.returncode == -signal.SIGKILL and self._may_crash and reached in self._said():
            self.played["crashed"] += 1
        else:
            self.violations.append(f"the agent ended by itself: {process.returncode}")
        self._start()

    def end(self) -> None:
        """All troubles are over."""
        for served in self.world.served.values():
            served.heal()
            served.plug_in()
        for name in self.world.elog.store.experiments:
            self._unlock(name)
            self._permit(name)
        self._free_disk()
        self._continue()
        if self.world.dead():
            self._start()
        elif self._may_crash is not None:
            self._kill()
            self._start()

    def resume_all(self) -> None:
        """What an operator paused, and could not resume because the agent was away."""
        for backend in self.world.served:
            self._resume(backend)

    def close(self) -> None:
        """End the agent, and take its disk away."""
        self.world.kill_if_alive()
        if self.world.zygote is not None:
            self.world.zygote.close()
        if self._disk is not None:
            subprocess.run(["umount", "--lazy", str(self._disk)], check=False)

    # The agent.

    def _start(self, crash: str | None = None) -> None:
        if not self.world.dead():
            return
        self._may_crash = crash
        self._wanted_up = True
        self.lives += 1
        armed = {VARIABLE: crash} if crash else {}
        self.world.launch({**self._faketime(), **armed})

    def _kill(self) -> None:
        self._wanted_up = False
        self.world.kill_if_alive()

    def _term(self) -> None:
        self._wanted_up = False
        process = self.world.process
        if process is None or process.poll() is not None:
            return
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(GRACE_SECONDS + STOP_MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.violations.append("the agent did not stop within its grace")
            self._kill()
            return
        self.slowest_stop = max(self.slowest_stop, time.monotonic() - begun)
        # A start is cut short by the signal itself until the agent listens to it.
        if code not in (0, -signal.SIGTERM) and not (self._may_crash and code == -signal.SIGKILL):
            self.violations.append(f"the agent stopped with {code}")

    def _change_settings(self, toml: str) -> None:
        extra = self.world.home / "conf.d"
        extra.mkdir(exist_ok=True)
        (extra / "soak.toml").write_text(toml)

    def _reload(self) -> None:
        # Earlier, while the agent only starts, the signal would end it.
        if not self.world.dead() and not self._stopped and self.world.serves():
            self.world.send(signal.SIGHUP)

    def _stop(self) -> None:
        if not self.world.dead():
            self._stopped = True
            self.world.send(signal.SIGSTOP)

    def _continue(self) -> None:
        if self._stopped and not self.world.dead():
            self.world.send(signal.SIGCONT)
        self._stopped = False

    # The backends.

    def _fault(self, backend: str, mode: str, settings: dict[str, Any]) -> None:
        self.world.served[backend].fault(mode, **settings)

    def _heal(self, backend: str) -> None:
        self.world.served[backend].heal()

    def _unplug(self, backend: str) -> None:
        self.world.served[backend].unplug()

    def _plug(self, backend: str) -> None:
        self.world.served[backend].plug_in()

    def _lock(self, experiment: str) -> None:
        self.world.elog.world.lock(experiment)

    def _unlock(self, experiment: str) -> None:
        self.world.elog.world.lock(experiment, locked=False)

    def _forbid(self, experiment: str) -> None:
        self.world.elog.people.grants[experiment].pop("mfxopr", None)

    def _permit(self, experiment: str) -> None:
        self.world.elog.people.grants[experiment]["mfxopr"] = "Writer"

    # The operator.

    def _pause(self, backend: str) -> None:
        self._ask(f"/v1/backends/{backend}/pause")

    def _resume(self, backend: str) -> None:
        heard = self._ask(f"/v1/backends/{backend}/resume")
        (self._unheard.discard if heard else self._unheard.add)(backend)

    def _ask(self, target: str) -> bool:
        try:
            answered = self.world.request("POST", target, admin=True, timeout=0.3)
        except CUT:
            return False
        return answered[0] == HTTPStatus.OK

    # The host.

    def _fill_disk(self) -> None:
        if self._disk is not None:
            fill(self._disk / "filler")
        else:
            largest = max((one.stat().st_size for one in self._database()), default=0)
            self._limit_files(largest)

    def _free_disk(self) -> None:
        if self._disk is not None:
            (self._disk / "filler").unlink(missing_ok=True)
        else:
            self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        process = self.world.process
        if process is not None and process.poll() is None:
            hard = resource.RLIM_INFINITY
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def _database(self) -> Iterable[Path]:
        return (self.world.home / "state").glob("outbox.db*")

    def _step_clock(self, seconds: int) -> None:
        # Never far from the truth for long: what is a year off twice over is no clock any more.
        self._offset = 0 if self._offset else seconds
        self._write_offset()

    def _stamp_files(self) -> None:
        """The telemetry server is on the agent's host: its files bear the time of that clock."""
        if self._offset:
            there = time.time() + self._offset
            for file in (self.world.home / "telemetry").rglob("*.ndjson"):
                os.utime(file, (there, there))

    def _write_offset(self) -> None:
        place = self.world.home / "offset"
        place.with_suffix(".new").write_text(f"{self._offset:+d}\n")
        place.with_suffix(".new").rename(place)

    def _faketime(self) -> dict[str, str]:
        if self._clock is None:
            return {}
        self._write_offset()
        return {
            "LD_PRELOAD": str(self._clock),
            "FAKETIME_TIMESTAMP_FILE": str(self.world.home / "offset"),
            "FAKETIME_CACHE_DURATION": "1",  # seconds between two looks at the file
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # With its "fix" every wait of a thread returns at once: Python's lock spins.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            # Times of files are the disk's; the spool tells files apart by them.
            "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def _said(self) -> str:
        return self.world.log.read_text()[-2000:]


def mounted(place: Path) -> Path | None:
    """A small disk of its own at `place`; None where mounting is not permitted."""
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0750", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    return place if done.returncode == 0 else None


def find_library() -> Path | None:
    """libfaketime, where a package puts it."""
    found: Iterable[Path] = Path("/usr/lib").glob(f"**/faketime/{LIBRARY}")
    return next(iter(found), None)


def fill(file: Path) -> None:
    """Take the last byte of a disk."""
    block = b"\0" * 2**20
    write: Callable[[bytes], int]
    with file.open("wb", buffering=0) as target:
        write = target.write
        for size in (2**20, 4096, 1):
            try:
                while write(block[:size]) == size:
                    pass
            except OSError:
                continue
        os.fsync(target.fileno())
