"""What an entry leaves open ("the current experiment"), found out while it is being accepted.

Promises: a producer waits a moment at most, and only while the backend is there; whatever goes
wrong, the entry is accepted as it is, and what it leaves open is found out before delivery.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from adapters.verdict import DeliveryError
from agent.route import Route
from storage.entry import Entry, Resolution

RESOLVE_SECONDS = 1.0  # of a producer's time
log = structlog.get_logger()


class Resolver:
    """Asks the backends. `online`: may this backend be asked, as far as its lane knows?"""

    def __init__(self, routes: Mapping[str, Route], online: Callable[[str], bool]) -> None:
        self._routes = routes
        self._online = online

    async def resolved(self, entry: Entry) -> Entry:
        """The entry with what it leaves open, or as it is."""
        if not entry.open or not self._online(entry.backend):
            return entry
        found = await self._found(entry)
        return entry if found is None else applied(entry, found)

    async def _found(self, entry: Entry) -> Resolution | None:
        route = self._routes[entry.backend]
        if route.kind.resolve is None:
            return None
        asked = (entry.kind, json.loads(entry.payload), entry.created_at)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                return await route.kind.resolve(route.adapter, *asked)
        except (DeliveryError, TimeoutError):
            return None
        except Exception:  # it must not keep the entry out
            log.exception("adapter.bug", backend=entry.backend, entries=[entry.id])
            return None


def applied(entry: Entry, found: Resolution) -> Entry:
    """The entry in the place where it belongs now that it is known."""
    address = found.address
    return replace(
        entry,
        resolved=found.values,
        open=False,
        stream=address.stream or entry.stream,
        scope=address.scope,
        labels={**address.labels, **entry.labels},
    )
