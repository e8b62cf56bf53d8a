"""Pauses, scopes that have worked, the loss ledger, salvages, and times that can be set right."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add to what revision 0001 made; nothing is rewritten."""
    _times()
    _scopes()
    _pause()
    _worked()
    _loss()
    _salvage()
    op.add_column("body", sa.Column("crc", sa.BigInteger))


def _times() -> None:
    op.add_column(
        "entry", sa.Column("stamped", sa.SmallInteger, nullable=False, server_default=sa.text("0"))
    )
    op.add_column("entry", sa.Column("raw_created_at", sa.BigInteger))
    op.add_column("entry", sa.Column("raw_accepted_at", sa.BigInteger))
    op.create_index(
        "entry_unsynchronised",
        "entry",
        ["boot_id"],
        sqlite_where=sa.text("synchronised = 0"),
        postgresql_where=sa.text("synchronised = 0"),
    )


def _scopes() -> None:
    op.create_index(
        "entry_scope",
        "entry",
        ["backend", "scope", "state"],
        sqlite_where=sa.text("scope IS NOT NULL AND state <> 3"),
        postgresql_where=sa.text("scope IS NOT NULL AND state <> 3"),
    )


def _pause() -> None:
    op.create_table(
        "pause",
        sa.Column("backend", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )


def _worked() -> None:
    op.create_table(
        "worked",
        sa.Column("backend", sa.Text, primary_key=True),
        sa.Column("backend_url", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )
    op.create_index("worked_age", "worked", ["last_at"])


def _loss() -> None:
    op.add_column(
        "tally", sa.Column("lost", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "loss",
        sa.Column("number", SEQ, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("loss_backend", "loss", ["backend", "number"])
    op.create_index("loss_entry_id", "loss", ["entry_id"])
    op.create_index("loss_age", "loss", ["at"])


def _salvage() -> None:
    op.create_table(
        "salvage",
        sa.Column("number", SEQ, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("moved_to", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("receipts", sa.BigInteger, nullable=False),
        sa.Column("lost", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("seen_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
