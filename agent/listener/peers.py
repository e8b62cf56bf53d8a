"""Who is at the other end of a connection, what may be expected of them, and a last word.

Values and pure functions; `connection.py` does the talking.
"""

import json
import socket
import struct
from collections import Counter
from dataclasses import dataclass

from agent.refusal import RETRY_AFTER_SECONDS, Refusal


@dataclass(frozen=True, slots=True)
class Patience:
    """What a peer may take. Seconds and bytes.

    `header_seconds`: for the request line and all headers; `body_seconds`: between two pieces
    of a body; `linger_seconds`: for what a peer still sends after it was refused.
    """

    header_seconds: float = 10.0
    body_seconds: float = 30.0
    linger_seconds: float = 5.0
    header_bytes: int = 32 * 1024


PATIENCE = Patience()


class Census:
    """Open connections of one listener, by socket and uid: operators have places of their own."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: Counter[tuple[str, int]] = Counter()

    def enter(self, place: tuple[str, int]) -> int:
        """Count one more; how many too many there are now."""
        self._open[place] += 1
        return self._open[place] - self.limit

    def leave(self, place: tuple[str, int]) -> None:
        """One is closed."""
        self._open[place] -= 1


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a Unix socket."""

    uid: int | None
    pid: int | None


def credentials(peer: socket.socket | None) -> tuple[int | None, int | None]:
    """uid and pid of the process behind a Unix socket; None, None for other sockets."""
    if peer is None or peer.family != socket.AF_UNIX:
        return None, None
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return uid, pid


def answer_of(refusal: Refusal) -> bytes:
    """All but the status line of an answer, for when there is no application to ask."""
    body = json.dumps(refusal.problem()).encode()
    later = f"retry-after: {RETRY_AFTER_SECONDS}\r\n" if refusal.status in (429, 503) else ""
    head = (
        "content-type: application/problem+json\r\nconnection: close\r\n"
        f"{later}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
