"""Seen from outside, by the kernel's eyes: nobody is told "accepted" before the disk was asked."""

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.ledgers import payload
from tests.world import World, wait_until

STRACE = shutil.which("strace")
NEVER = "0 0 29 2 1"  # a window in which nothing leaves, so that every commit is an accept
SLOW_DISK = "fdatasync:delay_enter=20000"  # microseconds: others come in the meantime
ANSWER = re.compile(r'"HTTP/1\.1 202 ')
SYNC = re.compile(r"fdatasync\(\d+<.*outbox\.db-wal>\) += 0|fdatasync resumed>\) += 0")


def may_trace() -> bool:
    """Not every container lets one process look at another."""
    return (
        STRACE is not None
        and (
            subprocess.run([STRACE, "-o", "/dev/null", "true"], check=False, capture_output=True)
        ).returncode
        == 0
    )


pytestmark = pytest.mark.skipif(not may_trace(), reason="strace is not here, or may not trace")


def traced(world: World) -> Path:
    """Start the agent under strace; what it writes and syncs is in the file."""
    assert STRACE is not None
    trace = world.home / "trace"
    calls = "trace=fdatasync,write,sendto,sendmsg,writev"
    world.start(
        {"HOLDFAST_BACKENDS__EVENTS__WINDOW": NEVER},
        prefix=[
            STRACE,
            "-f",
            "-qq",
            "-y",
            "-e",
            calls,
            "-e",
            f"inject={SLOW_DISK}",
            "-o",
            str(trace),
        ],
    )
    return trace


def hand_in(world: World, marks: Sequence[str]) -> None:
    """All at the same time."""

    def put(mark: str) -> None:
        assert world.put("events", payload("events", mark))[0] == 202

    threads = [threading.Thread(target=put, args=(mark,)) for mark in marks]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def happened(trace: Path, answers: int) -> str:
    """S for a sync and A for an answer, in order, once all `answers` are written down."""

    def told() -> str:
        lines = trace.read_text(errors="replace").splitlines()
        letters = ["A" if ANSWER.search(one) else "S" if SYNC.search(one) else "" for one in lines]
        return "".join(letters)

    wait_until(lambda: told().count("A") == answers, 10, told)
    return told()


def test_every_acknowledgement_has_a_sync_before_it_and_many_share_one() -> None:
    with World() as world:
        trace = traced(world)
        for number in range(3):
            hand_in(world, [f"alone-{number:05d}"])
        alone = happened(trace, 3)
        hand_in(world, [f"many-{number:05d}" for number in range(30)])
        many = happened(trace, 33)[len(alone) :]
        # Killed, strace would leave the agent behind.
        os.kill(int((world.home / "state" / "agent.lock").read_text()), signal.SIGTERM)
        wait_until(world.dead, 20)

    assert re.fullmatch(r"S*(S+A){3}", alone), alone
    assert many.startswith("S")
    assert 1 <= many.count("S") <= 15, many
