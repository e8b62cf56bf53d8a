"""Counts, computed from the database: what `status` says is what the tables hold."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, text

from storage.checksum import read_object
from storage.schema import tally
from storage.states import State

AGE_BOUNDS_MS = {
    "1m": 60_000,
    "10m": 600_000,
    "1h": 3_600_000,
    "6h": 21_600_000,
    "1d": 86_400_000,
    "1w": 604_800_000,
}
"""Upper bounds of the age buckets; what is older is counted under "older"."""


@dataclass(slots=True)
class Census:
    """One backend's part of the outbox at one moment. Times are epoch ms."""

    pending: int = 0
    leased: int = 0
    held: int = 0
    dead: int = 0
    in_doubt: int = 0
    size: int = 0
    oldest_at: int | None = None
    ages: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys([*AGE_BOUNDS_MS, "older"], 0)
    )
    delivered: int = 0
    lost: int = 0
    superseded: int = 0
    duplicates: dict[str, int] = field(default_factory=dict)
    last_success_at: int | None = None
    last_error: dict[str, Any] | None = None

    @property
    def waiting(self) -> int:
        """Entries that are still to be delivered."""
        return self.pending + self.leased + self.held


_BUCKETS = ", ".join(
    f"SUM(CASE WHEN state <> 3 AND :now - accepted_at > {low} AND :now - accepted_at <= {high}"
    f' THEN 1 ELSE 0 END) AS "age_{name}"'
    for (name, high), low in zip(
        AGE_BOUNDS_MS.items(), [-(2**62), *AGE_BOUNDS_MS.values()], strict=False
    )
)
# Answered from the index entry_census alone.
_COUNT = text(
    f"""
    SELECT backend, state, COUNT(*) AS number, SUM(in_doubt) AS in_doubt, SUM(size) AS size,
           MIN(accepted_at) AS oldest_at, {_BUCKETS}
    FROM entry GROUP BY backend, state
    """  # noqa: S608 - numbers and names from the table above, nothing from outside
)


def census(connection: Connection, *, now: int) -> dict[str, Census]:
    """Every backend that has entries or ever delivered any, by name."""
    found: dict[str, Census] = {}
    for row in connection.execute(_COUNT, {"now": now}).mappings():
        one = found.setdefault(row["backend"], Census())
        setattr(one, _NAMES[State(row["state"])], row["number"])
        one.in_doubt += row["in_doubt"]
        one.size += row["size"]
        if row["state"] == State.DEAD:
            continue
        one.oldest_at = min(row["oldest_at"], one.oldest_at or row["oldest_at"])
        young = 0
        for name in AGE_BOUNDS_MS:
            one.ages[name] += row[f"age_{name}"]
            young += row[f"age_{name}"]
        one.ages["older"] += row["number"] - young
    for told in connection.execute(select(tally)):
        one = found.setdefault(told.backend, Census())
        one.delivered = told.delivered
        one.lost = told.lost
        one.superseded = told.superseded
        one.duplicates = {
            "same": told.same,
            "differs": told.differs,
            "not_verified": told.not_verified,
        }
        one.last_success_at = told.last_success_at
        one.last_error = read_object(told.last_error) or None
    return found


AT_ONCE = -(2**31)  # below every due_at: the most urgent have the lowest

_NAMES = {
    State.PENDING: "pending",
    State.LEASED: "leased",
    State.HELD: "held",
    State.DEAD: "dead",
}


def next_due(connection: Connection, backend: str, *, after: int = AT_ONCE) -> int | None:
    """When the earliest waiting head of `backend` is due (0: now); None when nothing waits.

    `after`: only those that are due later than this.
    """
    found = connection.execute(
        text(
            "SELECT due_at FROM entry"
            " WHERE backend = :backend AND state = 0 AND head = 1 AND due_at > :after"
            " ORDER BY backend, due_at, seq LIMIT 1"
        ),
        {"backend": backend, "after": after},
    ).scalar()
    return None if found is None else max(0, int(found))  # below zero is at once, and urgent


MOST_COUNTED = 1000  # of a scope: who asks for a status does not wait for a million rows

# Along the index entry_scope alone. "0" is the letter after "/": a scope and its parts.
_WAITING_IN = text(
    """
    SELECT COUNT(*) FROM (
        SELECT 1 FROM entry
        WHERE backend = :backend AND scope IS NOT NULL AND state <> 3 AND scope = :scope
        UNION ALL
        SELECT 1 FROM entry
        WHERE backend = :backend AND scope IS NOT NULL AND state <> 3
          AND scope > :scope || '/' AND scope < :scope || '0'
        LIMIT :most
    ) AS waiting
    """
)


def waiting_in(
    connection: Connection, scopes: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """How many entries wait in each (backend, scope), parts of the scope included.

    No more than MOST_COUNTED + 1 are counted, which then means "more than MOST_COUNTED".
    """
    return {
        (backend, scope): connection.execute(
            _WAITING_IN, {"backend": backend, "scope": scope, "most": MOST_COUNTED + 1}
        ).scalar_one()
        for backend, scope in scopes
    }


# The inner select keeps to the index of times: grouping at once, SQLite walks all receipts.
_RATES = text(
    "SELECT backend, COUNT(*) AS number FROM ("
    "  SELECT backend FROM receipt WHERE delivered_at > :since ORDER BY delivered_at LIMIT :most"
    ") AS fresh GROUP BY backend"
)
MOST_PER_MINUTE = 10_000_000


def rates(connection: Connection, *, now: int) -> dict[str, float]:
    """Entries confirmed in the last minute, per backend: their rate per minute."""
    values = {"since": now - 60_000, "most": MOST_PER_MINUTE}
    return {row.backend: float(row.number) for row in connection.execute(_RATES, values)}
