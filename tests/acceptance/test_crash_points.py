"""The agent dies at every named step, one life after the other, and the books balance.

Each life is armed with one step, finds what the lives before it left, and is fed by every door
until it dies there. The marks of what a life was handed begin with its number, so that a loss
tells which step it belongs to.
"""

import json
import random
import re
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from config.sources import NO_SETTINGS
from storage import crash
from storage.engine import writing_engine
from storage.upgrade import bring_up_to_date
from tests.builders import repository
from tests.handing import CUT, Hands, Letter
from tests.ledgers import BACKENDS, Books, Told, close_the_books, payload
from tests.world import World, wait_until
from tests.zygote import Zygote

DEATH_SECONDS = 20.0
DRAIN_SECONDS = 90.0

KINDS = ("post", "event", "event", "record")  # of BACKENDS
OLD_ENTRY = """
    INSERT INTO entry (id, backend, kind, key, head, created_at, accepted_at, monotonic_at, boot_id,
        synchronised, digest, size, labels, producer)
    VALUES (:id, :backend, :kind, :id, 1, 1790000000000, 1790000000000, 1, 'boot', 1, 'x', :size,
        '{}', '{"via": "socket", "uid": 0, "pid": 1}')
"""

MIGRATION = [step for step in crash.STEPS if step.startswith("migration.")]
# Dying at these leaves posts in doubt, which takes the eLog twice ten seconds to tell: first.
WITH_POSTS = [
    step for step in crash.STEPS if step.startswith(("attachment.", "spool.", "confirm."))
]
SALVAGE = [step for step in crash.STEPS if step.startswith("salvage.")]
# Nothing is kept after delivery in this world: tests/integration/test_outbox_crash.py dies there.
RESEND = [step for step in crash.STEPS if step.startswith("resend.")]
ELSEWHERE = (*WITH_POSTS, *MIGRATION, *SALVAGE, *RESEND)
WITHOUT = [step for step in crash.STEPS if step not in ELSEWHERE]


