"""What tests say to a door, and what they hear: good bodies, raw bytes, whole answers."""

import http.client
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20
JSON = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The objects of an NDJSON answer."""
        assert self.headers["content-type"] == NDJSON
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def pointers(self) -> list[str]:
        """Where the faults are, in a problem."""
        return [one["pointer"] for one in self.json.get("errors", [])]

    def check_problem(self, status: int) -> None:
        """The exact shape of design section 3."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert list(problem)[:4] == ["type", "title", "status", "detail"]
        assert set(problem) <= {"type", "title", "status", "detail", "errors"}
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        for one in problem.get("errors", []):
            assert list(one) == ["pointer", "detail"]
            assert one["pointer"] == "" or one["pointer"].startswith("/")
            assert one["detail"]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = dial(self._path, self.timeout or 30.0)


def dial(path: Path, timeout: float = 30.0) -> socket.socket:
    """A bare connection."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    try:
        made.connect(str(path))
    except OSError:
        made.close()
        raise
    return made


def ask(
    path: Path,
    method: str,
    target: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request over a connection of its own."""
    connection = UnixConnection(path)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
            connection.request(method, target, body, dict(headers or {}))
        return read_answer(connection.getresponse())
    finally:
        connection.close()


def read_answer(response: http.client.HTTPResponse) -> Answer:
    content = response.read()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)


def speak(path: Path, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send raw bytes; all that comes back until the other side closes."""
    with dial(path) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return listen(connection)


def listen(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    heard = bytearray()
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        heard += piece
    return bytes(heard)


def parsed(raw: bytes) -> list[Answer]:
    """The answers in `raw`, each with a Content-Length."""
    answers = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        headers = {}
        for one in fields:
            name, _, value = one.partition(": ")
            headers[name.lower()] = value
        length = int(headers["content-length"])
        answers.append(Answer(int(first.split()[1]), headers, rest[:length]))
        raw = rest[length:]
    return answers


def event(**envelope: Any) -> bytes:
    """A good envelope for the events backend; what is given is added or replaces."""
    made = {"backend": "events", "payload": {"event_type": "test", "event_data": {"n": 1}}}
    return json.dumps({**made, **envelope}).encode()


def post(**envelope: Any) -> bytes:
    """A good envelope for the eLog."""
    made = {"backend": "elog", "payload": {"experiment": "mfxl1000123", "text": "Beam is back."}}
    return json.dumps({**made, **envelope}).encode()


def form(
    entry: bytes | None, *files: tuple[str, bytes], boundary: str = "frontier", end: bool = True
) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers; each file a (name, content)."""
    parts = [] if entry is None else [('name="entry"', entry)]
    parts += [(f'name="files"; filename="{name}"', content) for name, content in files]
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for said, content in parts
    )
    closing = f"--{boundary}--\r\n".encode() if end else b""
    return body + closing, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
