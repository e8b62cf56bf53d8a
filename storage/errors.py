"""What storage raises when the disk refuses, and how that is told from a bug of ours."""

import sqlite3

from sqlalchemy.exc import DBAPIError

# SQLite's primary result codes that speak of the disk, the file or its locks and not of us:
# BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, NOTADB.
_CODES = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 22, 26})


class DiskRefused(Exception):  # named by what is the case
    """The database could not be written: full, read-only or failing. Nothing was changed."""


def disk_refusal(raised: BaseException) -> str | None:
    """In words, if it is the disk that refuses; None: a bug of ours, or not SQLite at all."""
    original = raised.orig if isinstance(raised, DBAPIError) else raised
    if not isinstance(original, sqlite3.Error):
        return None
    # The low byte is the primary code; without one it is the module's own complaint, a bug.
    code = getattr(original, "sqlite_errorcode", None)
    return str(original) if code is not None and code & 0xFF in _CODES else None
