"""What stands between us and a server: it says where we are from, and loses what a test wants.

Promises: what is lost on the way back has been answered before, and what is lost on the way there
has never arrived.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from tests.emulators.raw import Line, peer, reply

Fate = Literal["request lost", "answer lost"]


@asynccontextmanager
async def gateway(
    url: str,
    fates: Sequence[Fate] = (),
    *,
    wants: bytes = b"",
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """The url of a gateway to `url`, which tells the server that we are from far away.

    `fates`: what becomes of the first POST requests, one after the other. `wants`: a line of the
    head without which a request is answered with 401. `context`: it speaks TLS.
    """
    waiting = list(fates)

    async def pass_on(line: Line) -> None:
        while request := await line.hear_request():
            if wants not in request:
                await line.say(reply(401, b"who are you?"))
                continue
            fate = waiting.pop(0) if waiting and request.startswith(b"POST") else ""
            answer = b"" if fate == "request lost" else await _asked(url, request)
            if fate:
                line.reset()
                return
            await line.say(answer)

    async with peer(pass_on, context) as between:
        yield between.url if context is None else between.url.replace("http:", "https:")


async def _asked(url: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    # As a proxy would say it; the server believes one on its own host.
    ours = b"\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n"
    writer.write(request.replace(b"\r\n", ours, 1))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer
