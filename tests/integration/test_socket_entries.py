"""POST /v1/entries: what is taken is durable when it is answered, and taken once."""

import asyncio
import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.door import Door
from tests.door_client import (
    JSON,
    MIB,
    NDJSON,
    UnixConnection,
    dial,
    event,
    listen,
    parsed,
    post,
    read_answer,
)


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def test_an_entry_is_accepted_with_its_id_its_key_and_its_place(door: Door) -> None:
    door.hand_in(event())

    answer = door.hand_in(event(key="mine"))

    assert answer.status == 202
    assert answer.headers["content-type"] == JSON
    id_ = answer.json["id"]
    assert answer.json == {
        "id": id_,
        "key": "mine",
        "state": "accepted",
        "queue": {"backend_state": "flowing", "position": 2},
    }
    assert door.rows("SELECT key, state FROM entry WHERE id = ?", id_) == [("mine", 0)]


def test_who_sent_it_is_what_the_kernel_says(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]

    shown = door.ask("GET", f"/v1/entries/{id_}").json

    assert shown["producer"] == {"via": "socket", "uid": os.getuid(), "pid": os.getpid()}


def test_its_lane_is_woken(door: Door) -> None:
    door.hand_in(event())
    door.hand_in(b"{")
    door.hand_in(post())

    assert door.woken == ["events", "elog"]


def test_there_is_no_answer_before_the_commit(door: Door) -> None:
    gate = threading.Event()
    waits: Future[None] = door.outbox._writer.between(gate.wait)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool, dial(door.socket, timeout=0.3) as connection:
        connection.sendall(a_request(event()))
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert door.rows() == [(0,)]
        gate.set()
        connection.settimeout(10)
        answered = pool.submit(connection.recv, 65536).result()

    assert answered.startswith(b"HTTP/1.1 202")
    assert door.rows() == [(1,)]
    waits.result(1)


@pytest.mark.parametrize("chunks", [1, 7, 65_536])
def test_a_body_may_come_in_chunks_of_any_size(door: Door, chunks: int) -> None:
    content = event(payload={"event_type": "test", "event_data": "x" * 5000})
    pieces = (content[start : start + chunks] for start in range(0, len(content), chunks))

    assert door.hand_in(pieces).status == 202


def test_a_client_may_ask_before_it_sends(door: Door) -> None:
    head, _, body = a_request(event()).partition(b"\r\n\r\n")
    with dial(door.socket) as connection:
        connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202")


def test_one_connection_serves_good_and_bad_requests_alike(door: Door) -> None:
    connection = UnixConnection(door.socket)
    statuses = []
    for body in (event(), b"{", event(backend="x"), event(kind="y"), event()):
        connection.request("POST", "/v1/entries", body, {"Content-Type": JSON})
        statuses.append(read_answer(connection.getresponse()).status)
        assert connection.sock is not None, "the connection was closed"
    connection.close()

    assert statuses == [202, 400, 404, 422, 202]


def test_who_has_sent_all_and_closed_its_side_is_answered(door: Door) -> None:
    with dial(door.socket) as connection:
        connection.sendall(a_request(event()))
        connection.shutdown(1)
        (answer,) = parsed(listen(connection))

    assert answer.status == 202
    assert answer.headers["connection"] == "close"


def test_many_are_answered_line_by_line(door: Door) -> None:
    lines = [event(key="a"), event(key="b"), b"{", event(key="a"), event(kind="x")]

    answer = door.hand_in(b"\n".join(lines), media_type=NDJSON)

    assert answer.status == 200
    assert [(one["line"], one["status"]) for one in answer.lines] == [
        (1, 202),
        (2, 202),
        (3, 400),
        (4, 200),
        (5, 422),
    ]
    first, _, _, again, wrong = answer.lines
    assert list(first) == ["line", "status", "id", "key", "state", "queue"]
    assert (again["id"], again["state"]) == (first["id"], "duplicate")
    assert wrong["errors"][0]["pointer"] == "/kind"
    assert set(wrong) == {"line", "type", "title", "status", "detail", "errors"}


