"""The outbox as the agent sees it: every verb, over lists, awaitable.

Promises: what `accept` has answered survives a power cut, files included; verbs run in the
order in which they were called; nothing here blocks the event loop. Raises DiskRefused when
the disk does; nothing is stored then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from ulid import ULID

from storage import accept as accepting
from storage import amend, claim, crash, lists, loss, scopes, settle, undelivered
from storage.attachments import AttachmentStore
from storage.census import AT_ONCE, census, next_due
from storage.database import Database, Tell
from storage.entry import Accepted, Claim, Entry, Wanted
from storage.errors import DiskRefused
from storage.files import Files
from storage.gauges import Gauges
from storage.kept import are_kept
from storage.lock import InstanceLock
from storage.looks import Looks
from storage.reserve import Reserve
from storage.rework import Rework
from storage.settlement import Settlement, Supersede
from storage.states import State
from storage.upkeep import Upkeep
from storage.waits import Waits
from storage.wrecks.damage import Damage
from storage.wrecks.rescue import Rescue
from storage.wrecks.salvaged import mark_seen
from storage.writer import Writer

R = TypeVar("R")

DATABASE = "outbox.db"
LOCK = "agent.lock"
ATTACHMENTS = "attachments"


def wall_clock() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Outbox:
    """One host's outbox. Opened once; the instance lock is held until `close`.

    `files` keeps attachments, `looks` shows what it holds, `waits` keeps why backends are left
    alone, `rework` changes entries and brings them back, `upkeep` is what time does to it.
    `waiting`, `size`, `delivered`: entries, bytes and confirms per backend, without a look.
    """

    def __init__(
        self,
        state_dir: Path,
        urls: Mapping[str, str],
        *,
        now: Callable[[], int] = wall_clock,
        tell: Tell = lambda _, **__: None,
    ) -> None:
        """Take the lock and open the database, or a fresh one if it is damaged. Blocks.

        `tell` hears of damage, as a log does: an event and what is known about it. Raises
        AlreadyRunning, SchemaError, DiskRefused, OSError.
        """
        self.urls = dict(urls)
        self.lock = InstanceLock(state_dir / LOCK)
        self.lock.take()
        try:
            path = state_dir / DATABASE
            self._database = Database(path, now=now, tell=tell)
            self._reserve = Reserve(state_dir)
            self._open(self._database)
            self._reserve.hold()
            self._engine = self._database.engine
            self.kept_copy = self._database.kept_copy
            self.attachments = AttachmentStore(state_dir / ATTACHMENTS)
        except BaseException:
            self.lock.release()
            raise
        self._writer = Writer(self._engine, self._mend, self._reserve)
        self.files = Files(self.attachments)
        self._token = str(ULID())
        # Fixed once, so that the writer recognises neighbours that it can run as one list.
        self._accept_verb = partial(accepting.accept, urls=self.urls)
        self._accepting: set[asyncio.Task[Sequence[Accepted]]] = set()
        self._gauges = Gauges()
        self._out: set[str] = set()  # claims on the wire
        self._rescue = Rescue(
            self._database,
            self._writer,
            self._gauges,
            urls=self.urls,
            token=self._token,
            out=self._out,
            now=now,
            tell=tell,
        )
        self.looks = Looks(
            path, self.urls, mend=self._begin_mending, salvaging=lambda: self.salvaging
        )
        self.waits = Waits(self._writer, self.urls)
        self.rework = Rework(self._writer, self._gauges, self._rescue, self.urls)
        self.upkeep = Upkeep(
            self._database,
            self._writer,
            self._reserve,
            self._gauges,
            files=self.files,
            condemn=self._condemn,
        )
        self.waiting = self._gauges.waiting
        self.size = self._gauges.size
        self.delivered = self._gauges.delivered

    def _open(self, database: Database) -> None:
        try:
            database.open()
        except (DiskRefused, OSError) as exc:
            if not self._reserve.helps(exc) or not self._reserve.give_up():
                raise
            database.open()

    def recover(self, now: int) -> tuple[int, int]:
        """Reclaim claims and sweep orphaned files; return how many of each. Blocks.

        What a damaged database held comes back from here on, beside everything else.
        """
        reclaimed = self._writer.call(partial(settle.reclaim, now=now)).result()
        crash.point("reclaim.committed")
        swept = self.attachments.sweep(self._hold_files)
        crash.point("reclaim.swept")
        self._gauges.begin(self._writer.call(partial(census, now=now)).result())
        self._rescue.begin()
        return reclaimed, swept

    def _hold_files(self, ids: list[str]) -> set[str]:
        """Of these, the entries that live; all, as long as some may still come back."""
        if self._rescue.busy:
            return set(ids)
        live = self._writer.call(partial(amend.look_up, ids=ids)).result()
        return {*live, *self._writer.call(partial(are_kept, ids=ids)).result()}

    @property
    def salvaging(self) -> bool:
        """Is what a damaged database held still being brought back? Then nothing is claimed."""
        return self._rescue.busy

    def before_deliveries(self, act: Callable[[], None]) -> None:
        """Called in another thread, when all of a damaged database is back and nothing left yet."""
        self._rescue.before_gate = act

    def finish_salvage(self) -> None:
        """Wait until everything readable of a damaged database is back. Blocks."""
        self._rescue.join()

    async def accept(self, entries: Sequence[Entry]) -> Sequence[Accepted]:
        """Store entries durably, in order; one outcome each.

        A caller that gives up meanwhile interrupts nothing: entries and their files are
        stored together, or not at all.
        """
        accepting = asyncio.create_task(self._accept(entries))
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)
        return await asyncio.shield(accepting)

    async def _accept(self, entries: Sequence[Entry]) -> Sequence[Accepted]:
        try:
            kept = [await self.files.keep(one) for one in entries]
            outcomes = await asyncio.wrap_future(self._writer.put(self._accept_verb, kept))
        except Exception:
            # Not for a cancellation: the writer may be storing them at this moment.
            await self.files.drop(one.id for one in entries if one.attachments)
            raise
        accepting.pass_points(entries)
        self._gauges.accepted(entries, outcomes)
        taken = {one.id for one in outcomes if one.state == "accepted"}
        gone = [one.id for one in entries if one.attachments and one.id not in taken]
        gone += [one.replaced_id for one in outcomes if one.replaced_id is not None]
        await self.files.drop(gone)
        return outcomes

    def claim(self, backend: str, wanted: Wanted, *, now: int) -> Awaitable[list[Claim]]:
        """Lease due entries; queued at once, before the result is awaited."""
        verb = partial(
            claim.claim,
            backend=backend,
            wanted=wanted,
            token=self._token,
            now=now,
            attachments=self.attachments.root,
        )
        none: list[Claim] = []
        future = self._writer.call(self._rescue.when_done(verb, instead=none))
        future.add_done_callback(self._note_claims)
        return asyncio.wrap_future(future)

    def _note_claims(self, future: "Future[list[Claim]]") -> None:
        if not future.cancelled() and future.exception() is None:
            self._out.update(one.id for one in future.result())

    def settle(
        self, backend: str, settlements: Sequence[Settlement], *, now: int
    ) -> Awaitable[Sequence[bool]]:
        """Settle claims; queued at once. False: the claim was no longer ours."""
        verb = partial(
            settle.settle,
            settlements=settlements,
            backend=backend,
            url=self.urls[backend],
            token=self._token,
            now=now,
        )
        return self._settled(backend, settlements, self._writer.call(self._rescue.when_done(verb)))

    async def _settled(
        self, backend: str, settlements: Sequence[Settlement], future: "Future[list[bool]]"
    ) -> Sequence[bool]:
        done = await asyncio.wrap_future(future)
        self._out.difference_update(one.claim.id for one in settlements)
        ended = [one for one, ours in zip(settlements, done, strict=True) if ours]
        settle.pass_points(ended)
        self._gauges.settled(backend, ended)
        gone = [one.claim for one in ended if settle.leaves_nothing(one)]
        await self.files.drop(one.id for one in gone if one.attachments)
        return done

    async def supersede_alike(self, backend: str, one: Supersede, *, now: int) -> int:
        """What waits behind a superseded entry and is as worthless leaves, too; how many did.

        None, where none of those that are looked at in one transaction is.
        """
        verb = partial(undelivered.supersede_alike, backend=backend, one=one, now=now)
        none: Sequence[tuple[str, int]] = []
        gone = await self._call(self._rescue.when_done(verb, instead=none))
        self._gauges.discarded(amend.Found(backend, State.PENDING, size) for _, size in gone)
        await self.files.drop(id_ for id_, _ in gone)
        return len(gone)

    async def note_send(self, claims: Sequence[Claim], *, now: int) -> None:
        """Entries in doubt are about to be sent again."""
        verb = partial(settle.note_send, claims=claims, token=self._token, now=now)
        await self._call(self._rescue.when_done(verb))

    async def retry(
        self, ids: Sequence[str], *, now: int, who: str, due_at: int = 0
    ) -> list[State | None]:
        """Dead letters wait again, from `due_at` on; waiting entries are due now.

        The state each was found in.
        """
        found = await self._call(partial(amend.retry, ids=ids, now=now, who=who, due_at=due_at))
        self._gauges.retried(found.values())
        return _states(ids, found)

    async def hold(
        self, ids: Sequence[str], *, now: int, who: str, reason: str = ""
    ) -> list[State | None]:
        """Waiting entries wait for an operator; the state each was found in."""
        verb = partial(amend.hold, ids=ids, now=now, who=who, reason=reason)
        return _states(ids, await self._call(verb))

    async def release(
        self, ids: Sequence[str], *, now: int, who: str, reason: str = ""
    ) -> list[State | None]:
        """Held entries wait for delivery again; the state each was found in."""
        verb = partial(amend.release, ids=ids, now=now, who=who, reason=reason)
        return _states(ids, await self._call(verb))

    async def discard(self, ids: Sequence[str], *, now: int, who: str) -> list[State | None]:
        """Delete entries that are not in flight; the state each was found in."""
        found = await self._call(partial(amend.discard, ids=ids, now=now, who=who))
        self._gauges.discarded(found.values())
        await self.files.drop(i for i, one in found.items() if one.state is not State.LEASED)
        return _states(ids, found)

    async def drop_oldest(self, backend: str, need: int, *, now: int) -> int:
        """Give up the oldest entries of `backend`, on the ledger, for `need` bytes; how many went.

        None, when all that may go would not be enough.
        """
        count = 0
        while need > 0:
            verb = partial(loss.drop_oldest, backend=backend, need=need, now=now)
            gone = await self._call(verb)
            if not gone:
                break
            self._gauges.lost(backend, gone)
            await self.files.drop(one.id for one in gone)
            need -= sum(one.size for one in gone)
            count += len(gone)
        return count

    async def next_due(self, backend: str, *, after: int = AT_ONCE) -> int | None:
        """When the earliest waiting head is due, of those due later than `after`; None: none."""
        return await self._call(partial(next_due, backend=backend, after=after))

    async def ping(self) -> None:
        """Return when the writer thread has answered."""
        await self._call(lambda _: None)

    async def holds_receipt(self, backend: str, remote_ids: list[str]) -> set[str]:
        """Which remote ids a receipt of this backend holds already."""
        url = self.urls[backend]
        verb = partial(lists.holds_receipt, backend=backend, url=url, remote_ids=remote_ids)
        return await self._call(self._rescue.when_done(verb))

    async def have_worked(self, backend: str, named: Collection[str]) -> set[str]:
        """Those scopes that have taken an entry before."""
        url = self.urls[backend]
        return await self._call(partial(scopes.have_worked, backend=backend, url=url, scopes=named))

    async def see_salvaged(self, *, now: int) -> int:
        """An operator has seen what was told of damage; how many times it was."""
        return await self._call(partial(mark_seen, now=now))

    def close(self) -> None:
        """Finish what was asked, close the database cleanly, release the lock. Blocks."""
        self._rescue.end()
        self._writer.close()
        self.looks.close()
        self.files.close()
        self._database.close()
        self.lock.release()

    async def _call(self, verb: Callable[[Connection], R]) -> R:
        return await asyncio.wrap_future(self._writer.call(verb))

    def _mend(self, raised: BaseException) -> bool:
        """On the writer's thread. True: the database was damaged, and another one is in use."""
        if not self._database.mend(raised):
            return False
        self._salvage()
        return True

    def _begin_mending(self, raised: BaseException) -> "Future[None]":
        def mend() -> None:
            self._mend(raised)

        return self._writer.between(mend)

    def _condemn(self, damage: Damage, life: int) -> None:
        """On the writer's thread: another database takes the place of the damaged one."""
        if self._database.lives == life:
            self._database.condemn(damage)
            self._salvage()

    def _salvage(self) -> None:
        self._gauges.begin({})
        self._rescue.begin()


def _states(ids: Sequence[str], found: Mapping[str, amend.Found]) -> list[State | None]:
    return [found[id_].state if id_ in found else None for id_ in ids]
