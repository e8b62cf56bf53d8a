"""Agents by fork: the code is loaded once, and each life begins where the settings are read.

For tests that need many short lives. Each is a process of its own with its own signals and
files; only the 0.7 s of loading are shared. And their backends are waited for as emulators need
it, who store what they take at once: the real eLog may need two minutes to show a post with
files, which a test would spend waiting. Over a pipe, one line each way:

    {"argv": [...], "environment": {...}, "log": "path"}   ->  pid
    {"poll": pid}                                          ->  null, or how it ended
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.builders import repository

LOOK_SECONDS = 0.01
SETTLED_SECONDS = 3.0  # longer than the slowest answer of an emulator that the agent has given up


class Zygote:
    """The process that has everything loaded. A context manager."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"],
            cwd=repository(),
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.communicate()

    def start(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> "Forked":
        """One more life."""
        asked = {"argv": list(argv), "environment": dict(environment), "log": str(log)}
        return Forked(self.ask(asked), self)

    def ask(self, what: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Forked:
    """A life, with as much of `subprocess.Popen` as the tests use."""

    def __init__(self, pid: int, zygote: Zygote) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._zygote.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("agent", timeout)
            time.sleep(LOOK_SECONDS)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def serve() -> None:
    """The zygote's own loop; it ends with its input."""
    # What a start imports, all of it before the first fork.
    import httpx  # noqa: F401, PLC0415
    import uvicorn.protocols.http.httptools_impl  # noqa: F401, PLC0415
    import uvloop  # noqa: F401, PLC0415
    from sqlalchemy.dialects import sqlite  # noqa: F401, PLC0415

    import agent.cli.ground  # noqa: PLC0415
    import agent.daemon  # noqa: F401, PLC0415
    from adapters.registry import KINDS  # noqa: PLC0415
    from agent.cli.app import run  # noqa: PLC0415

    for name, kind in KINDS.items():
        KINDS[name] = replace(
            kind,
            settles_after_seconds=min(kind.settles_after_seconds, SETTLED_SECONDS),
            settles_per_file_seconds=0,
        )
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            pid, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            become(asked)
            os._exit(run(asked["argv"]))
        print(json.dumps(answer), flush=True)


def become(asked: Mapping[str, Any]) -> None:
    """Be as a process that was started afresh."""
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for there, here in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(there, here)
    os.environ.clear()
    os.environ.update(asked["environment"])
    random.seed()


if __name__ == "__main__":
    serve()
