"""Whoever else may listen at the agent's socket, and how badly they may behave."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cli_server import listening

Behaviour = Callable[[socket.socket], None]


@contextmanager
def behaving(path: Path, behaviour: Behaviour) -> Iterator[list[socket.socket]]:
    """A listener that does as told with each connection; gives those that there were."""
    connections: list[socket.socket] = []
    with listening(path) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                with connection, suppress(OSError):
                    behaviour(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def says(text: bytes, *, then_wait: bool = False) -> Behaviour:
    def behaviour(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)
        if then_wait:
            connection.recv(1)  # until the client leaves

    return behaviour


def trickles(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.settimeout(0.01)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\n")
    while True:
        connection.sendall(b"X-A: b\r\n")
        with suppress(TimeoutError):
            connection.recv(1)


HALF = b'HTTP/1.1 202 Accepted\r\nContent-Length: 60\r\n\r\n{"id": "I'
HANGS = {
    "accepts and never answers": says(b"", then_wait=True),
    "stops in the middle of an answer": says(HALF, then_wait=True),
    "trickles for ever": trickles,
}
BREAKS = {
    "closes at once": lambda _: None,
    "closes in the middle of an answer": says(HALF),
    "speaks something else": says(b"220 mail ready\r\n\r\n"),
    "answers with a page": says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<htm"),
    "answers with a number": says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n7"),
    "is somebody else": says(b'HTTP/1.1 404 No\r\nContent-Length: 17\r\n\r\n{"message": "no"}'),
    "says yes and no more": says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"),
    "is older than HTTP": says(b"\r\ncontent-length: 2\r\n\r\n{}"),
}


def as_child(work: Callable[[], object]) -> str:
    """What `work` returns in a fork."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.wait()
    return said
