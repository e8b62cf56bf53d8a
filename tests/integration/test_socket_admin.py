"""The admin socket: what changes others' entries, and why it sometimes may not."""

import os
from collections.abc import Iterator

import pytest

from tests.door import Door
from tests.door_client import Answer, event, post


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def act(door: Door, target: str) -> Answer:
    return door.ask("POST", f"/v1/{target}", admin=True)


def test_a_dead_letter_is_retried_and_its_lane_tries_now(door: Door) -> None:
    door.hand_in(event())
    door.hand_in(post())
    id_ = door.bury()

    answer = act(door, f"entries/{id_}/retry")

    assert answer.json == {"id": id_, "state": "pending"}
    assert door.claimed().id == id_
    assert door.nudged == ["events"], "a rest of another backend has its reasons"


def test_a_waiting_entry_is_due_now(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]

    assert act(door, f"entries/{id_}/retry").status == 200


def test_a_discarded_entry_is_gone_with_its_files_and_leaves_a_trace(door: Door) -> None:
    part = {"name": "a", "content_base64": "MQ=="}
    id_ = door.hand_in(post(attachments=[part])).json["id"]

    answer = act(door, f"entries/{id_}/discard")

    assert answer.json == {"id": id_, "state": "discarded"}
    assert door.holdings() == (0, 0, 1, [])
    assert door.rows("SELECT verb, who FROM audit WHERE entry_id = ?", id_) == [
        ("discard", f"uid {os.getuid()}")
    ]


def test_all_dead_letters_of_a_backend_are_retried_and_no_others(door: Door) -> None:
    for _ in range(3):
        door.hand_in(event())
        door.bury()
    door.hand_in(post())
    door.bury("elog")

    answer = act(door, "backends/events/retry")

    assert answer.json == {"backend": "events", "retried": 3}
    assert door.nudged == ["events"]
    dead = "SELECT backend FROM entry WHERE state = 3"
    assert door.rows(dead) == [("elog",)]


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_an_entry_on_the_wire_is_left_alone(door: Door, verb: str) -> None:
    door.hand_in(event())
    id_ = door.claimed().id

    answer = act(door, f"entries/{id_}/{verb}")

    answer.check_problem(409)
    assert "leased" in answer.json["detail"]
    assert door.rows("SELECT state FROM entry") == [(1,)]


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_a_delivered_entry_cannot_be_changed(door: Door, verb: str) -> None:
    door.hand_in(event())
    id_ = door.confirm()

    answer = act(door, f"entries/{id_}/{verb}")

    answer.check_problem(409)
    assert "delivered" in answer.json["detail"]


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_a_discarded_entry_neither(door: Door, verb: str) -> None:
    id_ = door.hand_in(event()).json["id"]
    act(door, f"entries/{id_}/discard")

    act(door, f"entries/{id_}/{verb}").check_problem(410)


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_what_never_was_is_not_found(door: Door, verb: str) -> None:
    act(door, f"entries/01ARZ3NDEKTSV4RRFFQ69G5FAV/{verb}").check_problem(404)
    assert door.rows("SELECT count(*) FROM audit") == [(0,)]


def test_an_unknown_backend_is_not_found(door: Door) -> None:
    act(door, "backends/nowhere/retry").check_problem(404)


def test_producers_may_do_none_of_this(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]

    for target in (f"entries/{id_}/retry", f"entries/{id_}/discard", "backends/events/retry"):
        door.ask("POST", f"/v1/{target}").check_problem(403)

    assert door.holdings() == (1, 1, 0, [])
    assert door.nudged == []


def test_operators_may_hand_entries_in(door: Door) -> None:
    assert door.ask("GET", "/v1/entries", admin=True).status == 200
    door.socket = door.admin
    assert door.hand_in(event()).status == 202
