"""What another service takes: its word counts for its own scope, and never for the backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.base import EntryKind
from adapters.verdict import Parked, Rejected, Uncertain, Unreachable
from agent.retry import Policy
from storage.entry import Address, Entry
from tests.builders import an_entry
from tests.lane_world import Answer, AnyPayload, LaneWorld, a_kind, lane_world, proof

AWAY = Unreachable("cannot reach the backend")
LOST = Uncertain("no answer")


def nowhere(_: object) -> Address:
    return Address()


KINDS = {
    "event": EntryKind(AnyPayload, nowhere, in_doubt="resend"),
    "status": EntryKind(AnyPayload, nowhere, in_doubt="resend", elsewhere=True),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path, kind=a_kind(kinds=KINDS), policy=Policy(max_attempts=3)) as made:
        yield made


def status(key: str) -> Entry:
    return an_entry(key, kind="status", scope=f"other/{key}", stream=f"status {key}")


def answers(world: LaneWorld, events: Answer, statuses: Answer = proof) -> None:
    """From now on this is what becomes of each kind."""
    world.adapter.script = [
        lambda claims: chosen(events if claims[0].kind == "event" else statuses, claims)
    ] * 10_000


def chosen(answer: Answer, claims: object) -> object:
    return answer(claims) if callable(answer) else answer  # type: ignore[arg-type]


async def test_its_confirm_does_not_end_the_rest_of_the_backend(world: LaneWorld) -> None:
    answers(world, AWAY)
    await world.accept(an_entry("e"))
    await world.live(60)
    before = await world.rest()
    assert before is not None

    await world.accept(*[status(f"s{n}") for n in range(6)])
    await world.live(150)

    rest = await world.rest()
    assert rest is not None
    assert rest.since == before.since
    assert rest.failures > before.failures


async def test_it_is_sent_while_the_backend_rests(world: LaneWorld) -> None:
    answers(world, AWAY)
    await world.accept(an_entry("e"))
    await world.live(70)
    rest = await world.rest()
    assert rest is not None
    tried = len(world.adapter.sent)

    await world.accept(*[status(f"s{n}") for n in range(5)])
    await world.steps(12, seconds=0.1)

    assert {await world.state(f"s{n}") for n in range(5)} == {"delivered"}
    assert [keys for keys in world.adapter.sent[tried:] if keys == ["e"]] == []
    assert await world.rest() == rest


async def test_its_own_rest_is_kept_while_the_backend_rests(world: LaneWorld) -> None:
    answers(world, AWAY, Parked("away", scope="other"))
    await world.accept(an_entry("e"), *[status(f"s{n}") for n in range(5)])

    rounds = await world.live(200)

    assert rounds < 70  # it looks around every five seconds
    assert await world.rest() is not None
    assert await world.rest("other") is not None


async def test_its_confirms_are_no_proof_that_others_pass(world: LaneWorld) -> None:
    answers(world, LOST)
    await world.accept(an_entry("e"))
    for n in range(6):
        await world.accept(status(f"s{n}"))
        await world.live(40)

    shown = await world.shown("e")
    assert (shown["state"], shown["attempts"]) == ("pending", 0)
    assert await world.rest() is not None


async def test_confirms_of_the_backend_itself_still_count(world: LaneWorld) -> None:
    world.adapter.script = [lambda claims: LOST if claims[0].key == "e" else proof(claims)] * 10_000
    await world.accept(an_entry("e"))
    for n in range(6):
        await world.accept(status(f"s{n}"), an_entry(f"other{n}"))
        await world.live(120)

    assert await world.state("e") == "dead"


async def test_it_does_not_end_a_storm_of_rejections(world: LaneWorld) -> None:
    answers(world, Rejected("no"))
    for n in range(25):
        await world.accept(an_entry(f"e{n}"), status(f"s{n}"))
        await world.live(1)
    await world.live(60)

    assert {await world.state(f"e{n}") for n in range(25)} == {"pending"}
    rest = await world.rest()
    assert rest is not None
    assert "rejects everything" in rest.reason


async def test_it_proves_no_secret_of_ours(world: LaneWorld) -> None:
    world.lane.pace.proven = False
    await world.accept(status("s"))
    await world.live(5)
    assert await world.state("s") == "delivered"
    assert not world.lane.pace.proven

    await world.accept(an_entry("e"))
    await world.live(5)

    assert world.lane.pace.proven


async def test_its_own_rest_ends_by_its_own_confirm(world: LaneWorld) -> None:
    answers(world, proof, Parked("away", scope="other"))
    await world.accept(status("s"))
    await world.live(30)
    assert await world.rest("other") is not None

    answers(world, proof)
    await world.live(100)

    assert await world.rest("other") is None
    assert await world.state("s") == "delivered"
