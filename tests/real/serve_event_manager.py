"""Serve the real MADSci Event Manager on loopback, its database in memory.

Run by the python of an environment of its own (see tests/real/event_manager.py), never by
ours. Prints one line `READY URL` once it listens; everything else goes to stderr. While the
file `--outage` exists, every use of the database fails as a lost MongoDB does; where it is named
`X`, what is in a file `X.put` (a document) or `X.gone` (an id) is put into the database, or taken
out of it, past the server, and the file goes. Alerts are mailed to the SMTP server on the loopback
port `--smtp`.
"""

import argparse
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mongomock
import mongomock.collection
import uvicorn
from pymongo.errors import AutoReconnect


class Collection:
    """The events' collection, lost while the outage file exists."""

    def __init__(self, real: Any, outage: Path) -> None:
        self._real = real
        self._outage = outage

    def __getattr__(self, name: str) -> Any:
        if self._outage.exists():
            raise AutoReconnect("the database was unplugged by the test")
        self._change()
        return getattr(self._real, name)

    def _change(self) -> None:
        put, gone = (self._outage.with_suffix(suffix) for suffix in (".put", ".gone"))
        if put.exists():
            self._real.insert_one(json.loads(put.read_text()))
            put.unlink()
        if gone.exists():
            self._real.delete_one({"_id": gone.read_text()})
            gone.unlink()


def documents(cursor: Any, length: int | None = None) -> list[Any]:
    """Cursor.to_list of pymongo 4.9, which mongomock has not got."""
    return list(cursor) if length is None else list(cursor)[:length]


def application(outage: Path, smtp_port: int) -> Any:
    # Reads sys.argv and the environment when imported: only now, with nothing of ours in it.
    sys.argv = sys.argv[:1]
    from madsci.common.types.event_types import (  # noqa: PLC0415
        EmailAlertsConfig,
        EventManagerSettings,
    )
    from madsci.event_manager.event_server import EventManager  # noqa: PLC0415

    if not hasattr(mongomock.collection.Cursor, "to_list"):
        mongomock.collection.Cursor.to_list = documents
    database = mongomock.MongoClient()["holdfast"]
    alerts = EmailAlertsConfig(
        smtp_server="127.0.0.1",
        smtp_port=smtp_port,
        use_tls=False,
        email_addresses=["operator@example.org"],
    )
    settings = EventManagerSettings(email_alerts=alerts)
    server = EventManager(settings=settings, db_connection=database)
    server.events = Collection(server.events, outage)
    return server.create_server()


class Announcing(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, announce: int) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        assert sockets
        port = sockets[0].getsockname()[1]
        os.write(self._announce, f"READY http://127.0.0.1:{port}\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--outage", type=Path, required=True)
    parser.add_argument("--smtp", type=int, required=True)
    arguments = parser.parse_args()
    # What the libraries print must not fill the pipe that carries READY.
    announce = os.dup(1)
    os.dup2(2, 1)
    # Named TCP, so that asyncio sets TCP_NODELAY: without it every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(arguments.outage, arguments.smtp), log_level="warning", access_log=False
    )
    Announcing(config, announce).run(sockets=[listener])


if __name__ == "__main__":
    main()
