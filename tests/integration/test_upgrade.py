"""Schema: a newer one is not touched, an older one is copied first, a failure changes nothing."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from storage.engine import writing_engine
from storage.schema import SCHEMA_REVISION, metadata
from storage.upgrade import MIGRATIONS, SchemaError, bring_up_to_date, read_revision

NEXT = '''
"""A revision of the future."""
from alembic import op
import sqlalchemy as sa
revision = "9999"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entry", sa.Column("colour", sa.Text))
    {then}
'''


def upgraded(
    path: Path, migrations: Path = MIGRATIONS, target: str = SCHEMA_REVISION
) -> Path | None:
    engine = writing_engine(path)
    try:
        return bring_up_to_date(path, engine, migrations=migrations, target=target)
    finally:
        engine.dispose()


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def columns(path: Path) -> set[object]:
    return {row[1] for row in query(path, "PRAGMA table_info(entry)")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def future(tmp_path: Path) -> Path:
    """The migrations of a program that knows one revision more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = NEXT.format(before=SCHEMA_REVISION, then="pass")
    (folder / "versions" / "r9999_next.py").write_text(text)
    return folder


def test_a_new_folder_gets_the_schema_that_the_code_speaks_of(path: Path) -> None:
    assert upgraded(path) is None

    engine = writing_engine(path)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    assert read_revision(path) == SCHEMA_REVISION


def test_nothing_happens_to_a_database_that_is_up_to_date(path: Path) -> None:
    upgraded(path)
    before = fingerprint(path)

    assert upgraded(path) is None
    assert fingerprint(path) == before


def test_a_newer_database_is_refused_in_words_and_not_touched(path: Path, future: Path) -> None:
    upgraded(path, future, "9999")
    before = fingerprint(path)

    with pytest.raises(SchemaError, match="newer Holdfast"):
        bring_up_to_date(path, writing_engine(path))

    assert fingerprint(path) == before
    assert not path.with_name("outbox.db-wal").exists()


def test_before_an_upgrade_a_copy_is_kept_and_the_rows_are_there_afterwards(
    path: Path, future: Path
) -> None:
    upgraded(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO body VALUES ('a', '{}')")

    copy = upgraded(path, future, "9999")

    assert copy is not None
    assert read_revision(copy) == SCHEMA_REVISION
    assert "colour" not in columns(copy)
    assert query(copy, "SELECT * FROM body") == [("a", "{}")]
    assert "colour" in columns(path)
    assert query(path, "SELECT * FROM body") == [("a", "{}")]


def test_an_upgrade_that_fails_leaves_the_old_schema_whole(path: Path, future: Path) -> None:
    upgraded(path)
    text = NEXT.format(before=SCHEMA_REVISION, then='op.execute("SELECT * FROM nowhere")')
    (future / "versions" / "r9999_next.py").write_text(text)

    with pytest.raises(SchemaError, match="as it was"):
        upgraded(path, future, "9999")

    assert read_revision(path) == SCHEMA_REVISION
    assert "colour" not in columns(path)


def test_somebody_elses_database_is_not_taken_for_an_outbox(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = fingerprint(path)

    with pytest.raises(SchemaError, match="not an outbox"):
        bring_up_to_date(path, writing_engine(path))

    assert fingerprint(path) == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"this is not a database, and never was" * 100)

    with pytest.raises(SchemaError, match="cannot be read"):
        read_revision(path)
