"""A whole Holdfast on this host: the daemon as a process of its own, four emulated backends.

Used by the demo and by the acceptance tests. Everything lies in one temporary folder that
`close` removes; nothing leaves the loopback interface.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from tests.emulators.auditor import Auditor
from tests.emulators.elog import ElogEmulator
from tests.emulators.event_manager import EventManager
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.zygote import Forked, Zygote

EXPERIMENT = "mfxl1000123"
EXPERIMENTS = (EXPERIMENT, "mfxl1000224", "mfxl1000325")
NDJSON = "application/x-ndjson"
READY_SECONDS = 20.0
STOP_SECONDS = 40.0

SETTINGS = """
[agent]
state_dir = "{home}/state"
spool_dir = "{home}/spool"
socket = "{home}/agent.sock"
admin_socket = "{home}/admin.sock"
log_format = "json"
spool_settle_seconds = 0.5
grace_seconds = 5

[limits]
min_free_bytes = 0

[retry]
first_delay_seconds = 0.2
max_delay_seconds = 1
auth_retry_seconds = 1
max_retry_after_seconds = 3

[backends.elog]
kind = "elog"
url = "{elog}"
instrument = "mfx"
auth = {{ method = "basic", username = "{{instrument}}opr", password_file = "elog-password" }}
timeout_seconds = 2
attempt_timeout_seconds = 3

[backends.events]
kind = "event_manager"
url = "{events}"
timeout_seconds = 2
attempt_timeout_seconds = 3

[backends.telemetry]
kind = "telemetry"
url = "{telemetry}"
site_dir = "{home}/telemetry"
timeout_seconds = 2
attempt_timeout_seconds = 3

[backends.accounting]
kind = "auditor"
url = "{accounting}"
timeout_seconds = 2
attempt_timeout_seconds = 3
"""


class World:
    """The four backends, the settings, the daemon. `zygote`: the daemon is forked from it."""

    def __init__(self, zygote: Zygote | None = None) -> None:
        self.zygote = zygote
        # Not below pytest's tmp_path: a Unix socket's path ends at 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="hf-"))
        self.elog = ElogEmulator(experiments=EXPERIMENTS, lock_guards_posts=True)
        for name in EXPERIMENTS:
            self.elog.people.grants[name]["mfxopr"] = "Writer"
        self.events = EventManager()
        self.telemetry = TelemetryEmulator(self.home / "telemetry")
        self.accounting = Auditor()
        self.served = {
            "elog": Served(self.elog),
            "events": Served(self.events),
            "telemetry": Served(self.telemetry),
            "accounting": Served(self.accounting),
        }
        self.config = self.home / "holdfast.toml"
        addresses = {name: served.url for name, served in self.served.items()}
        self.config.write_text(SETTINGS.format(home=self.home, **addresses))
        (self.home / "elog-password").write_text("secret\n")
        self.log = self.home / "daemon.log"
        self.process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    def start(
        self, environment: Mapping[str, str] | None = None, *, prefix: Sequence[str] = ()
    ) -> None:
        """Start the daemon, by the command `prefix` if given, and wait until it answers."""
        self.launch(environment, prefix=prefix)
        wait_until(self.answers, READY_SECONDS, lambda: self.log.read_text()[-3000:])

    def launch(
        self, environment: Mapping[str, str] | None = None, *, prefix: Sequence[str] = ()
    ) -> None:
        """Start the daemon and wait for nothing."""
        arguments = ["--config", str(self.config), "run"]
        told = {**os.environ, **(environment or {})}
        if self.zygote is not None:
            self.process = self.zygote.start(arguments, told, self.log)
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "agent.cli", *arguments],
                stderr=log,
                stdout=log,
                env=told,
            )

    def revive(self) -> None:
        """Start the daemon if it is dead."""
        if self.dead():
            self.start()

    def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended: {self.log.read_text()[-3000:]}")
        try:
            return self.request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def serves(self) -> bool:
        """Does it answer just now?"""
        try:
            return self.request("GET", "/healthz", timeout=0.3)[0] == HTTPStatus.OK
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def kill(self) -> None:
        """As a power cut does, as far as a process can tell."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def kill_if_alive(self) -> None:
        if not self.dead():
            self.kill()

    def send(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def dead(self) -> bool:
        """Has the daemon ended?"""
        return self.process is None or self.process.poll() is not None

    def stop(self) -> int:
        """An orderly stop; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        media_type: str = "application/json",
        *,
        admin: bool = False,
        timeout: float = 10.0,
    ) -> tuple[int, Any]:
        """One request over a Unix socket: status and parsed body, a list for NDJSON."""
        connection = UnixConnection(self.home / ("admin.sock" if admin else "agent.sock"), timeout)
        try:
            headers = {"Content-Type": media_type} if body is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.getheader("Content-Type") == NDJSON:
                return answer.status, [json.loads(line) for line in text.splitlines()]
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def put(self, backend: str, payload: Mapping[str, Any], **envelope: Any) -> tuple[int, Any]:
        """Hand one entry in over the socket."""
        body = json.dumps({"backend": backend, "payload": payload, **envelope}).encode()
        return self.request("POST", "/v1/entries", body)

    def drop(self, name: str, content: bytes) -> Path:
        """Leave a file in the spool as the contract wishes: complete, by rename."""
        target = self.spool / name
        hidden = target.with_name(f".{target.name}")
        hidden.write_bytes(content)
        return hidden.rename(target)

    def status(self) -> dict[str, Any]:
        answered: dict[str, Any] = self.request("GET", "/v1/status")[1]
        return answered

    def drained(self) -> bool:
        """Is nothing left in outbox and spool?"""
        status = self.status()
        totals = status["totals"]
        return not any(totals.values()) and not status["spool"]["waiting"]

    def retry_dead(self, note: set[tuple[str, str]]) -> int:
        """As an operator does: every dead letter goes again. `note` learns (backend, key)."""
        return self._let_go("dead", "retry", note)

    def release_held(self, note: set[tuple[str, str]]) -> int:
        """As an operator does: what asks for a person is told to go on. `note` as above."""
        return self._let_go("held", "release", note)

    def _let_go(self, state: str, verb: str, note: set[tuple[str, str]]) -> int:
        found = self.request("GET", f"/v1/entries?state={state}")[1]["entries"]
        for one in found:
            note.add((one["backend"], one["key"]))
            self.request("POST", f"/v1/entries/{one['id']}/{verb}", admin=True)
        return len(found)

    def close(self) -> None:
        self.kill_if_alive()
        for served in self.served.values():
            served.unplug()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def wait_until(
    condition: Callable[[], bool], seconds: float, explain: Callable[[], object] = lambda: ""
) -> None:
    """Poll another process until it is so. Fails with what `explain` knows."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {seconds:g} s: {explain()}")
        time.sleep(0.02)  # the only wait: nothing can tell us across processes
