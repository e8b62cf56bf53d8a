"""One host for tests of the command line: its settings, and an agent that is a list of entries."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agent.cli.app import run
from tests.cli_server import Answer, Asked, CliServer, served, settings_in

WHEN = "2020-11-23T10:00:00.000Z"


def an_entry(number: int, **changes: Any) -> dict[str, Any]:
    entry = {
        "id": f"ID{number}",
        "seq": number,
        "backend": "events",
        "kind": "event",
        "key": f"k{number}",
        "stream": None,
        "labels": {},
        "state": "dead",
        "in_doubt": False,
        "accepted_at": WHEN,
        "created_at": WHEN,
        "expires_at": None,
        "producer": {"via": "socket", "uid": 0, "pid": 7},
        "size": 20,
        "attempts": 2,
        "not_before": None,
        "waits_for": None,
        "last_error": {"at": WHEN, "class": "Rejected", "side": "entry", "detail": "a bad\tfield"},
    }
    return {**entry, **changes}


class Fake:
    """Entries in a list, behind the agent's paths."""

    def __init__(self, *entries: dict[str, Any], **backend: Any) -> None:
        self.entries = list(entries)
        flowing = {"state": "flowing", "reason": None, "since": None, "scopes": []}
        self.backend = {**flowing, "next_attempt_at": None, **backend}
        self.moves: list[str] = []
        self.answers: dict[str, Answer] = {}

    def __call__(self, asked: Asked) -> Answer:
        where = urlsplit(asked.path)
        if asked.method == "POST":
            self.moves.append(where.path)
            return self.answers.get(where.path, (200, {"retried": 3}))
        if where.path == "/v1/entries":
            return 200, self._page(
                {name: values[0] for name, values in parse_qs(where.query).items()}
            )
        if where.path == "/v1/status":
            return 200, {"backends": {"events": self.backend, "old": {"state": "unconfigured"}}}
        found = [one for one in self.entries if where.path.endswith(f"/{one['id']}")]
        return (200, found[0]) if found else (404, {"detail": "there is no such entry"})

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        after, limit = int(query["after"]), int(query["limit"])
        wanted = [
            one
            for one in self.entries
            if one["seq"] > after
            and all(one[name] == query[name] for name in ("backend", "state") if name in query)
        ]
        page = wanted[:limit]
        return {"entries": page, "next": page[-1]["seq"] if len(wanted) > limit else None}


class Desk:
    """Runs commands in this process; `out` and `err` are what the last one printed."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.config = settings_in(home)
        self.socket = home / "agent.sock"
        self.spool = home / "spool"
        self.out = self.err = ""
        self._capsys = capsys

    def do(self, *arguments: str) -> int:
        code = run(["--config", str(self.config), *arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def put(self, *arguments: str) -> int:
        return self.do("put", *arguments)

    @contextmanager
    def agent(self, fake: Fake) -> Iterator[CliServer]:
        """An agent whose admin socket `fake` answers."""
        with served(self.home / "admin.sock", fake) as server:
            yield server

    def file(self, content: Any, name: str = "e.json") -> str:
        path = self.home / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def spooled(self) -> list[Path]:
        return sorted(self.spool.glob("*/*"))


@contextmanager
def a_desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    # Not pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with TemporaryDirectory(prefix="hf") as folder:
        yield Desk(Path(folder), capsys)
