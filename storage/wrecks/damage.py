"""Is the database whole? And where to put it when it is not.

Promises: looking changes no byte of the database or its log; what is moved aside is never
deleted and never overwritten; a database that is not ours is refused and left as it is.

How much is looked at is chosen so that a start stays short (docs/decisions/0005): the log and
the schema always; every page and index when the last stop was no orderly one, or the file is
small; a big database that was closed in order is looked at while the agent runs.
"""

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage import crash
from storage.attachments import fsync_folder
from storage.engine import file_uri, unwritten_mode
from storage.errors import is_damage
from storage.schema import SCHEMA_REVISION, metadata
from storage.upgrade import SchemaError
from storage.wrecks.mark import Mark
from storage.wrecks.wal import read_log

FOLDER = "damaged"
CAUSE = "cause.json"
REPORT = "salvaged.json"
# About 0.2 s of each 32 MiB when it comes from a slow disk; a start should not take minutes.
LOOK_BYTES = 64 * 2**20
LOOK_AFTER_CRASH_BYTES = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a database is not to be used. `stale`: commits may be missing at its end."""

    reason: str
    stale: bool = False


def find_damage(path: Path, mark: Mark | None) -> Damage | None:
    """What is wrong with the database at `path`, which nobody has open; None: it can be used.

    `mark`: what its last life left. Raises SchemaError when it is none of ours.
    """
    wal, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    if not path.exists() or path.stat().st_size == 0:
        return _of_nothing(path, mark, logged=wal.exists() and wal.stat().st_size > 0)
    log = read_log(path)
    if log.damage is not None:
        return Damage(log.damage, stale=True)
    clean = not wal.exists() and (mark is None or mark.clean)
    if not clean and not wal.exists() and not index.exists():
        return Damage("it was in use, and its log is gone", stale=True)
    most = LOOK_BYTES if clean else LOOK_AFTER_CRASH_BYTES
    return look(path, mark, deep=path.stat().st_size <= most)


def _of_nothing(path: Path, mark: Mark | None, *, logged: bool) -> Damage | None:
    if mark is None and not logged:
        return None
    return Damage("it is empty" if path.exists() else "it is gone", stale=True)


def look(path: Path, mark: Mark | None, *, deep: bool, mode: str | None = None) -> Damage | None:
    """By SQLite's own eyes, read only. `deep`: at every page and every index."""
    try:
        uri = file_uri(path, mode or unwritten_mode(path))
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master").fetchall()
            reason = _strange({row[0] for row in rows}, connection, path, mark)
            if reason is None and deep:
                (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                reason = None if found == "ok" else str(found)
    except sqlite3.Error as exc:
        if not is_damage(exc):
            raise
        reason = str(exc)
    return Damage(reason) if reason is not None else None


def _strange(
    names: Collection[str], connection: sqlite3.Connection, path: Path, mark: Mark | None
) -> str | None:
    """What of the schema is not as a database of ours has it."""
    if not names:
        return "it has no tables" if mark is not None else None
    ours = mark is not None or bool(metadata.tables.keys() & names)
    if "alembic_version" not in names:
        if not ours:
            raise SchemaError(
                f"{path} is a database, but not an outbox of Holdfast: "
                "give agent.state_dir a folder of its own. Nothing was changed."
            )
        return "its schema cannot be read"
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    # Ours without a word in the mark: an upgrade that was cut behind its commit.
    if mark is not None and (row is None or row[0] not in (mark.revision, SCHEMA_REVISION)):
        return f"its schema was {mark.revision}, and it says {row and row[0]!r}"
    missing = _of_revision(names) - set(names) if row else {"alembic_version"}
    return f"{', '.join(sorted(missing))} cannot be found" if missing else None


def _of_revision(names: Collection[str]) -> set[str]:
    """The tables that must be there; those of a later revision only where one of them is."""
    first = {"entry", "body", "attachment", "label", "attempt", "receipt", "rest", "tally", "audit"}
    later = metadata.tables.keys() - first
    return first | later if later & set(names) else first


def set_aside(path: Path, damage: Damage, now: int) -> Path:
    """Move a database and its log into a folder of their own, and say there why."""
    stamp = datetime.fromtimestamp(now / 1000, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = _begun_move(path) or _new_folder(path.parent / FOLDER, stamp)
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(folder / (path.name + ending))
            crash.point("salvage.parted")
    said = {"at": now, "reason": damage.reason, "stale": damage.stale}
    if not (folder / CAUSE).exists():
        with suppress(OSError):  # a full disk: the name of the folder says when, at least
            (folder / CAUSE).write_text(json.dumps(said), encoding="utf-8")
    for one in (folder, folder.parent, path.parent):
        fsync_folder(one)
    crash.point("salvage.aside")
    return folder


def _begun_move(path: Path) -> Path | None:
    """A move that a crash has cut: the database has gone, its log has not."""
    if path.exists() or not path.with_name(path.name + "-wal").exists():
        return None
    folders = unsalvaged(path.parent)
    last = folders[0] if folders else None
    if last is None or (last / f"{path.name}-wal").exists() or not (last / path.name).exists():
        return None
    return last


def _new_folder(home: Path, name: str) -> Path:
    home.mkdir(mode=0o750, exist_ok=True)
    number = 1
    while True:
        folder = home / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o750)
        except FileExistsError:
            number += 1
        else:
            return folder


def unsalvaged(state_dir: Path) -> list[Path]:
    """Databases that were moved aside and not yet gone through, the latest first."""
    home = state_dir / FOLDER
    if not home.exists():
        return []
    folders = [one for one in home.iterdir() if one.is_dir() and any(one.iterdir())]
    return sorted((one for one in folders if not (one / REPORT).exists()), reverse=True)


def cause_of(folder: Path) -> dict[str, Any]:
    """When and why a database was moved aside."""
    try:
        said: dict[str, Any] = json.loads((folder / CAUSE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"at": 0, "reason": "unknown", "stale": True}
    return said
