"""What the emulated telemetry server holds: two streams, two current maps, at most one run, files.

Promises, as the sheet says: one lock, so file order is seq order; `seq` counts per stream and
starts again only with `restart`; `ts` is taken as it comes; files are opened, appended to and
closed per event; a failed write consumes no seq and leaves the current values alone.
"""

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOON = 12


class NoRun(Exception):
    """There is no active run."""


class RunIsActive(Exception):
    """There is an active run already."""


@dataclass
class Run:
    """The active run, with the keys of GET /run."""

    run_dir: Path
    run_id: str
    meta: dict[str, Any]
    started_at: str

    def shown(self) -> dict[str, Any]:
        return {
            "run_dir": str(self.run_dir),
            "run_id": self.run_id,
            "meta": dict(self.meta),
            "started_at": self.started_at,
        }


class Store:
    """The server's state. `now` gives aware local times of the server: they decide the day file.

    `failing_writes` next writes fail before anything is written; `torn_writes` next ones leave
    half a line without its end, as a full disk does. For tests: `became_current` has each (type,
    ts, event_id) that became a current value, `runs` each ("start" or "stop", run).
    """

    def __init__(self, site_dir: Path, now: Callable[[], datetime]) -> None:
        self.site_dir = site_dir
        self.failing_writes = 0
        self.torn_writes = 0
        self.lock = threading.Lock()
        self.stored: list[dict[str, Any]] = []
        self.became_current: list[tuple[str, str, Any]] = []
        self.runs: list[tuple[str, dict[str, Any]]] = []
        self._now = now
        self.restart()
        site_dir.mkdir(parents=True, exist_ok=True)

    def restart(self) -> None:
        """What a new process of the server knows: the files, and nothing else."""
        with self.lock:
            self.seq = {"site": 0, "run": 0}
            self.current: dict[str, dict[str, Any]] = {"site": {}, "run": {}}
            self.run: Run | None = None

    def append(
        self, body: dict[str, Any], ts: str | None, *, make_current: bool, permanently: bool
    ) -> dict[str, Any]:
        """Store one event of `type`, `data`, `meta`; its public envelope. Raises OSError."""
        with self.lock:
            stream, now = ("run" if self.run else "site"), self._now()
            meta = copy.deepcopy(body["meta"])
            if self.run:
                meta["run_id"] = self.run.run_id
            envelope = {
                "seq": self.seq[stream] + 1,
                "ts": stamp(now) if ts is None else ts,
                "stream": stream,
                "type": body["type"],
                "data": body["data"],
                "meta": meta,
            }
            if permanently:
                self._write(self._path(now), json.dumps(envelope, separators=(",", ":")) + "\n")
            self.seq[stream] += 1
            if make_current:
                self.current[stream][body["type"]] = public(envelope)
                change = (body["type"], envelope["ts"], meta.get("event_id"))
                self.became_current.append(change)
            self.stored.append(
                {"event_id": meta.get("event_id"), **envelope, "permanent": permanently}
            )
            return public(envelope)

    def snapshot(self) -> dict[str, Any]:
        """All current values: the run's before the site's."""
        with self.lock:
            return {**self.current["site"], **self.current["run"]}

    def start_run(
        self, run_id: str | None, run_dir: str | None, meta: dict[str, Any]
    ) -> dict[str, Any]:
        """Begin a run. Raises RunIsActive; OSError when its folder cannot be made."""
        with self.lock:
            if self.run:
                raise RunIsActive
            name = str(run_id or meta.get("run_id") or self._next_run_id())
            # An absolute path replaces the one before the slash; `..` is not blocked.
            folder = self.site_dir / (name if run_dir is None else run_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self.current["run"] = {}
            self.run = Run(folder, name, {**meta, "run_id": name}, stamp(self._now()))
            self.runs.append(("start", self.run.shown()))
            return self.run.shown()

    def stop_run(self) -> dict[str, Any]:
        """End the run. Raises NoRun."""
        with self.lock:
            stopped, self.run = self._active(), None
            self.current["run"] = {}
            self.runs.append(("stop", stopped.shown()))
            return stopped.shown()

    def active_run(self) -> dict[str, Any]:
        """The run. Raises NoRun."""
        with self.lock:
            return self._active().shown()

    def _active(self) -> Run:
        if self.run is None:
            raise NoRun
        return self.run

    def _next_run_id(self) -> str:
        folders = (path for path in self.site_dir.iterdir() if path.is_dir())
        numbers = [int(path.name) for path in folders if path.name.isdigit()]
        width = max([3, *(len(str(number)) for number in numbers)])
        return str(max(numbers, default=0) + 1).zfill(width)

    def _path(self, now: datetime) -> Path:
        if self.run:
            return self.run.run_dir / "telemetry.ndjson"
        return self.site_dir / f"site_{day_key(now)}.ndjson"

    def _write(self, path: Path, line: str) -> None:
        if self.failing_writes:
            self.failing_writes -= 1
            raise OSError("no space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = self.torn_writes > 0
        with path.open("a", encoding="utf-8") as file:
            file.write(line[: len(line) // 2] if torn else line)
        if torn:
            self.torn_writes -= 1
            raise OSError("file too large")


def public(envelope: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in envelope.items() if key != "stream"}


def stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day_key(local: datetime) -> str:
    """The day of a site file: it begins at local noon."""
    night = local - timedelta(days=1) if local.hour < NOON else local
    return night.strftime("%Y%m%d")
