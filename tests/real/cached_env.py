"""Virtual environments that real servers live in, built once per machine and kept.

Promises: what `cached_environment` returns is complete (a half-built one is thrown away and
built anew), was built from exactly the installs asked for, and is built by one process while
the others wait. Raises Unavailable, in pip's own words, when the packages cannot be had.

The cache is `$XDG_CACHE_HOME/holdfast-real/NAME` (or `~/.cache/...`); removing it is safe.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BUILD_SECONDS = 900  # a slow mirror may take minutes; a hanging one must not take for ever
MARKER = "complete.json"  # written last: an environment without it is half-built

# What could not be built in this run: a second try would cost every test the same minutes.
_given_up: dict[str, str] = {}


class Unavailable(Exception):
    """The environment cannot be had on this machine; `reason` is for the skipped test."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def cached_environment(name: str, *installs: Sequence[str]) -> Path:
    """The python of the environment `name`, built on first use.

    Each of `installs` is the arguments of one `pip install`, run in this order. Changed
    installs, or another version of Python, build it anew. Raises Unavailable.
    """
    folder = cache_folder() / name
    recipe = json.dumps([sys.version, [list(arguments) for arguments in installs]])
    if recipe in _given_up:
        raise Unavailable(_given_up[recipe])
    with _only_one_builder(folder):
        if not _is_complete(folder, recipe):
            try:
                _build(folder, installs)
            except Unavailable as exc:
                _given_up[recipe] = exc.reason
                raise
            (folder / MARKER).write_text(recipe)
    return folder / "bin" / "python"


def cache_folder() -> Path:
    """Where the environments are kept; not made yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "holdfast-real"


@contextmanager
def _only_one_builder(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`: several pytest workers may ask at once."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("w")
    except OSError as exc:
        raise Unavailable(f"{folder.parent} cannot be written: {exc.strerror}") from exc
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of by close, also when this process dies
        yield


def _is_complete(folder: Path, recipe: str) -> bool:
    try:
        return (folder / MARKER).read_text() == recipe
    except OSError:
        return False


def _build(folder: Path, installs: Sequence[Sequence[str]]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    # Not the python of our own environment: its links would end when that one is removed.
    base = (
        Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    maker = str(base) if base.exists() else sys.executable
    _run("venv", [maker, "-m", "venv", "--without-pip", str(folder)])
    # Our own pip fills it: a pip of its own takes longer to make than everything else.
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q"]
    for arguments in installs:
        _run("pip install", [*pip, "--disable-pip-version-check", *arguments])


def _run(step: str, command: list[str]) -> None:
    """Run one step of the build. Raises Unavailable with the last thing that it said."""
    # The packages of our own environment must not shine through into the new one.
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Unavailable(f"{command[0]} cannot be run: {exc}") from exc
    if done.returncode != 0:
        said = done.stdout.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise Unavailable(f"{step}: {said[-1]}")
