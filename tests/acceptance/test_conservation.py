"""The promise under fire: whatever goes wrong for a while, the books balance at the end.

Each play is `make soak` in small, with a seed of its own: the real agent, killed, stopped,
reloaded and crashed under producers at every door, while its backends, its disk and its clock
misbehave. `docs/testing.md` says how to see a failure again.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import repository

SECONDS = 14
LIMIT_SECONDS = 200

# Plays of one test run at the same time: most of a drain is waiting for what is in doubt.
PLAYS = ((("all", 1), ("signals", 2)), (("all", 3), ("all", 4)))


def begin(profile: str, seed: int, out: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.soak", "--json", "--quick", "--out", str(out),
         "--profile", profile, "--seed", str(seed), "--minutes", str(SECONDS / 60)],
        cwd=repository(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("plays", PLAYS)
def test_every_accepted_entry_arrives_once_in_order_and_whole(
    plays: tuple[tuple[str, int], ...], tmp_path: Path
) -> None:
    running = [begin(profile, seed, tmp_path) for profile, seed in plays]

    for process in running:
        told, seen = process.communicate(timeout=LIMIT_SECONDS)
        result = json.loads(told)

        assert result["violations"] == [], seen
        assert process.returncode == 0
        assert result["balance"]["delivered"] == result["balance"]["accepted"] > 50
        assert result["lives"] > 2
