"""One uvicorn for both sockets, started and stopped by the daemon and not by signals."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from agent.listener.connection import Connection
from agent.listener.peers import PATIENCE, Census, Patience

KEEPALIVE_SECONDS = 30
LET_GO_SECONDS = 3  # a client with half a request must not hold a stop for as long as it lives
STOP_SECONDS = 5


class Listener(uvicorn.Server):
    """uvicorn without its own signal handling."""

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        *,
        max_connections_per_uid: int,
        patience: Patience = PATIENCE,
    ) -> None:
        # uvicorn calls this with its own arguments, once per connection; it asks for no class.
        connection: Any = partial(
            Connection, patience=patience, census=Census(max_connections_per_uid)
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
        self._stopping = asyncio.Event()

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
        self._stopping.set()
        if self._served is not None:
            await self._served

    async def main_loop(self) -> None:
        """Wait for the end. uvicorn's own loop wakes ten times a second, to set a date header."""
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; but peers that are in the middle of a request are told, and let go."""
        timer = asyncio.get_running_loop().call_later(LET_GO_SECONDS, self._let_go)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    def _let_go(self) -> None:
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Connection)
            connection.let_go()
