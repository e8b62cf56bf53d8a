"""The first schema. A snapshot: `storage.schema` may grow, this file stays as it was released."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make every table and index."""
    _entry()
    _body()
    _attachment()
    _label()
    _attempt()
    _receipt()
    _rest()
    _tally()
    _audit()


def _entry() -> None:
    op.create_table(
        "entry",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("stream", sa.Text),
        sa.Column("scope", sa.Text),
        sa.Column("slot", sa.Text),
        sa.Column("waits_for", sa.Text),
        sa.Column("state", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("head", sa.SmallInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("token", sa.Text),
        sa.Column("leased_until", sa.BigInteger),
        sa.Column("claimed_by", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("in_doubt", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("newest", sa.SmallInteger, nullable=False, server_default=sa.text("1")),
        sa.Column("absences", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("confirms_seen", sa.BigInteger),
        sa.Column("first_sent_at", sa.BigInteger),
        sa.Column("last_sent_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("monotonic_at", sa.BigInteger, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
        sa.Column("synchronised", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("last_error", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("entry_key", "entry", ["backend", "kind", "key"], unique=True)
    op.create_index(
        "entry_ready",
        "entry",
        ["backend", "due_at", "seq"],
        sqlite_where=sa.text("state = 0 AND head = 1"),
        postgresql_where=sa.text("state = 0 AND head = 1"),
    )
    op.create_index(
        "entry_head",
        "entry",
        ["backend", "stream"],
        unique=True,
        sqlite_where=sa.text("head = 1 AND stream IS NOT NULL"),
        postgresql_where=sa.text("head = 1 AND stream IS NOT NULL"),
    )
    op.create_index(
        "entry_stream",
        "entry",
        ["backend", "stream", "seq"],
        sqlite_where=sa.text("stream IS NOT NULL AND state <> 3"),
        postgresql_where=sa.text("stream IS NOT NULL AND state <> 3"),
    )
    op.create_index(
        "entry_slot",
        "entry",
        ["backend", "slot", "seq"],
        sqlite_where=sa.text("slot IS NOT NULL"),
        postgresql_where=sa.text("slot IS NOT NULL"),
    )
    op.create_index(
        "entry_lease",
        "entry",
        ["leased_until"],
        sqlite_where=sa.text("state = 1"),
        postgresql_where=sa.text("state = 1"),
    )
    op.create_index(
        "entry_census", "entry", ["backend", "state", "seq", "accepted_at", "size", "in_doubt"]
    )
    op.create_index(
        "entry_expiry",
        "entry",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL AND state <> 3"),
        postgresql_where=sa.text("expires_at IS NOT NULL AND state <> 3"),
    )
    op.create_index(
        "entry_waits",
        "entry",
        ["waits_for"],
        sqlite_where=sa.text("waits_for IS NOT NULL"),
        postgresql_where=sa.text("waits_for IS NOT NULL"),
    )


def _body() -> None:
    op.create_table(
        "body",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("payload", sa.Text, nullable=False),
    )


def _attachment() -> None:
    op.create_table(
        "attachment",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
    )


def _label() -> None:
    op.create_table(
        "label",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("label_value", "label", ["name", "value", "entry_id"])


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("number", SEQ, primary_key=True, autoincrement=True),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("excerpt", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("attempt_entry_id", "attempt", ["entry_id"])


def _receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("number", SEQ, primary_key=True, autoincrement=True),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("backend_url", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("delivered_at", sa.BigInteger, nullable=False),
        sa.Column("remote_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("duplicate", sa.SmallInteger, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.UniqueConstraint("backend", "backend_url", "kind", "key"),
        sqlite_autoincrement=True,
    )
    op.create_index("receipt_entry_id", "receipt", ["entry_id"])
    op.create_index("receipt_age", "receipt", ["delivered_at"])
    op.create_index("receipt_remote", "receipt", ["backend", "backend_url", "remote_id"])


def _rest() -> None:
    op.create_table(
        "rest",
        sa.Column("backend", sa.Text, primary_key=True),
        sa.Column("backend_url", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("mark", sa.Text, nullable=False, server_default=sa.text("''")),
    )


def _tally() -> None:
    op.create_table(
        "tally",
        sa.Column("backend", sa.Text, primary_key=True),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("last_success_at", sa.BigInteger),
        sa.Column("last_error", sa.Text),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", SEQ, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_entry_id", "audit", ["entry_id"])
