"""Entries that operators change, and delivered ones that they bring back. Awaitable.

Promises: durable when answered; the outbox's own counts say so from then on. Raises DiskRefused
when the disk does; nothing is changed then.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from storage.edit import Change, Edited, edit
from storage.gauges import Gauges
from storage.resend import Again, send_again
from storage.wrecks.rescue import Rescue
from storage.writer import Writer

R = TypeVar("R")


class Rework:
    """Made by `Outbox`, which has it as `rework`."""

    def __init__(
        self, writer: Writer, gauges: Gauges, rescue: Rescue, urls: Mapping[str, str]
    ) -> None:
        self._writer = writer
        self._gauges = gauges
        self._rescue = rescue
        self._urls = urls

    async def send_again(
        self,
        ids: Sequence[str],
        *,
        backend: str,
        from_url: str,
        now: int,
        who: str,
        reason: str = "",
    ) -> Again:
        """Bring entries back that were delivered to `from_url`; they go to the backend's url now.

        One transaction: a few hundred ids at a time. Raises DiskRefused also while what a damaged
        database held is being brought back: until then nobody knows all receipts.
        """
        verb = partial(
            send_again,
            ids=ids,
            backend=backend,
            from_url=from_url,
            url=self._urls[backend],
            now=now,
            who=who,
            reason=reason,
        )
        again = await self._call(self._rescue.when_done(verb))
        self._gauges.returned(backend, [one.size for one in again.back])
        return again

    async def edit(self, change: Change, *, now: int, who: str) -> Edited:
        """Give an entry other content; what came of it."""
        url = self._urls.get(change.entry.backend, "")
        edited = await self._call(partial(edit, change=change, url=url, now=now, who=who))
        if edited.outcome == "edited":
            self._gauges.resized(change.entry.backend, change.entry.size - change.old_size)
        return edited

    async def _call(self, verb: Callable[[Connection], R]) -> R:
        return await asyncio.wrap_future(self._writer.call(verb))
