"""The outbox against a dictionary that predicts what every verb must answer, before it is asked.

A state machine for hypothesis; its rules can be called one by one, too. Few keys and streams,
so that they collide.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from sqlalchemy import text

from storage.accept import accept
from storage.amend import discard, expire, hold, release, retry
from storage.census import census
from storage.claim import claim
from storage.edit import Change, edit
from storage.engine import writing_engine
from storage.entry import Claim, Receipt, Wanted
from storage.resend import send_again
from storage.settle import note_send, reclaim, settle
from storage.settlement import Bury, Confirm, Failure, GiveBack, Settlement
from storage.states import MOVES, State
from tests.builders import NOW, an_entry
from tests.fresh import put_database

URL = "http://events.test"
FAILED = Failure("Rejected", "entry", "no")
HOWS = ["confirm", "keep", "give_back", "doubt", "counted", "unsent", "later", "bury", "stop"]


def settlement(claim: Claim, how: str, now: int) -> Settlement:
    """How a claim is to end."""
    match how:
        case "confirm" | "keep":
            return Confirm(claim, Receipt(claim.id, f"r-{claim.id}"), keep=how == "keep")
        case "bury" | "stop":
            return Bury(claim, FAILED, stop_stream=how == "stop")
        case _:
            due = now + 2000 if how == "later" else 0
            failure = None if how == "unsent" else FAILED
            return GiveBack(claim, due, how == "doubt", counted=how == "counted", failure=failure)


@dataclass
class Known:
    """What the model knows of one entry."""

    id: str
    key: str
    content: str
    stream: str | None
    order: int
    state: State = State.PENDING
    expires_at: int | None = None
    due_at: int = 0
    in_doubt: bool = False
    stopped: bool = False
    attempts: int = 0
    tries: int = 0

    def revived(self) -> None:
        """A dead letter waits again."""
        self.state, self.due_at, self.attempts, self.stopped = State.PENDING, 0, 0, False

    def row(self) -> tuple[Any, ...]:
        """What the table has to say of it."""
        return (self.id, self.state, self.due_at, self.in_doubt, self.attempts, self.tries)


class OutboxModel(RuleBasedStateMachine):
    """The outbox against a dictionary."""

    claims: Bundle[Any] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = writing_engine(put_database(Path(self.folder.name)))
        self.held: dict[str, Known] = {}
        self.delivered: dict[str, str] = {}  # key -> content
        self.kept: dict[str, Known] = {}  # what of it may come back, by key
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
        lives=st.sampled_from([None, None, 2000]),
    )
    def accept(self, key: str, content: str, stream: str | None, lives: int | None) -> None:
        ends = None if lives is None else self.now + lives
        one = an_entry(key, payload={"c": content}, stream=stream, expires_at=ends)
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
            known.revived()
        elif expected == "accepted":
            if known is not None:
                del self.held[known.id]
            self.order += 1
            self.held[one.id] = Known(one.id, key, content, stream, self.order, expires_at=ends)

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
            self.held[one.id].tries += 1
        return [(one, self.token) for one in got]

    def _claimable(self) -> list[Known]:
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
                    or (other.state in (State.PENDING, State.HELD) and other.order < one.order)
                )
            ]
            fresh = one.expires_at is None or one.expires_at > self.now
            if one.state is State.PENDING and one.due_at <= self.now and fresh and not blockers:
                ready.append(one)
        return sorted(ready, key=lambda one: (one.due_at, one.order))

    @rule(batch=claims, how=st.sampled_from(HOWS))
    def settle(self, batch: list[tuple[Claim, str]], how: str) -> None:
        for one, token in batch:
            known = self.held.get(one.id)
            ours = known is not None and known.state is State.LEASED and token == self.token
            before = self._rows()
            assert self._settle(settlement(one, how, self.now), token) == ours
            if ours and known is not None:
                self._settled(known, how)
            else:
                assert self._rows() == before, "a late worker changed something"

    def _settle(self, one: Settlement, token: str) -> bool:
        with self.engine.begin() as connection:
            (done,) = settle(connection, [one], "events", URL, token=token, now=self.now)
        return done

    def _rows(self) -> list[Any]:
        """Everything that the outbox holds."""
        tables = ("entry", "receipt", "attempt", "tally", "body", "audit")
        with self.engine.begin() as connection:
            return [connection.execute(text(f"SELECT * FROM {one}")).all() for one in tables]

    def _settled(self, known: Known, how: str) -> None:
        if how in ("confirm", "keep"):
            self.delivered[known.key] = known.content
            if how == "keep":
                self.kept[known.key] = known
            del self.held[known.id]
        elif how in ("bury", "stop"):
            known.state = State.DEAD
            known.stopped = how == "stop" and known.stream is not None
        else:
            known.state = State.PENDING
            known.in_doubt = how == "doubt"
            known.due_at = self.now + 2000 if how == "later" else 0
            known.attempts += how == "counted"
            known.tries -= how == "unsent"

    @rule(batch=claims)
    def note_send(self, batch: list[tuple[Claim, str]]) -> None:
        for one, token in batch:
            known = self.held.get(one.id)
            ours = known is not None and known.state is State.LEASED and token == self.token
            with self.engine.begin() as connection:
                assert note_send(connection, [one], token=token, now=self.now) == [ours]

    @rule(
        verb=st.sampled_from([retry, discard, hold, release]),
        key=st.sampled_from(["a", "b", "c", "d", "e"]),
    )
    def operate(self, verb: Any, key: str) -> None:
        known = next((h for h in self.held.values() if h.key == key), None)
        id_ = known.id if known else "nobody"
        audits = self._audits()
        with self.engine.begin() as connection:
            found = verb(connection, [id_], now=self.now, who="test").get(id_)
        assert (found and found.state) == (known.state if known else None)
        move = MOVES[verb.__name__]
        moved = known is not None and move.allows(known.state)
        assert self._audits() == audits + moved
        if known is None or not moved:
            return
        if verb is discard:
            del self.held[known.id]
        elif verb in (hold, release):
            known.state = State.HELD if verb is hold else State.PENDING
        elif known.state is State.DEAD:
            known.revived()
        else:
            known.due_at = 0

    @rule(
        key=st.sampled_from(["a", "b", "c", "d", "e"]),
        content=st.sampled_from(["x", "y"]),
        stream=st.sampled_from([None, "s", "t"]),
    )
    def edit(self, key: str, content: str, stream: str | None) -> None:
        known = next((h for h in self.held.values() if h.key == key), None)
        if known is not None and stream != known.stream and self._is_out(stream):
            return
        id_, before = (known.id, known.content) if known else ("nobody", "x")
        one = an_entry(
            key,
            id=id_,
            payload={"c": content},
            stream=stream,
            expires_at=known.expires_at if known else None,
        )
        change = Change(one, an_entry(key, payload={"c": before}).digest, one.size)
        with self.engine.begin() as connection:
            outcome = edit(connection, change, URL, now=self.now, who="test").outcome
        if known is None:
            assert outcome == "gone"
        elif known.state is State.LEASED or known.in_doubt:
            assert outcome == "changed"
        else:
            assert outcome == "edited"
            known.stopped = known.stopped and known.stream == stream
            known.content, known.stream = content, stream
            known.due_at, known.attempts = 0, 0

    @rule(key=st.sampled_from(["a", "b", "c", "d", "e"]))
    def send_again(self, key: str) -> None:
        known = self.kept.get(key)
        if known is not None and self._is_out(known.stream):
            return
        with self.engine.begin() as connection:
            again = send_again(
                connection,
                [known.id if known else "nobody"],
                backend="events",
                from_url=URL,
                url=URL,
                now=self.now,
                who="test",
            )
        assert [one.id for one in again.back] == ([known.id] if known else [])
        if known is not None:
            del self.kept[key], self.delivered[key]
            known.revived()
            known.due_at, known.in_doubt, known.expires_at = self.now, True, None
            self.held[known.id] = known

    def _is_out(self, stream: str | None) -> bool:
        """Is the head of the stream on the wire? It keeps its turn, also when it is given back."""
        streams = [one.stream for one in self.held.values() if one.state is State.LEASED]
        return stream is not None and stream in streams

    def _audits(self) -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(text("SELECT COUNT(*) FROM audit")).scalar_one())

    @rule()
    def expire(self) -> None:
        over = [
            one
            for one in self.held.values()
            if one.state in (State.PENDING, State.HELD)
            and one.expires_at is not None
            and one.expires_at <= self.now
        ]
        with self.engine.begin() as connection:
            gone = expire(connection, now=self.now)
        assert sorted(gone) == sorted((one.id, "events") for one in over)
        for one in over:
            one.state = State.DEAD

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
        counted = (found.pending, found.leased, found.held, found.dead) if found else (0, 0, 0, 0)
        assert counted == tuple(states.count(state) for state in State)

    @invariant()
    def every_row_is_as_predicted(self) -> None:
        query = text("SELECT id, state, due_at, in_doubt, attempts, tries FROM entry ORDER BY id")
        with self.engine.begin() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        assert rows == sorted(one.row() for one in self.held.values())

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
