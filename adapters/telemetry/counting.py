"""Finding out by the server's count whether an event of ours has landed.

Each event takes the next `seq`, a probe too, which is otherwise invisible: in no file, not
current. So where nobody else posts, the seq of a probe tells what landed since the server last
told us one (telemetry sheet, section 8). Promises: never more than that is concluded; a server
before 0.3.5, which would write a probe into its file, gets none. What cannot be decided is told
as None: after a restart of ours or of the server, or when answers of probes were lost as well.
"""

import json
from collections.abc import Mapping
from typing import Any

from adapters.answer import Answer, refusal_of_us
from adapters.http import HttpClient
from adapters.telemetry import wire
from adapters.telemetry.versions import MEMORY_SINCE, version_in
from adapters.verdict import Refused, Rejected, Uncertain, Unreachable

PROBE: Mapping[str, Any] = {
    "type": "_probe",
    "data": {},
    "make_current": False,
    "store_permanently": False,
    "meta": {"event_id": "holdfast-probe"},
}


class Count:
    """Where the count of one server stands, as far as it is known. Lives as long as we do.

    `_seq`: the last one told to us. Since then: `_lost` probes may have been counted without an
    answer, and `_open` is the one event that was posted and may have been.
    """

    def __init__(self, http: HttpClient, url: str) -> None:
        self._http = http
        self._url = url
        self._seq: int | None = None
        self._lost = 0
        self._open: str | None = None
        self._landed: str | None = None

    def forget(self) -> None:
        """Another count goes on from here, or others have counted: a run has its own."""
        self._seq, self._lost, self._open = None, 0, None

    async def open(self, event_id: str) -> None:
        """An event is about to be posted: know where the count stands, if that can be known.

        Raises Unreachable, Refused, Throttled where it cannot be asked: then nothing was sent.
        """
        if self._open not in (None, event_id):
            self.forget()
        if self._seq is None:
            await self._begin()
        self._open = event_id

    def stored(self, seq: int) -> None:
        """The server told the seq of the event that was open."""
        self._seq, self._lost, self._open = seq, 0, None

    def judged(self) -> None:
        """The server refused the event that was open, and so did not count it."""
        self._open = None

    async def has(self, event_id: str) -> bool | None:
        """Has the server counted the event? None: that cannot be told.

        Raises Unreachable, Refused, Throttled, Uncertain when it cannot be asked.
        """
        if event_id == self._landed:
            return True
        if self._seq is None or self._open != event_id:
            return None
        before, lost = self._seq, self._lost
        after = await self._probe()
        if after is None:
            return None
        between = after - before - 1
        if between == 0:
            return False
        if between != lost + 1:
            return None  # the event or a lost probe; or others, or the server has begun again
        self._landed, self._open = event_id, None
        return True

    async def _begin(self) -> None:
        self.forget()
        try:
            await self._probe()
        except (Uncertain, Rejected) as exc:
            self.forget()
            detail = f"the event was not sent, for the server's count cannot be read: {exc.detail}"
            raise Unreachable(detail, status=exc.status, excerpt=exc.excerpt) from exc
        except Refused as exc:
            exc.landed = False  # that was the probe, not the event
            raise

    async def _probe(self) -> int | None:
        """Post a probe: its seq is where the count stands. None: this server takes none."""
        ready = await self._http.request("GET", "/ready")
        if not takes_probes(ready, f"{self._url}/ready"):
            return None
        self._lost += 1
        try:
            answer = await self._http.request("POST", "/event", json_text=json.dumps(PROBE))
        except Unreachable:
            self._lost -= 1
            raise
        self._seq = wire.prove(answer, PROBE, f"{self._url}/event")
        self._lost = 0
        return self._seq


def takes_probes(answer: Answer, url: str) -> bool:
    """Read an answer of GET /ready, each time: another version may have been started since.

    Raises Refused, Throttled, Uncertain; False also for an answer that names no version.
    """
    if refusal_of_us(answer, url) is not None or wire.is_lost(answer):
        raise wire.unread(answer, url)
    version = version_in(answer)
    return version is not None and version >= MEMORY_SINCE
