"""A loopback peer that answers byte for byte what a test says, and keeps what it was sent.

It runs in the test's own loop. Each connection is one call of `script(reader, writer)`; what the
script reads is in `heard`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.base import AuthOptions, Site, TlsOptions

HEAD_END = b"\r\n\r\n"


@dataclass
class Peer:
    """Where it listens, and what it was told (decrypted) on each connection."""

    port: int
    heard: list[bytearray] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def everything(self) -> bytes:
        return b"".join(self.heard)


class Line:
    """One connection, seen from the server."""

    def __init__(
        self, heard: bytearray, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.heard = heard
        self._reader = reader
        self._writer = writer

    async def hear(self, most: int = 65536) -> bytes:
        """What comes next; empty at the end."""
        part = await self._reader.read(most)
        self.heard += part
        return part

    async def hear_request(self) -> bytes:
        """One request, whole; empty when there is none."""
        head = await self.hear()
        while head and HEAD_END not in head:
            head += await self.hear()
        _, _, rest = head.lower().partition(b"content-length:")
        length = int(rest.partition(b"\r\n")[0] or 0)
        while head and len(head.partition(HEAD_END)[2]) < length:
            head += await self.hear()
        return head

    async def say(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()

    def reset(self) -> None:
        self._writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    fields = {"content-length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + body


@asynccontextmanager
async def peer(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server for as long as the block lasts."""
    lines: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        lines.add(task)
        shown.heard.append(bytearray())
        try:
            await script(Line(shown.heard[-1], reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the other side is gone, or the test is over
        finally:
            lines.discard(task)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    shown = Peer(server.sockets[0].getsockname()[1])
    try:
        yield shown
    finally:
        server.close()
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        await server.wait_closed()


def a_site(url: str, **changes: Any) -> Site:
    """The settings of a backend of no kind."""
    fields: dict[str, Any] = {
        "name": "peer",
        "url": url,
        "timeout_seconds": 5,
        "attempt_timeout_seconds": 10,
        "concurrency": 1,
        "auth": AuthOptions(),
        "tls": TlsOptions(),
        "options": None,
        "read_secret": lambda name: Path(name).read_text(),
        "now": lambda: 0,
    }
    return Site(**{**fields, **changes})


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop, and other processes, run until it is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is nothing to wait on but the loop
            await asyncio.sleep(0.001)
