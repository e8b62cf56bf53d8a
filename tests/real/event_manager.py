"""The real MADSci Event Manager, 0.5.2 and 0.8.1, from its public packages, for tests.

Promises: a server of its own for each test, on a free loopback port, with an empty database
in memory and its home in the test's folder, and a mail server of its own for its alerts;
stopped when the test is done. Where the packages cannot be had the test is skipped, with pip's
reason. (event manager sheet, section 8)
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.cached_env import Unavailable, cached_environment
from tests.real.mail_sink import MailSink, mail_sink

# With pydantic 2.14 neither takes an event (sheet, section 0).
NEEDS = {
    "0.5.2": ("pydantic==2.12.5", "fastapi>=0.121,<0.122"),
    "0.8.1": ("pydantic==2.13.5", "fastapi>=0.121,<0.166"),
}
VERSIONS = tuple(NEEDS)
START_SECONDS = 120  # its imports alone take several seconds on a busy machine
STOP_SECONDS = 10


@dataclass(frozen=True)
class RealEventManager:
    """A running server. Its database can be unplugged, and plugged in again."""

    version: str
    url: str
    outage: Path
    mail: MailSink

    def lose_database(self) -> None:
        self.outage.touch()

    def restore_database(self) -> None:
        self.outage.unlink()

    def put(self, document: dict[str, Any]) -> None:
        """Put a document into the database past the server, as another version would have."""
        self._change(".put", json.dumps(document))

    def take_out(self, event_id: str) -> None:
        """Take a document out of the database."""
        self._change(".gone", event_id)

    def _change(self, suffix: str, text: str) -> None:
        whole = self.outage.with_suffix(".half")
        whole.write_text(text)
        whole.rename(self.outage.with_suffix(suffix))


@contextmanager
def real_event_manager(version: str, folder: Path) -> Iterator[RealEventManager]:
    """Serve the real Event Manager while the block runs. Skips the test when it cannot be had.

    `folder` becomes its home and working directory; what it says is in `event_manager.log`.
    """
    try:
        python = cached_environment(f"event-manager-{version}", packages(version))
    except Unavailable as exc:
        pytest.skip(f"the real Event Manager cannot be had here: {exc.reason}")
    outage = folder / "outage"
    script = Path(__file__).with_name("serve_event_manager.py")
    log = folder / "event_manager.log"
    with log.open("wb") as said, mail_sink() as mail:
        server = subprocess.Popen(
            [python, "-I", script, "--outage", outage, "--smtp", str(mail.port)],
            cwd=folder,
            env=surroundings(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield RealEventManager(version, announced_url(server, log), outage, mail)
        finally:
            mail.behave("take")  # one that hangs would keep the server from stopping
            stop(server)


def packages(version: str) -> tuple[str, ...]:
    parts = [f"madsci_{part}=={version}" for part in ("event_manager", "client", "common")]
    return (*parts, "mongomock", *NEEDS[version])


def surroundings(home: Path) -> dict[str, str]:
    """An environment without this machine's settings: the server reads EVENT_* and $HOME."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {**kept, "HOME": str(home)}


def announced_url(server: subprocess.Popen[str], log: Path) -> str:
    """Wait for READY; a server that says nothing is killed, which ends the wait."""
    assert server.stdout is not None
    limit = threading.Timer(START_SECONDS, server.kill)
    limit.start()
    try:
        word, _, url = server.stdout.readline().strip().partition(" ")
    finally:
        limit.cancel()
    if word != "READY":
        pytest.fail(f"the real Event Manager did not start:\n{log.read_text()[-2000:]}")
    return url


def stop(server: subprocess.Popen[str]) -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    assert server.stdout is not None
    server.stdout.close()
