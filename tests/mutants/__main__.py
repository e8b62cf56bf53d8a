"""Break the lines of the table one by one, in a copy of the tree, and run the test of each.

    python -m tests.mutants [--only WORDS]

Exit code 0: every mutant was caught. 1: one survived, or the line to break is not there any
more, or its test does not pass unbroken; then the table has to be mended before anything else.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.builders import repository
from tests.mutants.table import TABLE, Mutant

AT_ONCE = 2
TEST_SECONDS = 180
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__", ".*_cache")
FAILED = 1  # pytest: tests ran, and some failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name has these words")
    only = parser.parse_args().only
    mutants = [one for one in TABLE if only in one.name]
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="hf-mutants-") as place:
        trees = [copied(Path(place) / str(number)) for number in range(AT_ONCE)]
        if not passes(trees[0], sorted({one.test for one in mutants})):
            console.print("the named tests do not pass as they are", style="bold red")
            return 1
        with ThreadPoolExecutor(AT_ONCE) as threads:
            rounds = [mutants[number::AT_ONCE] for number in range(AT_ONCE)]
            fates = dict(pair for part in threads.map(judge_all, trees, rounds) for pair in part)
    console.print(as_table(mutants, fates))
    bad = [one for one in mutants if fates[one.name] != "caught"]
    console.print(
        f"{len(mutants) - len(bad)} of {len(mutants)} caught",
        style="bold red" if bad else "bold green",
    )
    return 1 if bad else 0


def copied(place: Path) -> Path:
    shutil.copytree(repository(), place, ignore=LEFT_OUT, symlinks=True)
    return place


def judge_all(tree: Path, mutants: Sequence[Mutant]) -> list[tuple[str, str]]:
    return [(one.name, judge(tree, one)) for one in mutants]


def judge(tree: Path, mutant: Mutant) -> str:
    """What became of the mutant: caught, SURVIVED, or why that cannot be told."""
    file = tree / mutant.file
    sound = file.read_text()
    if sound.count(mutant.before) != 1:
        return f"NOT FOUND ({sound.count(mutant.before)} times)"
    file.write_text(sound.replace(mutant.before, mutant.after))
    try:
        code = run(tree, [mutant.test])
    finally:
        file.write_text(sound)
    return {0: "SURVIVED", FAILED: "caught"}.get(code, f"pytest ended with {code}")


def passes(tree: Path, tests: Sequence[str]) -> bool:
    return run(tree, tests, quiet=False) == 0


def run(tree: Path, tests: Sequence[str], *, quiet: bool = True) -> int:
    """pytest's exit code in `tree`; a test that hangs counts as failed."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--no-header", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, check=False, timeout=TEST_SECONDS, capture_output=quiet
        )
    except subprocess.TimeoutExpired:
        return FAILED
    return done.returncode


def as_table(mutants: Sequence[Mutant], fates: dict[str, str]) -> Table:
    table = Table()
    for heading in ("mutant", "line", "test", "fate"):
        table.add_column(heading)
    for one in mutants:
        fate = fates[one.name]
        colour = "green" if fate == "caught" else "bold red"
        test = one.test.rpartition("/")[2]
        table.add_row(one.name, one.file, test, f"[{colour}]{fate}[/]")
    return table


if __name__ == "__main__":
    begun = time.monotonic()
    code = main()
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(code)
