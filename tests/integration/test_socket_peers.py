"""Peers that are slow, endless, many, or gone: each is answered, and holds up nobody else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from agent.listener.connection import Connection, Phase
from agent.listener.peers import Patience
from tests.door import Door
from tests.door_client import Answer, dial, event, listen, parsed, speak
from tests.world import wait_until

SOON = 0.3
HASTE = Patience(header_seconds=SOON, body_seconds=SOON, linger_seconds=SOON)


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(patience=HASTE) as served:
        yield served


def a_request(body: bytes, *, length: int | None = None, **headers: str) -> bytes:
    lines = ["POST /v1/entries HTTP/1.1", "Host: x", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = (
    b"POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FORM = (
    b"POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n"
    b"Content-Type: multipart/form-data; boundary=a\r\n\r\n"
    b'--a\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n'
)


@pytest.mark.parametrize(
    "said",
    {
        "nothing": b"",
        "half a request line": b"POST /v1/ent",
        "half of the headers": b"POST /v1/entries HTTP/1.1\r\nHost: x\r\n",
        "line ends only": b"\r\n\r\n\r\n",
        "half of a body": a_request(event(), length=1000),
        "headers and no body": a_request(b"", length=10),
        "half of a chunk": CHUNKED + b"ff\r\n{",
        "half of a form": FORM + b"\r\n123",
    }.items(),
    ids=lambda case: case[0],
)
def test_who_falls_silent_is_told_so_and_let_go(door: Door, said: tuple[str, bytes]) -> None:
    (answer,) = parsed(speak(door.socket, said[1]))

    answer.check_problem(408)
    assert answer.headers["connection"] == "close"
    assert door.holdings() == (0, 0, 0, [])


def test_headers_that_trickle_are_not_progress(door: Door) -> None:
    with dial(door.socket, timeout=SOON / 10) as connection:
        (answer,) = parsed(trickle(connection, b"GET /healthz HTTP/1.1\r\n", b"X: y\r\n"))

    answer.check_problem(408)


def test_a_body_that_trickles_is(door: Door) -> None:
    body = event()
    with dial(door.socket, timeout=SOON / 4) as connection:
        connection.sendall(a_request(b"", length=len(body)))
        for start in range(0, len(body), 10):
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.sendall(body[start : start + 10])
        connection.settimeout(10)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202")


def test_line_ends_do_not_keep_an_idle_connection_alive(door: Door) -> None:
    with dial(door.socket, timeout=SOON / 10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = parsed(trickle(connection, b"", b"\r\n"))

    assert [one.status for one in answers] == [200, 408]


def trickle(connection: socket.socket, first: bytes, then: bytes) -> bytes:
    """Send `then` again and again until the other side has enough; all it said."""
    heard = b""
    connection.sendall(first)
    for _ in range(100):
        try:
            while piece := connection.recv(65536):
                heard += piece
        except TimeoutError:
            connection.sendall(then)
        else:
            return heard
    raise AssertionError(f"still listened to: {heard!r}")


def test_requests_in_a_row_are_answered_in_a_row(door: Door) -> None:
    keys = [f"k{number}" for number in range(20)]
    ask = b"".join(a_request(event(key=key)) for key in keys)

    answers = parsed(speak(door.socket, ask, half_close=True))

    assert [one.json["key"] for one in answers] == keys
    assert door.rows() == [(20,)]


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"POST /v1/entries HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
    ],
    ids=["no request", "large headers", "a wrong length"],
)
def test_garbage_behind_a_request_does_not_take_its_answer(
    door: Door, garbage: bytes, status: int
) -> None:
    answers = parsed(speak(door.socket, a_request(event()) + a_request(event()) + garbage))

    assert [one.status for one in answers] == [202, 202, status]
    answers[-1].check_problem(status)
    assert door.rows() == [(2,)]


def test_half_a_request_behind_a_whole_one_neither(door: Door) -> None:
    half = a_request(event(), length=1000)

    answers = parsed(speak(door.socket, a_request(event()) + half, half_close=True))

    assert [one.status for one in answers] == [202, 400]
    assert door.rows() == [(1,)]


@pytest.mark.parametrize("begun", [0, 20], ids=["has just connected", "has begun to ask"])
def test_a_stop_serves_whoever_came_before_it(begun: int) -> None:
    said = a_request(event())
    with Door() as door, dial(door.socket) as connection:
        connection.sendall(said[:begun])
        phase = Phase.HEADERS if begun else Phase.NOTHING
        wait_until(lambda: [one.phase for one in open_now(door)] == [phase], 10)
        stopping = threading.Thread(target=lambda: door.run(door.listener.end()))
        stopping.start()
        wait_until(lambda: not door.listener.servers[0].is_serving(), 10)
        connection.sendall(said[begun:])
        (answer,) = parsed(listen(connection))
        stopping.join()

        assert answer.status == 202
        assert answer.headers["connection"] == "close"
        assert door.rows() == [(1,)]


def open_now(door: Door) -> list[Connection]:
    return [one for one in door.listener.server_state.connections if isinstance(one, Connection)]


def test_who_leaves_in_the_middle_leaves_nothing(door: Door) -> None:
    for said in (b"POST /v1", a_request(event(), length=1000), a_request(event())[:-1]):
        with dial(door.socket) as connection:
            connection.sendall(said)

    assert door.hand_in(event()).status == 202
    assert door.rows() == [(1,)]


def test_who_goes_on_sending_can_still_read_why_not(door: Door) -> None:
    with dial(door.socket) as connection:
        connection.sendall(a_request(b"", length=2**30))
        for _ in range(50):
            connection.sendall(b"x" * 65536)
        connection.shutdown(socket.SHUT_WR)
        (answer,) = parsed(listen(connection))

    answer.check_problem(413)


def test_who_goes_on_for_too_long_is_cut_off(door: Door) -> None:
    with dial(door.socket) as connection:
        connection.sendall(a_request(b"", length=2**40))
        with pytest.raises(BrokenPipeError):
            send_for(20, connection)


def send_for(seconds: float, connection: socket.socket) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(b"x" * 65536)


def test_an_upgrade_is_not_followed(door: Door) -> None:
    asked = a_request(event(), Connection="Upgrade", Upgrade="websocket")

    answers = parsed(speak(door.socket, asked, half_close=True))

    # With an upgrade asked for, the body is not HTTP's any more: it is as if there were none.
    assert answers[0].status == 400
    assert door.rows() == [(0,)]


LIMIT = 4


@pytest.fixture
def narrow() -> Iterator[Door]:
    with Door(max_connections_per_uid=LIMIT) as served:
        yield served


def greet(connection: socket.socket) -> Answer:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    raw = b""
    while b"}" not in raw:
        raw += connection.recv(65536)
    return parsed(raw)[0]


def test_one_connection_too_many_is_told_when_to_come_back(narrow: Door) -> None:
    with ExitStack() as stack:
        first, *others = [stack.enter_context(dial(narrow.socket)) for _ in range(LIMIT)]
        assert greet(others[-1]).status == 200

        answer = narrow.hand_in(event())

        answer.check_problem(429)
        assert int(answer.headers["retry-after"]) > 0
        assert greet(first).status == 200, "those that were first stay"
        assert narrow.ask("GET", "/healthz", admin=True).status == 200, "operators have their own"
    assert narrow.rows() == [(0,)]


def test_a_place_that_became_free_is_free(narrow: Door) -> None:
    for _ in range(3):
        with ExitStack() as stack:
            for _ in range(LIMIT):
                assert greet(stack.enter_context(dial(narrow.socket))).status == 200


def test_a_flood_of_connections_is_not_even_answered(narrow: Door) -> None:
    with ExitStack() as stack:
        crowd = [stack.enter_context(dial(narrow.socket)) for _ in range(2 * LIMIT + 1)]

        assert listen(crowd[-1]) == b""


def test_a_stop_does_not_wait_for_half_a_request() -> None:
    with Door() as door:
        busy, idle = dial(door.socket), dial(door.socket)
        busy.sendall(a_request(event(), length=1000))
        assert greet(idle).status == 200
        began = time.monotonic()

    assert time.monotonic() - began < 5
    (answer,) = parsed(listen(busy))
    answer.check_problem(503)
    assert listen(idle) == b""
    busy.close()
    idle.close()


def test_a_stop_lets_a_request_that_is_whole_finish() -> None:
    with Door() as door, dial(door.socket) as connection:
        gate = threading.Event()
        waits = door.outbox._writer.between(gate.wait)  # type: ignore[arg-type]
        connection.sendall(a_request(event()))
        door._loop.call_soon_threadsafe(door._stop.set)
        wait_until(lambda: not is_open(door), 10)
        gate.set()
        (answer,) = parsed(listen(connection))
        waits.result(5)

    assert answer.status == 202


def is_open(door: Door) -> bool:
    try:
        dial(door.socket).close()
    except ConnectionRefusedError:
        return False
    return True
