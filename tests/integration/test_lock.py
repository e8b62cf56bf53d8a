"""One agent per state folder, and readers beside or without it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.lock import READERS_SECONDS, AlreadyRunning, InstanceLock
from storage.outbox import Outbox
from tests.builders import repository
from tests.conftest import URLS

NOBODY = 65534

AGENT = """
import asyncio, sys
from pathlib import Path
from storage.outbox import Outbox
from tests.builders import NOW, an_entry

async def main():
    outbox = Outbox(Path(sys.argv[1]), {"events": "http://events.test"})
    outbox.recover(NOW)
    await outbox.accept([an_entry("a")])
    print("lives", flush=True)
    sys.stdin.readline()
    outbox.close()

asyncio.run(main())
"""
READER = """
import os, sys
from pathlib import Path
from sqlalchemy import text
if sys.argv[2] != "-":
    # The modules of this interpreter may lie where the other user cannot go: load them first.
    import storage.offline
    os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
from storage.offline import read_still
found = read_still(Path(sys.argv[1]), {"events": "http://events.test"}, now=0)
print(found.counts["events"].pending)
"""


class Agent:
    """An outbox held by another process."""

    def __init__(self, state_dir: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", AGENT, str(state_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository(),
        )
        assert self._child.stdout is not None
        assert self._child.stdout.readline() == "lives\n"
        self.pid = self._child.pid

    def end(self, how: str) -> None:
        if how == "killed":
            self._child.send_signal(signal.SIGKILL)
        self._child.communicate("\n")


def read(state_dir: Path, user: str = "-") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", READER, str(state_dir), user],
        capture_output=True,
        text=True,
        cwd=repository(),
        check=False,
    )


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Not below pytest's own folder, which nobody but its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="hf-") as folder:
        made = Path(folder) / "state"
        made.mkdir()
        for one in (Path(folder), made):
            one.chmod(0o755)
        yield made


def test_a_second_agent_is_refused_and_told_who_lives(state_dir: Path) -> None:
    agent = Agent(state_dir)

    with pytest.raises(AlreadyRunning, match=f"pid {agent.pid}") as refused:
        Outbox(state_dir, URLS)

    assert refused.value.pid == agent.pid
    agent.end("stopped")


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_after_an_agent_another_one_may_live(state_dir: Path, how: str) -> None:
    Agent(state_dir).end(how)

    outbox = Outbox(state_dir, URLS)

    assert [one["key"] for one in (await outbox.looks.list_entries())[0]] == ["a"]
    outbox.close()


def test_readers_share_and_hold_off_a_start(tmp_path: Path) -> None:
    InstanceLock(tmp_path / "lock").take()
    first, second, agent = (InstanceLock(tmp_path / "other") for _ in range(3))
    (tmp_path / "other").touch()

    assert first.share()
    assert second.share()
    waits: list[float] = []
    with pytest.raises(AlreadyRunning):
        agent.take(pause=waits.append)

    assert sum(waits) == pytest.approx(READERS_SECONDS)


def test_a_start_waits_for_a_reader(tmp_path: Path) -> None:
    reader, agent = InstanceLock(tmp_path / "lock"), InstanceLock(tmp_path / "lock")
    (tmp_path / "lock").touch()
    assert reader.share()
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            reader.release()

    agent.take(pause=pause)

    assert len(waits) == 3
    agent.release()


def test_a_start_does_not_wait_for_an_agent(tmp_path: Path) -> None:
    living, agent = InstanceLock(tmp_path / "lock"), InstanceLock(tmp_path / "lock")
    living.take()

    with pytest.raises(AlreadyRunning):
        agent.take(pause=lambda _: pytest.fail("it waited"))
    living.release()


def test_a_reader_knows_that_an_agent_lives(state_dir: Path) -> None:
    agent = Agent(state_dir)

    answer = read(state_dir)

    assert "AgentLives" in answer.stderr
    agent.end("stopped")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_without_an_agent_the_outbox_can_be_read_and_is_not_changed(
    state_dir: Path, how: str
) -> None:
    Agent(state_dir).end(how)
    before = (state_dir / "outbox.db").read_bytes()

    answers = [read(state_dir).stdout for _ in range(2)]

    assert answers == ["1\n", "1\n"]
    assert (state_dir / "outbox.db").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_user_who_may_only_read_can_read(state_dir: Path, how: str) -> None:
    Agent(state_dir).end(how)
    # As the group may read what belongs to the agent: 0750 and 0640.
    state_dir.chmod(0o755)
    for path in state_dir.glob("*"):
        if path.is_file():
            path.chmod(0o644)

    answer = read(state_dir, str(NOBODY))

    assert (answer.stdout, answer.stderr) == ("1\n", "")
    assert read(state_dir).stdout == "1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not_read_is_told_which_file(state_dir: Path) -> None:
    Agent(state_dir).end("stopped")
    (state_dir / "outbox.db").chmod(0o600)
    (state_dir / "agent.lock").chmod(0o644)

    answer = read(state_dir, str(NOBODY))

    assert "Unreadable" in answer.stderr
    assert "outbox.db" in answer.stderr


def test_the_database_is_for_owner_and_group(state_dir: Path) -> None:
    agent = Agent(state_dir)

    modes = {path.name: path.stat().st_mode & 0o777 for path in state_dir.iterdir()}
    agent.end("stopped")

    assert {modes[name] for name in ("outbox.db", "outbox.db-wal", "outbox.db-shm")} == {0o640}
    assert modes["agent.lock"] & 0o007 == 0
