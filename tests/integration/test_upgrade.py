"""Schemas: made whole, upgraded whole or not at all, and never touched when newer than us."""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from storage.engine import writing_engine
from storage.lock import InstanceLock
from storage.outbox import LOCK, Outbox
from storage.schema import SCHEMA_REVISION, metadata
from storage.upgrade import MIGRATIONS, SchemaError, bring_up_to_date, read_revision
from storage.wrecks.damage import FOLDER
from storage.wrecks.mark import Mark, read_mark, write_mark
from tests.builders import NOW, an_entry
from tests.conftest import URLS

ADDS_A_COLUMN = """
from alembic import op
import sqlalchemy as sa

revision = "9999"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("entry", sa.Column("priority", sa.Integer))
    {then}
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    made = writing_engine(database)
    yield made
    made.dispose()


def a_later_program(tmp_path: Path, then: str = "pass") -> Path:
    """The migrations of a program that knows one revision more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    code = ADDS_A_COLUMN.format(before=SCHEMA_REVISION, then=then)
    (folder / "versions" / "r9999_priority.py").write_text(code)
    return folder


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def columns(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[1] for row in connection.execute("PRAGMA table_info(entry)")}


async def filled(state_dir: Path) -> None:
    outbox = Outbox(state_dir, URLS)
    outbox.recover(NOW)
    await outbox.accept([an_entry("a")])
    outbox.close()


def test_an_empty_folder_gets_the_schema(database: Path, engine: Engine) -> None:
    assert bring_up_to_date(database, engine) is None

    assert read_revision(database) == SCHEMA_REVISION


def test_nothing_happens_to_a_database_that_is_up_to_date(database: Path, engine: Engine) -> None:
    bring_up_to_date(database, engine)
    engine.dispose()
    before = fingerprint(database)

    assert bring_up_to_date(database, engine) is None

    assert fingerprint(database) == before


def test_the_revisions_make_the_tables_that_the_code_sees(database: Path, engine: Engine) -> None:
    bring_up_to_date(database, engine)

    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
        made = {row.name: row.sql for row in connection.execute(query)}
    # compare_metadata does not look at the conditions of partial indexes.
    for table in metadata.tables.values():
        for index in table.indexes:
            condition = index.dialect_options["sqlite"]["where"]
            assert (condition is None) == (" WHERE " not in made[str(index.name)])
            if condition is not None:
                assert made[str(index.name)].endswith(f"WHERE {condition.text}")


def test_numbers_are_never_used_again(database: Path, engine: Engine) -> None:
    bring_up_to_date(database, engine)

    with engine.begin() as connection:
        made = connection.execute(
            text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        ).scalars()
        assert set(made) == {"entry", "attempt", "receipt", "audit", "loss", "salvage"}


def test_a_newer_database_is_refused_and_not_touched(
    tmp_path: Path, database: Path, engine: Engine
) -> None:
    bring_up_to_date(database, engine, migrations=a_later_program(tmp_path), target="9999")
    engine.dispose()
    before = fingerprint(database)

    with pytest.raises(SchemaError, match="newer Holdfast"):
        Outbox(tmp_path, URLS)

    assert fingerprint(database) == before
    assert {path.name for path in tmp_path.iterdir()} == {"migrations", "outbox.db", LOCK}


async def test_before_an_upgrade_a_copy_is_kept(tmp_path: Path, database: Path) -> None:
    await filled(tmp_path)
    engine = writing_engine(database)

    copy = bring_up_to_date(database, engine, migrations=a_later_program(tmp_path), target="9999")
    engine.dispose()

    assert copy == tmp_path / f"outbox.db.before-upgrade-from-{SCHEMA_REVISION}"
    assert read_revision(copy) == SCHEMA_REVISION
    assert "priority" not in columns(copy)
    assert "priority" in columns(database)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT key FROM entry").fetchall() == [("a",)]


async def test_the_copy_holds_what_was_still_in_the_log(tmp_path: Path, database: Path) -> None:
    await filled(tmp_path)
    with closing(sqlite3.connect(database)) as other:  # keeps the log from being put away
        other.execute("UPDATE entry SET key = 'from the log'")
        other.commit()
        engine = writing_engine(database)
        copy = bring_up_to_date(
            database, engine, migrations=a_later_program(tmp_path), target="9999"
        )
        engine.dispose()

    assert copy is not None
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT key FROM entry").fetchall() == [("from the log",)]


@pytest.mark.parametrize(
    "then",
    ["raise RuntimeError('half way')", "op.execute('DELETE FROM entry; '); op.execute('nonsense')"],
)
async def test_an_upgrade_that_fails_changes_nothing(
    tmp_path: Path, database: Path, then: str
) -> None:
    await filled(tmp_path)
    engine = writing_engine(database)

    with pytest.raises((RuntimeError, SchemaError)):
        bring_up_to_date(
            database, engine, migrations=a_later_program(tmp_path, then), target="9999"
        )
    engine.dispose()

    assert read_revision(database) == SCHEMA_REVISION
    assert "priority" not in columns(database)
    outbox = Outbox(tmp_path, URLS)
    assert [one["key"] for one in (await outbox.looks.list_entries())[0]] == ["a"]
    outbox.close()


def test_a_foreign_database_is_refused_and_not_touched(tmp_path: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE holiday_photos (name TEXT)")
    before = fingerprint(database)

    with pytest.raises(SchemaError, match="outbox of Holdfast"):
        Outbox(tmp_path, URLS)

    assert fingerprint(database) == before


def test_what_is_no_database_is_moved_aside_and_kept(tmp_path: Path, database: Path) -> None:
    # The name is ours. It cannot be told from our own database with its first page gone, and an
    # agent that waits for somebody to delete a file takes no entries meanwhile.
    database.write_bytes(b"these are my notes\n" * 100)
    before = fingerprint(database)

    Outbox(tmp_path, URLS).close()

    (kept,) = (tmp_path / FOLDER).glob(f"*/{database.name}")
    assert fingerprint(kept) == before
    assert read_revision(database) == SCHEMA_REVISION


async def test_an_upgrade_that_was_cut_behind_its_commit_is_no_damage(tmp_path: Path) -> None:
    await filled(tmp_path)
    write_mark(tmp_path, Mark("0001", clean=True))

    Outbox(tmp_path, URLS).close()

    assert not (tmp_path / FOLDER).exists()
    assert read_mark(tmp_path) == Mark(SCHEMA_REVISION, clean=True)


def test_a_refused_start_lets_the_lock_go(tmp_path: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE holiday_photos (name TEXT)")
    with pytest.raises(SchemaError):
        Outbox(tmp_path, URLS)

    lock = InstanceLock(tmp_path / LOCK)

    lock.take()
    lock.release()


async def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    state_dir = tmp_path / "50% of it? #1 & more; ü"
    state_dir.mkdir()

    await filled(state_dir)

    outbox = Outbox(state_dir, URLS)
    assert [one["key"] for one in (await outbox.looks.list_entries())[0]] == ["a"]
    outbox.close()
