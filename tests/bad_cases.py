"""One case of a bad input, and how to write it down."""

from dataclasses import dataclass
from typing import Any

from tests.door_client import JSON

MULTIPART = "multipart/form-data; boundary=frontier"
PAYLOAD = {"event_type": "test", "event_data": {"n": 1}}


@dataclass(frozen=True)
class Bad:
    """`pieces` are sent one after the other; then, if so, the sending side is closed."""

    name: str
    status: int
    pieces: tuple[bytes, ...]
    pointer: str | None = None
    half_close: bool = False


def request(
    body: bytes,
    media_type: str | None = JSON,
    *,
    method: str = "POST",
    target: str = "/v1/entries",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """A whole request. `length`: what it says of itself, else the truth."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    if media_type is not None:
        lines.append(f"Content-Type: {media_type}")
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    # Latin-1 as HTTP has it: a test may put any bytes into a header.
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def body(name: str, status: int, content: bytes, pointer: str | None = None, **more: Any) -> Bad:
    return Bad(name, status, (request(content, **more),), pointer)


def in_payload(text: str) -> bytes:
    """An envelope whose payload's event_data is `text`, verbatim."""
    return b'{"backend":"events","payload":{"event_data":%s}}' % text.encode()
