"""Pause and resume over the admin socket, and what may be said with a verb."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.door import Door
from tests.door_client import JSON, Answer, ask, parsed, speak


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def act(door: Door, target: str, said: Any = None) -> Answer:
    return door.ask("POST", f"/v1/{target}", admin=True, said=said)


def audits(door: Door) -> list[tuple[str, str, str, str]]:
    return door.rows("SELECT verb, entry_id, backend, detail FROM audit ORDER BY number")


def test_a_backend_is_paused_until_it_is_resumed(door: Door) -> None:
    answer = act(door, "backends/events/pause", {"reason": "new disks"})

    assert answer.json == {"backend": "events", "state": "paused", "until": None}
    told = door.ask("GET", "/v1/status").json["backends"]["events"]
    assert told["state"] == "paused"
    assert told["pause"]["reason"] == "new disks"
    assert told["reason"] == f"by uid {os.getuid()}: new disks"
    assert door.nudged == []

    resumed = act(door, "backends/events/resume", {"reason": "done"}).json

    assert resumed == {"backend": "events", "state": "resumed", "was_paused": True}
    assert door.nudged == ["events"]
    assert door.ask("GET", "/v1/status").json["backends"]["events"]["state"] == "flowing"
    assert audits(door) == [("pause", "", "events", "new disks"), ("resume", "", "events", "done")]
    assert door.rows("SELECT count(*) FROM pause") == [(0,)]


def test_a_pause_may_have_its_end(door: Door) -> None:
    until = act(door, "backends/events/pause", {"for_seconds": 7200}).json["until"]

    ((since, stored),) = door.rows("SELECT since, until FROM pause")
    assert stored - since == 7_200_000
    assert act(door, "backends/elog/pause", {"for_seconds": 0.5}).status == 200
    assert audits(door)[0] == ("pause", "", "events", f"until {until}")


def test_a_second_pause_replaces_the_first(door: Door) -> None:
    act(door, "backends/events/pause", {"for_seconds": 7200})

    act(door, "backends/events/pause", {"reason": "longer"})

    assert door.rows("SELECT until, reason FROM pause") == [(None, "longer")]


def test_a_resume_of_what_was_not_paused_tries_it_now(door: Door) -> None:
    assert act(door, "backends/events/resume").json["was_paused"] is False
    assert door.nudged == ["events"]


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"reason": 7}, "/reason"),
        ({"reason": "a\nb"}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"for_seconds": 0}, "/for_seconds"),
        ({"for_seconds": -1}, "/for_seconds"),
        ({"for_seconds": 367 * 86400}, "/for_seconds"),
        ({"for_seconds": "2h"}, "/for_seconds"),
        ({"for_seconds": True}, "/for_seconds"),
        ({"until": 5}, "/until"),
        ([], ""),
    ],
    ids=str,
)
def test_a_wish_that_makes_no_sense_changes_nothing(door: Door, said: Any, pointer: str) -> None:
    answer = act(door, "backends/events/pause", said)

    answer.check_problem(422)
    assert answer.pointers == [pointer]
    assert door.rows("SELECT count(*) FROM pause") == [(0,)]
    assert act(door, "backends/events/resume", {"for_seconds": 1}).pointers == ["/for_seconds"]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"reason=x", "application/x-www-form-urlencoded", 415),
        (b"{", JSON, 400),
        (b" " * 20_000, JSON, 413),
    ],
)
def test_a_body_that_is_no_wish_is_refused(
    door: Door, body: bytes, media_type: str, status: int
) -> None:
    headers = {"Content-Type": media_type}

    ask(door.admin, "POST", "/v1/backends/events/pause", body, headers).check_problem(status)

    assert door.rows("SELECT count(*) FROM pause") == [(0,)]


def test_no_body_at_all_is_nothing_said(door: Door) -> None:
    raw = speak(
        door.admin,
        b"POST /v1/backends/events/pause HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )

    assert [one.status for one in parsed(raw)] == [200]
