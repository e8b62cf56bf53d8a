"""A crash at every step of taking a file in: entry and file are there together, or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.attachments import INCOMING
from storage.outbox import Outbox
from tests.builders import NOW, repository
from tests.conftest import URLS

# Each point is a function of ours; the child dies before or after its call.
CHILD = """
import asyncio, io, os, signal, sys
from pathlib import Path
import storage.attachments, storage.outbox
from storage.attachments import AttachmentStore, StagedFile
from storage.gauges import Gauges
from storage.outbox import Outbox
from storage.entry import Receipt, Wanted
from storage.settlement import Confirm
from tests.builders import NOW, an_entry

state_dir, point, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
places = {
    "write": (StagedFile, "write"), "seal": (StagedFile, "seal"), "mkdir": (Path, "mkdir"),
    "rename": (Path, "rename"), "fsync_folder": (storage.attachments, "fsync_folder"),
    "keep": (AttachmentStore, "keep"), "answer": (Gauges, "accepted"),
    "confirm": (Gauges, "settled"), "drop": (AttachmentStore, "drop"),
}

def die(*_):
    print("dies", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def arm():
    owner, name = places[point]
    call = getattr(owner, name)
    def armed(*args, **named):
        if when == "before":
            die()
        call(*args, **named)
        die()
    setattr(owner, name, armed)

async def main():
    outbox = Outbox(state_dir, {"events": "http://events.test"})
    outbox.recover(NOW)
    for key in ("kept", "new"):
        if key == "new":
            arm()
        part = await outbox.files.stage(io.BytesIO(key.encode() * 1000), "plot.png", limit=10**7)
        await outbox.accept([an_entry(key, attachments=(part,))])
        print(key, flush=True)
    claims = await outbox.claim("events", Wanted(requests=2), now=NOW)
    ends = [Confirm(one, Receipt(one.id, one.key)) for one in claims]
    await outbox.settle("events", ends, now=NOW)

asyncio.run(main())
"""


def dies(state_dir: Path, point: str, when: str) -> list[str]:
    """Let a child die there; the keys that it had answers for."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(state_dir), point, when],
        capture_output=True,
        text=True,
        cwd=repository(),
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    return child.stdout.split()[:-1]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "point",
    ["write", "seal", "mkdir", "rename", "fsync_folder", "keep", "answer", "confirm", "drop"],
)
async def test_a_crash_at_any_step_parts_no_entry_from_its_file(
    tmp_path: Path, point: str, when: str
) -> None:
    answered = dies(tmp_path, point, when)

    outbox = Outbox(tmp_path, URLS)
    outbox.recover(NOW)
    page, _ = await outbox.looks.list_entries()
    receipts, _ = await outbox.looks.list_receipts()

    assert {one.name for one in outbox.attachments.root.iterdir()} == {
        INCOMING,
        *(one["id"] for one in page),
    }
    known = {one["key"] for one in [*page, *receipts]}
    assert set(answered) <= known <= {"kept", "new"}
    for one in page:
        held = (outbox.attachments.root / one["id"] / "0").read_bytes()
        assert held == one["key"].encode() * 1000
    outbox.close()
