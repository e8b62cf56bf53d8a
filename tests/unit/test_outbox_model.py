"""A model that predicts: what every verb must answer, told before it is asked.

Few keys and streams, so that they collide. Beside it, the examples that a model misses.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from sqlalchemy import text

from storage.accept import accept
from storage.amend import discard, retry
from storage.census import census
from storage.claim import claim
from storage.engine import writing_engine
from storage.entry import Bury, Claim, Confirm, Failure, GiveBack, Receipt, Wanted
from storage.settle import reclaim, settle
from storage.states import State
from storage.upgrade import bring_up_to_date
from tests.builders import NOW, an_entry

URL = "http://events.test"
FAILED = Failure("Rejected", "entry", "no")


@dataclass
class Held:
    """What the model knows of one entry."""

    id: str
    key: str
    content: str
    stream: str | None
    order: int
    state: State = State.PENDING
    due_at: int = 0
    in_doubt: bool = False
    stopped: bool = False


class OutboxModel(RuleBasedStateMachine):
    """The outbox against a dictionary."""

    claims: Bundle[Any] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "outbox.db"
        self.engine = writing_engine(path)
        bring_up_to_date(path, self.engine)
        self.held: dict[str, Held] = {}
        self.delivered: dict[str, str] = {}  # key -> content
        self.now = NOW
        self.order = 0
        self.token = "life-1"
        self.lives = 1

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    @rule(
        key=st.sampled_from(["a", "b", "c", "d", "e"]),
        content=st.sampled_from(["x", "y"]),
        stream=st.sampled_from([None, "s", "t"]),
    )
    def accept(self, key: str, content: str, stream: str | None) -> None:
        one = an_entry(key, payload={"c": content}, stream=stream)
        known = next((h for h in self.held.values() if h.key == key), None)
        with self.engine.begin() as connection:
            (outcome,) = accept(connection, [one], {"events": URL})
        if key in self.delivered:
            expected = "duplicate" if self.delivered[key] == content else "conflict"
        elif known is None:
            expected = "accepted"
        elif known.state is State.DEAD:
            expected = "retried" if known.content == content else "accepted"
        else:
            expected = "duplicate" if known.content == content else "conflict"
        assert outcome.state == expected
        if expected == "retried" and known is not None:
            known.state, known.due_at, known.stopped = State.PENDING, 0, False
        elif expected == "accepted":
            if known is not None:
                del self.held[known.id]
            self.order += 1
            self.held[one.id] = Held(one.id, key, content, stream, self.order)

    @rule(target=claims, limit=st.integers(1, 3))
    def claim(self, limit: int) -> list[Claim]:
        expected = [one.id for one in self._claimable()][:limit]
        with self.engine.begin() as connection:
            got = claim(
                connection,
                "events",
                Wanted(requests=limit),
                token=self.token,
                now=self.now,
                attachments=Path(),
            )
        assert {one.id for one in got} == set(expected)
        for one in got:
            assert one.in_doubt == self.held[one.id].in_doubt
            self.held[one.id].state = State.LEASED
        return [(one, self.token) for one in got]

    def _claimable(self) -> list[Held]:
        ready = []
        for one in self.held.values():
            blockers = [
                other
                for other in self.held.values()
                if one.stream is not None
                and other.stream == one.stream
                and other is not one
                and (
                    other.state is State.LEASED
                    or other.stopped
                    or (other.state is State.PENDING and other.order < one.order)
                )
            ]
            if one.state is State.PENDING and one.due_at <= self.now and not blockers:
                ready.append(one)
        return sorted(ready, key=lambda one: (one.due_at, one.order))

    @rule(
        batch=claims,
        how=st.sampled_from(["confirm", "give_back", "doubt", "later", "bury", "stop"]),
    )
    def settle(self, batch: list[tuple[Claim, str]], how: str) -> None:
        for one, token in batch:
            known = self.held.get(one.id)
            ours = known is not None and known.state is State.LEASED and token == self.token
            settlement: Confirm | GiveBack | Bury
            match how:
                case "confirm":
                    settlement = Confirm(one, Receipt(one.id, f"r-{one.id}"))
                case "bury" | "stop":
                    settlement = Bury(one, FAILED, stop_stream=how == "stop")
                case _:
                    due = self.now + 2000 if how == "later" else 0
                    settlement = GiveBack(one, due, in_doubt=how == "doubt", failure=FAILED)
            with self.engine.begin() as connection:
                (done,) = settle(connection, [settlement], "events", URL, token=token, now=self.now)
            assert done == ours
            if ours and known is not None:
                self._settled(known, how)

    def _settled(self, known: Held, how: str) -> None:
        if how == "confirm":
            self.delivered[known.key] = known.content
            del self.held[known.id]
        elif how in ("bury", "stop"):
            known.state = State.DEAD
            known.stopped = how == "stop" and known.stream is not None
        else:
            known.state = State.PENDING
            known.in_doubt = how == "doubt"
            known.due_at = self.now + 2000 if how == "later" else 0

    @rule(verb=st.sampled_from([retry, discard]), key=st.sampled_from(["a", "b", "c", "d", "e"]))
    def operate(self, verb: Any, key: str) -> None:
        known = next((h for h in self.held.values() if h.key == key), None)
        id_ = known.id if known else "nobody"
        with self.engine.begin() as connection:
            found = verb(connection, [id_], now=self.now, who="test").get(id_)
        assert (found and found.state) == (known.state if known else None)
        if known is None or known.state is State.LEASED:
            return
        if verb is discard:
            del self.held[known.id]
        else:
            known.state, known.due_at, known.stopped = State.PENDING, 0, False

    @rule(milliseconds=st.sampled_from([1, 1999, 2000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @rule()
    def restart(self) -> None:
        leased = [one for one in self.held.values() if one.state is State.LEASED]
        with self.engine.begin() as connection:
            assert reclaim(connection, now=self.now) == len(leased)
        for one in leased:
            one.state, one.in_doubt, one.due_at = State.PENDING, True, 0
        self.lives += 1
        self.token = f"life-{self.lives}"

    @invariant()
    def counts_are_the_tables(self) -> None:
        with self.engine.begin() as connection:
            found = census(connection, now=self.now).get("events")
        states = [one.state for one in self.held.values()]
        counted = (found.pending, found.leased, found.dead) if found else (0, 0, 0)
        assert counted == tuple(states.count(s) for s in (State.PENDING, State.LEASED, State.DEAD))

    @invariant()
    def every_live_stream_has_one_head(self) -> None:
        query = text(
            "SELECT stream, SUM(head) FROM entry WHERE stream IS NOT NULL"
            " GROUP BY stream HAVING SUM(CASE WHEN state <> 3 THEN 1 ELSE 0 END) > 0"
        )
        with self.engine.begin() as connection:
            for stream, heads in connection.execute(query):
                assert heads == 1, stream

    @invariant()
    def nothing_is_left_behind(self) -> None:
        with self.engine.begin() as connection:
            bodies = set(connection.execute(text("SELECT id FROM body")).scalars())
        assert bodies == set(self.held)


TestOutboxModel = OutboxModel.TestCase
TestOutboxModel.settings = settings(max_examples=40, stateful_step_count=30)
