"""What an acknowledgement is worth: kill -9 at any moment, and look what the disk holds."""

import io
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.outbox import Outbox
from tests.builders import NOW, an_entry, repository
from tests.conftest import URLS

CHILD = """
import asyncio, io, os, signal, sys
from pathlib import Path
from storage.entry import Wanted
from storage.outbox import Outbox
from tests.builders import NOW, an_entry, repository

async def main():
    outbox = Outbox(Path(sys.argv[1]), {"events": "http://events.test"})
    outbox.recover(NOW)
    for number in range(int(sys.argv[2])):
        part = outbox.attachments.stage(io.BytesIO(b"plot"), "p.png", limit=100)
        entry = an_entry(f"k{number}", attachments=(part,))
        await outbox.accept([entry])
        print(entry.id, flush=True)
    if sys.argv[3] == "claimed":
        await outbox.claim("events", Wanted(), now=NOW)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def killed_after(state_dir: Path, accepts: int, how: str = "accepted") -> list[str]:
    """Ids that a child acknowledged before it was killed."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(state_dir), str(accepts), how],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    return ended.stdout.split()


@pytest.mark.parametrize("accepts", [1, 7])
def test_what_was_acknowledged_survives_a_kill_with_its_files(tmp_path: Path, accepts: int) -> None:
    acknowledged = killed_after(tmp_path, accepts)

    with closing(sqlite3.connect(tmp_path / "outbox.db")) as connection:
        held = {row[0] for row in connection.execute("SELECT id FROM entry")}
        paths = [row[0] for row in connection.execute("SELECT path FROM attachment")]
    assert held == set(acknowledged)
    assert len(acknowledged) == accepts
    assert [(tmp_path / "attachments" / path).read_bytes() for path in paths] == [b"plot"] * accepts


async def test_what_was_claimed_when_the_agent_died_is_in_doubt(tmp_path: Path) -> None:
    (id_, *_) = killed_after(tmp_path, 1, "claimed")

    outbox = Outbox(tmp_path, URLS)
    reclaimed, _ = outbox.recover(NOW)
    shown = await outbox.looks.show(id_)
    outbox.close()

    assert reclaimed == 1
    assert shown is not None
    assert (shown["state"], shown["in_doubt"], shown["attempts"]) == ("pending", True, 0)


async def test_files_that_a_crash_left_without_an_entry_are_swept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, URLS)
    outbox.recover(NOW)
    kept = an_entry("kept", attachments=(await outbox.files.stage(io.BytesIO(b"x"), "x", limit=9),))
    await outbox.accept([kept])
    await outbox.files.stage(io.BytesIO(b"half"), "left-in-incoming", limit=9)
    outbox.attachments.keep("orphan", [await outbox.files.stage(io.BytesIO(b"y"), "y", limit=9)])
    outbox.close()

    again = Outbox(tmp_path, URLS)
    _, swept = again.recover(NOW)
    again.close()

    assert swept == 1
    left = {path.name for path in (tmp_path / "attachments").iterdir()}
    assert left == {"incoming", kept.id}
    assert list((tmp_path / "attachments" / "incoming").iterdir()) == []


PRODUCER = """
import asyncio, sys
from pathlib import Path
from storage.outbox import Outbox
from tests.builders import an_entry

async def produce(outbox, name):
    for number in range(10_000):
        (outcome,) = await outbox.accept([an_entry(f"{name}-{number}")])
        print(outcome.key, outcome.state, flush=True)

async def main():
    outbox = Outbox(Path(sys.argv[1]), {"events": "http://events.test"})
    await asyncio.gather(*(produce(outbox, name) for name in "abcd"))

asyncio.run(main())
"""


@pytest.mark.parametrize("answers", [1, 2, 7, 50, 400])
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path, answers: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=repository(),
    )
    assert child.stdout is not None
    answered = [child.stdout.readline() for _ in range(answers)]
    child.kill()
    answered += child.stdout.readlines()
    child.wait()
    child.stdout.close()

    with closing(sqlite3.connect(tmp_path / "outbox.db")) as connection:
        held = {key for (key,) in connection.execute("SELECT key FROM entry")}
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    complete = [line.split() for line in answered if line.endswith("\n")]
    assert len(complete) >= answers
    assert {key for key, state in complete if state == "accepted"} <= held
