"""What is sent to an Event Manager to get an answer out of it, and what its failures mean.

Promises: only GET, and POST /events/query, which only reads; each on a connection of its own, for
after a 500 the server closes its connection without saying so. A page that the server has not got
is told from a wrong URL, a filter that its database does not understand from a lost database.
"""

import json
from collections.abc import Mapping
from typing import Any, Never

from adapters.answer import Answer
from adapters.base import Site
from adapters.event_manager.answers import is_failure, is_missing, rows_in, said_by, unanswered
from adapters.event_manager.event_types import RENEWED, in_definition, version_in
from adapters.event_manager.originals import Json
from adapters.http import HttpClient
from adapters.reading import UNKNOWN, Misasked
from adapters.verdict import Refused, Rejected

QUERY = "/events/query"
ALONE = {"Connection": "close"}


class Asking:
    """One server. Everything here raises Misasked and DeliveryErrors."""

    def __init__(self, site: Site) -> None:
        self._url = site.url.rstrip("/")
        self._client = HttpClient(site)

    async def get(self, place: str, params: Mapping[str, str] | None = None) -> Answer:
        """The answer of a page, whatever it is."""
        return await self._client.request("GET", place, params=params or None, headers=ALONE)

    async def page(self, place: str) -> Json:
        """The object that a page tells, whatever is in it."""
        answer = await self.get(place)
        return self.object_in(answer, place)

    def object_in(self, answer: Answer, place: str) -> Json:
        """The object in a good answer."""
        body = said_by(answer) if answer.status == 200 else None  # noqa: PLR2004
        if not isinstance(body, dict):
            self.fail(answer, place)
        return body

    async def search(self, selector: Mapping[str, Any]) -> Answer:
        """The answer of the database to a filter, whatever it is."""
        text = json.dumps(selector)
        return await self._client.request("POST", QUERY, json_text=text, headers=ALONE)

    def rows_of(self, answer: Answer, place: str) -> list[Json]:
        """The events in a good answer, in the server's order."""
        rows = rows_in(answer)
        if rows is None:
            self.fail(answer, place)
        return rows

    def fail(self, answer: Answer, place: str) -> Never:
        """Raise what an answer means that does not answer the question."""
        verdict = unanswered(answer, self._url + place)
        if isinstance(verdict, Rejected):
            raise Misasked(verdict.detail)
        raise verdict

    async def blame(self, answer: Answer) -> Never:
        """Raise what a failed search of the asker's own means: an odd filter, or a lost database.

        The server says the same 500 to both; its health tells them apart.
        """
        if is_failure(answer):
            health = await self.get("/health")
            told = said_by(health)
            if isinstance(told, dict) and told.get("db_connected") is True:
                said = "the Event Manager failed on this selector (500), and its database is there"
                raise Misasked(
                    f"{said}: is there an operator in it that MongoDB does not know?",
                    parameter="selector",
                )
        self.fail(answer, QUERY)

    async def lack(self, answer: Answer, place: str, since: str) -> Never:
        """Raise what it means that a page that came with the version `since` gives no answer."""
        if is_missing(answer):
            health = await self.get("/health")
            told = said_by(health)
            if isinstance(told, dict) and "healthy" in told:
                version = told.get("version") or "an older one, which does not say"
                said = f"this Event Manager has no {place}: it came with {since}"
                raise Misasked(f"{said}, and this is {version}", status=UNKNOWN)
        self.fail(answer, place)

    async def need_renewed(self, what: str) -> None:
        """Raise Misasked when the server is older than 0.7.0, which ignores what it does not know.

        Raises Refused where nobody says how old it is.
        """
        health = await self.get("/health")
        version = version_in(health)
        if version is not None and version >= RENEWED:
            return
        if version is None and in_definition(await self.get("/definition")) is None:
            said = f"{self._url} does not tell its version (GET /health, /definition), so it cannot"
            raise Refused(f"{said} be told whether it knows {what}", status=health.status)
        said = f"{what}: only servers since 0.7.0 know this, and this one is older"
        raise Misasked(f"{said}; ask 'query' with since= and until= for a time")

    def shown(
        self,
        place: str,
        params: Mapping[str, str] | None = None,
        selector: Mapping[str, Any] | None = None,
    ) -> str:
        """The request in one line."""
        if selector is None:
            return f"GET {self._client.preview('GET', place, params=params or None).url}"
        text = json.dumps(selector)
        url = self._client.preview("POST", QUERY, json_text=text).url
        return f"POST {url} {text} (this only reads)"

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