def test_the_order_of_lines_is_the_order_of_entries(door: Door) -> None:
    body = b"".join(event(key=f"k{number}") + b"\n" for number in range(2500))

    answer = door.hand_in(body, media_type=NDJSON)

    assert [one["key"] for one in answer.lines] == [f"k{number}" for number in range(2500)]
    assert door.rows("SELECT key FROM entry ORDER BY seq") == [
        (f"k{number}",) for number in range(2500)
    ]


def test_blank_lines_and_windows_line_ends_do_not_count(door: Door) -> None:
    answer = door.hand_in(b"\r\n \n" + event() + b"\r\n\r\n" + event(), media_type=NDJSON)

    assert [(one["line"], one["status"]) for one in answer.lines] == [(3, 202), (5, 202)]


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \t\n"])
def test_no_line_at_all_is_a_mistake(door: Door, body: bytes) -> None:
    door.hand_in(body, media_type=NDJSON).check_problem(400)


def test_more_lines_than_one_transaction_should_hold_are_refused(door: Door) -> None:
    door.hand_in(b"{}\n" * 100_001, media_type=NDJSON).check_problem(413)


def test_a_line_may_bring_its_file(door: Door) -> None:
    part = {"name": "a.txt", "content_base64": base64.b64encode(b"hello").decode()}

    answer = door.hand_in(post(attachments=[part]) + b"\n{}", media_type=NDJSON)

    id_ = answer.lines[0]["id"]
    assert door.holdings() == (1, 1, 0, [f"{id_}/0"])


def test_embedded_files_are_kept_byte_by_byte(door: Door) -> None:
    content = os.urandom(3 * MIB)
    part = {
        "name": "täst .png",
        "media_type": "image/png",
        "description": "a plot",
        "content_base64": base64.b64encode(content).decode(),
    }

    id_ = door.hand_in(post(attachments=[part])).json["id"]

    (shown,) = door.ask("GET", f"/v1/entries/{id_}").json["attachments"]
    assert shown == {
        "name": "täst .png",
        "media_type": "image/png",
        "description": "a plot",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    kept = door.home / "state/attachments" / id_ / "0"
    assert kept.read_bytes() == content


def test_a_duplicate_leaves_no_second_file(door: Door) -> None:
    part = {"name": "a.txt", "content_base64": "MQ=="}
    first = door.hand_in(post(key="a", attachments=[part])).json["id"]

    assert door.hand_in(post(key="a", attachments=[part])).json["state"] == "duplicate"

    assert door.holdings()[3] == [f"{first}/0"]


PATHOLOGICAL = {
    "a text of 60 MiB": lambda: event(payload={"event_data": "x" * (60 * MIB)}),
    "a file of 45 MiB": lambda: post(
        attachments=[{"name": "a", "content_base64": base64.b64encode(bytes(45 * MIB)).decode()}]
    ),
    "a million lists": lambda: (
        b'{"backend":"events","payload":{"event_data":[%s1]}}' % (b"[]," * 1_300_000)
    ),
    "two million wrong items": lambda: json.dumps(
        {"backend": "accounting", "payload": {"record_id": "r", "components": [1] * 1_300_000}}
    ).encode(),
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_a_huge_body_does_not_hold_up_the_others(door: Door, name: str) -> None:
    body = PATHOLOGICAL[name]()
    done = threading.Event()
    gap = asyncio.run_coroutine_threadsafe(longest_gap(done), door._loop)

    assert door.hand_in(body).status in (413, 422)

    done.set()
    assert gap.result(10) < 1.0


async def longest_gap(done: threading.Event) -> float:
    """For how many seconds the event loop served nobody, at most."""
    loop = asyncio.get_running_loop()
    longest, last = 0.0, loop.time()
    while not done.is_set():
        await asyncio.sleep(0)
        now = loop.time()
        longest, last = max(longest, now - last), now
    return longest


def test_large_bodies_of_one_user_wait_for_each_other_and_all_arrive(door: Door) -> None:
    body = event(payload={"event_type": "test", "event_data": "x" * (3 * MIB)})

    with ThreadPoolExecutor(8) as pool:
        answers = [one.result() for one in [pool.submit(door.hand_in, body) for _ in range(8)]]

    assert [one.status for one in answers] == [202] * 8


def a_request(body: bytes) -> bytes:
    head = "POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
