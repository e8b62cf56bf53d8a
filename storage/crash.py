"""Named places at which a test may let the agent die, as a power cut would.

`HOLDFAST_CRASH_AT=claim.committed` ends the process when it first comes to that place,
`claim.committed:3` at the third time. Armed once, by the daemon, from the environment that it
was given. Promises: not armed, a point costs one comparison; armed, the process ends by SIGKILL
inside the point, so that nothing is cleaned up, flushed or answered.
"""

import os
import signal
import threading
from typing import NoReturn

VARIABLE = "HOLDFAST_CRASH_AT"

STEPS = {
    "accept.begun": "a transaction is open, nothing of the new entries is in it",
    "accept.inserted": "the new entries are in the transaction, which is not committed",
    "accept.committed": "the entries are durable, nobody has been told",
    "attachment.written": "a file's bytes are written, not yet on the disk",
    "attachment.sealed": "a file is on the disk, no entry has it",
    "attachment.renamed": "a file has its entry's folder, which is not yet on the disk",
    "attachment.kept": "the folder is on the disk, the entry's row is not there",
    "attachment.taken": "the row of an entry with files is durable, nobody has been told",
    "attachment.dropped": "the files of an entry that is gone are deleted",
    "spool.read": "a spool file is open, nothing of it is accepted",
    "spool.staged": "the files of a folder entry are copied in, it is not accepted",
    "spool.accepted": "what is good in a spool file is durable, the file is still there",
    "spool.aside": "the bad lines of a file lie aside, the file is still there",
    "spool.reason": "the reason of a rejected file is written, the file is still there",
    "spool.removing": "a folder entry has its last name, and is not removed",
    "spool.removed": "the spool file is removed, the next one waits",
    "claim.leased": "entries are claimed in a transaction that is not committed",
    "claim.committed": "the claim is durable, nothing is sent",
    "send.begun": "the request is about to be made",
    "send.out": "the request's last byte is out, the answer is not read",
    "send.answered": "the verdict is known, nothing is settled",
    "confirm.left": "the entry has left in a transaction that has no receipt yet",
    "confirm.written": "the receipt is in the transaction, which is not committed",
    "confirm.committed": "the confirm is durable, the entry's files are still there",
    "give_back.written": "an entry waits again in a transaction that is not committed",
    "give_back.committed": "the entry durably waits again",
    "bury.written": "an entry is a dead letter in a transaction that is not committed",
    "bury.committed": "the dead letter is durable",
    "rest.written": "a backend's rest is durable",
    "pause.written": "a backend is paused in a transaction that is not committed",
    "resume.written": "a backend's pause is over in a transaction that is not committed",
    "hold.written": "entries are held in a transaction that is not committed",
    "release.written": "held entries wait again in a transaction that is not committed",
    "resend.left": "receipts have left in a transaction that has no entries for them yet",
    "resend.written": "delivered entries wait again in a transaction that is not committed",
    "salvage.parted": "a damaged database is moved aside, its log is not",
    "salvage.aside": "a damaged database lies aside, no other one is there",
    "salvage.receipts": "its receipts are back, nothing else",
    "salvage.entries": "its entries are back, their labels and heads are not",
    "salvage.told": "all is back, the wreck does not say so",
    "salvage.done": "the wreck says that all is back, deliveries have not begun",
    "checkpoint.begun": "the log is about to be moved into the database",
    "checkpoint.vacuumed": "free pages are given back, the log is not yet cut",
    "checkpoint.done": "the log is cut",
    "reclaim.written": "what an earlier life claimed waits again, not committed",
    "reclaim.committed": "what an earlier life claimed durably waits again, in doubt",
    "reclaim.swept": "files without an entry are deleted",
    "migration.begun": "an older database is found, nothing is done to it",
    "migration.copied": "a copy of the older database lies beside it",
    "migration.changed": "the schema is changed in a transaction that is not committed",
    "migration.done": "the new schema is durable",
}
"""Every point in the code, and what is the case when it is reached."""


class UnknownStep(ValueError):
    """The variable names no step; the message says which there are."""

    def __init__(self, given: str) -> None:
        known = ", ".join(STEPS)
        super().__init__(f"{VARIABLE}: there is no step {given!r}, or N in STEP:N; known: {known}")


class _Fuse:
    """One step, and how often it is still passed before the end."""

    def __init__(self, step: str, passings: int) -> None:
        self.step = step
        self._left = passings
        self._lock = threading.Lock()  # points are passed in several threads

    def pass_one(self) -> None:
        """Count a passing; the last one ends the process."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                _die(self.step)


_fuse: _Fuse | None = None


def arm(given: str) -> None:
    """Arm the step that `given` names, as STEP or STEP:N. Raises UnknownStep."""
    global _fuse  # noqa: PLW0603 - one per process, and points must cost nothing
    step, colon, count = given.partition(":")
    if step not in STEPS or (colon and not (count.isascii() and count.isdigit() and int(count))):
        raise UnknownStep(given)
    _fuse = _Fuse(step, int(count or 1))


def armed() -> bool:
    """Is any step armed?"""
    return _fuse is not None


def point(step: str) -> None:
    """The agent is at `step`; it ends here if that was asked for."""
    if _fuse is not None and _fuse.step == step:
        _fuse.pass_one()


def _die(step: str) -> NoReturn:
    # Not through any buffer: the tests read from it that the step was really reached.
    os.write(2, f"crash point reached: {step}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")
