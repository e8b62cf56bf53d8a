"""What a telemetry server does not do yet: each version takes all keys and ignores unknown ones.

Before 0.3.7 a server ignores the `ts` of an event and stamps it when it arrives, before 0.3.5 it
writes every event into its file (telemetry sheet, section 1). Promises: the server is asked before
the first event is sent, and again after it was away, for it may have come back as another one; what
the echo of an event shows is believed more than any version.
"""

import re
from http import HTTPStatus

from adapters.answer import Answer, refusal_of_us
from adapters.http import HttpClient
from adapters.telemetry import wire
from adapters.verdict import Uncertain, Unreachable

Version = tuple[int, int, int]
TIMES_SINCE: Version = (0, 3, 7)
MEMORY_SINCE: Version = (0, 3, 5)  # knows `store_permanently`


class Server:
    """What is known of the server that answers now."""

    def __init__(self, http: HttpClient, url: str) -> None:
        self._http = http
        self._url = url
        self._keeps_times: bool | None = None

    def forget(self) -> None:
        """It was away, or something else answered."""
        self._keeps_times = None

    async def keeps_times(self) -> bool:
        """Does it keep the `ts` that it is sent? False also where nobody can tell.

        Raises Unreachable, Refused or Throttled where it may not be asked: nothing was sent.
        """
        if self._keeps_times is None:
            answer = await self._ready()
            refusal = refusal_of_us(answer, f"{self._url}/ready")
            if refusal is not None:
                raise refusal
            version = version_in(answer)
            self._keeps_times = version is not None and version >= TIMES_SINCE
        return self._keeps_times

    def echoed(self, sent: str, echo: object) -> None:
        """An event was stored: with the `ts` that was sent, or with another one."""
        self._keeps_times = sent == echo

    async def _ready(self) -> Answer:
        try:
            return await self._http.request("GET", "/ready")
        except Uncertain as exc:
            detail = f"nothing was sent, for the server's version cannot be read: {exc.detail}"
            raise Unreachable(detail, status=exc.status, excerpt=exc.excerpt) from exc


def version_in(answer: Answer) -> Version | None:
    """The version in an answer of GET /ready; None: it names none."""
    named = wire.fields_of(answer).get("version") if answer.status == HTTPStatus.OK else None
    found = re.match(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", str(named))
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))
