"""When there is no room: refused with 507 and a time to come back, and nothing is stored."""

import base64
import ctypes
import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest

from agent.draft import Bounds
from tests.door import Door
from tests.door_client import NDJSON, Answer, event, form, post

KIB = 1024


def an_event(size: int, **envelope: Any) -> bytes:
    """An event whose payload has `size` bytes."""
    return event(payload={"event_data": "x" * (size - len('{"event_data":""}'))}, **envelope)


def check_no_room(answer: Answer) -> None:
    answer.check_problem(507)
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture
def door() -> Iterator[Door]:
    bounds = Bounds(max_outbox_bytes=10 * KIB, max_backend_bytes={"events": 4 * KIB})
    with Door(bounds=bounds) as served:
        yield served


def test_a_backend_may_fill_its_part_to_the_last_byte(door: Door) -> None:
    assert door.hand_in(an_event(3 * KIB)).status == 202
    check_no_room(door.hand_in(an_event(KIB + 1)))
    assert door.hand_in(an_event(KIB)).status == 202
    check_no_room(door.hand_in(an_event(20)))
    assert door.rows() == [(2,)]


def test_one_full_backend_leaves_the_others_their_room(door: Door) -> None:
    door.hand_in(an_event(4 * KIB))
    assert door.hand_in(post()).status == 202


def test_all_together_may_not_pass_the_whole(door: Door) -> None:
    door.hand_in(an_event(4 * KIB))
    content = base64.b64encode(bytes(6 * KIB)).decode()
    embedded = post(attachments=[{"name": "a", "content_base64": content}])

    check_no_room(door.hand_in(embedded))
    check_no_room(door.hand_in(*form(post(), ("a", bytes(6 * KIB)))))
    (line,) = door.hand_in(embedded, media_type=NDJSON).lines

    assert line["status"] == 507
    assert door.holdings() == (1, 1, 0, [])


def test_what_is_delivered_makes_room(door: Door) -> None:
    door.hand_in(an_event(4 * KIB))
    check_no_room(door.hand_in(an_event(KIB)))
    door.confirm()
    assert door.hand_in(an_event(KIB)).status == 202


def test_what_is_discarded_makes_room(door: Door) -> None:
    id_ = door.hand_in(an_event(4 * KIB)).json["id"]
    door.ask("POST", f"/v1/entries/{id_}/discard", admin=True)
    assert door.hand_in(an_event(4 * KIB)).status == 202


@pytest.mark.parametrize(
    "bounds",
    # Of the whole, a sixth is set aside for each of the two other backends.
    [Bounds(max_outbox_bytes=6 * KIB), Bounds(max_backend_bytes={"events": 4 * KIB})],
    ids=["the whole", "a backend"],
)
def test_the_lines_of_one_request_count_one_after_the_other(bounds: Bounds) -> None:
    lines = [an_event(3 * KIB), an_event(2 * KIB), an_event(KIB), an_event(20)]

    with Door(bounds=bounds) as door:
        answer = door.hand_in(b"\n".join(lines), media_type=NDJSON)
        assert [one["status"] for one in answer.lines] == [202, 507, 202, 507]
        assert door.rows() == [(2,)]


def test_many_producers_at_once_cannot_pass_a_budget_together(door: Door) -> None:
    gate = threading.Event()
    waits = door.outbox._writer.between(gate.wait)  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        answers = as_completed([pool.submit(door.hand_in, an_event(KIB)) for _ in range(8)])
        # Nothing is committed yet: these are refused because of what is on its way.
        refused = [next(answers).result().status for _ in range(4)]
        gate.set()
        taken = [one.result().status for one in answers]

    waits.result(5)
    assert (refused, taken) == ([507] * 4, [202] * 4)


def test_a_refusal_gives_its_reservation_back(door: Door) -> None:
    for _ in range(5):
        door.hand_in(an_event(3 * KIB, key="a"))
        door.hand_in(event(key="a")).check_problem(409)

    assert door.hand_in(an_event(KIB)).status == 202


def test_the_disk_keeps_its_reserve() -> None:
    with Door(bounds=Bounds(min_free_bytes=2**62)) as door:
        check_no_room(door.hand_in(event()))
        check_no_room(door.hand_in(*form(post(), ("a", b"1"))))
        assert door.holdings() == (0, 0, 0, [])
        assert door.ask("GET", "/v1/status").status == 200


def test_a_database_that_cannot_grow_refuses_and_takes_again_when_it_can() -> None:
    part = {"name": "a", "content_base64": base64.b64encode(b"1").decode()}
    with Door() as door:
        assert door.hand_in(event(key="before")).status == 202
        large = post(attachments=[part], payload={"experiment": "a", "text": "x" * 200_000})

        bound_pages(door)
        check_no_room(door.hand_in(large))
        bound_pages(door)
        lines = door.hand_in(large + b"\n" + large, media_type=NDJSON).lines
        assert [one["status"] for one in lines] == [507, 507]
        assert door.holdings() == (1, 1, 0, [])

        assert door.hand_in(event(key="before")).json["state"] == "duplicate"
        assert door.hand_in(large).status == 202


