"""What goes wrong, and when: made from a seed, written to a file, replayed from it.

Promises: the same seed, length and profile make the same schedule on every host; what a host
cannot do is skipped by the stage, never left out here. Acts that end something are acts of
their own, so a schedule is a flat list in the order of time.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from storage.crash import STEPS
from tests.ledgers import BACKENDS
from tests.world import EXPERIMENTS

# Wrong answers, lost answers, half answers, late answers and none, as `tests.emulators.kit` plays
# them, with how likely each is.
TROUBLE: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (2, "status", {"status": 503}),
    (1, "status", {"status": 500}),
    (1, "status", {"status": 502}),
    (1, "status", {"status": 401}),
    (1, "status", {"status": 403}),
    (1, "status", {"status": 404}),
    (1, "status", {"status": 423}),
    (1, "status", {"status": 422}),
    (1, "status", {"status": 429}),
    (2, "status_after", {"status": 502, "probability": 0.7}),
    (1, "html", {}),
    (1, "empty", {}),
    (1, "redirect", {}),
    (1, "retry_after", {"seconds": 1}),
    (2, "drop_before", {"probability": 0.7}),
    (3, "drop_after", {"probability": 0.5}),
    (2, "truncate", {"probability": 0.5}),
    (1, "hang", {"seconds": 4}),
    (2, "hang_after", {"seconds": 4, "probability": 0.5}),
    (2, "delay", {"seconds": 0.7}),
    (1, "delay", {"seconds": 4, "probability": 0.3}),  # longer than the agent waits
)
CLOCK_STEPS = (-7, 7, -3600, 3600, -86_400, 86_400, -31_536_000, 31_536_000)  # seconds
CHANGES = (  # of the settings, as TOML
    "[backends.events]\nconcurrency = 1\n",
    "[backends.accounting]\nbatch_size = 3\n",
    "[backends.elog]\nconcurrency = 4\n",
    "[backends.telemetry]\nrate_per_second = 50\n",
    "[retry]\nmax_delay_seconds = 0.5\n",
    "[retry]\nfirst_delay_seconds = 0.05\n",
    "",
)
# Once in a life, at its start, or once a minute, or not at all.
UNREACHED = ("migration.", "checkpoint.", "salvage.", "hold.", "release.", "resend.")


@dataclass(frozen=True)
class Act:
    """At `at` seconds, `verb` happens; see the stage for the verbs and what they take."""

    at: float
    verb: str
    what: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    """A whole play. `profile`: all, or signals."""

    seed: int
    seconds: float
    profile: str
    acts: tuple[Act, ...]

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        told = {**asdict(self), "acts": [asdict(one) for one in self.acts]}
        file.write_text(json.dumps(told, indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> "Schedule":
        told = json.loads(file.read_text())
        return cls(**{**told, "acts": tuple(Act(**one) for one in told["acts"])})


def make(seed: int, seconds: float, profile: str = "all") -> Schedule:
    """The schedule of a seed."""
    acts: list[Act] = []
    # Dice for each thread of the play: one more kind of trouble must not shift all others.
    if profile == "all":
        for backend in BACKENDS:
            acts += _backend(backend, random.Random(f"{seed}/{backend}"), seconds)
        acts += _daemon(random.Random(f"{seed}/daemon"), seconds, (2, 9), (0.1, 1.5))
        acts += _disk(random.Random(f"{seed}/disk"), seconds)
        acts += _clock(random.Random(f"{seed}/clock"), seconds)
        acts += _experiments(random.Random(f"{seed}/experiments"), seconds)
        acts += _operator(random.Random(f"{seed}/operator"), seconds)
    else:
        acts += _daemon(random.Random(f"{seed}/signals"), seconds, (0.5, 2), (0.1, 0.6))
    return Schedule(seed, seconds, profile, tuple(sorted(acts, key=lambda one: one.at)))


def _times(
    dice: random.Random, seconds: float, calm: tuple[float, float], length: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    """(begin, end) of one trouble after the other, with calm between them."""
    at = dice.uniform(*calm)
    while at < seconds:
        end = at + dice.uniform(*length)
        yield round(at, 2), round(min(end, seconds), 2)
        at = end + dice.uniform(*calm)


def _backend(name: str, dice: random.Random, seconds: float) -> Iterator[Act]:
    for begin, end in _times(dice, seconds, (0.2, 2.5), (0.3, 2.5)):
        if dice.random() < 0.15:
            yield Act(begin, "unplug", {"backend": name})
            yield Act(end, "plug", {"backend": name})
            continue
        (trouble,) = dice.choices(TROUBLE, [weight for weight, _, _ in TROUBLE])
        _, mode, settings = trouble
        yield Act(begin, "fault", {"backend": name, "mode": mode, "settings": settings})
        yield Act(end, "heal", {"backend": name})


def _daemon(
    dice: random.Random, seconds: float, calm: tuple[float, float], length: tuple[float, float]
) -> Iterator[Act]:
    steps = [step for step in STEPS if not step.startswith(UNREACHED)]
    for begin, end in _times(dice, seconds, calm, length):
        verb = dice.choice(("kill", "kill", "term", "stop", "crash", "crash", "restart", "reload"))
        match verb:
            case "kill":
                yield Act(begin, "kill")
                yield Act(end, "start")
            case "term":
                yield Act(begin, "term")
                yield Act(end, "start")
            case "stop":
                yield Act(begin, "stop")
                yield Act(end, "continue")
            case "crash":
                yield Act(begin, "kill")
                step = f"{dice.choice(steps)}:{dice.choice((1, 1, 2, 5))}"
                yield Act(end, "start", {"crash": step})
            case "restart":
                yield Act(begin, "term")
                yield Act(begin, "change_settings", {"toml": dice.choice(CHANGES)})
                yield Act(end, "start")
            case _:
                yield Act(begin, "change_settings", {"toml": dice.choice(CHANGES)})
                yield Act(begin, "reload")


def _disk(dice: random.Random, seconds: float) -> Iterator[Act]:
    for begin, end in _times(dice, seconds, (4, 20), (0.5, 3)):
        yield Act(begin, "fill_disk")
        yield Act(end, "free_disk")


def _clock(dice: random.Random, seconds: float) -> Iterator[Act]:
    for begin, _ in _times(dice, seconds, (3, 15), (0, 5)):
        yield Act(begin, "step_clock", {"seconds": dice.choice(CLOCK_STEPS)})


def _operator(dice: random.Random, seconds: float) -> Iterator[Act]:
    for begin, end in _times(dice, seconds, (3, 15), (0.5, 3)):
        backend = dice.choice(BACKENDS)
        yield Act(begin, "pause", {"backend": backend})
        yield Act(end, "resume", {"backend": backend})


def _experiments(dice: random.Random, seconds: float) -> Iterator[Act]:
    """A logbook is locked for a while, or its operator may not write: only it waits."""
    for begin, end in _times(dice, seconds, (3, 12), (0.5, 4)):
        name = dice.choice(EXPERIMENTS)
        verb = dice.choice(("lock", "forbid"))
        yield Act(begin, verb, {"experiment": name})
        yield Act(end, {"lock": "unlock", "forbid": "permit"}[verb], {"experiment": name})
