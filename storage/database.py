"""The database file in its folder: opened whole, or moved aside and begun anew.

Promises: opening never fails for damage; what is damaged is moved aside before a byte of it is
changed, and a fresh database takes its place at once, with numbers above all older ones.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from storage import errors
from storage.engine import file_uri, writing_engine
from storage.errors import DiskRefused, disk_refusal, is_damage
from storage.schema import SCHEMA_REVISION, metadata
from storage.upgrade import SchemaError, bring_up_to_date
from storage.wrecks.damage import Damage, find_damage, look, set_aside, unsalvaged
from storage.wrecks.mark import Mark, read_mark, write_mark
from storage.wrecks.raw import Image

GAP = 100_000  # numbers that are left out after damage: the last ones may be unknown
DEEP_BYTES = 2 * 2**30

Tell = Callable[..., None]


class Database:
    """Used by one thread at a time: at the start, then by the writer's."""

    def __init__(self, path: Path, *, now: Callable[[], int], tell: Tell) -> None:
        self.path = path
        self.engine = writing_engine(path)
        self.kept_copy: Path | None = None
        self.lives = 0  # counts databases that were begun anew
        self._now = now
        self._tell = tell
        self._whole = False
        self._damage: Damage | None = None
        self._suspected = False

    def open(self) -> None:
        """At start, under the instance lock. Raises SchemaError, DiskRefused, OSError."""
        try:
            self._open()
        except (sqlite3.Error, DBAPIError) as exc:
            self.engine.dispose()
            raise DiskRefused(disk_refusal(exc) or str(exc)) from exc

    def _open(self) -> None:
        mark = read_mark(self.path.parent)
        damage = find_damage(self.path, mark)
        if damage is not None:
            self._begin_anew(damage)
        else:
            try:
                self._bring_up()
            except SchemaError as exc:
                if exc.__cause__ is None or not is_damage(exc.__cause__):
                    raise
                self._let_go()
                self._begin_anew(Damage(str(exc.__cause__)))
        write_mark(self.path.parent, Mark(SCHEMA_REVISION, clean=False))

    def close(self) -> None:
        """Put the log away, and leave word that nothing is missing."""
        # First the mark: a kill in between leaves a log, which is looked at all the same.
        if self._whole:
            write_mark(self.path.parent, Mark(SCHEMA_REVISION, clean=True))
        self.engine.dispose()

    def mend(self, raised: BaseException) -> bool:
        """After an error of the writer's or a reader's. True: the database is another one now.

        An error that speaks of damage, and none is found: the second time it is believed.
        """
        if self._whole and not is_damage(raised):
            return False
        if self._whole:
            damage = self._examine(raised)
            if damage is None:
                self.engine.dispose()
                return False
            self._let_go()
            self._begin_anew(damage)
        elif self._damage is not None:
            self._begin_anew(self._damage)
        else:
            self._bring_up()
        return True

    def condemn(self, damage: Damage) -> None:
        """What `examine` has found: another database takes its place. Raises as `open`."""
        self._let_go()
        self._begin_anew(damage)

    def examine(self) -> Damage | None:
        """Look at every page and index, read only, beside the writer. Blocks for long."""
        return look(self.path, Mark(SCHEMA_REVISION, clean=False), deep=True, mode="mode=ro")

    def _examine(self, raised: BaseException) -> Damage | None:
        deep = self.path.exists() and self.path.stat().st_size <= DEEP_BYTES
        try:
            found = look(self.path, Mark(SCHEMA_REVISION, clean=False), deep=deep, mode="mode=ro")
        except sqlite3.Error as exc:
            found = Damage(str(exc))
        proof = errors.damage(raised)
        if found is None and (proof == "certain" or (proof == "likely" and self._suspected)):
            found = Damage(str(getattr(raised, "orig", raised)).partition(" with text")[0])
        self._suspected = found is None and proof == "likely"
        return found

    def _begin_anew(self, damage: Damage) -> None:
        """Raises what `_bring_up` does; then it is tried again by the next `mend`."""
        self._whole = False
        self._damage = damage
        folder = set_aside(self.path, damage, self._now())
        self._damage = None
        self.lives += 1
        self._tell("database.damaged", reason=damage.reason, moved_to=str(folder))
        self._bring_up()

    def _let_go(self) -> None:
        """Close our connection so that SQLite does not write the log back into the file.

        It would on the last close; so the last one is a connection that only reads.
        """
        with suppress(sqlite3.Error):
            guard = sqlite3.connect(file_uri(self.path, "mode=ro"), uri=True)
            with closing(guard), suppress(sqlite3.Error):
                guard.execute("BEGIN")
                with suppress(sqlite3.Error):
                    guard.execute("SELECT 1 FROM sqlite_master").fetchone()
                self.engine.dispose()
                return
        self.engine.dispose()

    def _bring_up(self) -> None:
        # Before SQLite makes the log beside it, which gets the same mode.
        self.path.touch()
        self.path.chmod(0o640)
        self.kept_copy = bring_up_to_date(self.path, self.engine)
        folders = unsalvaged(self.path.parent)
        if folders:
            highest = {name: self._now() for name in metadata.tables}
            with suppress(OSError), closing(Image(folders[0] / self.path.name)) as image:
                highest |= _numbers(image)
            with self.engine.begin() as connection:
                _leave_out(connection, highest)
        self._whole = True


def _numbers(image: Image) -> dict[str, int]:
    """The last numbers that the damaged database gave out, as far as it says."""
    with suppress(Exception):  # anything may stand there; then the time serves as a number
        cells = [cell for page in image.walk(1) if page for cell in image.rows(page)]
        (root,) = [one.values[3] for one in cells if one.values[1] == "sqlite_sequence"]
        assert isinstance(root, int)
        rows = [one.values for page in image.walk(root) if page for one in image.rows(page)]
        return {str(name): int(last) for name, last in rows}  # type: ignore[arg-type]
    return {}


def _leave_out(connection: Connection, highest: dict[str, Any]) -> None:
    """New rows get numbers above all that were given out before."""
    for name, table in metadata.tables.items():
        if not table.dialect_options["sqlite"]["autoincrement"]:
            continue
        values = {"name": name, "seq": highest[name] + GAP}
        has = connection.execute(
            text("UPDATE sqlite_sequence SET seq = max(seq, :seq) WHERE name = :name"), values
        ).rowcount
        if not has:
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :seq)"), values)
