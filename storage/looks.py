"""What the outbox holds, looked at: counts, pages, one entry whole. Awaitable; changes nothing.

Promises: each look is one snapshot, on a read-only connection of a thread of its own, so that
neither the event loop nor an accept waits for it. Raises DiskRefused when the disk does; a look
that meets damage is taken again on the database that takes its place.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from storage import lists
from storage.cached import Queued
from storage.census import Census, census, rates, waiting_in
from storage.delivered import DeliveredPage, Meant, delivered_page
from storage.edit import Editable, editable
from storage.engine import reading_engine
from storage.entry import Pause, Rest
from storage.errors import DiskRefused, disk_refusal, is_damage
from storage.pauses import read_pauses
from storage.queued import PAGE, QueuedPage, queued_page
from storage.resend import Again, judge_again
from storage.rests import read_rests
from storage.wrecks.salvaged import Salvaged, unseen

R = TypeVar("R")


class Looks:
    """Made by `Outbox`, which has it as `looks`."""

    def __init__(
        self,
        path: Path,
        urls: Mapping[str, str],
        *,
        mend: Callable[[BaseException], "Future[None]"],
        salvaging: Callable[[], bool],
    ) -> None:
        """`mend` looks after a database that seems damaged, on the writer's thread."""
        self._engine = reading_engine(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox-reader")
        self._urls = urls
        self._mend = mend
        self._salvaging = salvaging

    def close(self) -> None:
        """Finish the look that is being taken. Blocks."""
        self._thread.shutdown()
        self._engine.dispose()

    async def rates(self, *, now: int) -> dict[str, float]:
        """Entries confirmed in the last minute, per backend."""
        return await self._read(partial(rates, now=now))

    async def rests(self) -> list[Rest]:
        """The rests of the backends as configured now."""
        return await self._read(partial(read_rests, urls=self._urls))

    async def pauses(self) -> list[Pause]:
        """The pauses of all backends."""
        return await self._read(read_pauses)

    async def salvaged(self) -> Salvaged | None:
        """What came of a damaged database, until an operator has seen it."""
        return await self._read(partial(unseen, running=self._salvaging()))

    async def census(self, *, now: int) -> dict[str, Census]:
        """Counts per backend, from the database."""
        return await self._read(partial(census, now=now))

    async def waiting_in(self, scopes: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """How many entries wait in each (backend, scope), up to a limit."""
        return await self._read(partial(waiting_in, scopes=scopes))

    async def list_entries(self, **filters: Any) -> tuple[list[dict[str, Any]], int | None]:
        """A page of entries; filters as in `storage.lists.list_entries`."""
        return await self._read(partial(lists.list_entries, **filters))

    async def list_receipts(self, **filters: Any) -> tuple[list[dict[str, Any]], int | None]:
        """A page of receipts; filters as in `storage.lists.list_receipts`."""
        return await self._read(partial(lists.list_receipts, **filters))

    async def list_losses(self, **filters: Any) -> tuple[list[dict[str, Any]], int | None]:
        """A page of the loss ledger; filters as in `storage.lists.list_losses`."""
        return await self._read(partial(lists.list_losses, **filters))

    async def show(self, id_: str) -> dict[str, Any] | None:
        """Everything about one entry."""
        return await self._read(partial(lists.show_entry, id_=id_))

    async def queued(
        self, backend: str, kinds: Collection[str], *, limit: int = 10_000
    ) -> QueuedPage:
        """What waits of these kinds, with payloads, oldest first: as many as `limit`, in one page.

        Made of several looks, so that none is long.
        """
        entries: list[Queued] = []
        page = QueuedPage([], 0)
        whole = True
        while page.after is not None and len(entries) < limit:
            some = min(PAGE, limit - len(entries))
            look = partial(queued_page, backend=backend, kinds=kinds, limit=some, after=page.after)
            page = await self._read(look)
            entries += page.entries
            whole = whole and page.whole
        return QueuedPage(entries, page.after, whole)

    async def delivered(self, meant: Meant, **page: Any) -> DeliveredPage:
        """A page of receipts as a verb needs them; `page` as for `delivered_page`."""
        return await self._read(partial(delivered_page, meant=meant, **page))

    async def judge_again(self, ids: Sequence[str], **where: Any) -> Again:
        """What sending these again would do; `where` as for `storage.resend.judge_again`."""
        return await self._read(partial(judge_again, ids=ids, **where))

    async def editable(self, id_: str, files: Path) -> Editable | None:
        """An entry as an edit needs it; None: the outbox does not hold it."""
        return await self._read(partial(editable, id_=id_, files=files))

    async def _read(self, look: Callable[[Connection], R]) -> R:
        def run() -> R:
            with self._engine.begin() as connection:
                return look(connection)

        in_readers_thread = partial(asyncio.get_running_loop().run_in_executor, self._thread, run)
        try:
            return await in_readers_thread()
        except Exception as exc:
            if is_damage(exc):
                await asyncio.wrap_future(self._mend(exc))
                return await in_readers_thread()
            if (reason := disk_refusal(exc)) is None:
                raise
            raise DiskRefused(reason) from exc
