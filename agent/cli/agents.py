"""Asking the running agent on behalf of a command. Raises Ending where that is not possible."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from agent.cli.endings import OK_ANSWERS, daemon_needed, ending_of, sockets
from agent.client import TIMEOUT_SECONDS, Places, Unanswered, ask, ask_first, places_of
from config.sources import read_sources

PAGE = 500


class Agent:
    """The agent of these settings: looking on either socket, acting on the admin socket."""

    def __init__(self, config: Path | None) -> None:
        found = read_sources(config)
        self._file = found.file
        self._places: Places = places_of(found)

    def look(self, path: str) -> tuple[int, Any]:
        """GET. Raises Ending (69) when there is no agent."""
        try:
            return ask_first(sockets(self._places), "GET", path)
        except Unanswered as failure:
            raise daemon_needed(failure, self._file) from failure

    def read(self, path: str) -> Any:
        """GET of what must be there. Raises Ending."""
        status, body = self.look(path)
        if status not in OK_ANSWERS:
            raise ending_of(status, body)
        return body

    def act(
        self,
        path: str,
        said: Mapping[str, Any] | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
    ) -> tuple[int, Any]:
        """POST, as an operator. Raises Ending (69) when there is no agent, or we may not."""
        return self._tell(
            "POST", path, None if said is None else json.dumps(said).encode(), timeout
        )

    def edit(self, id_: str, body: bytes) -> tuple[int, Any]:
        """Make an entry say what `body`, JSON, says. Raises Ending as `act` does."""
        return self._tell("PUT", f"/v1/entries/{quote(id_, safe='')}", body, TIMEOUT_SECONDS)

    def _tell(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, Any]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        place = self._places.admin_socket
        try:
            return ask(place, method, path, body=body, headers=headers, timeout=timeout)
        except Unanswered as failure:
            raise daemon_needed(failure, self._file) from failure

    def entry(self, id_: str) -> tuple[int, Any]:
        """One entry whole."""
        return self.look(f"/v1/entries/{quote(id_, safe='')}")

    def move(self, id_: str, verb: str, said: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """An operator's verb on one entry."""
        return self.act(f"/v1/entries/{quote(id_, safe='')}/{verb}", said)

    def status(self) -> dict[str, Any]:
        """The agent's status."""
        found: dict[str, Any] = self.read("/v1/status")
        return found

    def pages(
        self,
        filters: Sequence[tuple[str, str]],
        limit: int,
        after: int | None = 0,
        *,
        of: str = "entries",
    ) -> Iterator[Mapping[str, Any]]:
        """Pages of entries, or of losses, until `limit` of them (0: all): {of, "next"}."""
        left = limit or None
        while after is not None:
            size = PAGE if left is None else min(PAGE, left)
            query = [*filters, ("limit", str(size)), ("after", str(after))]
            page = self.read(f"/v1/{of}?{urlencode(query)}")
            yield page
            after = page["next"]
            if left is not None:
                left -= len(page[of])
                if left <= 0:
                    return
