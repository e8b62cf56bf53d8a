"""What others copy out of docs/clients and docs/recipes: as modules, and as programs."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest

from tests.builders import repository
from tests.world import World, wait_until

CLIENTS = repository() / "docs" / "clients"
RECIPES = repository() / "docs" / "recipes"
SECONDS = 20.0
Found = list[dict[str, Any]]


def module(path: Path) -> ModuleType:
    """A file as a module of its own name, once, as if it lay beside the program."""
    if path.stem not in sys.modules:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[path.stem])
    return sys.modules[path.stem]


@contextmanager
def lute_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """As LUTE may find it, with an empty spool and nobody at the socket. Gives the folder."""
    module(CLIENTS / "lute_elog.py")._agent.cache_clear()
    for name in ("Authorization", "JID_UPDATE_COUNTERS", "ARP_UPDATE_COUNTERS", "EXPERIMENT"):
        monkeypatch.delenv(name, raising=False)
    # Not pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with TemporaryDirectory(prefix="hf") as folder:
        (Path(folder) / "spool").mkdir()
        monkeypatch.setenv("HOLDFAST_AGENT__SOCKET", f"{folder}/s")
        monkeypatch.setenv("HOLDFAST_AGENT__SPOOL_DIR", f"{folder}/spool")
        yield Path(folder)


def environment(world: World, **more: str) -> dict[str, str]:
    """As a producer on this host has it; programs in the world's `bin` come first."""
    return {
        "PATH": f"{world.home}/bin:{os.environ['PATH']}",
        "HOME": str(world.home),
        "PYTHONPATH": str(CLIENTS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOLDFAST_AGENT__SOCKET": str(world.home / "agent.sock"),
        "HOLDFAST_AGENT__SPOOL_DIR": str(world.spool),
        "HOLDFAST_CONFIG": str(world.config),
        **more,
    }


def run(
    world: World, *command: str | Path, stdin: str = "", code: int | None = 0, **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program as a producer does; it has to end with `code` (None: with any)."""
    ran = subprocess.run(
        list(map(str, command)),
        input=stdin,
        env=environment(world, **more),
        cwd=world.home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert code is None or ran.returncode == code, ran.stderr
    return ran


def pythons() -> list[list[str]]:
    """This one, and those from 3.6 on that are to be had by their names here."""
    found = [[sys.executable]]
    for version in ("3.6", "3.7", "3.8"):
        path = shutil.which(f"python{version}")
        ask = [path or "", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        told = path and subprocess.run(
            ask,
            env={**os.environ, "PYENV_VERSION": version},
            capture_output=True,
            text=True,
            check=False,
        )
        if path and told and told.stdout.strip() == version:
            found.append(["env", f"PYENV_VERSION={version}", path])
    return found


def spooled(world: World, backend: str) -> Sequence[Path]:
    """What waits in the spool for a backend, hidden names too."""
    return sorted((world.spool / backend).iterdir())


def held(world: World, count: int, found: Callable[[], Found]) -> Found:
    """What `found` gives once there are `count` of them and nothing more is on its way."""
    wait_until(lambda: len(found()) >= count, SECONDS, lambda: (found(), world.status()))
    wait_until(world.drained, SECONDS, world.status)
    return found()


def lying(home: Path, backend: str = "events") -> list[Any]:
    """The entries in the spool, in order of their names; nothing else lies there."""
    paths = sorted((home / "spool" / backend).iterdir())
    assert all(path.suffix == ".json" and not path.name.startswith(".") for path in paths)
    return [json.loads(path.read_bytes()) for path in paths]
