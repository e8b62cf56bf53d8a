"""What the everyday commands load: the standard library, typer, and nothing else of others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.builders import repository
from tests.cli_server import Answer, Asked, accepted, served, settings_in

HEAVY = {
    "adapters",
    "alembic",
    "apscheduler",
    "asyncio",
    "httpx",
    "pydantic",
    "pydantic_core",
    "python_multipart",
    "rich",
    "sqlalchemy",
    "starlette",
    "storage",
    "structlog",
    "ulid",
    "uvicorn",
    "uvloop",
    "watchdog",
}
SCRIPT = """
import sys
from agent.cli.app import run
code = run(sys.argv[1:])
print(code, *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
STATUS = {
    "agent": {"running": True, "pid": 1, "version": "1", "since": "2026-11-23T10:00:00.000Z"},
    "backends": {},
    "spool": {"waiting": 0, "blocked": 0, "rejected": 0},
    "totals": {"pending": 0, "leased": 0, "held": 0, "dead": 0, "in_doubt": 0},
}


def answer(asked: Asked) -> Answer:
    return (200, STATUS) if asked.path == "/v1/status" else accepted(asked)


@pytest.mark.parametrize(
    "command",
    [
        ["put", "events", "-"],
        ["put", "events", "--ndjson"],
        ["put", "events", "--alert"],
        ["put", "elog", "--experiment", "X", "--attach", "plot.png", "note.md"],
        ["status"],
        ["status", "--json"],
    ],
    ids=" ".join,
)
def test_an_everyday_command_loads_nothing_heavy(command: list[str]) -> None:
    with TemporaryDirectory(prefix="hf") as folder:
        home = Path(folder)
        config = settings_in(home)
        (home / "plot.png").write_text("PNG")
        (home / "note.md").write_text("![A plot](plot.png)")
        with served(home / "agent.sock", answer):
            ran = subprocess.run(
                [sys.executable, "-c", SCRIPT, "--config", str(config), *command],
                cwd=home,
                env={**os.environ, "PYTHONPATH": str(repository())},
                input=json.dumps({"event_type": "test"}),
                capture_output=True,
                text=True,
                check=True,
            )

    code, *loaded = ran.stderr.split()
    assert code == "0", ran.stderr
    assert HEAVY.isdisjoint(loaded)
    assert {"typer", "agent"} <= set(loaded)
