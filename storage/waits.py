"""Why backends are left alone, kept over a restart: their own rests, and operators' pauses.

Awaitable; each verb is one short transaction. Rests belong to (backend, url), pauses to the
backend. Raises DiskRefused when the disk does; nothing is stored then.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from storage import crash, pauses, rests
from storage.entry import Pause, Rest
from storage.writer import Writer

R = TypeVar("R")


class Waits:
    """Made by `Outbox`, which has it as `waits`."""

    def __init__(self, writer: Writer, urls: Mapping[str, str]) -> None:
        self._writer = writer
        self._urls = urls

    async def write_rest(self, rest: Rest) -> None:
        """Remember a rest over a restart."""
        url = self._urls[rest.backend]
        await self._call(partial(rests.write_rest, one=rest, url=url))
        crash.point("rest.written")

    async def end_rest(self, backend: str, scope: str) -> None:
        """Forget a rest."""
        url = self._urls[backend]
        await self._call(partial(rests.end_rest, backend=backend, url=url, scope=scope))

    async def begin_pause(self, one: Pause) -> None:
        """Remember an operator's pause over a restart, with an audit row."""
        await self._call(partial(pauses.begin_pause, one=one))

    async def end_pause(self, backend: str, *, now: int, who: str, reason: str) -> None:
        """Forget a pause, with an audit row."""
        end = partial(pauses.end_pause, backend=backend, now=now, who=who, reason=reason)
        await self._call(end)

    async def forget_pause(self, over: Pause, *, now: int, who: str, reason: str) -> None:
        """Forget a pause whose time has come."""
        forget = partial(pauses.forget_pause, over=over, now=now, who=who, reason=reason)
        await self._call(forget)

    async def move_pause(self, stored: Pause, shown: Pause) -> None:
        """Set the times of a pause right."""
        await self._call(partial(pauses.move_pause, stored=stored, shown=shown))

    async def _call(self, verb: Callable[[Connection], R]) -> R:
        return await asyncio.wrap_future(self._writer.call(verb))
