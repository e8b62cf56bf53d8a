"""multipart/form-data: an entry with its files, streamed to disk."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from agent.draft import Bounds
from tests.door import Door
from tests.door_client import MIB, form, post


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def test_without_a_list_all_parts_are_attached_in_their_order(door: Door) -> None:
    plot, notes = os.urandom(5 * MIB), b""

    answer = door.hand_in(*form(post(), ("plot.png", plot), ("notes.txt", notes)))

    assert answer.status == 202
    id_ = answer.json["id"]
    shown = door.ask("GET", f"/v1/entries/{id_}").json
    assert [one["name"] for one in shown["attachments"]] == ["plot.png", "notes.txt"]
    assert [one["sha256"] for one in shown["attachments"]] == [
        hashlib.sha256(content).hexdigest() for content in (plot, notes)
    ]
    assert shown["size"] == len(plot) + door.rows("SELECT length(payload) FROM body")[0][0]
    assert door.holdings()[3] == [f"{id_}/0", f"{id_}/1"]


def test_the_list_says_order_type_and_description(door: Door) -> None:
    listed = [{"name": "b", "media_type": "image/png", "description": "a plot"}, {"name": "a"}]
    body, headers = form(post(attachments=listed), ("a", b"1"), ("b", b"2"))

    id_ = door.hand_in(body, headers).json["id"]

    shown = door.ask("GET", f"/v1/entries/{id_}").json["attachments"]
    assert [(one["name"], one["media_type"], one["description"]) for one in shown] == [
        ("b", "image/png", "a plot"),
        ("a", None, None),
    ]


def test_a_part_may_bring_its_type(door: Door) -> None:
    body, headers = form(post(), ("a.png", b"123"))
    body = body.replace(b"\r\n\r\n123", b"\r\nContent-Type: image/png\r\n\r\n123")

    id_ = door.hand_in(body, headers).json["id"]

    assert door.rows("SELECT media_type FROM attachment") == [("image/png",)], id_


def test_an_entry_alone_may_come_as_a_form(door: Door) -> None:
    assert door.hand_in(*form(post())).status == 202


def test_the_entry_may_come_behind_its_files(door: Door) -> None:
    files, headers = form(None, ("a", b"1"), end=False)
    entry, _ = form(post())

    assert door.hand_in(files + entry, headers).status == 202


@pytest.mark.parametrize("size", [1, 2, 3, 61, 4096])
def test_the_borders_of_pieces_do_not_matter(door: Door, size: int) -> None:
    # Half boundaries inside the content, which a parser may take for whole ones.
    content = b"\r\n--frontie\r\n--frontier\n--\r\n--frontier-" * 20
    body, headers = form(post(), ("a", content))
    pieces = (body[start : start + size] for start in range(0, len(body), size))

    id_ = door.hand_in(pieces, headers).json["id"]

    assert (door.home / "state/attachments" / id_ / "0").read_bytes() == content


def test_the_same_form_again_is_a_duplicate_and_leaves_nothing(door: Door) -> None:
    body, headers = form(post(key="a"), ("a.png", b"123"))
    first = door.hand_in(body, headers).json["id"]

    again = door.hand_in(body, headers)

    assert (again.status, again.json["state"]) == (200, "duplicate")
    assert door.holdings() == (1, 1, 0, [f"{first}/0"])


def test_another_file_makes_another_entry(door: Door) -> None:
    door.hand_in(*form(post(key="a"), ("a.png", b"123")))

    door.hand_in(*form(post(key="a"), ("a.png", b"124"))).check_problem(409)

    assert len(door.holdings()[3]) == 1


def test_the_header_names_the_key_of_a_form_too(door: Door) -> None:
    body, headers = form(post())

    assert door.hand_in(body, {**headers, "Idempotency-Key": "a"}).json["key"] == "a"


def test_a_file_above_the_limit_is_refused_while_it_comes() -> None:
    with Door(bounds=Bounds(max_attachment_bytes=1000)) as strict:
        answer = strict.hand_in(*form(post(), ("a", bytes(1001))))
        answer.check_problem(413)
        assert answer.pointers == ["/attachments"]
        assert strict.holdings() == (0, 0, 0, [])
        assert strict.hand_in(*form(post(), ("a", bytes(1000)))).status == 202


def test_a_disk_that_takes_no_file_is_our_trouble_and_told_as_such(door: Door) -> None:
    incoming = door.home / "state/attachments/incoming"
    incoming.rename(incoming.with_name("moved"))

    answer = door.hand_in(*form(post(), ("a", b"1")))

    answer.check_problem(507)
    assert "retry-after" in answer.headers
    assert door.rows() == [(0,)]
