"""The one table of moves, and the statements that must agree with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from storage.accept import accept
from storage.amend import discard, expire, hold, release, retry
from storage.claim import claim
from storage.edit import Change, edit
from storage.engine import writing_engine
from storage.entry import Receipt, Wanted
from storage.settle import reclaim, settle
from storage.settlement import (
    Bury,
    Confirm,
    Failure,
    GiveBack,
    Hold,
    Supersede,
)
from storage.states import MOVES, State
from tests.builders import NOW, an_entry
from tests.fresh import put_database

NO = Failure("Rejected", "entry", "no")
URL = "http://events.test"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = writing_engine(put_database(tmp_path))
    with engine.begin() as made:
        yield made
    engine.dispose()


def claim_all(connection: Connection) -> list[Any]:
    return claim(connection, "events", Wanted(requests=9), token="t", now=NOW, attachments=Path())


def put_into(connection: Connection, state: State) -> Any:
    """An entry in `state`, and the claim it was under."""
    one = an_entry("a", expires_at=NOW + 1000)
    accept(connection, [one], {"events": URL})
    (claimed,) = claim_all(connection)
    connection.execute(text("UPDATE entry SET state = :state"), {"state": int(state)})
    if state is not State.LEASED:
        connection.execute(text("UPDATE entry SET token = NULL, head = 1"))
    return claimed


def move(connection: Connection, verb: str, claimed: Any) -> None:
    ends = {
        "confirm": Confirm(claimed, Receipt(claimed.id, "r")),
        "give_back": GiveBack(claimed, 0, in_doubt=False),
        "bury": Bury(claimed, NO),
        "set_aside": Hold(claimed, NO),
        "supersede": Supersede(claimed, "a newer one waits"),
    }
    match verb:
        case "claim":
            claim_all(connection)
        case _ if verb in ends:
            settle(connection, [ends[verb]], "events", URL, token="t", now=NOW)  # type: ignore[list-item]
        case "reclaim":
            reclaim(connection, now=NOW)
        case "edit":
            changed = an_entry("a", id=claimed.id, payload={"n": "changed"})
            digest = connection.execute(text("SELECT digest FROM entry")).scalar_one()
            edit(connection, Change(changed, digest, claimed.size), URL, now=NOW, who="test")
        case "expire":
            expire(connection, now=NOW + 2000)
        case _:
            verbs = {"hold": hold, "release": release, "retry": retry, "discard": discard}
            verbs[verb](connection, [claimed.id], now=NOW, who="test")


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.name)
@pytest.mark.parametrize("verb", sorted(MOVES))
def test_the_database_makes_exactly_the_moves_of_the_table(
    connection: Connection, verb: str, state: State
) -> None:
    claimed = put_into(connection, state)

    move(connection, verb, claimed)

    after = connection.execute(text("SELECT state FROM entry")).scalar()
    assert after == MOVES[verb].after(state)


@pytest.mark.parametrize("end", ["confirm", "give_back", "bury", "set_aside", "supersede"])
def test_a_late_worker_changes_nothing(connection: Connection, end: str) -> None:
    claimed = put_into(connection, State.LEASED)
    connection.execute(text("UPDATE entry SET token = 'of the next life'"))
    before = connection.execute(text("SELECT * FROM entry")).all()

    move(connection, end, claimed)

    assert connection.execute(text("SELECT * FROM entry")).all() == before
    assert connection.execute(text("SELECT COUNT(*) FROM receipt")).scalar() == 0
    assert connection.execute(text("SELECT COUNT(*) FROM attempt")).scalar() == 0


def test_a_hold_and_its_release_change_nothing_else(connection: Connection) -> None:
    claimed = put_into(connection, State.LEASED)
    back = GiveBack(claimed, NOW + 500, in_doubt=True, counted=True, sent=True, absences=1)
    settle(connection, [back], "events", URL, token="t", now=NOW + 5)
    before = connection.execute(text("SELECT * FROM entry")).all()

    hold(connection, [claimed.id], now=NOW, who="uid 7", reason="wrong run")
    assert connection.execute(text("SELECT state, head, in_doubt FROM entry")).all() == [(2, 1, 1)]
    release(connection, [claimed.id], now=NOW + 1, who="uid 8")

    assert connection.execute(text("SELECT * FROM entry")).all() == before
    audits = connection.execute(text("SELECT at, verb, entry_id, backend, who, detail FROM audit"))
    assert audits.all() == [
        (NOW, "hold", claimed.id, "events", "uid 7", "wrong run"),
        (NOW + 1, "release", claimed.id, "events", "uid 8", ""),
    ]


@pytest.mark.parametrize("verb", [hold, release])
def test_a_move_that_is_not_made_is_not_in_the_audit_trail(
    connection: Connection, verb: Any
) -> None:
    claimed = put_into(connection, State.LEASED)

    assert verb(connection, [claimed.id, "nobody"], now=NOW, who="x").keys() == {claimed.id}

    assert connection.execute(text("SELECT COUNT(*) FROM audit")).scalar() == 0


def test_an_entry_is_in_a_state_of_the_table() -> None:
    assert {source for one in MOVES.values() for source in one.sources} == set(State)
