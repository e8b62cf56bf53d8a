"""The wheel runs outside the checkout: what it needs is in it.

The checks run with the packages of the environment that runs the tests, but with our own code
from the wheel alone.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.builders import repository
from tests.world import SETTINGS, wait_until

ADDRESS = "http://127.0.0.1:9"  # nobody listens


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `holdfast` command of a fresh virtual environment that has only the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    tree = folder / "tree"
    subprocess.run(["git", "clone", "--quiet", str(repository()), str(tree)], check=True)
    subprocess.run([*build, "--wheel-dir", str(folder), str(tree)], check=True)
    (wheel,) = folder.glob("holdfast-*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    target = [*pip, "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(target, check=True)
    return python.with_name("holdfast")


def holdfast(command: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    # Not through site-packages' .pth files: those would bring the checkout in again.
    path = sysconfig.get_path("purelib")
    environment = {**os.environ, "PYTHONPATH": path, **more}
    return subprocess.run(
        [str(command), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=command.parent,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    names = ("elog", "events", "telemetry", "accounting")
    text = SETTINGS.format(home=tmp_path, **dict.fromkeys(names, ADDRESS))
    (tmp_path / "elog-password").write_text("secret\n")
    (tmp_path / "holdfast.toml").write_text(text)
    return tmp_path / "holdfast.toml"


def test_help_and_check_work_from_the_wheel(installed: Path, config: Path) -> None:
    told = holdfast(installed, "--help")
    checked = holdfast(installed, "--config", str(config), "check")

    assert (told.returncode, told.stderr) == (0, "")
    assert "status" in told.stdout
    assert (checked.returncode, checked.stderr) == (0, "")


def test_run_makes_its_database_from_the_wheel(installed: Path, config: Path) -> None:
    path = sysconfig.get_path("purelib")
    running = subprocess.Popen(
        [str(installed), "--config", str(config), "run"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=installed.parent,
        stderr=subprocess.DEVNULL,
    )
    try:
        socket = config.parent / "agent.sock"
        wait_until(lambda: socket.is_socket() or running.poll() is not None, 20)
        running.terminate()
        assert running.wait(20) == 0
        assert (config.parent / "state" / "outbox.db").exists()
    finally:
        running.kill()
        running.wait()