class Lives:
    """One world, and the lives of its daemon."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.books = Books()
        self.count = 0
        self._unanswered: list[tuple[Hands, Letter]] = []

    def die_at(self, step: str, *, posts: bool) -> None:
        """A life that ends at `step`."""
        self.count += 1
        hands = Hands(self.world, self.books, random.Random(self.count), f"life{self.count}")
        self._leave_in_spool(hands, posts=posts)
        self._trouble(step)
        self.world.launch({crash.VARIABLE: step})
        letters = [hands.letter(backend) for backend in BACKENDS if posts or backend != "elog"]
        if posts:
            letters += [hands.parcel(), hands.embedded()]
        self._unanswered += [(hands, one) for one in letters]
        wait_until(lambda: self._feed() or self.world.dead(), DEATH_SECONDS, lambda: step)
        self._operate(step)
        wait_until(self.world.dead, DEATH_SECONDS, lambda: f"it never came to {step}")
        assert self.world.process is not None
        assert self.world.process.returncode == -signal.SIGKILL, self.world.log.read_text()[-2000:]
        # Another thread may log a line between the word and the death.
        reached = self.world.log.read_text().rpartition("crash point reached: ")[2]
        assert reached.startswith(f"{step.partition(':')[0]}\n"), reached

    def end_well(self) -> None:
        """A last life, undisturbed: all is delivered, and the books balance."""
        for served in self.world.served.values():
            served.heal()
        self.world.start()
        assert self._feed(), "a letter was not taken"
        self._let_go()
        wait_until(self._drained, DRAIN_SECONDS, self.world.status)
        balance = close_the_books(self.world, self.books)
        assert balance.exact, balance
        assert self.world.stop() == 0
        left = {
            str(path.relative_to(self.world.spool))
            for path in self.world.spool.rglob("*")
            if path.is_file() and not path.name.endswith(".reason.json")
        }
        assert left == {f".rejected/{name}" for name in self.books.refused_files}
        kept = self.world.home / "state" / "attachments"
        assert {one.name for one in kept.iterdir()} == {"incoming"}

    def _leave_in_spool(self, hands: Hands, *, posts: bool) -> None:
        for backend in BACKENDS:
            if (self.world.spool / backend).is_dir() and (posts or backend != "elog"):
                hands.drop_json(backend)
        if (self.world.spool / "events").is_dir():
            hands.drop_lines("events", 3, bad=True)
            hands.drop_broken()
        if posts and (self.world.spool / "elog").is_dir():
            hands.drop_folder()

    def _trouble(self, step: str) -> None:
        """What makes the agent come by."""
        served = self.world.served["events"]
        served.heal()
        if step.startswith(("give_back.", "rest.")):
            served.fault("status", status=503)
        elif step.startswith("bury."):
            served.fault("status", status=413, method="POST")

    def _operate(self, step: str) -> None:
        """What an operator does before the agent comes by; the last word is its last one."""
        verb = step.partition(".")[0]
        with suppress(*CUT):
            if verb in ("pause", "resume"):
                self._ask(f"/v1/backends/events/{verb}")
            elif verb in ("hold", "release"):
                self._ask("/v1/backends/events/pause")
                mark = f"{verb}-{self.count:05d}"
                self.books.note("events", mark, Told(payload("events", mark)))
                id_ = self.world.put("events", payload("events", mark))[1]["id"]
                for one in ("hold", "release"):
                    self._ask(f"/v1/entries/{id_}/{one}")

    def _let_go(self) -> None:
        """Whatever an operator had begun is over."""
        for backend in BACKENDS:
            self._ask(f"/v1/backends/{backend}/resume")
        for one in self.world.request("GET", "/v1/entries?state=held")[1]["entries"]:
            self._ask(f"/v1/entries/{one['id']}/release")

    def _ask(self, target: str) -> None:
        self.world.request("POST", target, admin=True)

    def _feed(self) -> bool:
        """Send every letter that nobody has answered for. True: all are answered."""
        self._unanswered = [(hands, one) for hands, one in self._unanswered if not hands.post(one)]
        return not self._unanswered

    def _drained(self) -> bool:
        self.world.retry_dead(self.books.out_of_turn)
        return self.world.drained()


def keep_as_of_old(state_dir: Path, books: Books) -> None:
    """A database of the first release, with one entry of each backend waiting in it."""
    state_dir.mkdir()
    path = state_dir / "outbox.db"
    engine = writing_engine(path)
    bring_up_to_date(path, engine, target="0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, backend in enumerate(BACKENDS):
            told = Told(payload(backend, f"old-{number:05d}"))
            books.note(backend, f"old-{number:05d}", told)
            text = json.dumps(told.payload)
            about = {"backend": backend, "kind": KINDS[number], "size": len(text.encode())}
            connection.execute(OLD_ENTRY, {"id": f"old{number}", **about})
            connection.execute("INSERT INTO body VALUES (?, ?)", (f"old{number}", text))


@pytest.mark.parametrize(
    ("steps", "posts"),
    [(WITH_POSTS, True), (WITHOUT, False)],
    ids=["attachment, spool, confirm", "accept to reclaim"],
)
def test_a_death_at_any_step_loses_invents_and_doubles_nothing(
    steps: list[str], posts: bool
) -> None:
    with Zygote() as zygote, World(zygote) as world:
        world.start()
        world.kill()
        lives = Lives(world)
        for step in steps:
            lives.die_at(step, posts=posts)
        lives.end_well()


def test_a_death_at_any_step_of_an_upgrade_loses_nothing() -> None:
    with Zygote() as zygote, World(zygote) as world:
        lives = Lives(world)
        keep_as_of_old(world.home / "state", lives.books)
        for step in MIGRATION:
            lives.die_at(step, posts=True)
        lives.end_well()


def test_a_death_at_any_step_of_a_salvage_loses_nothing() -> None:
    with Zygote() as zygote, World(zygote) as world:
        lives = Lives(world)
        world.start()
        world.kill()
        lives.die_at("confirm.committed:8", posts=True)
        for served in world.served.values():
            served.unplug()
        lives.die_at("accept.committed:4", posts=True)
        spoil(world.home / "state" / "outbox.db")
        for step in SALVAGE:
            lives.die_at(step, posts=False)
        for served in world.served.values():
            served.plug()
        lives.end_well()
        salvaged = world.log.read_text().count('"database.salvaged"')

    assert salvaged


def spoil(database: Path) -> None:
    """No SQLite opens it any more, and every row can still be read."""
    with database.open("r+b") as file:
        file.write(b"not SQLite at all"[:16])


def test_every_point_in_the_code_is_in_the_list_and_the_other_way_round() -> None:
    passed: set[str] = set()
    for package in ("agent", "adapters", "storage"):
        for file in (repository() / package).rglob("*.py"):
            passed |= set(re.findall(r'(?:point|checkpoint)\(\s*"([a-z_.]+)"', file.read_text()))

    assert passed == set(crash.STEPS)


def test_an_unknown_step_ends_the_start_naming_the_variable_and_the_steps() -> None:
    with World() as world:
        world.launch({crash.VARIABLE: "no.such"})
        assert world.process is not None
        assert world.process.wait(DEATH_SECONDS) == 78
        told = world.log.read_text()
        assert crash.VARIABLE in told
        assert "'no.such'" in told
        assert all(step in told for step in crash.STEPS)


@pytest.mark.parametrize("wrong", ["", "send", "send.out:", "send.out:0", "send.out:x", ":1"])
def test_a_step_that_cannot_be_meant_is_refused(wrong: str) -> None:
    with pytest.raises(crash.UnknownStep):
        crash.arm(wrong)

    assert not crash.armed()


def test_the_variable_is_no_setting() -> None:
    assert crash.VARIABLE in NO_SETTINGS
