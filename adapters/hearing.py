"""How far a request has come, as its connection tells it: what was provably not sent."""

from collections.abc import Mapping
from typing import Any

from storage import crash


class Hearing:
    """Hears from a connection how far a request has come (httpx: the extension `trace`)."""

    def __init__(self) -> None:
        self._last = ""

    async def __call__(self, event: str, _: Mapping[str, Any]) -> None:
        """Called for every step, with its name."""
        self._last = event
        if event.endswith("send_request_body.complete"):
            crash.point("send.out")

    @property
    def connecting(self) -> bool:
        """Is making the connection the last that was heard of, its end not included?

        Should the events get other names one day, this is False, and an error Uncertain.
        """
        making = self._last.startswith(("connection.connect_tcp.", "connection.start_tls."))
        return making and not self._last.endswith(".complete")
