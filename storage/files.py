"""Files that travel with entries, awaitable: the work is done beside the event loop.

Promises: what `stage` has returned is durable; a folder of an entry exists before its row does and
goes after it. Raises OSError when the disk refuses, and TooLarge.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO, TypeVar

from storage.attachments import AttachmentStore, StagedFile
from storage.entry import Attachment, Entry

R = TypeVar("R")

THREADS = 4


class Files:
    """Made by `Outbox`, which has it as `files`. Its threads serve other work on files, too."""

    def __init__(self, store: AttachmentStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="outbox-files")

    async def run(self, function: Callable[[], R]) -> R:
        """Run blocking file work beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def stage(self, source: BinaryIO, name: str, **about: Any) -> Attachment:
        """Copy a file in, durably; arguments as in `AttachmentStore.stage`."""
        return await self.run(partial(self._store.stage, source, name, **about))

    def open_staged(self, name: str, *, limit: int) -> StagedFile:
        """Begin to take a file in piece by piece."""
        return self._store.open(name, limit=limit)

    async def drop_staged(self, parts: Iterable[Attachment]) -> None:
        """Delete staged files that no entry took."""
        parts = list(parts)
        if parts:
            await self.run(partial(self._store.drop_staged, parts))

    async def keep(self, one: Entry) -> Entry:
        """Give staged files to an entry that is about to be accepted."""
        if not one.attachments:
            return one
        return replace(
            one, attachments=await self.run(partial(self._store.keep, one.id, one.attachments))
        )

    async def drop(self, ids: Iterable[str]) -> None:
        """Delete the files of entries that are gone."""
        ids = list(ids)
        if ids:
            await self.run(partial(self._store.drop, ids))

    def close(self) -> None:
        """Finish what was begun. Blocks."""
        self._threads.shutdown()
