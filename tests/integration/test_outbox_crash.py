"""What a death at each step of the outbox leaves on the disk: all of a move, or nothing of it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.outbox import Outbox
from tests.builders import NOW, repository
from tests.conftest import URLS

# One interpreter; a fork per step lives, dies at its step, and leaves a folder behind.
CHILD = """
import asyncio, os, sys
from pathlib import Path
from storage import crash
from storage.entry import Receipt, Rest, Wanted
from storage.settlement import Bury, Confirm, Failure, GiveBack
from storage.outbox import Outbox
from tests.builders import NOW, an_entry
from tests.conftest import URLS

NO = Failure("Rejected", "entry", "no")

async def live(folder, step):
    outbox = Outbox(folder, URLS)
    outbox.recover(NOW)
    await outbox.accept([an_entry(key) for key in "abc"])
    if step.startswith("accept."):
        crash.arm(step)
        await outbox.accept([an_entry("new")])
    if step == "claim.leased":
        crash.arm(step)
    claims = await outbox.claim("events", Wanted(requests=3), now=NOW)
    if step.startswith("reclaim."):
        crash.arm(step)
        outbox.recover(NOW)
    crash.arm(step)
    a, b, c = claims
    back, dead = GiveBack(b, 0, False, failure=NO), Bury(c, NO)
    ends = [Confirm(a, Receipt(a.id, "r"), keep=True), back, dead]
    await outbox.settle("events", ends, now=NOW)
    await outbox.waits.write_rest(Rest("events", "", "offline", "no route", NOW, NOW + 1000, 0))
    await outbox.upkeep.checkpoint()
    said = {"from_url": URLS["events"], "now": NOW, "who": "test"}
    await outbox.rework.send_again([a.id], backend="events", **said)

for step in sys.argv[2:]:
    folder = Path(sys.argv[1]) / step
    folder.mkdir()
    if os.fork() == 0:
        asyncio.run(live(folder, step))
        os._exit(1)
    _, status = os.wait()
    assert os.WIFSIGNALED(status), f"{step} was not reached: {status}"
"""


@dataclass(frozen=True)
class Left:
    """What is there after the next start: keys by what became of them."""

    waiting: str
    in_doubt: str = ""
    delivered: str = ""
    dead: str = ""
    resting: bool = False


UNTOUCHED = Left(waiting="abc")
UNSETTLED = Left(waiting="abc", in_doubt="abc")
SETTLED = Left(waiting="b", delivered="a", dead="c")
LATER = Left(waiting="b", delivered="a", dead="c", resting=True)
LEFT = {
    "accept.begun": UNTOUCHED,
    "accept.inserted": UNTOUCHED,
    "accept.committed": Left(waiting="abcnew"),
    "claim.leased": UNTOUCHED,
    "reclaim.written": UNSETTLED,
    "reclaim.committed": UNSETTLED,
    "reclaim.swept": UNSETTLED,
    "confirm.left": UNSETTLED,
    "confirm.written": UNSETTLED,
    "give_back.written": UNSETTLED,
    "bury.written": UNSETTLED,
    "confirm.committed": SETTLED,
    "give_back.committed": SETTLED,
    "bury.committed": SETTLED,
    "rest.written": LATER,
    "checkpoint.begun": LATER,
    "checkpoint.vacuumed": LATER,
    "checkpoint.done": LATER,
    "resend.left": LATER,
    "resend.written": LATER,
}


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lives")
    subprocess.run([sys.executable, "-c", CHILD, str(folder), *LEFT], check=True, cwd=repository())
    return folder


@pytest.mark.parametrize("step", LEFT)
async def test_a_move_is_whole_or_not_at_all(lives: Path, step: str) -> None:
    outbox = Outbox(lives / step, URLS)
    outbox.recover(NOW)

    page, _ = await outbox.looks.list_entries()
    receipts, _ = await outbox.looks.list_receipts()
    found = Left(
        waiting="".join(one["key"] for one in page if one["state"] == "pending"),
        in_doubt="".join(one["key"] for one in page if one["in_doubt"]),
        delivered="".join(one["key"] for one in receipts),
        dead="".join(one["key"] for one in page if one["state"] == "dead"),
        resting=bool(await outbox.looks.rests()),
    )
    outbox.close()

    assert found == LEFT[step]
