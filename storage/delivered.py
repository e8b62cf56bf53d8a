"""Which receipts an operator means: of one backend at one URL, delivered in a time, by labels.

Promises: pages come in order of delivery along an index, whatever leaves or comes between two of
them; no page takes more memory than the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from storage.entry import Delivered
from storage.schema import kept, label, receipt


@dataclass(frozen=True, slots=True)
class Meant:
    """What is asked for. Times are epoch ms, of the delivery; `ids` and `keys` None: all.

    `url`: where the receipts are from.
    """

    backend: str
    url: str
    until: int
    since: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    ids: Sequence[str] | None = None
    keys: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the order of delivery a page ended."""

    delivered_at: int = -1
    number: int = -1


@dataclass(frozen=True, slots=True)
class DeliveredPage:
    """Some receipts in order of delivery. `after`: where the next page begins; None: the end."""

    receipts: Sequence[Delivered]
    after: Place | None


def delivered_page(
    connection: Connection,
    meant: Meant,
    *,
    limit: int,
    after: Place | None = None,
    payloads: bool = False,
) -> DeliveredPage:
    """The first `limit` receipts behind `after`; with what is kept of them, if asked for."""
    begin = after or Place()
    said = kept.c.payload if payloads else kept.c.id
    query = (
        select(receipt, kept.c.id.label("kept_id"), said.label("said"))
        .select_from(receipt.outerjoin(kept, kept.c.id == receipt.c.entry_id))
        .where(
            # No column of an index like this: by one of those, SQLite would sort all receipts for
            # every page.
            receipt.c.backend.concat("") == meant.backend,
            receipt.c.backend_url.concat("") == meant.url,
            receipt.c.delivered_at >= max(meant.since, begin.delivered_at),
            receipt.c.delivered_at <= meant.until,
            or_(
                receipt.c.delivered_at > begin.delivered_at,
                and_(receipt.c.delivered_at == begin.delivered_at, receipt.c.number > begin.number),
            ),
        )
        .order_by(receipt.c.delivered_at, receipt.c.number)
        .limit(limit + 1)
    )
    for name, value in meant.labels.items():
        bearing = select(label.c.entry_id).where(label.c.name == name, label.c.value == value)
        query = query.where(receipt.c.entry_id.in_(bearing))
    if meant.ids is not None:
        query = query.where(receipt.c.entry_id.in_(meant.ids))
    if meant.keys is not None:
        query = query.where(receipt.c.key.in_(meant.keys))
    rows = connection.execute(query).all()
    page = [_delivered(row, payloads=payloads) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return DeliveredPage(page, None if last is None else Place(last.delivered_at, last.number))


def _delivered(row: Row[Any], *, payloads: bool) -> Delivered:
    return Delivered(
        id=row.entry_id,
        kind=row.kind,
        key=row.key,
        remote_id=row.remote_id,
        url=row.url,
        delivered_at=row.delivered_at,
        number=row.number,
        kept=row.kept_id is not None,
        payload=row.said if payloads else None,
    )
