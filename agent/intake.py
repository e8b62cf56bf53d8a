"""Intake: bytes from any door -> a judged entry -> accepted.

Promises: an entry is stored only if its backend could take it (the adapter's strict model
has judged it), and `accept` answers only after the fsynced commit. A Refusal stores nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, BinaryIO

from adapters.base import BackendKind
from agent.clock import Clock
from agent.draft import Bounds, Draft
from agent.judging import Judge
from agent.refusal import FieldError, Refusal, no_room, too_large, unfit
from agent.room import Room
from storage.attachments import TooLarge
from storage.entry import Accepted, Attachment, Entry
from storage.errors import DiskRefused
from storage.outbox import Outbox

Outcome = Accepted | Refusal


class Intake:
    """Judges and accepts. One for all doors."""

    def __init__(
        self,
        outbox: Outbox,
        backends: Mapping[str, BackendKind],
        *,
        clock: Clock,
        bounds: Bounds,
        wake: Callable[[str], None],
        options: Mapping[str, Any] | None = None,
        resolve: Callable[[Entry], Awaitable[Entry]] | None = None,
    ) -> None:
        """`wake` is told the backend of each new entry after its commit.

        `options`: of each backend, for what only the settings decide. `resolve` finds out what
        an entry leaves open, and always comes back soon.
        """
        self._outbox = outbox
        self._backends = backends
        self._clock = clock
        self._bounds = bounds
        self._wake = wake
        self._resolve = resolve
        self._judge = Judge(backends, options or {}, clock, bounds, outbox.attachments)
        self._room = Room(outbox, bounds, list(backends))

    def knows(self, backend: str) -> bool:
        """Is there such a backend?"""
        return backend in self._backends

    def kinds(self, backend: str) -> Collection[str]:
        """The kinds of entry that a backend takes, aliases included."""
        return self._judge.kinds(backend)

    def judge(self, draft: Draft) -> Entry:
        """The entry that `draft` makes. Raises Refusal; blocks (parsing, embedded attachments)."""
        return self._judge.judge(draft)

    async def accept(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """Store entries durably, in order; one outcome each. Never raises a Refusal."""
        refusals = await self._room.reserve(entries, now=self._clock.now())
        wanted = [one for one in entries if one.id not in refusals]
        outcomes: dict[str, Outcome] = {**refusals, **await self._store(wanted)}
        refused = [one for one in entries if isinstance(outcomes[one.id], Refusal)]
        await self.drop(part for one in refused for part in one.attachments)
        return [outcomes[one.id] for one in entries]

    async def _store(self, entries: Sequence[Entry]) -> dict[str, Outcome]:
        """Outcomes by id, in one transaction: what the disk refuses, it refuses for all."""
        try:
            taken = await self._outbox.accept(await self._closed(entries)) if entries else []
        except (DiskRefused, OSError) as exc:
            refused = no_room(f"the disk does not take it: {exc}; nothing was stored")
            return {one.id: refused for one in entries}
        finally:
            self._room.release(entries)
        outcomes: dict[str, Outcome] = {}
        for one, answer in zip(entries, taken, strict=True):
            outcomes[one.id] = _told(one, answer)
            if answer.state in ("accepted", "retried"):
                self._wake(one.backend)
        return outcomes

    async def _closed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The entries with what they left open, as far as that can be found out at once."""
        if self._resolve is None or not any(one.open for one in entries):
            return entries
        return await asyncio.gather(*(self._resolve(one) for one in entries))

    async def stage(
        self,
        source: BinaryIO,
        name: str,
        *,
        media_type: str | None = None,
        description: str | None = None,
    ) -> Attachment:
        """Copy a file in, durably. Raises Refusal (413, 507)."""
        limit = self._bounds.max_attachment_bytes
        try:
            return await self._outbox.files.stage(
                source, name, limit=limit, media_type=media_type, description=description
            )
        except TooLarge as exc:
            raise too_large(f"the attachment {name!r}", limit) from exc
        except OSError as exc:
            raise no_room(f"the disk does not take {name!r}: {exc.strerror}") from exc

    async def drop(self, files: Iterable[Attachment]) -> None:
        """Forget staged files that no entry took."""
        await self._outbox.files.drop_staged(files)

    def waiting(self, backend: str) -> int:
        """How many entries wait for this backend, the last accepted included."""
        return self._outbox.waiting[backend]


def _told(one: Entry, answer: Accepted) -> Outcome:
    """What the producer hears of the outbox's answer."""
    match answer.state:
        case "conflict":
            detail = f"the key {answer.key!r} belongs to entry {answer.id}, which has other content"
            return Refusal(HTTPStatus.CONFLICT, detail, [FieldError("/key", detail)])
        case "orphan":
            detail = (
                f"it is to wait for {one.waits_for!r}, and no entry of {one.backend} with that id"
                " or key waits here or was delivered: hand that one in first"
            )
            return unfit([FieldError("", detail)])
        case _:
            return answer


async def judge_in_thread(
    intake: Intake, outbox: Outbox, drafts: Sequence[Draft]
) -> list[Entry | Refusal]:
    """Judge many drafts beside the event loop; refusals stand in their entry's place."""
    return await outbox.files.run(partial(_judge_all, intake, drafts))


def _judge_all(intake: Intake, drafts: Sequence[Draft]) -> list[Entry | Refusal]:
    judged: list[Entry | Refusal] = []
    for draft in drafts:
        try:
            judged.append(intake.judge(draft))
        except Refusal as refusal:
            judged.append(refusal.alone())
    return judged
