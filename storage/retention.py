"""How long receipts are kept: the dedup window. What hangs on a receipt goes with it."""

from sqlalchemy import Connection, delete, select

from storage.loss import forget_losses
from storage.schema import attempt, audit, label, receipt
from storage.scopes import forget_worked

CHUNK = 5000  # rows in one transaction, so that accepts do not wait behind a clean-up


def expire_receipts(connection: Connection, *, before: int) -> int:
    """Delete up to CHUNK receipts delivered before `before` (epoch ms); return how many."""
    old = connection.execute(
        select(receipt.c.number, receipt.c.entry_id)
        .where(receipt.c.delivered_at < before)
        .order_by(receipt.c.delivered_at)
        .limit(CHUNK)
    ).all()
    if old:
        ids = [row.entry_id for row in old]
        connection.execute(delete(receipt).where(receipt.c.number.in_([r.number for r in old])))
        for table in (label, attempt):
            connection.execute(delete(table).where(table.c.entry_id.in_(ids)))
    connection.execute(delete(audit).where(audit.c.at < before))
    forget_worked(connection, before=before)
    forget_losses(connection, before=before)
    return len(old)
