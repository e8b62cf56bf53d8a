"""What time does to the outbox: what expires, what a clock has put wrong, what the disk gets back.

Awaitable; runs on the writer's connection in short transactions, so that entries come in between.
Promises: only dead letters that expired by a wrong clock come back by themselves; nothing is
forgotten before its time. Raises DiskRefused when the disk does.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from storage import amend, crash
from storage.database import Database
from storage.engine import checkpoint, give_back
from storage.entry import Stamp
from storage.files import Files
from storage.gauges import Gauges
from storage.kept import forget_kept
from storage.reserve import Reserve
from storage.retention import expire_receipts
from storage.times import Corrected, correct_times
from storage.wrecks.damage import Damage
from storage.writer import Writer

R = TypeVar("R")


class Upkeep:
    """Made by `Outbox`, which has it as `upkeep`."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        reserve: Reserve,
        gauges: Gauges,
        *,
        files: Files,
        condemn: Callable[[Damage, int], None],
    ) -> None:
        """`condemn` puts another database in the place of a damaged one, on the writer's thread.

        It is told in which life of the database the damage was seen.
        """
        self._database = database
        self._writer = writer
        self._reserve = reserve
        self._gauges = gauges
        self._files = files
        self._condemn = condemn

    async def expire(self, *, now: int) -> list[str]:
        """Entries past their own `expires_at` become dead letters; their ids."""
        gone: list[str] = []
        while some := await self._call(partial(amend.expire, now=now)):
            self._gauges.expired(backend for _, backend in some)
            gone += [id_ for id_, _ in some]
        return gone

    async def unexpire(self, *, now: int) -> list[str]:
        """What expired by a clock that was ahead waits again; their ids."""
        back = await self._call(partial(amend.unexpire, now=now))
        self._gauges.unexpired(backend for _, backend in back)
        return [id_ for id_, _ in back]

    async def correct_times(self, right: Stamp) -> Corrected:
        """Set the times right that this boot stamped while its clock was not synchronised."""
        looked_at = corrected = shift_ms = 0
        while (some := await self._call(partial(correct_times, right=right))).looked_at:
            looked_at += some.looked_at
            corrected += some.corrected
            shift_ms = some.shift_ms or shift_ms
        return Corrected(looked_at, corrected, shift_ms)

    async def expire_receipts(self, *, before: int) -> int:
        """Forget receipts delivered before `before`; how many."""
        return await self._call(partial(expire_receipts, before=before))

    async def forget_payloads(self, *, before: int | None = None) -> int:
        """Forget some payloads kept of what was delivered, oldest first; how many.

        Only what was delivered before `before`, if that is given.
        """
        gone = await self._call(partial(forget_kept, before=before))
        await self._files.drop(gone)
        return len(gone)

    async def clamp_due(self, backend: str, *, now: int, horizon: int) -> None:
        """What is due after `horizon` was written by a wrong clock: make it due at `now`."""
        await self._call(partial(amend.clamp_due, backend=backend, now=now, horizon=horizon))

    async def shift_due(self, backend: str, *, by: int) -> None:
        """The wall clock was set by so many ms: what is due later keeps its distance from now."""
        await self._call(partial(amend.shift_due, backend=backend, by=by))

    async def checkpoint(self) -> None:
        """Return free pages, cut the log, keep the reserve. On the writer's connection.

        A few pages at a time: entries come in between.
        """
        await asyncio.wrap_future(self._writer.between(self._reserve.hold))
        engine = self._database.engine
        while await asyncio.wrap_future(self._writer.between(partial(give_back, engine))):
            pass
        crash.point("checkpoint.vacuumed")
        await asyncio.wrap_future(self._writer.between(partial(checkpoint, engine)))

    async def examine(self) -> None:
        """Look at every page and index, beside everything else; on damage begin anew."""
        life = self._database.lives
        damage = await self._files.run(self._database.examine)
        if damage is not None:
            condemn = partial(self._condemn, damage, life)
            await asyncio.wrap_future(self._writer.between(condemn))

    async def _call(self, verb: Callable[[Connection], R]) -> R:
        return await asyncio.wrap_future(self._writer.call(verb))
