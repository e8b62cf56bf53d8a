"""What storage raises when the disk refuses, and how that is told from a bug of ours."""

import errno
import sqlite3
from typing import Literal

from sqlalchemy.exc import DBAPIError

# SQLite's primary result codes that speak of the disk, the file or its locks and not of us:
# BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, NOTADB.
_CODES = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 15, 22, 26})

_FULL, _IOERR, _CANTOPEN = 13, 10, 14
_DAMAGE = frozenset({11, 26})  # CORRUPT, NOTADB
_NOT_UTF8 = "Could not decode to UTF-8"  # Python's own complaint: it has no code
# What a schema on a damaged page looks like; a bug of ours, too, so that it has to be looked at.
_NOT_THERE = ("no such table", "no such column", "no such index", "malformed")


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


def full_disk(raised: BaseException) -> bool:
    """Does an error say that there is no room?"""
    if isinstance(raised, OSError):
        return raised.errno in (errno.ENOSPC, errno.EDQUOT)
    return _code(raised) == _FULL


def io_trouble(raised: BaseException) -> bool:
    """Does an error of SQLite's say that the disk did not do what it was asked to?"""
    return _code(raised) in (_IOERR, _CANTOPEN)


def _code(raised: BaseException | None) -> int | None:
    """SQLite's primary code of an error, or of what it was made from."""
    while raised is not None:
        original = raised.orig if isinstance(raised, DBAPIError) else raised
        if isinstance(original, sqlite3.Error):
            code = getattr(original, "sqlite_errorcode", None)
            return None if code is None else code & 0xFF
        raised = raised.__cause__
    return None


Proof = Literal["certain", "likely", "perhaps"]


def damage(raised: BaseException) -> Proof | None:
    """How far an error of SQLite's proves that the file is not what it was; None: not at all.

    "likely": a disk may have read wrongly once. "perhaps": it may be a bug of ours.
    """
    original = raised.orig if isinstance(raised, DBAPIError) else raised
    if not isinstance(original, sqlite3.Error):
        return None
    code = getattr(original, "sqlite_errorcode", None)
    if code is None:
        return "certain" if _NOT_UTF8 in str(original) else None
    if code & 0xFF in _DAMAGE:
        return "likely"
    return "perhaps" if code == 1 and any(x in str(original) for x in _NOT_THERE) else None


def is_damage(raised: BaseException) -> bool:
    """Does an error of SQLite's say that the file is not what it was?"""
    return damage(raised) is not None
