"""Salvage what damaged databases held, in a thread of its own, while entries come in.

Promises: nothing is claimed, and no receipt asked for, before everything readable is back
(`busy`), so that nothing is delivered twice or out of order; accepts wait for one short
transaction at most; a crash in the middle only means that it is done again; what is lost is
counted, and named where it can be.
"""

import errno
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, insert

from storage import crash
from storage.database import Database, Tell
from storage.errors import DiskRefused
from storage.gauges import Gauges
from storage.schema import salvage as salvage_table
from storage.wrecks import salvage
from storage.wrecks.damage import REPORT, cause_of, unsalvaged
from storage.wrecks.salvage import Restored, Row, Terms
from storage.wrecks.wreck import Wreck, open_wreck
from storage.writer import Writer

T = TypeVar("T")

CHUNK = 500  # rows in one transaction: accepts wait for it
LISTED = 1000  # lost entries that the database names; the file beside the wreck names all
LOST = "lost.ndjson"
PAUSE_SECONDS = 1.0
FULL = (errno.ENOSPC, errno.EDQUOT)


class Ended(Exception):
    """The agent stops, or the database was begun anew once more: this pass is void."""


@dataclass(slots=True)
class Tally:
    """What one wreck gave."""

    entries: int = 0
    receipts: int = 0
    lost: list[Row] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)


