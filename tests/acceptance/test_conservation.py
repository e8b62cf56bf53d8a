"""The promise under fire: backends misbehave, the daemon is killed, and the books balance."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.ledgers import BACKENDS, balance, payload
from tests.world import World, wait_until

ENTRIES = 300
ROUND_SECONDS = 0.4
DRAIN_SECONDS = 90.0

# As an outside harness would: wrong answers, lost answers, and no answers.
TROUBLE: list[tuple[str, dict[str, object]]] = [
    ("status", {"status": 503}),
    ("status", {"status": 401}),
    ("status", {"status": 500}),
    ("status_after", {"status": 502}),
    ("html", {}),
    ("empty", {}),
    ("redirect", {}),
    ("retry_after", {"seconds": 1}),
    ("drop_before", {}),
    ("drop_after", {"probability": 0.5}),
    ("truncate", {"probability": 0.5}),
    ("hang", {"seconds": 4}),
    ("hang_after", {"seconds": 4, "probability": 0.5}),
]


@contextmanager
def troubled(world: World, dice: random.Random) -> Iterator[None]:
    """Every backend gets another trouble every moment, or none."""
    over = threading.Event()

    def trouble() -> None:
        while not over.wait(ROUND_SECONDS):
            served = world.served[dice.choice(BACKENDS)]
            served.heal()
            if dice.random() < 0.7:
                mode, settings = dice.choice(TROUBLE)
                served.fault(mode, **settings)

    thread = threading.Thread(target=trouble)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for served in world.served.values():
            served.heal()


def hand_in(world: World, backend: str, mark: str, dice: random.Random) -> bool:
    """By socket or spool; True when it was accepted (a file in the spool always is)."""
    if dice.random() < 0.4:
        world.drop(f"{backend}/{mark}.json", json.dumps(payload(backend, mark)).encode())
        return True
    try:
        # A key, so that an answer lost in a kill can be asked for again without harm.
        status, answer = world.put(backend, payload(backend, mark), key=mark)
    except OSError:
        return False
    assert status in (200, 202), answer
    return True


@pytest.mark.parametrize("seed", [1, 2])
def test_every_accepted_entry_arrives_once_through_faults_and_kills(seed: int) -> None:
    dice = random.Random(seed)
    with World() as world:
        world.start()
        accepted: list[tuple[str, str]] = []
        with troubled(world, dice):
            for number in range(ENTRIES):
                backend, mark = BACKENDS[number % 4], f"s{seed}-{number:04d}"
                while not hand_in(world, backend, mark, dice):
                    world.revive()
                accepted.append((backend, mark))
                if number % 75 == 74:
                    world.kill()
            world.revive()
        wait_until(world.drained, DRAIN_SECONDS, world.status)

        books = balance(world, accepted)
        status = world.status()
        delivered = sum(one["delivered_total"] for one in status["backends"].values())

        assert books.exact, books
        assert delivered == len(accepted)
        assert world.stop() == 0
        assert not [path for path in world.spool.rglob("*") if path.is_file()]
