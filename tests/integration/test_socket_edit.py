"""PUT /v1/entries/ID: an operator corrects what has not been delivered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.draft import Bounds
from storage.entry import Address, Resolution
from storage.settlement import Failure, GiveBack
from tests.door import Door
from tests.door_client import JSON, Answer, ask, event, post

LOST = Failure("Uncertain", "network", "no answer")


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(bounds=Bounds(max_entry_bytes=2000)) as served:
        yield served


@pytest.fixture(scope="module")
def standing() -> Iterator[Door]:
    """For what changes nothing."""
    with Door(bounds=Bounds(max_entry_bytes=2000)) as served:
        yield served


def put(door: Door, id_: str, body: Any, *, admin: bool = True, media: str = JSON) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body)
    return ask(
        door.admin if admin else door.socket,
        "PUT",
        f"/v1/entries/{id_}",
        text,
        {"Content-Type": media},
    )


def said(door: Door, id_: str) -> Any:
    return door.ask("GET", f"/v1/entries/{id_}").json


def sound(door: Door, id_: str) -> bool:
    """Would it be sent? Its head, its size and its checksum are right."""
    claims = [
        door.claimed(backend)
        for backend in ("events", "elog")
        if door.rows("SELECT 1 FROM entry WHERE state = 0 AND head = 1 AND backend = ?", backend)
    ]
    (one,) = [claim for claim in claims if claim.id == id_]
    return one.damage is None and not one.resolved


def agree(door: Door) -> None:
    """The gauges say what the tables say."""
    counts = door.run(door.outbox.looks.census(now=0))
    assert {n: (door.outbox.waiting[n], door.outbox.size[n]) for n in counts} == {
        name: (one.waiting, one.size) for name, one in counts.items()
    }


NEW = {"event_type": "test", "event_data": {"said": "a longer thing than before"}}


@pytest.mark.parametrize("state", ["pending", "held", "dead"])
def test_what_is_edited_stays_where_it_is_and_says_what_to_do_next(door: Door, state: str) -> None:
    id_ = door.hand_in(event(labels={"shift": "night"})).json["id"]
    before = said(door, id_)
    if state == "held":
        door.ask("POST", f"/v1/entries/{id_}/hold", admin=True)
    elif state == "dead":
        assert door.bury() == id_

    answer = put(door, id_, NEW)

    told = answer.json
    assert (answer.status, told["id"], told["state"], told["changed"]) == (200, id_, state, True)
    after = said(door, id_)
    assert (after["payload"], after["state"], after["labels"]) == (NEW, state, {"shift": "night"})
    same = ("key", "kind", "accepted_at", "created_at", "producer", "seq")
    assert [after[name] for name in same] == [before[name] for name in same]
    act = after["operators"][-1]
    assert act["verb"] == "edit"
    assert len(act["detail"].split()[-1]) == 64, "the digest of what it said"
    agree(door)
    verb = {"held": "release", "dead": "retry"}.get(state)
    if verb is not None:
        assert verb in told["next"]
        door.ask("POST", f"/v1/entries/{id_}/{verb}", admin=True)
    assert sound(door, id_)


def test_labels_and_expiry_can_be_said_too_and_derived_labels_follow(door: Door) -> None:
    id_ = door.hand_in(post(labels={"a": "1"}, expires_at="2099-01-01T00:00:00Z")).json["id"]
    moved = {"experiment": "mfxl1000224", "text": "elsewhere"}

    assert put(door, id_, moved).status == 200
    shown = said(door, id_)
    assert shown["labels"] == {"experiment": "mfxl1000224", "a": "1"}
    assert (shown["scope"], shown["expires_at"]) == ("mfxl1000224", "2099-01-01T00:00:00.000Z")
    more = {"payload": moved, "labels": {"b": "2"}, "expires_at": "2098-01-01T00:00:00Z"}
    assert put(door, id_, more).status == 200

    shown = said(door, id_)
    assert shown["labels"] == {"experiment": "mfxl1000224", "b": "2"}
    assert shown["expires_at"] == "2098-01-01T00:00:00.000Z"
    assert door.rows("SELECT name, value FROM label ORDER BY name") == [
        ("b", "2"),
        ("experiment", "mfxl1000224"),
    ]


def test_it_goes_to_the_stream_where_it_now_belongs_and_leaves_a_head_behind(door: Door) -> None:
    one, two = (door.hand_in(post(payload={"experiment": "a", "text": t})).json["id"] for t in "12")
    other = door.hand_in(post(payload={"experiment": "b", "text": "3"})).json["id"]

    assert put(door, one, {"experiment": "b", "text": "1"}).status == 200

    heads = door.rows("SELECT id, stream, head FROM entry ORDER BY seq")
    assert heads == [(one, "b", 1), (two, "a", 1), (other, "b", 0)]


def test_a_stream_that_its_producer_named_stays(door: Door) -> None:
    id_ = door.hand_in(post(stream="mine")).json["id"]

    assert put(door, id_, {"experiment": "mfxl1000224", "text": "x"}).status == 200

    assert said(door, id_)["stream"] == "mine"


def test_what_was_found_out_of_it_is_found_out_anew(door: Door) -> None:
    id_ = door.hand_in(post(labels={"shift": "night"})).json["id"]
    place = Address(stream="elsewhere", scope="x", labels={"experiment": "x", "active": "x"})
    found = Resolution({"active": "x"}, place)
    back = GiveBack(door.claimed("elog"), 0, in_doubt=False, resolution=found)
    door._settle("elog", back)  # type: ignore[arg-type]
    assert said(door, id_)["resolved"] == {"active": "x"}

    assert put(door, id_, {"experiment": "mfxl1000123", "text": "corrected"}).status == 200

    shown = said(door, id_)
    assert shown["resolved"] is None
    assert shown["labels"] == {"experiment": "mfxl1000123", "shift": "night"}
    assert (shown["stream"], shown["scope"]) == ("mfxl1000123", "mfxl1000123")
    assert sound(door, id_)


def test_its_files_stay(door: Door) -> None:
    part = {"name": "a", "content_base64": "MQ=="}
    id_ = door.hand_in(post(attachments=[part])).json["id"]
    before = said(door, id_)["payload"]
    digest = door.rows("SELECT digest FROM entry")

    assert put(door, id_, {**before, "text": "corrected"}).json["changed"]
    assert [one["name"] for one in said(door, id_)["attachments"]] == ["a"]
    assert put(door, id_, {"experiment": 7}).status == 422
    assert put(door, id_, before).json["changed"]

    assert door.rows("SELECT digest FROM entry") == digest
    assert door.holdings()[3] == [f"{id_}/0"]
    assert sound(door, id_)


def test_the_same_again_changes_nothing(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]

    answer = put(door, id_, said(door, id_)["payload"])

    assert (answer.status, answer.json["changed"]) == (200, False)
    assert said(door, id_)["operators"] == []


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"event_type": "test", "log_level": "loud"}, 422, "/log_level"),
        (
            {"payload": {"event_type": "test", "log_level": "loud"}, "labels": {}},
            422,
            "/payload/log_level",
        ),
        ({"payload": {"event_type": "test"}, "key": "k"}, 422, "/key"),
        ({"payload": {"event_type": "test"}, "attachments": []}, 422, "/attachments"),
        (
            {"payload": {"event_type": "test"}, "expires_at": "2001-01-01T00:00:00Z"},
            422,
            "/expires_at",
        ),
        ({"payload": {"event_type": "test"}, "labels": {"a b": "c"}}, 422, "/labels"),
        ({"event_type": "test", "event_data": {"a": "x" * 3000}}, 413, "/payload"),
        ({"event_id": "01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T"}, 422, ""),
        (b"{", 400, None),
        (b'{"a": NaN}', 400, "/a"),
        (b"[]", 422, ""),
    ],
)
def test_what_no_entry_could_say_changes_nothing(
    standing: Door, body: Any, status: int, pointer: str | None
) -> None:
    id_ = standing.hand_in(event()).json["id"]
    before = said(standing, id_)

    answer = put(standing, id_, body)

    assert answer.status == status, answer.json
    assert [one["pointer"] for one in answer.json.get("errors", ())] == (
        [] if pointer is None else [pointer]
    )
    assert said(standing, id_) == before


def test_what_may_be_there_already_or_is_gone_is_not_edited(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]
    claim = door.claimed()
    sent = put(door, id_, NEW)
    assert (sent.status, "being sent" in sent.json["detail"]) == (409, True)
    door._settle("events", GiveBack(claim, 0, in_doubt=True, sent=True, failure=LOST))  # type: ignore[arg-type]
    doubt = put(door, id_, NEW)
    assert (doubt.status, "in doubt" in doubt.json["detail"]) == (409, True)
    door.confirm()
    assert put(door, id_, NEW).status == 409
    assert put(door, "nobody", NEW).status == 404
    gone = door.hand_in(event()).json["id"]
    door.ask("POST", f"/v1/entries/{gone}/discard", admin=True)
    assert put(door, gone, NEW).status == 410
    assert put(door, gone, NEW, admin=False).status == 403
    assert put(door, gone, NEW, media="text/plain").status == 415


def test_a_reply_can_be_tied_to_another_post_and_to_none_that_is_unknown(door: Door) -> None:
    first, second = (door.hand_in(post()).json["id"] for _ in "12")
    reply = {"experiment": "mfxl1000123", "text": "yes", "reply_to": first}
    id_ = door.hand_in(post(payload=reply)).json["id"]

    assert put(door, id_, {**reply, "reply_to": "01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T"}).status == 422
    assert put(door, id_, {**reply, "reply_to": id_}).status == 422
    assert said(door, id_)["waits_for"] == first
    assert put(door, id_, {**reply, "text": "no"}).status == 200
    assert said(door, id_)["waits_for"] == first
    assert put(door, id_, {**reply, "reply_to": second}).status == 200
    assert said(door, id_)["waits_for"] == second
    assert put(door, id_, {"experiment": "mfxl1000123", "text": "yes"}).status == 200
    assert said(door, id_)["waits_for"] is None