class Rescue:
    """Goes through `damaged/`. Made by `Outbox`; `begin` on any thread."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        gauges: Gauges,
        *,
        urls: Mapping[str, str],
        token: str,
        out: Collection[str],
        now: Callable[[], int],
        tell: Tell,
    ) -> None:
        """`out`: ids of the claims that are on the wire, kept up to date by others."""
        self.busy = bool(unsalvaged(database.path.parent))
        self.before_gate: Callable[[], None] = lambda: None
        self._database = database
        self._writer = writer
        self._gauges = gauges
        self._urls = urls
        self._token = token
        self._out = out
        self._now = now
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def when_done(self, verb: Callable[[Connection], T], **answer: T) -> Callable[[Connection], T]:
        """`verb`, or `instead` as long as not all is back; without one, DiskRefused."""

        def run(connection: Connection) -> T:
            if not self.busy:
                return verb(connection)
            if "instead" in answer:
                return answer["instead"]
            raise DiskRefused("what a damaged database held is being brought back")

        return run

    def begin(self) -> None:
        """Start, if there is something to do and it is not being done."""
        if not unsalvaged(self._database.path.parent) or self._stopping.is_set():
            return
        self.busy = True
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="outbox-rescue", daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait until all is back. Blocks."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join()

    def end(self) -> None:
        """Stop in the middle; the next start begins again. Blocks."""
        self._stopping.set()
        self.join()

    def _run(self) -> None:
        while self.busy and not self._stopping.is_set():
            folders = unsalvaged(self._database.path.parent)
            if not folders:
                self.before_gate()
                with suppress(RuntimeError):
                    self._writer.between(self._open_the_gate).result()
                continue
            try:
                self._salvage(folders[0])
            except (Ended, OSError):
                self._stopping.wait(PAUSE_SECONDS / 10)

    def _open_the_gate(self) -> None:
        """On the writer's thread, where databases are begun anew: no wreck is passed over."""
        self.busy = bool(unsalvaged(self._database.path.parent))

    def _salvage(self, folder: Path) -> None:
        life = self._database.lives
        cause = cause_of(folder)
        found = Tally()
        whole = False
        try:
            opened = open_wreck(folder, self._database.path.name)
            if opened is not None:
                with opened as wreck:
                    whole = self._bring_back(wreck, found, life)
        except (Ended, RuntimeError):
            raise Ended from None
        except OSError as exc:
            if exc.errno not in FULL:
                self._tell("salvage.failed", folder=str(folder), error=repr(exc), exc_info=exc)
            else:
                self._stopping.wait(PAUSE_SECONDS)
                raise Ended from None
        except Exception as exc:  # noqa: BLE001 - deliveries must not wait for ever for a bug
            self._tell("salvage.failed", folder=str(folder), error=repr(exc), exc_info=exc)
        self._report(folder, cause, found, whole=whole, life=life)

    def _bring_back(self, wreck: Wreck, found: Tally, life: int) -> bool:
        """True: it is known for certain what is lost."""
        terms = Terms(self._urls, self._out, self._token, wreck.stale, self._now())
        ask = partial(self._ask, life)
        for rows in chunks(wreck.rows("receipt")):
            self._count(found, ask(partial(salvage.restore_receipts, rows=rows, terms=terms)))
        crash.point("salvage.receipts")
        for table in (*salvage.PLAIN, "body", "attachment"):
            for rows in chunks(wreck.rows(table)):
                if table == "tally":
                    self._count(found, ask(partial(salvage.restore_tally, rows=rows)))
                else:
                    ask(partial(salvage.restore_plain, table=table, rows=rows))
        for rows in chunks(wreck.rows("entry")):
            self._count(found, ask(partial(salvage.restore_entries, rows=rows, terms=terms)))
        crash.point("salvage.entries")
        for table in ("label", "attempt"):
            for rows in chunks(wreck.rows(table)):
                ask(partial(salvage.restore_plain, table=table, rows=rows))
        certain = self._miss(wreck, found, ask)
        self._set_heads(found, ask)
        return certain

    def _miss(self, wreck: Wreck, found: Tally, ask: Callable[[Any], Any]) -> bool:
        """Find out what is gone; keep what is left of it beside the wreck."""
        witness = wreck.witness()
        gone: list[str] = []
        left: dict[str, str] = {}
        for ids in chunks(sorted(witness.ids)):
            missing = sorted(set(ids) - ask(partial(salvage.fates, ids=ids)))
            if missing:
                gone += missing
                left |= ask(partial(salvage.payloads_of, ids=missing))
            ask(partial(salvage.drop_strays, ids=ids))
        keys = wreck.keys(set(gone)) if gone else {}
        with (wreck.folder / LOST).open("w", encoding="utf-8") as file:
            for id_ in gone:
                address = dict(zip(("backend", "kind", "key"), keys.get(id_, ()), strict=False))
                row = {"id": id_, **address, "why": "its row could not be read"}
                found.lost.append(row)
                file.write(json.dumps({**row, "payload": left.get(id_)}) + "\n")
                self._keep_files(wreck.folder, id_)
        return witness.whole

    def _keep_files(self, folder: Path, id_: str) -> None:
        """The files of a lost entry: the next start would take them for forgotten ones."""
        home = self._database.path.parent / "attachments" / id_
        if home.is_dir():
            (folder / "attachments").mkdir(exist_ok=True)
            home.rename(folder / "attachments" / id_)

    def _set_heads(self, found: Tally, ask: Callable[[Any], Any]) -> None:
        after = ask(partial(salvage.restore_heads, after=None))
        while after is not None:
            after = ask(partial(salvage.restore_heads, after=after))
        ask(partial(salvage.hold_streams, ids=found.turns))

    def _report(
        self, folder: Path, cause: Mapping[str, Any], found: Tally, *, whole: bool, life: int
    ) -> None:
        """Say what was saved: in the log, in the database, beside the wreck."""
        lost = len(found.lost) if whole else None
        told = {"entries": found.entries, "receipts": found.receipts, "lost": lost}
        detail = {"known_lost": len(found.lost), "lost": found.lost[:LISTED]}
        row = {
            "at": cause["at"],
            "moved_to": str(folder),
            "reason": cause["reason"],
            "detail": json.dumps(detail),
            **told,
        }

        def note(connection: Connection) -> None:
            connection.execute(insert(salvage_table), row)

        unfinished = folder / f".{REPORT}"
        unfinished.write_text(json.dumps({**row, "detail": detail}), encoding="utf-8")
        self._ask(life, note)
        crash.point("salvage.told")
        unfinished.rename(folder / REPORT)
        crash.point("salvage.done")
        known = {"known_lost": len(found.lost)} if lost is None else {}
        self._tell("database.salvaged", moved_to=str(folder), **told, **known)

    def _count(self, found: Tally, done: Restored) -> None:
        self._gauges.salvaged(done)
        found.entries += done.entries
        found.receipts += done.receipts
        found.lost += done.lost
        found.turns += done.turns

    def _ask(self, life: int, verb: Callable[[Connection], T]) -> T:
        """The answer of the writer, as soon as the disk takes it. Raises Ended."""
        while True:
            if self._stopping.is_set():
                raise Ended
            try:
                answer = self._writer.call(verb, fills=True).result()
            except DiskRefused:
                self._stopping.wait(PAUSE_SECONDS)
                continue
            if self._database.lives != life:
                raise Ended
            return answer


def chunks(rows: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Lists of at most `size`."""
    walk = iter(rows)
    while some := list(islice(walk, size)):
        yield some
