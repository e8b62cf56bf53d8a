"""The tables, as the code sees them. Alembic's revisions in `migrations/` make them.

`entry` is narrow and hot; `body` is cold and never rewritten. `head` = 1 means that nothing
earlier of the entry's stream lives; the unique partial index makes two heads impossible.
Times are epoch ms; states are storage.states.State.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_REVISION = "0003"
"""The alembic revision that this code was written for."""

metadata = MetaData()

# SQLite gives rowids only to INTEGER; PostgreSQL needs the 64 bits spelled out.
Seq = BigInteger().with_variant(Integer, "sqlite")

entry = Table(
    "entry",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("backend", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("stream", Text),
    Column("scope", Text),
    Column("slot", Text),
    Column("waits_for", Text),
    Column("state", SmallInteger, nullable=False, server_default=text("0")),
    Column("head", SmallInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, server_default=text("0")),
    Column("token", Text),
    Column("leased_until", BigInteger),
    Column("claimed_by", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("in_doubt", SmallInteger, nullable=False, server_default=text("0")),
    Column("newest", SmallInteger, nullable=False, server_default=text("1")),
    Column("absences", Integer, nullable=False, server_default=text("0")),
    Column("confirms_seen", BigInteger),
    Column("first_sent_at", BigInteger),
    Column("last_sent_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("monotonic_at", BigInteger, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("synchronised", SmallInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("labels", Text, nullable=False),
    Column("producer", Text, nullable=False),
    Column("last_error", Text),
    # created_at is this host's own clock, which may turn out to have been wrong.
    Column("stamped", SmallInteger, nullable=False, server_default=text("0")),
    # What the clock showed, where it was set right since.
    Column("raw_created_at", BigInteger),
    Column("raw_accepted_at", BigInteger),
    # What goes first of what is due at once. While nothing has failed, due_at is its negative.
    Column("urgency", SmallInteger, nullable=False, server_default=text("0")),
    # JSON: what the payload left open, as it was resolved. Fixed before the first byte is sent.
    Column("resolved", Text),
    Index("entry_key", "backend", "kind", "key", unique=True),
    Index(
        "entry_ready",
        "backend",
        "due_at",
        "seq",
        sqlite_where=text("state = 0 AND head = 1"),
        postgresql_where=text("state = 0 AND head = 1"),
    ),
    Index(
        "entry_head",
        "backend",
        "stream",
        unique=True,
        sqlite_where=text("head = 1 AND stream IS NOT NULL"),
        postgresql_where=text("head = 1 AND stream IS NOT NULL"),
    ),
    Index(
        "entry_stream",
        "backend",
        "stream",
        "seq",
        sqlite_where=text("stream IS NOT NULL AND state <> 3"),
        postgresql_where=text("stream IS NOT NULL AND state <> 3"),
    ),
    Index(
        "entry_slot",
        "backend",
        "slot",
        "seq",
        sqlite_where=text("slot IS NOT NULL"),
        postgresql_where=text("slot IS NOT NULL"),
    ),
    Index(
        "entry_lease",
        "leased_until",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
    # Counts are answered from it alone; pages by backend and state come out of it in order.
    Index("entry_census", "backend", "state", "seq", "accepted_at", "size", "in_doubt"),
    Index(
        "entry_expiry",
        "expires_at",
        sqlite_where=text("expires_at IS NOT NULL AND state <> 3"),
        postgresql_where=text("expires_at IS NOT NULL AND state <> 3"),
    ),
    Index(
        "entry_waits",
        "waits_for",
        sqlite_where=text("waits_for IS NOT NULL"),
        postgresql_where=text("waits_for IS NOT NULL"),
    ),
    # How much waits in a scope at rest is counted along it.
    Index(
        "entry_scope",
        "backend",
        "scope",
        "state",
        sqlite_where=text("scope IS NOT NULL AND state <> 3"),
        postgresql_where=text("scope IS NOT NULL AND state <> 3"),
    ),
    Index(
        "entry_unsynchronised",
        "boot_id",
        sqlite_where=text("synchronised = 0"),
        postgresql_where=text("synchronised = 0"),
    ),
    sqlite_autoincrement=True,  # without it an emptied outbox would reuse numbers
)

body = Table(
    "body",
    metadata,
    Column("id", Text, primary_key=True),
    Column("payload", Text, nullable=False),
    # Of the payload and what addresses it: SQLite itself does not notice a flipped bit in a text.
    # NULL: stored by a version that kept none.
    Column("crc", BigInteger),
)

attachment = Table(
    "attachment",
    metadata,
    Column("entry_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("media_type", Text),
    Column("description", Text),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("path", Text, nullable=False),  # relative to the attachments folder
)

label = Table(
    "label",
    metadata,
    Column("entry_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("label_value", "name", "value", "entry_id"),
)

# One row per run of equal failures, so that a year offline is one line and not a million.
attempt = Table(
    "attempt",
    metadata,
    Column("number", Seq, primary_key=True, autoincrement=True),
    Column("entry_id", Text, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
    Column("outcome", Text, nullable=False),  # the DeliveryError's class, or "delivered"
    Column("side", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("status", Integer),
    Column("excerpt", Text),
    Index("attempt_entry_id", "entry_id"),
    sqlite_autoincrement=True,
)

receipt = Table(
    "receipt",
    metadata,
    Column("number", Seq, primary_key=True, autoincrement=True),
    Column("entry_id", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("backend_url", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("delivered_at", BigInteger, nullable=False),
    Column("remote_id", Text, nullable=False),
    Column("url", Text),
    Column("duplicate", SmallInteger, nullable=False),
    Column("labels", Text, nullable=False),
    # Of a duplicate: is what was there the same? same, differs, not verified; NULL: nobody asked.
    Column("compared", Text),
    UniqueConstraint("backend", "backend_url", "kind", "key"),
    Index("receipt_age", "delivered_at"),
    Index("receipt_remote", "backend", "backend_url", "remote_id"),
    Index("receipt_entry_id", "entry_id"),
    sqlite_autoincrement=True,
)

# scope '' is the backend as a whole.
rest = Table(
    "rest",
    metadata,
    Column("backend", Text, primary_key=True),
    Column("backend_url", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("mark", Text, nullable=False, server_default=text("''")),
)

tally = Table(
    "tally",
    metadata,
    Column("backend", Text, primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    Column("last_success_at", BigInteger),
    Column("last_error", Text),
    Column("lost", BigInteger, nullable=False, server_default=text("0")),
    Column("superseded", BigInteger, nullable=False, server_default=text("0")),
    # Duplicates by what was found of them.
    Column("same", BigInteger, nullable=False, server_default=text("0")),
    Column("differs", BigInteger, nullable=False, server_default=text("0")),
    Column("not_verified", BigInteger, nullable=False, server_default=text("0")),
)

# What operators did. A discarded entry leaves its id here, so that asking for it says so.
audit = Table(
    "audit",
    metadata,
    Column("number", Seq, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("verb", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("audit_entry_id", "entry_id"),
    sqlite_autoincrement=True,
)

# A rest that an operator wished for; it stands beside the backend's own rests.
pause = Table(
    "pause",
    metadata,
    Column("backend", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# Scopes that have taken an entry: one that is unknown now has worked before.
worked = Table(
    "worked",
    metadata,
    Column("backend", Text, primary_key=True),
    Column("backend_url", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("last_at", BigInteger, nullable=False),
    Index("worked_age", "last_at"),
)

# The loss ledger: what `on_full = "drop_oldest"` gave up, each by name. tally.lost counts them.
loss = Table(
    "loss",
    metadata,
    Column("number", Seq, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("backend", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("labels", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("loss_backend", "backend", "number"),
    Index("loss_entry_id", "entry_id"),
    Index("loss_age", "at"),
    sqlite_autoincrement=True,
)

# What was delivered and may be sent again: the entry as it was, by `receipts.keep_payload_days`.
# Its attachments stay in their own table and folder.
kept = Table(
    "kept",
    metadata,
    Column("id", Text, primary_key=True),
    Column("backend", Text, nullable=False),
    Column("backend_url", Text, nullable=False),
    Column("delivered_at", BigInteger, nullable=False),
    Column("row", Text, nullable=False),  # JSON: the columns of `entry` that it needs again
    Column("payload", Text, nullable=False),
    Column("crc", BigInteger),
    Index("kept_age", "delivered_at"),
)

# A damaged database that was moved aside, and what could be saved from it.
salvage = Table(
    "salvage",
    metadata,
    Column("number", Seq, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("moved_to", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("receipts", BigInteger, nullable=False),
    Column("lost", BigInteger),  # entries that are known to be missing; NULL: nobody can tell
    Column("detail", Text, nullable=False),
    Column("seen_at", BigInteger),
    sqlite_autoincrement=True,
)
