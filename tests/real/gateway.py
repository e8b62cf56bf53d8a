"""What stands between us and a real server: it says where we are from, and loses what a test wants.

Promises: what is lost on the way back has been answered before, and what is lost on the way there
has never arrived.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from tests.emulators.raw import Line, peer

Fate = Literal["request lost", "answer lost"]


@asynccontextmanager
async def gateway(url: str, fates: Sequence[Fate] = ()) -> AsyncIterator[str]:
    """The url of a gateway to `url`, which tells the server that we are from far away.

    `fates`: what becomes of the first POST requests, one after the other.
    """
    waiting = list(fates)

    async def pass_on(line: Line) -> None:
        while request := await line.hear_request():
            fate = waiting.pop(0) if waiting and request.startswith(b"POST") else ""
            answer = b"" if fate == "request lost" else await _asked(url, request)
            if fate:
                line.reset()
                return
            await line.say(answer)

    async with peer(pass_on) as between:
        yield between.url


async def _asked(url: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    # As a proxy would say it; the server believes one on its own host.
    ours = b"\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n"
    writer.write(request.replace(b"\r\n", ours, 1))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer
