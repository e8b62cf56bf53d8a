"""Room for new entries: the budgets of outbox and backends, and what the disk has left.

Promises: entries that are on their way into the database count already, so that many producers
at once cannot pass a budget together; of the whole, a part is set aside for each backend that no
other can fill, so that a flood for one never gets an entry of another refused; only a backend
that is told to gives up old entries for new ones, and only its own.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.draft import Bounds
from agent.refusal import Refusal, no_room
from storage.entry import Entry
from storage.outbox import Outbox

LARGEST_SHARE = 2**30  # bytes set aside for one backend at most, however large the whole is
TRIES = 3  # others may take what was freed before we do
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Whole:
    """Bytes that all entries together may take, and why no more."""

    size: int
    told: str


@dataclass(slots=True)
class Plan:
    """What becomes of some entries: who is refused, who comes, and who has to give up how much."""

    refusals: dict[str, Refusal] = field(default_factory=dict)
    coming: Counter[str] = field(default_factory=Counter)
    needs: Counter[str] = field(default_factory=Counter)


class Room:
    """Says who may come in. Used by one event loop."""

    def __init__(self, outbox: Outbox, bounds: Bounds, backends: Sequence[str]) -> None:
        self._outbox = outbox
        self._bounds = bounds
        self._backends = backends
        self._coming: Counter[str] = Counter()

    async def reserve(self, entries: Sequence[Entry], *, now: int) -> dict[str, Refusal]:
        """Keep room for the entries, in order; a Refusal (507) by id for each that has none."""
        for _ in range(TRIES):
            plan = self._plan(entries, may_drop=True)
            if not plan.needs:
                break
            for backend, need in plan.needs.items():
                count = await self._outbox.drop_oldest(backend, need, now=now)
                if count:
                    log.warning("entries.dropped", backend=backend, count=count)
        else:
            plan = self._plan(entries, may_drop=False)
        self._coming += plan.coming
        return plan.refusals

    def release(self, entries: Iterable[Entry]) -> None:
        """The entries have come in, or will not come: the outbox's own counts say so."""
        for one in entries:
            self._coming[one.backend] -= one.size

    def _plan(self, entries: Sequence[Entry], *, may_drop: bool) -> Plan:
        plan = Plan()
        whole = self._whole()
        for one in entries:
            size = one.size
            missing, refusal = self._missing(one.backend, size, whole, plan.coming)
            if missing <= 0:
                plan.coming[one.backend] += size
            elif may_drop and self._can_drop(one.backend, missing):
                plan.coming[one.backend] += size
                plan.needs[one.backend] = max(plan.needs[one.backend], missing)
            else:
                plan.refusals[one.id] = refusal
        return plan

    def _whole(self) -> Whole | None:
        """What all entries together may take, as far as anything bounds them."""
        most, least = self._bounds.max_outbox_bytes, self._bounds.min_free_bytes
        bounds = [Whole(most, f"the outbox may hold {most} bytes")] if most else []
        if least:
            free = free_bytes(self._outbox.attachments.root)
            left = self._held(Counter()).total() + max(0, free - least)
            told = f"{free} bytes are free on the disk, of which {least} stay free"
            bounds.append(Whole(left, told))
        return min(bounds, default=None, key=lambda one: one.size)

    def _held(self, more: Counter[str]) -> Counter[str]:
        return self._outbox.size + self._coming + more

    def _missing(
        self, backend: str, size: int, whole: Whole | None, more: Counter[str]
    ) -> tuple[int, Refusal]:
        """How many bytes are missing for an entry (0 or less: none), and how that is told."""
        held = self._held(more)
        own = self._bounds.max_backend_bytes.get(backend, 0)
        beyond = held[backend] + size - own
        if own and beyond > 0:
            detail = f"the outbox may hold {own} bytes for {backend}, and has {held[backend]}"
            return beyond, no_room(f"{detail}; deliveries go on")
        if whole is None:
            return 0, no_room("")
        share = min(whole.size // (2 * max(1, len(self._backends))), LARGEST_SHARE)
        names = {*self._backends, *held, backend}
        taken = sum(max(held[one] + size * (one == backend), share) for one in names)
        detail = (
            f"{whole.told}; entries take {held.total()} and {share} are set aside for each"
            " backend; nothing was stored, deliveries go on"
        )
        return taken - whole.size, no_room(detail)

    def _can_drop(self, backend: str, missing: int) -> bool:
        """Would giving up old entries help? Never for one that is larger than all of them."""
        return backend in self._bounds.drop_oldest and missing <= self._outbox.size[backend]


def free_bytes(folder: Path) -> int:
    """What a plain user may still write on the file system of `folder`."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
