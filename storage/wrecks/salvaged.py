"""What was told of damaged databases, until an operator has seen it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from storage.schema import salvage


@dataclass(frozen=True, slots=True)
class Salvaged:
    """All salvages that nobody has seen yet, together. Times are epoch ms.

    `lost` None: nobody can tell how many entries are missing. `running`: it is still going on.
    """

    at: int | None
    reason: str | None
    entries: int
    receipts: int
    lost: int | None
    moved_to: Sequence[str]
    running: bool = False


def unseen(connection: Connection, *, running: bool = False) -> Salvaged | None:
    """None: there is nothing to be told."""
    rows = connection.execute(
        select(salvage).where(salvage.c.seen_at.is_(None)).order_by(salvage.c.number)
    ).all()
    if not rows and not running:
        return None
    return Salvaged(
        at=rows[-1].at if rows else None,
        reason=rows[-1].reason if rows else None,
        entries=sum(row.entries for row in rows),
        receipts=sum(row.receipts for row in rows),
        lost=None if any(row.lost is None for row in rows) else sum(row.lost for row in rows),
        moved_to=[row.moved_to for row in rows],
        running=running,
    )


def mark_seen(connection: Connection, *, now: int) -> int:
    """An operator has seen them all; how many there were."""
    fresh = select(func.count()).where(salvage.c.seen_at.is_(None))
    count = connection.execute(fresh).scalar_one()
    connection.execute(update(salvage).where(salvage.c.seen_at.is_(None)).values(seen_at=now))
    return int(count)
