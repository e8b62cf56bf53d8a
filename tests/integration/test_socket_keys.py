"""The same key is the same entry: duplicates, conflicts, second chances."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.door import Door
from tests.door_client import event, post


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def test_the_same_key_with_the_same_content_is_a_duplicate(door: Door) -> None:
    first = door.hand_in(event(key="a"))

    again = door.hand_in(event(key="a"))

    assert again.status == 200
    assert again.json == {**first.json, "state": "duplicate"}
    assert door.rows() == [(1,)]


def test_it_is_one_after_delivery_too(door: Door) -> None:
    id_ = door.hand_in(event(key="a")).json["id"]
    assert door.confirm() == id_

    again = door.hand_in(event(key="a"))

    assert (again.status, again.json["id"], again.json["state"]) == (200, id_, "duplicate")


def test_the_same_key_with_other_content_is_a_conflict(door: Door) -> None:
    id_ = door.hand_in(event(key="a")).json["id"]
    other = event(key="a", payload={"event_type": "unknown"})

    answer = door.hand_in(other)

    answer.check_problem(409)
    assert answer.pointers == ["/key"]
    assert id_ in answer.json["detail"]
    door.confirm()
    door.hand_in(other).check_problem(409)


def test_a_dead_letter_that_comes_again_is_retried(door: Door) -> None:
    door.hand_in(event(key="a"))
    id_ = door.bury()

    again = door.hand_in(event(key="a"))

    assert (again.status, again.json["id"], again.json["state"]) == (200, id_, "retried")
    assert door.claimed().id == id_


def test_a_dead_letter_gives_way_to_other_content(door: Door) -> None:
    door.hand_in(event(key="a"))
    dead = door.bury()

    answer = door.hand_in(event(key="a", payload={"event_type": "unknown"}))

    assert (answer.status, answer.json["state"]) == (202, "accepted")
    assert answer.json["id"] != dead
    door.ask("GET", f"/v1/entries/{dead}").check_problem(410)


def test_what_was_discarded_may_come_again(door: Door) -> None:
    id_ = door.hand_in(event(key="a")).json["id"]
    assert door.ask("POST", f"/v1/entries/{id_}/discard", admin=True).status == 200

    again = door.hand_in(event(key="a"))

    assert again.status == 202
    assert again.json["id"] != id_


def test_a_key_means_something_in_its_backend_only(door: Door) -> None:
    assert door.hand_in(event(key="a")).status == 202
    assert door.hand_in(post(key="a")).status == 202


def test_the_header_names_the_key_and_may_be_any_text(door: Door) -> None:
    key = "Straße 1"
    header = {"Idempotency-Key": key.encode()}

    first = door.hand_in(event(), header)  # type: ignore[arg-type]
    again = door.hand_in(event(key=key), header)  # type: ignore[arg-type]

    assert first.json["key"] == key
    assert again.json["state"] == "duplicate"


def test_of_fifty_at_once_with_one_key_one_is_accepted(door: Door) -> None:
    start = threading.Barrier(50)

    def hand_in() -> Any:
        start.wait()
        return door.hand_in(event(key="a"))

    with ThreadPoolExecutor(50) as pool:
        answers = [one.result() for one in [pool.submit(hand_in) for _ in range(50)]]

    assert sorted(one.status for one in answers) == [200] * 49 + [202]
    assert len({one.json["id"] for one in answers}) == 1
    assert door.rows() == [(1,)]
