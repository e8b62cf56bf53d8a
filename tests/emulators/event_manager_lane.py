"""The least of a lane for tests of the event_manager adapter: a site, and verdicts as values.

Also a server with one canned answer, for what no Event Manager would ever say.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.base import AuthOptions, Site, TlsOptions
from adapters.event_manager import EventManagerAdapter, Options
from adapters.verdict import DeliveryError, Verdict
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW

METHODS = ["GET", "POST"]


@dataclass
class Canned:
    """A server that gives one and the same answer to everything."""

    status: int = 200
    body: str = ""
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=METHODS)])

    async def _answer(self, _: Request) -> Response:
        return Response(self.body, self.status, self.headers, self.media_type)

    def ledger(self) -> list[dict[str, Any]]:
        return []

    def become(self, other: "Canned") -> None:
        vars(self).update(vars(other))


def site_for(
    url: str, *, limit: float = 10, now: Callable[[], int] = lambda: NOW, **options: Any
) -> Site:
    return Site(
        name="events",
        url=url,
        timeout_seconds=limit,
        attempt_timeout_seconds=limit,
        concurrency=4,
        auth=AuthOptions(),
        tls=TlsOptions(),
        options=Options(**options),
        read_secret=lambda name: name,
        now=now,
    )


@asynccontextmanager
async def adapter_for(
    url: str, *, limit: float = 10, zone: tzinfo | None = None, **site: Any
) -> AsyncIterator[EventManagerAdapter]:
    """`site`: its `now` and the backend's options."""
    adapter = EventManagerAdapter(site_for(url, limit=limit, **site), zone)
    yield adapter
    await adapter.close()


async def verdict(adapter: EventManagerAdapter, claim: Claim) -> Verdict:
    try:
        (only,) = await adapter.deliver([claim])
    except DeliveryError as exc:
        return exc
    return only


async def found(adapter: EventManagerAdapter, claim: Claim) -> list[Receipt] | DeliveryError:
    try:
        return list(await adapter.find(Doubt(claim, first_sent_at=NOW, last_sent_at=NOW)))
    except DeliveryError as exc:
        return exc
