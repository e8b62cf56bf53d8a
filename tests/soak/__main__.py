"""Play a schedule: made from a seed, or read from a file.

    python -m tests.soak --minutes 10 --seed 7
    python -m tests.soak --schedule build/soak/seed-7.json

Exit code 0: every promise held. 1: one did not; printed are the seed, what happened, and where
the schedule and the agent's log lie.
"""

import argparse
import random
import signal
import sys
from pathlib import Path

from rich.console import Console

from tests.soak.play import Play
from tests.soak.schedule import Schedule, make
from tests.soak.view import View, print_result

PLACE = Path("build/soak")


def main() -> int:
    # Ended from outside, it takes its agent and its disk along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given = arguments()
    console = Console(stderr=given.json, highlight=False)
    schedule = (
        Schedule.read(given.schedule)
        if given.schedule
        else make(given.seed, given.minutes * 60, given.profile)
    )
    file = given.out / f"{schedule.profile}-seed-{schedule.seed}.json"
    schedule.write(file)
    with View(console, schedule) as view:
        play = Play(
            schedule,
            producers=given.producers,
            told=view.tell,
            keep=file.with_suffix(".log"),
            quick=given.quick,
        )
        result = play.run()
    result.schedule = str(file)
    print_result(console, result, file)
    if given.json:
        print(result.as_json())
    return 0 if result.ok else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--profile", choices=("all", "signals"), default="all")
    parser.add_argument("--producers", type=int, default=3)
    parser.add_argument("--schedule", type=Path, help="play this file instead of a seed")
    parser.add_argument("--out", type=Path, default=PLACE, help="where schedule and log are kept")
    parser.add_argument("--quick", action="store_true", help="for make test: see tests/zygote.py")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
