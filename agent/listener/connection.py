"""One connection: who is at the other end, and how long it may take.

The one place that touches uvicorn's inside. Promises: a peer that says nothing, sends headers
without end, or stops in the middle of a body is answered (408, 431, 400) and let go; the
application is told the peer's uid and pid.
"""

import asyncio
import json
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from agent.refusal import Refusal

HEADER_SECONDS = 10.0  # for the request line and all headers
BODY_SECONDS = 30.0  # between two pieces of a body
HEADER_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end; `excess`: its user has too many connections open."""

    uid: int | None
    pid: int | None
    excess: bool = False


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with peer credentials, time limits and a bound on headers."""

    limit_per_uid = 64
    open_per_uid: Counter[int] = Counter()  # noqa: RUF012 - shared on purpose: one listener

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the peer's ids and begin to wait for its headers."""
        super().connection_made(transport)
        uid, pid = credentials(transport.get_extra_info("socket"))
        self._uid = uid
        self._timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_body = False
        excess = False
        if uid is not None:
            self.open_per_uid[uid] += 1
            excess = self.open_per_uid[uid] > self.limit_per_uid
        self.app_state = {**self.app_state, "peer": Peer(uid, pid, excess)}
        self._arm(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        if self._uid is not None:
            self.open_per_uid[self._uid] -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count header bytes until the headers are complete."""
        if not self._in_body:
            self._header_bytes += len(data)
        super().data_received(data)
        if not self._in_body and self._header_bytes > HEADER_BYTES:
            self._end(431, f"the headers are larger than {HEADER_BYTES} bytes")

    def eof_received(self) -> None:
        """The peer has closed its side: in the middle of a request that is an error to tell."""
        if self._in_body and not self.cycle.response_started:
            self._end(400, "the body ends before its announced length")
        elif not self._in_body and self._header_bytes:
            self._end(400, "the request ends in the middle of its headers")

    def on_message_begin(self) -> None:
        """A request begins (the connection may serve several)."""
        super().on_message_begin()
        if self._timer is None:
            self._arm(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body, unless the headers themselves are too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self.scope["state"]["oversized_headers"] = size > HEADER_BYTES
        self._in_body = True
        self._header_bytes = 0
        self._arm(BODY_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The peer makes progress."""
        self._arm(BODY_SECONDS)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; from here on it is we who take time."""
        self._in_body = False
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed as HTTP gets a problem, too."""
        self._end(400, msg)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._in_body and self.flow.read_paused:
            self._arm(BODY_SECONDS)  # it is we who do not read
        elif self._in_body:
            self._end(408, f"no more of the body came within {BODY_SECONDS:g} s")
        else:
            self._end(408, f"no complete headers came within {HEADER_SECONDS:g} s")

    def _end(self, status: int, detail: str) -> None:
        """Answer below the application, once, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(raw_answer(status, Refusal(status, detail).problem()))
        self.transport.close()


def credentials(peer: socket.socket | None) -> tuple[int | None, int | None]:
    """uid and pid of the process behind a Unix socket; None, None for other sockets."""
    if peer is None or peer.family != socket.AF_UNIX:
        return None, None
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return uid, pid


def raw_answer(status: int, problem: dict[str, Any]) -> bytes:
    """A whole HTTP answer with a problem in it, for when there is no application to ask."""
    body = json.dumps(problem).encode()
    head = (
        b"content-type: application/problem+json\r\nconnection: close\r\n"
        b"content-length: " + str(len(body)).encode() + b"\r\n\r\n"
    )
    return STATUS_LINE[status] + head + body
