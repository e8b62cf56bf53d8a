"""One uvicorn for both sockets, started and stopped by the daemon and not by signals."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from agent.listener.connection import Connection

KEEPALIVE_SECONDS = 30
STOP_SECONDS = 5  # a client with half a request must not hold a stop for as long as it lives


class Listener(uvicorn.Server):
    """uvicorn without its own signal handling."""

    def __init__(
        self, app: ASGIApp, sockets: Sequence[socket.socket], *, max_connections_per_uid: int
    ) -> None:
        connection = type(
            "BoundedConnection", (Connection,), {"limit_per_uid": max_connections_per_uid}
        )
        super().__init__(
            uvicorn.Config(
                app,
                http=connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                date_header=False,
                server_header=False,
                timeout_keep_alive=KEEPALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._inherited_or_made = list(sockets)
        self._served: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon, which stops things in its own order."""
        yield

    def begin(self) -> None:
        """Serve in a task of its own; the kernel has queued connections since `listen`."""
        self._served = asyncio.create_task(
            self.serve(sockets=self._inherited_or_made), name="listener"
        )

    async def end(self) -> None:
        """Finish the requests that have begun, refuse new connections."""
        self.should_exit = True
        if self._served is not None:
            await self._served
