"""One play: a schedule, producers, and the oracle at the end."""

import json
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.handing import CUT, Hands
from tests.ledgers import BACKENDS, Balance, Books, close_the_books, ledger, mark_of
from tests.soak.producers import Crowd
from tests.soak.schedule import Schedule
from tests.soak.stage import Stage
from tests.world import World, wait_until

DRAIN_SECONDS = 180.0
FRESH_SECONDS = 15.0
LOOK_SECONDS = 0.5
# What the agent says of itself that no trouble outside excuses.
TRACEBACK = re.compile(r"^Traceback", re.MULTILINE)
LONGEST_TOLD = 3000  # characters
BUGS = ("adapter.bug", "loop.stopped")


@dataclass
class Result:
    """How it went. `violations` is empty when every promise held."""

    seed: int
    seconds: float
    profile: str
    violations: list[str] = field(default_factory=list)
    balance: dict[str, Any] = field(default_factory=dict)
    by_backend: dict[str, int] = field(default_factory=dict)
    by_door: dict[str, int] = field(default_factory=dict)
    acts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    lives: int = 0
    repeated_letters: int = 0
    dead_letters_retried: int = 0
    drain_seconds: float = 0.0
    fresh_seconds: float = 0.0
    slowest_stop_seconds: float = 0.0
    schedule: str = ""

    @property
    def ok(self) -> bool:
        return not self.violations

    def as_json(self) -> str:
        return json.dumps({"ok": self.ok, **asdict(self)}, ensure_ascii=False)


Told = Callable[[float, "Play"], None]


