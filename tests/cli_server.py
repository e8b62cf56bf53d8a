"""A small real server on a Unix socket, for the command line: it answers what a test wants."""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = tuple[int, Any]


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class CliServer:
    """What arrives, and what is answered: `answer` is given the request."""

    answer: Callable[[Asked], Answer] = lambda _: (200, {})
    asked: list[Asked] = field(default_factory=list)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def served(path: Path, answer: Callable[[Asked], Answer]) -> Iterator[CliServer]:
    """Serve at `path` until the end of the block."""
    state = CliServer(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, dict(self.headers.items()), body)
            state.asked.append(asked)
            status, value = state.answer(asked)
            many = isinstance(value, list)
            lines = [json.dumps(one) + "\n" for one in value] if many else [json.dumps(value)]
            raw = "".join(lines).encode()
            self.send_response(status)
            self.send_header("Content-Type", f"application/{'x-ndjson' if many else 'json'}")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with _Server(os.fspath(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


@contextmanager
def listening(path: Path, backlog: int = 8) -> Iterator[socket.socket]:
    """Somebody who listens and never answers, like a stopped process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(backlog)
        yield listener


SETTINGS = """
[agent]
state_dir = "{home}/state"
spool_dir = "{home}/spool"
socket = "{home}/agent.sock"
admin_socket = "{home}/admin.sock"

[backends.events]
kind = "event_manager"
url = "http://127.0.0.1:9"

[backends.accounting]
kind = "auditor"
url = "http://127.0.0.1:9"

[backends.elog]
kind = "elog"
url = "http://127.0.0.1:9"
"""


def settings_in(home: Path, more: str = "") -> Path:
    """Settings whose sockets and folders lie in `home`, which must have a short path."""
    file = home / "holdfast.toml"
    file.write_text(SETTINGS.format(home=home) + more)
    return file


def accepted(asked: Asked) -> Answer:
    """The agent's answer to one good entry, or to many."""
    if asked.headers["Content-Type"] == "application/x-ndjson":
        lines = asked.body.splitlines()
        return 200, [
            {
                "line": n,
                "status": 202,
                "id": f"ID{n}",
                "key": json.loads(one)["key"],
                "state": "accepted",
            }
            for n, one in enumerate(lines, 1)
        ]
    return 202, {"id": "ID1", "key": "k", "state": "accepted", "queue": {}}


def refusing(status: int, **problem: Any) -> Callable[[Asked], Answer]:
    """An agent that takes nothing."""
    return lambda _: (status, {"status": status, "detail": "no", **problem})
