"""Hand entries to Holdfast with requests, over the Unix socket.

    python with_requests.py events '{"event_type": "test"}'

Plain `requests` knows no Unix sockets; `UnixAdapter` is all that it lacks. It limits each silence,
not the whole call. Where that matters take docs/clients/holdfast_client.py.
"""

import json
import os
import socket
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

SOCKET = os.environ.get("HOLDFAST_AGENT__SOCKET", "/run/holdfast/agent.sock")
SPOOL = Path(os.environ.get("HOLDFAST_AGENT__SPOOL_DIR", "/var/spool/holdfast"))
LATER = (408, 429, 500, 502, 503, 507)  # the agent's trouble, not the entry's


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, *args: Any, path: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path = path

    def _new_conn(self) -> socket.socket:
        place = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        place.settimeout(self.timeout)
        place.connect(self._path)
        return place


class UnixPool(HTTPConnectionPool):
    """Connections to one Unix socket."""

    ConnectionCls = UnixConnection


class UnixAdapter(HTTPAdapter):
    """For `Session.mount`: whatever is asked goes to this socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._pool = UnixPool("localhost", path=path)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> UnixPool:
        """The one way there is."""
        return self._pool

    def get_connection(self, *_: Any, **__: Any) -> UnixPool:
        """As above, for requests before 2.32."""
        return self._pool

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()


def put(backend: str, payload: Any) -> str:
    """Hand one entry in; the agent's id for it, or where it lies in the spool.

    Raises ValueError when the agent refuses it, and OSError when it could not be stored anywhere.
    """
    now = datetime.now(timezone.utc)
    key = "requests-" + uuid.uuid4().hex  # before anything is sent: so it stays one entry
    entry = {"backend": backend, "key": key, "created_at": now.isoformat(), "payload": payload}
    with requests.Session() as session:
        session.trust_env = False  # no proxy on the way to a socket
        session.mount("http://holdfast/", UnixAdapter(SOCKET))
        try:
            answer = session.post("http://holdfast/v1/entries", json=entry, timeout=2)
        except (requests.ConnectionError, requests.Timeout):
            return leave(backend, key, entry)
    if answer.status_code in LATER:
        return leave(backend, key, entry)
    if not answer.ok:
        raise ValueError(answer.text)
    return str(answer.json()["id"])


def leave(backend: str, key: str, entry: object) -> str:
    """Leave it in the spool: under a hidden name until it is on the disk."""
    hidden, path = SPOOL / backend / f".{key}", SPOOL / backend / f"{key}.json"
    with hidden.open("w") as target:
        json.dump(entry, target)
        target.flush()
        os.fsync(target.fileno())
    hidden.chmod(0o660)  # the agent is in the spool's group
    hidden.rename(path)
    folder = os.open(str(path.parent), os.O_RDONLY)
    os.fsync(folder)  # the name, too
    os.close(folder)
    return str(path)


if __name__ == "__main__":
    print(put(sys.argv[1], json.loads(sys.argv[2])))
