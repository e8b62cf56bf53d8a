"""The real PANOPTES telemetry server 0.5.3, as a process that a test can kill and start again.

`RealTelemetry.start` raises Unavailable when its packages cannot be had on this machine. The
port stays the same from one start to the next, and so does the site folder with its files.
"""

import subprocess
from pathlib import Path
from threading import Timer

from tests.real.cached_env import cached_environment

VERSION = "0.5.3"
# It declares Python 3.12 and runs on 3.11 (telemetry sheet, section 11): its requirement is
# ignored, and so what it needs is named here.
SERVER = ("--no-deps", "--ignore-requires-python", f"panoptes-utils=={VERSION}")
NEEDS = (
    "Deprecated",
    "astropy",
    "fastapi>=0.137.2",
    "loguru",
    "numpy>=2",
    "pydantic>=2.12.5",
    "pyserial",
    "python-dateutil",
    "requests",
    "rich",
    "ruamel.yaml",
    "typer",
    "uvicorn>=0.34",
)
SCRIPT = Path(__file__).with_name("serve_telemetry.py")
START_SECONDS = 120  # astropy compiles its modules when it is imported for the first time


class RealTelemetry:
    """One server process over one site folder. Times are those of its host: this one."""

    def __init__(self, folder: Path) -> None:
        self.site_dir = folder / "site"
        self.port = 0
        self._log = folder / "server.log"
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens; its files are those of the last start."""
        python = cached_environment(f"telemetry-{VERSION}", SERVER, NEEDS)
        command = [str(python), str(SCRIPT), str(self.site_dir), str(self.port)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.port = int(self._ready_line(self._process).rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ready_line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        limit = Timer(START_SECONDS, process.kill)
        limit.start()
        try:
            line = process.stdout.readline()
        finally:
            limit.cancel()
        if not line.startswith("READY"):
            self.kill()
            raise RuntimeError(f"the real server did not start: {self._log.read_text()[-2000:]}")
        return line

    def __enter__(self) -> "RealTelemetry":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
