"""Hand entries to Holdfast with httpx, over the Unix socket.

    python with_httpx.py events '{"event_type": "test"}'

httpx limits each silence, not the whole call: one who trickles can hold it up for longer. Where
that matters take docs/clients/holdfast_client.py.
"""

import json
import os
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx

SOCKET = os.environ.get("HOLDFAST_AGENT__SOCKET", "/run/holdfast/agent.sock")
SPOOL = Path(os.environ.get("HOLDFAST_AGENT__SPOOL_DIR", "/var/spool/holdfast"))
LATER = (408, 429, 500, 502, 503, 507)  # the agent's trouble, not the entry's


def put(backend: str, payload: Any) -> str:
    """Hand one entry in; the agent's id for it, or where it lies in the spool.

    Raises ValueError when the agent refuses it, and OSError when it could not be stored anywhere.
    """
    now = datetime.now(timezone.utc)
    key = "httpx-" + uuid.uuid4().hex  # before anything is sent: so it stays one entry
    entry = {"backend": backend, "key": key, "created_at": now.isoformat(), "payload": payload}
    try:
        transport = httpx.HTTPTransport(uds=SOCKET)
        with httpx.Client(transport=transport, timeout=2, trust_env=False) as client:
            answer = client.post("http://localhost/v1/entries", json=entry)
    except httpx.TransportError:
        return leave(backend, key, entry)
    if answer.status_code in LATER:
        return leave(backend, key, entry)
    if answer.is_error:
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
