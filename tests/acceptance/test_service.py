"""The service: systemd takes the unit, and the daemon keeps what the unit says of it."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import repository
from tests.world import World, wait_until

UNIT = repository() / "systemd" / "holdfast.service"
INSTALLED = "/opt/holdfast/bin/holdfast"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    here = Path(sys.executable).with_name("holdfast")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(INSTALLED, str(here)))

    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_unit_names_what_exists() -> None:
    text = UNIT.read_text()

    assert f"ExecStart={INSTALLED} --config /etc/holdfast/holdfast.toml run" in text
    assert "Type=notify" in text
    assert (UNIT.parent / "holdfast.sysusers").exists()
    assert (UNIT.parent / "holdfast.tmpfiles").exists()


def test_ready_watchdog_and_stopping_are_told() -> None:
    with World() as world:
        address = world.home / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(address))
            systemd.settimeout(20)
            world.start({"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1500000"})

            told = [systemd.recv(100).decode() for _ in range(3)]
            assert world.process is not None
            world.process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in told:
                told.append(systemd.recv(100).decode())

        assert told[0] == "READY=1"
        assert set(told[1:-1]) == {"WATCHDOG=1"}
        assert world.process.wait(20) == 0


def test_a_stopped_loop_is_no_longer_vouched_for() -> None:
    """A daemon that is frozen as a whole feeds nothing; one that thaws goes on."""
    with World() as world:
        world.start()
        assert world.process is not None
        world.process.send_signal(signal.SIGSTOP)
        with pytest.raises(OSError, match="timed out"):
            world.request("GET", "/healthz", timeout=0.5)
        world.process.send_signal(signal.SIGCONT)

        wait_until(world.answers, 10)
        assert world.stop() == 0


def test_a_second_agent_on_the_same_folder_is_told_so_and_ends_with_75() -> None:
    with World() as world:
        world.start()

        second = subprocess.run(
            [sys.executable, "-m", "agent.cli", "--config", str(world.config), "run"],
            capture_output=True,
            text=True,
            check=False,
        )

        assert second.returncode == 75
        assert "another agent" in second.stderr
        assert world.answers()