class Play:
    """The schedule on a stage, with producers. `told` hears how it goes, now and then."""

    def __init__(
        self, schedule: Schedule, *, producers: int, told: Told, keep: Path, quick: bool = False
    ) -> None:
        self.schedule = schedule
        self.books = Books()
        self._told = told
        self._keep = keep
        self._quick = quick
        self.world = World()
        self.stage = Stage(self.world)
        self.crowd = Crowd(self.world, self.books, schedule.seed, producers)
        self.result = Result(schedule.seed, schedule.seconds, schedule.profile)

    def run(self) -> Result:
        """Play it to the end; nothing of it stays but the log of a play that went wrong."""
        try:
            self.stage.begin(quick=self._quick)
            self.crowd.begin()
            self._play()
            self._wind_up()
        except (AssertionError, OSError) as failed:
            self.result.violations.append(f"{type(failed).__name__}: {failed}")
        finally:
            with ExitStack() as after:
                after.callback(self.world.close)
                after.callback(self.stage.close)
                self.crowd.abandon()
                self._report()
        return self.result

    def _play(self) -> None:
        begun = time.monotonic()
        acts = list(self.schedule.acts)
        looked = -LOOK_SECONDS
        while (now := time.monotonic() - begun) < self.schedule.seconds:
            while acts and acts[0].at <= now:
                self.stage.play(acts.pop(0))
            self.stage.supervise()
            if now - looked >= LOOK_SECONDS:
                looked = now
                self._look()
                self._told(now, self)
            time.sleep(0.02)

    def _look(self) -> None:
        try:
            code, status = self.world.request("GET", "/v1/status", timeout=0.3)
        except CUT:
            return
        if code != HTTPStatus.OK:  # a full disk keeps even a reader from reading
            return
        for name, one in status["backends"].items():
            self.crowd.waiting[name] = one["pending"] + one["leased"]

    def _wind_up(self) -> None:
        """Troubles end; everything is handed in, delivered, and counted."""
        self.stage.end()
        wait_until(self.world.answers, 30, lambda: "the agent does not answer")
        self.stage.resume_all()
        self.crowd.end(60)
        begun = time.monotonic()
        wait_until(self._drained, DRAIN_SECONDS, self._left)
        self.result.drain_seconds = round(time.monotonic() - begun, 1)
        begun = time.monotonic()
        self._hand_in_fresh()
        wait_until(self._drained, FRESH_SECONDS, lambda: f"fresh entries wait: {self._left()}")
        self.result.fresh_seconds = round(time.monotonic() - begun, 1)
        balance = close_the_books(self.world, self.books)
        self.result.balance = asdict(balance)
        self.result.violations += violations_of(balance)
        self._keep_evidence(balance)
        self._check_spool()
        self.stage.stop_agent()

    def _drained(self) -> bool:
        self.result.dead_letters_retried += self.world.retry_dead(self.books.out_of_turn)
        self.world.release_held(self.books.out_of_turn)
        return self.world.drained()

    def _left(self) -> str:
        """What waits still; the first entries of it, with their history, are kept as evidence."""
        page = self.world.request("GET", "/v1/entries?limit=10")[1]["entries"]
        shown = [self.world.request("GET", f"/v1/entries/{one['id']}")[1] for one in page]
        self._evidence({"waiting": shown})
        status = self.world.status()
        told = {
            name: {key: one[key] for key in ("state", "reason", "pending", "in_doubt", "dead")}
            for name, one in status["backends"].items()
        }
        return json.dumps({**told, "spool": status["spool"]})

    def _hand_in_fresh(self) -> None:
        hands = Hands(self.world, self.books, random.Random(0), "fresh")
        for backend in BACKENDS:
            if not hands.post(hands.letter(backend)):
                raise AssertionError(f"a fresh entry for {backend} was not taken")

    def _keep_evidence(self, balance: Balance) -> None:
        """What backend and agent know of everything that is doubled, altered or invented."""
        odd = {*balance.doubled, *balance.altered, *balance.invented, *balance.lost}
        found: dict[str, Any] = {}
        for name in sorted(odd)[:20]:
            backend, _, mark = name.partition("/")
            receipts = self.world.request("GET", f"/v1/receipts?backend={backend}&key={mark}")[1]
            told = self.books.accepted.get((backend, mark))
            found[name] = {
                "handed in": told and asdict(told),
                "held": [
                    {"place": place, **one}
                    for place, one in enumerate(ledger(self.world, backend))
                    if mark_of(backend, one) == mark
                ],
                "receipts": receipts,
            }
        if found:
            self._evidence(found)

    def _evidence(self, found: dict[str, Any]) -> None:
        text = json.dumps(found, indent=1, ensure_ascii=False, default=str)
        self._keep.with_suffix(".evidence.json").write_text(text)

    def _check_spool(self) -> None:
        """Every file is gone, or aside with its reason."""
        spool = self.world.spool
        left = {str(one.relative_to(spool)) for one in spool.rglob("*") if one.is_file()}
        aside = {f".rejected/{name}" for name in self.books.refused_files}
        wanted = aside | {f"{name}.reason.json" for name in aside}
        if left != wanted:
            odd = sorted(left ^ wanted)
            self.result.violations.append(f"the spool holds other files than it should: {odd[:9]}")

    def _report(self) -> None:
        result, stage = self.result, self.stage
        result.violations += stage.violations + self.crowd.violations + self._confessions()
        result.acts = dict(stage.played)
        result.skipped = stage.skipped
        result.lives = stage.lives
        result.repeated_letters = self.crowd.repeated
        result.slowest_stop_seconds = round(stage.slowest_stop, 2)
        result.by_door = dict(sum((one.doors for one in self.crowd.hands), Counter[str]()))
        result.by_backend = dict(Counter(backend for backend, _ in self.books.accepted))
        if result.violations:
            shutil.copy(self.world.log, self._keep)

    def _confessions(self) -> list[str]:
        """Lines of the agent's log that tell of a bug."""
        log = self.world.log
        text = log.read_text(errors="replace") if log.exists() else ""
        found = [line for line in text.splitlines() if any(f'"{event}"' in line for event in BUGS)]
        begun = [one.start() for one in TRACEBACK.finditer(text)]
        windows = [text[at : at + LONGEST_TOLD] for at in begun]
        # libfaketime answers a sleep that began before the clock was set with EINVAL.
        found += [one for one in windows if "time.sleep(" not in one]
        return [f"the agent's log: {one[:LONGEST_TOLD]}" for one in found[:20]]


def violations_of(balance: Balance) -> list[str]:
    """In words, what does not balance."""
    found = {
        "lost": balance.lost,
        "invented": balance.invented,
        "doubled": balance.doubled,
        "altered": balance.altered,
        "out of order": balance.disordered,
    }
    return [f"{len(some)} {word}: {', '.join(some[:9])}" for word, some in found.items() if some]
