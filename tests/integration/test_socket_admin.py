"""The admin socket: what changes others' entries, and why it sometimes may not."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.door import Door
from tests.door_client import Answer, event, post

VERBS = ["retry", "discard", "hold", "release"]
BACKEND_VERBS = ["retry", "hold", "release", "pause", "resume"]


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def act(door: Door, target: str, said: Any = None) -> Answer:
    return door.ask("POST", f"/v1/{target}", admin=True, said=said)


def states(door: Door) -> list[tuple[str, int]]:
    return door.rows("SELECT key, state FROM entry ORDER BY seq")


def audits(door: Door) -> list[tuple[str, str, str]]:
    return door.rows("SELECT verb, backend, detail FROM audit ORDER BY number")


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


@pytest.mark.parametrize("verb", VERBS)
def test_an_entry_on_the_wire_is_left_alone(door: Door, verb: str) -> None:
    door.hand_in(event())
    id_ = door.claimed().id

    answer = act(door, f"entries/{id_}/{verb}")

    answer.check_problem(409)
    assert "leased" in answer.json["detail"]
    assert door.rows("SELECT state FROM entry") == [(1,)]


@pytest.mark.parametrize("verb", VERBS)
def test_a_delivered_entry_cannot_be_changed(door: Door, verb: str) -> None:
    door.hand_in(event())
    id_ = door.confirm()

    answer = act(door, f"entries/{id_}/{verb}")

    answer.check_problem(409)
    assert "delivered" in answer.json["detail"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_discarded_entry_neither(door: Door, verb: str) -> None:
    id_ = door.hand_in(event()).json["id"]
    act(door, f"entries/{id_}/discard")

    act(door, f"entries/{id_}/{verb}").check_problem(410)


@pytest.mark.parametrize("verb", VERBS)
def test_what_never_was_is_not_found(door: Door, verb: str) -> None:
    act(door, f"entries/01ARZ3NDEKTSV4RRFFQ69G5FAV/{verb}").check_problem(404)
    assert door.rows("SELECT count(*) FROM audit") == [(0,)]


@pytest.mark.parametrize("verb", BACKEND_VERBS)
def test_an_unknown_backend_is_not_found(door: Door, verb: str) -> None:
    act(door, f"backends/nowhere/{verb}").check_problem(404)
    assert door.rows("SELECT count(*) FROM audit") == [(0,)]


def test_producers_may_do_none_of_this(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]

    targets = [f"entries/{id_}/{verb}" for verb in VERBS]
    targets += [f"backends/events/{verb}" for verb in BACKEND_VERBS]
    for target in targets:
        door.ask("POST", f"/v1/{target}").check_problem(403)

    assert door.holdings() == (1, 1, 0, [])
    assert door.nudged == []


def test_operators_may_hand_entries_in(door: Door) -> None:
    assert door.ask("GET", "/v1/entries", admin=True).status == 200
    door.socket = door.admin
    assert door.hand_in(event()).status == 202


def test_an_entry_is_held_and_released_with_the_reasons(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]

    held = act(door, f"entries/{id_}/hold", {"reason": "wrong run"})
    shown = door.ask("GET", f"/v1/entries/{id_}").json
    released = act(door, f"entries/{id_}/release")

    assert held.json == {"id": id_, "state": "held"}
    assert shown["state"] == "held"
    (told,) = shown["operators"]
    assert (told["verb"], told["who"], told["detail"]) == (
        "hold",
        f"uid {os.getuid()}",
        "wrong run",
    )
    assert released.json == {"id": id_, "state": "pending"}
    assert audits(door) == [("hold", "events", "wrong run"), ("release", "events", "")]
    assert door.claimed().id == id_


def test_a_release_wakes_its_lane_and_ends_no_rest(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]
    act(door, f"entries/{id_}/hold")
    door.woken.clear()

    act(door, f"entries/{id_}/release")

    assert (door.woken, door.nudged) == (["events"], [])


@pytest.mark.parametrize(
    ("before", "verb", "state"),
    [("bury", "hold", "dead"), ("bury", "release", "dead"), (None, "release", "pending")],
)
def test_a_move_that_is_not_possible_names_the_state(
    door: Door, before: str | None, verb: str, state: str
) -> None:
    id_ = door.hand_in(event()).json["id"]
    if before:
        door.bury()

    answer = act(door, f"entries/{id_}/{verb}")

    answer.check_problem(409)
    assert f"entry {id_} is {state}" in answer.json["detail"]
    assert audits(door) == []


def test_what_is_held_cannot_be_retried_and_can_be_discarded(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]
    act(door, f"entries/{id_}/hold")

    refused = act(door, f"entries/{id_}/retry")
    refused.check_problem(409)
    assert "is held: retry is not possible now; release it first" in refused.json["detail"]
    act(door, f"entries/{id_}/hold").check_problem(409)

    assert act(door, f"entries/{id_}/discard").status == 200
    assert door.rows() == [(0,)]


def test_all_that_waits_for_a_backend_is_held_and_what_is_on_the_wire_is_not(door: Door) -> None:
    for key in "abc":
        door.hand_in(event(key=key))
    door.claimed()
    door.hand_in(post(key="other"))

    assert act(door, "backends/events/hold", {"reason": "r"}).json == {
        "backend": "events",
        "held": 2,
    }
    assert states(door) == [("a", 1), ("b", 2), ("c", 2), ("other", 0)]
    door.woken.clear()
    assert act(door, "backends/events/release").json == {"backend": "events", "released": 2}
    assert (door.woken, door.nudged) == (["events"], [])
    assert states(door) == [("a", 1), ("b", 0), ("c", 0), ("other", 0)]
    assert audits(door)[:2] == [("hold", "events", "r")] * 2


def test_a_held_head_holds_its_stream_and_show_says_so(door: Door) -> None:
    first, second = (door.hand_in(event(stream="s")).json["id"] for _ in range(2))

    act(door, f"entries/{first}/hold")

    shown = door.ask("GET", f"/v1/entries/{second}").json
    assert shown["behind"] == {"id": first, "state": "held"}
    assert door.run(door._claim("events")) == []
    act(door, f"entries/{first}/release")
    assert door.claimed().id == first
