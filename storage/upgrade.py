"""Bring a database to the schema of this program, or refuse to touch it.

Promises: a database from a newer program is left exactly as it is; before an older one is
upgraded a copy lies beside it; an upgrade is applied whole or not at all. Alembic is
imported only when there is something to do (it costs 0.1 to 0.25 s).
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from storage import crash
from storage.engine import file_uri, unwritten_mode
from storage.errors import DiskRefused, disk_refusal, is_damage
from storage.schema import SCHEMA_REVISION

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database cannot be used by this program. Says what to do; nothing was changed."""


def bring_up_to_date(
    path: Path, engine: Engine, *, migrations: Path = MIGRATIONS, target: str = SCHEMA_REVISION
) -> Path | None:
    """Upgrade the database at `path` where it is older; return the copy that was kept of it.

    Raises SchemaError when the database is newer than this program, or is not an outbox.
    """
    present = read_revision(path)
    if present == target:
        return None
    if present is not None and present not in _known_revisions(migrations):
        raise SchemaError(
            f"{path} has schema revision {present}, this program knows up to {target}. "
            "It was written by a newer Holdfast: install that version again, or put back "
            f"a copy {path.name}.before-* that this version wrote. Nothing was changed."
        )
    try:
        crash.point("migration.begun")
        copy = _copy(path, present) if present is not None else None
        crash.point("migration.copied")
        _upgrade(engine, migrations, target)
        crash.point("migration.done")
    except (sqlite3.Error, DBAPIError) as exc:
        if (reason := disk_refusal(exc)) is not None and not is_damage(exc):
            raise DiskRefused(reason) from exc
        raise SchemaError(
            f"{path} could not be upgraded from {present} to {target}: {exc}. "
            "The database is as it was."
        ) from exc
    return copy


def read_revision(path: Path) -> str | None:
    """The schema revision of the database at `path`; None when there is no database yet.

    Read only, under the instance lock: asking changes no byte and makes no file.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(sqlite3.connect(file_uri(path, unwritten_mode(path)), uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
            if ("alembic_version",) not in tables:
                if tables:
                    raise SchemaError(
                        f"{path} is a database, but not an outbox of Holdfast: "
                        "give agent.state_dir a folder of its own. Nothing was changed."
                    )
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as exc:
        raise SchemaError(f"{path} cannot be read as a database: {exc}") from exc
    return str(row[0]) if row else None


def _known_revisions(migrations: Path) -> set[str]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow, and rarely needed

    return {one.revision for one in ScriptDirectory(str(migrations)).walk_revisions()}


def _copy(path: Path, revision: str) -> Path:
    """A consistent copy, WAL included, named after the revision it has."""
    copy = path.with_name(f"{path.name}.before-upgrade-from-{revision}")
    with (
        closing(sqlite3.connect(file_uri(path, "mode=ro"), uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def _upgrade(engine: Engine, migrations: Path, target: str) -> None:
    from alembic import command  # noqa: PLC0415 - slow, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)
        crash.point("migration.changed")