def bound_pages(door: Door) -> None:
    """The database may not become larger than it is; until the writer opens it again."""

    async def bound() -> None:
        await door.outbox._call(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1").scalar())

    door.run(bound())


def test_a_full_disk_in_the_middle_of_the_files_leaves_none_of_them() -> None:
    files = [(f"{number}.bin", bytes(50_000)) for number in range(20)]
    parts = [
        {"name": name, "content_base64": base64.b64encode(content).decode()}
        for name, content in files
    ]
    with Door() as door, little_room(door, 400_000):
        check_no_room(door.hand_in(*form(post(), *files)))
        check_no_room(door.hand_in(post(attachments=parts)))
        assert door.holdings() == (0, 0, 0, [])
        assert door.hand_in(*form(post(), *files[:3])).status == 202


class little_room:  # noqa: N801 - reads as what it is
    """Makes the attachments' own file system a small one; only for who may mount."""

    def __init__(self, door: Door, size: int) -> None:
        self._place = door.home / "state" / "attachments"
        self._size = size

    def __enter__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={self._size}".encode()
        place = bytes(self._place)
        if self._libc.mount(b"none", place, b"tmpfs", 0, options) != 0:
            pytest.skip(f"may not mount: {os.strerror(ctypes.get_errno() or errno.EPERM)}")
        (self._place / "incoming").mkdir()

    def __exit__(self, *_: object) -> None:
        self._libc.umount(bytes(self._place))


def test_a_flood_for_one_backend_leaves_the_others_what_is_set_aside_for_them() -> None:
    with Door(bounds=Bounds(max_outbox_bytes=60 * KIB)) as door:
        answers = [door.hand_in(an_event(KIB)).status for _ in range(60)]
        assert answers == [202] * 40 + [507] * 20

        text = post(payload={"experiment": "a", "text": "x" * (9 * KIB)})
        assert door.hand_in(text).status == 202
        answer = door.hand_in(an_event(KIB))
        check_no_room(answer)
        assert "10240 are set aside for each backend" in answer.json["detail"]


def test_a_backend_may_give_up_its_oldest_entries_for_new_ones() -> None:
    bounds = Bounds(max_backend_bytes={"events": 4 * KIB}, drop_oldest=frozenset({"events"}))
    with Door(bounds=bounds) as door:
        ids = [door.hand_in(an_event(KIB, key=f"e{n}", labels={"n": str(n)})) for n in range(7)]
        assert [one.status for one in ids] == [202] * 7

        kept = door.ask("GET", "/v1/entries").json["entries"]
        assert [one["key"] for one in kept] == ["e3", "e4", "e5", "e6"]
        losses = door.ask("GET", "/v1/losses?backend=events").json
        assert losses["next"] is None
        assert [(one["key"], one["labels"], one["size"]) for one in losses["losses"]] == [
            (f"e{n}", {"n": str(n)}, KIB) for n in range(3)
        ]
        gone = door.ask("GET", f"/v1/entries/{ids[0].json['id']}")
        gone.check_problem(410)
        assert "given up" in gone.json["detail"]
        assert door.ask("GET", "/v1/status").json["backends"]["events"]["lost_total"] == 3
        assert door.hand_in(an_event(KIB, key="e0")).json["state"] == "accepted"


def test_giving_up_spares_what_is_on_the_wire_and_other_backends() -> None:
    bounds = Bounds(max_backend_bytes={"events": 2 * KIB}, drop_oldest=frozenset({"events"}))
    with Door(bounds=bounds) as door:
        door.hand_in(post())
        for number in range(2):
            door.hand_in(an_event(KIB, key=f"e{number}"))
        door.claimed("events")

        assert door.hand_in(an_event(KIB, key="e2")).status == 202
        check_no_room(door.hand_in(an_event(3 * KIB, key="too large")))
        check_no_room(door.hand_in(an_event(KIB + 1, key="beside what is on the wire")))

        kept = door.ask("GET", "/v1/entries").json["entries"]
        assert [one["key"] for one in kept if one["backend"] == "events"] == ["e0", "e2"]
        assert len(kept) == 3


def test_dead_letters_are_given_up_in_their_turn() -> None:
    bounds = Bounds(max_backend_bytes={"events": 2 * KIB}, drop_oldest=frozenset({"events"}))
    with Door(bounds=bounds) as door:
        door.hand_in(an_event(KIB, key="dead"))
        door.bury("events")
        for number in range(2):
            assert door.hand_in(an_event(KIB, key=f"e{number}")).status == 202

        (line,) = door.ask("GET", "/v1/losses").json["losses"]
        assert line["key"] == "dead"
