"""Reading request bodies: counted while they come, refused as soon as they are too large."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from agent.refusal import Refusal, malformed, too_large

LARGE = 2**20  # bytes of a body, from which on few may be in memory at the same time
LARGE_AT_ONCE = 2


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece. Raises Refusal: 411, 413, 415, and 400 when the peer goes away."""
    announced = request.headers.get("content-length")
    if announced is None and "transfer-encoding" not in request.headers:
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, "send Content-Length, or a chunked body")
    if announced is not None and int(announced) > limit:
        raise too_large("the request", limit)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        detail = "a body with a Content-Encoding is not taken; send it plain"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    taken = 0
    try:
        async for piece in request.stream():
            taken += len(piece)
            if taken > limit:
                raise too_large("the request", limit)
            yield piece
    except ClientDisconnect as exc:
        raise malformed("the connection was closed before the body was complete") from exc


class Bodies:
    """Bodies that are read into memory as a whole.

    Promises: of one user at most `LARGE_AT_ONCE` large ones are there at the same time; others
    wait half read, and their producers with them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._gates: defaultdict[int | None, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(LARGE_AT_ONCE)
        )

    @asynccontextmanager
    async def whole(self, request: Request) -> AsyncIterator[bytes]:
        """The body in one piece, for as long as it is worked on. Raises Refusal."""
        gate = self._gates[request.state.peer.uid]
        body = bytearray()
        large = False
        try:
            async for piece in pieces(request, self._limit):
                if not large and len(body) > LARGE:
                    await gate.acquire()
                    large = True
                body += piece
            yield bytes(body)
        finally:
            if large:
                gate.release()
