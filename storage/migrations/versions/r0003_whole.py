"""Urgency, what was resolved, how duplicates compare, and what is kept to be sent again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what revision 0002 made; nothing is rewritten."""
    op.add_column("entry", _counter("urgency", sa.SmallInteger))
    op.add_column("entry", sa.Column("resolved", sa.Text))
    op.add_column("receipt", sa.Column("compared", sa.Text))
    for name in ("superseded", "same", "differs", "not_verified"):
        op.add_column("tally", _counter(name, sa.BigInteger))
    op.create_table(
        "kept",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("backend_url", sa.Text, nullable=False),
        sa.Column("delivered_at", sa.BigInteger, nullable=False),
        sa.Column("row", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("crc", sa.BigInteger),
    )
    op.create_index("kept_age", "kept", ["delivered_at"])


def _counter(name: str, kind: type[sa.Integer]) -> sa.Column[int]:
    return sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
