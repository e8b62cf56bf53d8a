"""The file of the read cache: opened, shared by several processes, begun anew when damaged.

Promises: `run` either does its work in one transaction or raises Unusable, soon. A file that is
not what it was is moved aside (one such is kept) and another takes its place; what stands in the
rows is for the caller to check.
"""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from storage.cache_lock import CacheLock, Hanging
from storage.cache_schema import TABLES, VERSION
from storage.engine import file_uri

R = TypeVar("R")
Tell = Callable[..., None]
Place = tuple[int, int] | None  # device and inode

PATIENCE_MS = 2000  # others write for milliseconds; who takes longer hangs
TRIES = 3
BESIDE = ("-journal", "-wal", "-shm")

# SQLite's primary result codes that speak of the moment, the disk or the permissions: PERM, BUSY,
# LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, TOOBIG, NOLFS, AUTH.
_MOMENT = frozenset({3, 5, 6, 7, 8, 9, 10, 13, 14, 15, 18, 22, 23})
_SIZES = frozenset({7, 18})  # NOMEM, TOOBIG: a row that reads so was small when it was written
_IOERR, _READONLY = 10, 8
_NOT_UTF8 = "Could not decode to UTF-8"


class Unusable(Exception):
    """The cache cannot be read, or not be written, now. `reason` is empty when there is none."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Spoilt(Exception):
    """What stands in the place of the file is no cache."""


class _OtherVersion(_Spoilt):
    """It is the cache of another version of this program."""


# UnicodeDecodeError: of a message of SQLite's that quotes a damaged schema.
_TROUBLE = (sqlite3.Error, DBAPIError, MemoryError, UnicodeDecodeError, OSError, _Spoilt)


class CacheFile:
    """Used by one thread at a time."""

    def __init__(self, path: Path, tell: Tell) -> None:
        self.path = path
        self._tell = tell
        self._engine: Engine | None = None
        self._place: Place = None
        self._writable = False
        self._writing = False
        self._lock = CacheLock(path.with_name(path.name + ".lock"))

    def run(
        self,
        work: Callable[[Connection], R],
        *,
        writes: bool = False,
        patience_ms: int | None = None,
    ) -> R:
        """Do something with the database in one transaction. Raises Unusable.

        `work` may run more than once. It may raise sqlite3's and SQLAlchemy's errors.
        """
        reason = ""
        place: Place = None
        for _ in range(TRIES):
            try:
                with self._held(alone=False):
                    return self._attempt(work, writes=writes, patience_ms=patience_ms)
            except _TROUBLE as exc:
                place = self._place
                self._let_go()
                reason = _words(exc)
                # The file says of itself that it may not be written, as no file of ours does.
                refuses = _code(exc, whole=True) == _READONLY and self._writable
                if refuses or _is_damage(exc, writes=writes):
                    self._begin_anew(reason, place, damaged=not isinstance(exc, _OtherVersion))
                elif isinstance(exc, OSError) or _code(exc) != _IOERR:
                    raise Unusable(reason) from exc
        if not writes:  # the disk does not give back what was written
            self._begin_anew(reason, place, damaged=True)
        raise Unusable(reason)

    def close(self) -> None:
        """Close it. It is opened again when it is used again."""
        self._let_go()
        self._lock.close()

    def _attempt(
        self, work: Callable[[Connection], R], *, writes: bool, patience_ms: int | None
    ) -> R:
        if self._engine is not None and self._where() != self._place:
            self._let_go()  # somebody has begun it anew, or removed it
        if self._engine is None:
            self._engine = self._open(create=writes)
        if writes and not self._writable:
            raise Unusable("this user may not write it")
        self._writing = writes
        with self._engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            patience = PATIENCE_MS if patience_ms is None else patience_ms
            raw.execute(f"PRAGMA busy_timeout = {patience}")
        return self._transact(self._engine, work)

    @staticmethod
    def _transact(engine: Engine, work: Callable[[Connection], R]) -> R:
        with engine.begin() as connection:
            return work(connection)

    def _open(self, *, create: bool) -> Engine:
        if create:
            self._make()
        self._place = self._where()
        if self._place is None and create:
            raise _Spoilt("it cannot be made")
        if self._place is None:
            raise Unusable("")
        for path in (self.path, *self._beside()):
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise _Spoilt(f"{path.name} is not a file")
        if not os.access(self.path, os.R_OK, effective_ids=True):
            raise _Spoilt("this user may not read it")
        self._writable = all(
            os.access(path, os.W_OK, effective_ids=True) for path in (self.path, self.path.parent)
        )
        engine = create_engine("sqlite://", creator=self._connect, poolclass=StaticPool)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self._writing else "BEGIN")

        return engine

    def _connect(self) -> sqlite3.Connection:
        mode = "mode=rw" if self._writable else "mode=ro"
        connection = sqlite3.connect(
            file_uri(self.path, mode),
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=PATIENCE_MS / 1000,
        )
        try:
            # A damaged text must reach the check of its row.
            connection.text_factory = lambda value: value.decode(errors="replace")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA temp_store = MEMORY")
            # What does not fit the page cache would lock readers out before the commit.
            connection.execute("PRAGMA cache_spill = OFF")
            if self._writable:
                connection.execute("PRAGMA auto_vacuum = FULL")
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute("PRAGMA synchronous = NORMAL")
            self._bring_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and self._writable:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
                version = VERSION
            connection.execute("COMMIT")
        if version == 0:
            raise Unusable("")
        if version != VERSION:
            raise _OtherVersion(f"it is of version {version}, this program keeps {VERSION}")

    def _make(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only a new one is opened here: to close another descriptor of the file would let go
        # of all the locks that SQLite has on it.
        with suppress(FileExistsError):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(self.path, flags, 0o640))

    def _let_go(self) -> None:
        if self._engine is not None:
            with suppress(sqlite3.Error, DBAPIError):
                self._engine.dispose()
            self._engine = None

    def _where(self) -> Place:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _beside(self) -> list[Path]:
        return [self.path.with_name(self.path.name + suffix) for suffix in BESIDE]

    def _begin_anew(self, reason: str, place: Place, *, damaged: bool) -> None:
        """Take the file out of the way, unless another process has. Raises Unusable."""
        try:
            with self._held(alone=True):
                if self._where() != place:
                    return
                for path in self._beside():
                    _remove(path)
                if damaged:
                    aside = self.path.with_name(self.path.name + ".damaged")
                    _set_aside(self.path, aside)
                else:
                    _remove(self.path)
        except OSError as exc:
            raise Unusable(f"{reason}; it cannot be moved aside: {exc.strerror}") from exc
        self._tell("cache.damaged" if damaged else "cache.renewed", reason=reason)

    @contextmanager
    def _held(self, *, alone: bool) -> Iterator[None]:
        try:
            with self._lock.held(alone=alone, patience_ms=PATIENCE_MS):
                yield
        except Hanging as exc:
            raise Unusable("another process hangs while it uses it") from exc


def _set_aside(path: Path, aside: Path) -> None:
    """Move it, or remove it where that is all that can be done. Raises OSError."""
    with suppress(OSError):
        _remove(aside)
        path.rename(aside)
        return
    _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _original(raised: BaseException) -> BaseException | None:
    return raised.orig if isinstance(raised, DBAPIError) else raised


def _code(raised: BaseException, *, whole: bool = False) -> int | None:
    """SQLite's primary code of an error, or the `whole` extended one."""
    code: int | None = getattr(_original(raised), "sqlite_errorcode", None)
    return code if code is None or whole else code & 0xFF


def _words(raised: BaseException) -> str:
    if isinstance(raised, MemoryError):
        return "what is read is too large for the memory"
    return str(_original(raised))


def _is_damage(raised: BaseException, *, writes: bool) -> bool:
    """Is the file not what it was? Whatever SQLite cannot say of a sound one counts.

    Raises it again when it is a mistake of the caller's.
    """
    if isinstance(raised, _Spoilt | UnicodeDecodeError):
        return True
    if isinstance(raised, OSError):
        return False
    if isinstance(raised, MemoryError):
        return not writes
    code = _code(raised)
    if code is None:
        if _NOT_UTF8 in str(_original(raised)):
            return True
        raise raised
    return code not in _MOMENT or (code in _SIZES and not writes)
