"""Room for new entries: the budgets of outbox and backends, and what the disk has left.

Promises: entries that are on their way into the database count already, so that many
producers at once cannot pass a budget together.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.draft import Bounds
from agent.refusal import Refusal, no_room
from storage.entry import Entry
from storage.outbox import Outbox


class Room:
    """Says who may come in. Used by one event loop."""

    def __init__(self, outbox: Outbox, bounds: Bounds) -> None:
        self._outbox = outbox
        self._bounds = bounds
        self._coming: Counter[str] = Counter()

    def reserve(self, entries: Sequence[Entry]) -> dict[str, Refusal]:
        """Keep room for the entries, in order; a Refusal (507) by id for each that has none."""
        disk = self._disk()
        if disk is not None:
            return {one.id: disk for one in entries}
        held = self._outbox.size.total() + self._coming.total()
        refusals = {}
        for one in entries:
            size = one.size
            refused = self._refused(one.backend, size, held)
            if refused is not None:
                refusals[one.id] = refused
                continue
            self._coming[one.backend] += size
            held += size
        return refusals

    def release(self, entries: Iterable[Entry]) -> None:
        """The entries have come in, or will not come: the outbox's own counts say so."""
        for one in entries:
            self._coming[one.backend] -= one.size

    def _disk(self) -> Refusal | None:
        least = self._bounds.min_free_bytes
        if least and free_bytes(self._outbox.attachments.root) < least:
            return no_room(f"less than {least} bytes are free on the disk; nothing was stored")
        return None

    def _refused(self, backend: str, size: int, held: int) -> Refusal | None:
        most = self._bounds.max_outbox_bytes
        if most and held + size > most:
            return no_room(f"the outbox may hold {most} bytes, and has {held}; deliveries go on")
        own = self._bounds.max_backend_bytes.get(backend, 0)
        has = self._outbox.size[backend] + self._coming[backend]
        if own and has + size > own:
            detail = f"the outbox may hold {own} bytes for {backend}, and has {has}"
            return no_room(f"{detail}; deliveries go on")
        return None


def free_bytes(folder: Path) -> int:
    """What a plain user may still write on the file system of `folder`."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
