"""Times that this host stamped while its clock was not synchronised, set right afterwards.

A host without a battery-backed clock begins each boot in the past. Its monotonic clock tells how
long ago an entry came in, so once the wall clock follows a time server, the true time of every
entry of the same boot is known. Promises: the time that was shown is kept beside the true one; a
producer's own time is never touched; neither is anything that may be on the wire, or has been
and may be there: what was sent once is sent again with the same time.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from storage.entry import Stamp

TOLERANCE_MS = 1000  # a clock that is off by less was good enough
CHUNK = 5000  # entries in one transaction, so that accepts do not wait behind it

_TRUE = "(:wall - (:monotonic - monotonic_at))"
_SOME = """
    SELECT seq FROM entry
    WHERE boot_id = :boot_id AND synchronised = 0 AND state <> 1 AND in_doubt = 0
    LIMIT :limit
"""
_CORRECT = text(
    f"""
    UPDATE entry SET
        raw_accepted_at = CASE WHEN ABS({_TRUE} - accepted_at) > :tolerance
            THEN accepted_at END,
        raw_created_at = CASE WHEN ABS({_TRUE} - accepted_at) > :tolerance AND stamped = 1
            THEN created_at END,
        created_at = CASE WHEN ABS({_TRUE} - accepted_at) > :tolerance AND stamped = 1
            THEN {_TRUE} ELSE created_at END,
        accepted_at = CASE WHEN ABS({_TRUE} - accepted_at) > :tolerance
            THEN {_TRUE} ELSE accepted_at END,
        synchronised = 1
    WHERE seq IN ({_SOME})
    RETURNING raw_accepted_at, accepted_at
    """  # noqa: S608 - built from the constants above, nothing from outside
)


@dataclass(frozen=True, slots=True)
class Corrected:
    """How many entries were looked at, how many were off, and the last of them by how many ms."""

    looked_at: int
    corrected: int
    shift_ms: int


def correct_times(connection: Connection, right: Stamp) -> Corrected:
    """Set up to CHUNK entries of this boot right. `right`: all clocks now, synchronised."""
    values = {
        "wall": right.wall,
        "monotonic": right.monotonic,
        "boot_id": right.boot_id,
        "tolerance": TOLERANCE_MS,
        "limit": CHUNK,
    }
    rows = connection.execute(_CORRECT, values).all()
    shifts = [row.accepted_at - row.raw_accepted_at for row in rows if row.raw_accepted_at]
    return Corrected(len(rows), len(shifts), shifts[-1] if shifts else 0)
