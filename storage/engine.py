"""Connections to the outbox database: one that writes, others that only read.

Promises: a commit has reached the disk when it returns (WAL with synchronous=FULL); a
transaction that may write takes the write lock when it begins; readers never create or
change a file.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, StaticPool

from storage import crash

PAGE_CACHE_KIB = 16_384
BUSY_MS = 10_000  # nobody else writes; what can be in the way is a backup tool
MENDED_LINES: dict[tuple[int, ...], int] = {(3, 44): 6, (3, 50): 7}
STEP_PAGES = 500  # taken off at once: some 30 ms in which producers wait
KEPT_PAGES = 256  # freed pages that the next entries will use
WAL_LIMIT_BYTES = 64 * 2**20  # what a checkpointed WAL may keep of the disk


def writing_engine(path: Path) -> Engine:
    """The one read-write connection, kept open. Used by the writer thread alone."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        # pysqlite must not begin transactions by itself: it would begin none for a SELECT.
        connection.isolation_level = None
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL would let a power cut undo a commit after the spool file is gone.
        connection.execute("PRAGMA synchronous = FULL")
        # A statement's own journal must not need room on whatever disk /tmp is on.
        connection.execute("PRAGMA temp_store = MEMORY")
        # What was discarded is gone, and a page that was given up has no rows to be salvaged.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def sqlite_version() -> tuple[str, bool]:
    """Which SQLite this is, and whether two connections that checkpoint could corrupt its file.

    Ours never do (facts of the WAL-reset bug: sqlite.org/wal.html); tools that open the
    database for writing while the agent runs might.
    """
    return sqlite3.sqlite_version, has_wal_reset_race(sqlite3.sqlite_version_info)


def has_wal_reset_race(version: tuple[int, ...]) -> bool:
    """Fixed in 3.51.3, and in 3.50.7 and 3.44.6 of the older lines."""
    if version[:2] in MENDED_LINES:
        return version[2] < MENDED_LINES[version[:2]]
    return version < (3, 51, 3)


def file_uri(path: Path, mode: str) -> str:
    """SQLite's URI of a file, whatever characters its path has."""
    return f"file:{quote(str(path))}?{mode}"


def unwritten_mode(path: Path) -> str:
    """How to open a database that provably nobody writes, leaving no file beside it.

    While a WAL lies there (a kill left it) it has to be read as well, and SQLite needs to.
    """
    wal = path.with_name(path.name + "-wal")
    return "mode=ro" if wal.exists() else "immutable=1"


def reading_engine(path: Path, *, daemon_is_down: bool = False) -> Engine:
    """Read-only connections, opened for each look and closed after it.

    `daemon_is_down`: a reader without write permission in the folder cannot open a cleanly
    closed WAL database unless told that nobody writes it (facts 5); only true when the
    caller holds a shared instance lock.
    """
    mode = unwritten_mode(path) if daemon_is_down else "mode=ro"

    def connect() -> Any:
        return sqlite3.connect(
            file_uri(path, mode), uri=True, isolation_level=None, check_same_thread=False
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One snapshot for all the statements of a look.
        connection.exec_driver_sql("BEGIN")

    return engine


def give_back(engine: Engine) -> bool:
    """Take some of the freed pages off the end of the file. True: there are more."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        (free,) = raw.execute("PRAGMA freelist_count").fetchone()
        if free <= KEPT_PAGES:
            return False
        # As a script, because `execute` takes one step of it, which frees one page.
        raw.executescript(f"PRAGMA incremental_vacuum({min(STEP_PAGES, free - KEPT_PAGES)})")
        return bool(free > KEPT_PAGES + STEP_PAGES)


def checkpoint(engine: Engine) -> None:
    """Move the WAL into the database, and cut it.

    For the writer's own connection only: two connections that checkpoint can corrupt SQLite
    older than 3.51.3 (facts 4).
    """
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        crash.point("checkpoint.begun")
        # Producers wait for this thread: a reader in the way is not waited for. What it still
        # reads stays in the WAL until the next time.
        raw.execute("PRAGMA busy_timeout = 0")
        try:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            crash.point("checkpoint.done")
        finally:
            raw.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
