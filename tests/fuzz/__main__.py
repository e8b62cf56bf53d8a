"""`make fuzz`: every target for its share of some minutes, guided by coverage.

    python -m tests.fuzz --minutes 10 [--only socket-raw]

Needs atheris (`pip install -e '.[fuzz]'`). Where it cannot be had, hypothesis draws examples for
as long, which finds less. What broke a target is kept beside its corpus, in build/fuzz/TARGET;
`python -m tests.fuzz --again FILE` feeds it once more. Exit code 1: something broke.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import targets

PLACE = Path("build/fuzz")
LONGEST_INPUT = 4096
STUCK_SECONDS = 30


def main() -> int:
    given = arguments()
    if given.again:
        targets.make(given.again.parent.name)(given.again.read_bytes())
        print("nothing broke")
        os._exit(0)  # a target may have left a listener running
    names = [given.only] if given.only else list(targets.NAMES)
    seconds = round(given.minutes * 60 / len(names))
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        print("atheris is not installed here: hypothesis draws the examples, without guidance")
    broken = [name for name in names if not (fuzz if guided else draw)(name, seconds)]
    for name in broken:
        print(f"BROKEN: {name}; see {PLACE / name}")
    print(f"{len(names) - len(broken)} of {len(names)} targets held for {seconds} s each")
    return 1 if broken else 0


def fuzz(name: str, seconds: int) -> bool:
    """Guided by coverage, from the corpus of earlier runs. True: the target held."""
    folder = PLACE / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.SEEDS.get(name, ())):
        (corpus / f"seed-{number}").write_bytes(seed)
    print(f"{name}: {seconds} s ...", flush=True)
    with (folder / "log").open("wb") as log:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", name, str(corpus),
             f"-max_total_time={seconds}", f"-artifact_prefix={folder}/",
             f"-max_len={LONGEST_INPUT}", f"-timeout={STUCK_SECONDS}", "-print_final_stats=1"],
            stdout=log, stderr=log, check=False,
        )  # fmt: skip
    told = (folder / "log").read_text(errors="replace").splitlines()
    for line in told:
        if line.startswith("stat::number_of_executed_units"):
            print(f"  {line.split(':')[-1].strip()} inputs")
    if ended.returncode:
        print("\n".join(told[-40:]))
    return ended.returncode == 0


def draw(name: str, seconds: int) -> bool:
    """Bytes that hypothesis draws, as they come."""
    target = targets.make(name)
    until = time.monotonic() + seconds

    @given(st.binary(max_size=LONGEST_INPUT))
    @settings(targets.QUICK, max_examples=500, database=None)
    def some(data: bytes) -> None:
        target(data)

    print(f"{name}: {seconds} s ...", flush=True)
    while time.monotonic() < until:
        try:
            some()
        except Exception as broken:  # noqa: BLE001 - whatever it is, it is told
            print(f"{type(broken).__name__}: {broken}")
            return False
    return True


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--only", choices=targets.NAMES)
    parser.add_argument("--again", type=Path, help="feed this file to the target of its folder")
    return parser.parse_args()


if __name__ == "__main__":
    # Not sys.exit: threads of a listener would be waited for.
    code = main()
    sys.stdout.flush()
    os._exit(code)
