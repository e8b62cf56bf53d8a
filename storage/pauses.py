"""Pauses: rests of backends that operators wished for. They stand beside the backends' own rests.

Promises: who paused or resumed what, and why, is in the audit trail, under no entry's id; what
the agent does to a pause by itself never meets one that an operator has begun meanwhile.
"""

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from storage import crash
from storage.dialect import upsert
from storage.entry import Pause
from storage.lists import iso
from storage.schema import audit, pause

NO_ENTRY = ""  # the audit trail's word for what concerns a backend as a whole


def begin_pause(connection: Connection, one: Pause) -> None:
    """Pause a backend, in place of a pause that it may have."""
    connection.execute(
        upsert(connection, pause, ("backend",)),
        {
            "backend": one.backend,
            "since": one.since,
            "until": one.until,
            "who": one.who,
            "reason": one.reason,
        },
    )
    told = [f"until {iso(one.until)}"] if one.until is not None else []
    detail = ": ".join([*told, *([one.reason] if one.reason else [])])
    _write_audit(connection, "pause", one.backend, at=one.since, who=one.who, detail=detail)
    crash.point("pause.written")


def end_pause(connection: Connection, backend: str, *, now: int, who: str, reason: str) -> None:
    """End the pause of a backend, if it has one."""
    connection.execute(delete(pause).where(pause.c.backend == backend))
    _write_audit(connection, "resume", backend, at=now, who=who, detail=reason)
    crash.point("resume.written")


def forget_pause(connection: Connection, over: Pause, *, now: int, who: str, reason: str) -> bool:
    """End a pause whose time has come. False: it is another one by now."""
    if not connection.execute(delete(pause).where(_is(over))).rowcount:
        return False
    _write_audit(connection, "resume", over.backend, at=now, who=who, detail=reason)
    return True


def move_pause(connection: Connection, stored: Pause, shown: Pause) -> bool:
    """Set the times of a pause right. False: it is another one by now."""
    times = {"since": shown.since, "until": shown.until}
    return bool(connection.execute(update(pause).where(_is(stored)).values(times)).rowcount)


def read_pauses(connection: Connection) -> list[Pause]:
    """All pauses, those of backends that are not configured any more included."""
    return [
        Pause(row.backend, row.since, row.until, row.who, row.reason)
        for row in connection.execute(select(pause).order_by(pause.c.backend))
    ]


def _is(one: Pause) -> ColumnElement[bool]:
    return and_(
        pause.c.backend == one.backend, pause.c.since == one.since, pause.c.until == one.until
    )


def _write_audit(
    connection: Connection, verb: str, backend: str, *, at: int, who: str, detail: str
) -> None:
    row = {
        "at": at,
        "verb": verb,
        "entry_id": NO_ENTRY,
        "backend": backend,
        "who": who,
        "detail": detail,
    }
    connection.execute(insert(audit), row)
