"""What the outbox holds while no agent runs: read only, by whoever may read the files.

Promises: changes no byte; reads only while it holds off a start (a shared instance lock), so
that what it sees is one moment. See facts, section 5, for why both ways of opening are needed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from storage.census import Census, census, rates, waiting_in
from storage.engine import reading_engine
from storage.entry import Pause, Rest
from storage.errors import is_damage
from storage.lock import InstanceLock
from storage.pauses import read_pauses
from storage.queued import QueuedPage, queued_in
from storage.rests import read_rests
from storage.schema import SCHEMA_REVISION
from storage.upgrade import SchemaError
from storage.wrecks.salvaged import Salvaged, unseen
from storage.wrecks.wal import read_log

R = TypeVar("R")

DATABASE = "outbox.db"
LOCK = "agent.lock"


class AgentLives(Exception):
    """An agent holds the lock: it has to be asked."""


class Unreadable(Exception):
    """The files are there, and this user may not read them. `path` is the first of them."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class Damaged(Exception):
    """The database is damaged. The next start of the agent saves what can be read of it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")


@dataclass(frozen=True, slots=True)
class Still:
    """The outbox at rest. `waiting`: how much waits in each scope that rests.

    `never_used`: there is none yet.
    """

    counts: Mapping[str, Census]
    rests: list[Rest]
    rates: Mapping[str, float]
    pauses: list[Pause] = field(default_factory=list)
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    salvaged: Salvaged | None = None
    never_used: bool = False


def read_still(state_dir: Path, urls: Mapping[str, str], *, now: int) -> Still:
    """Counts, rests, pauses and rates. Raises AgentLives, Unreadable, Damaged, SchemaError."""
    try:
        if not (state_dir / DATABASE).exists():
            return Still({}, [], {}, never_used=True)
    except PermissionError as exc:
        raise Unreadable(state_dir, str(exc.strerror)) from exc
    return _looked(state_dir, partial(_still, urls=urls, now=now))


def read_queued(
    state_dir: Path, backend: str, kinds: Collection[str], *, limit: int = 10_000
) -> QueuedPage:
    """What waits of these kinds, oldest first, in one page. Raises as `read_still`."""
    try:
        if not (state_dir / DATABASE).exists():
            return QueuedPage([])
    except PermissionError as exc:
        raise Unreadable(state_dir, str(exc.strerror)) from exc
    return _looked(state_dir, partial(queued_in, backend=backend, kinds=kinds, limit=limit))


def _looked(state_dir: Path, look: Callable[[Connection], R]) -> R:
    with _held_off(state_dir / LOCK):
        return _read(state_dir / DATABASE, look)


@contextmanager
def _held_off(path: Path) -> Iterator[None]:
    """Nobody starts as long as this lasts."""
    try:
        path.open("rb").close()
    except OSError as exc:
        raise Unreadable(path, exc.strerror or "cannot be opened") from exc
    lock = InstanceLock(path)
    if not lock.share():
        raise AgentLives(f"an agent runs on {path.parent}")
    try:
        yield
    finally:
        lock.release()


def _still(connection: Connection, *, urls: Mapping[str, str], now: int) -> Still:
    rests = read_rests(connection, urls)
    return Still(
        census(connection, now=now),
        rests,
        rates(connection, now=now),
        read_pauses(connection),
        waiting_in(connection, [(one.backend, one.scope) for one in rests if one.scope]),
        unseen(connection),
    )


def _read(path: Path, look: Callable[[Connection], R]) -> R:
    engine = reading_engine(path, daemon_is_down=True)
    try:
        path.open("rb").close()
        # Before SQLite looks, which would hide it: the next start has to see it, too.
        if (damage := read_log(path).damage) is not None:
            raise Damaged(path, damage)
        with engine.begin() as connection:
            _check_revision(connection, path)
            return look(connection)
    except OSError as exc:
        raise Unreadable(path, exc.strerror or "cannot be opened") from exc
    except DBAPIError as exc:
        if is_damage(exc):
            raise Damaged(path, str(exc.orig)) from exc
        raise Unreadable(path, str(exc.orig)) from exc
    finally:
        engine.dispose()


def _check_revision(connection: Connection, path: Path) -> None:
    known = "SELECT version_num FROM alembic_version"
    present = connection.execute(text(known)).scalar()
    if present != SCHEMA_REVISION:
        raise SchemaError(
            f"{path} has schema revision {present}, this program reads {SCHEMA_REVISION}: "
            "start the agent, which upgrades it, or use the version that wrote it"
        )
