"""The line that says when a post was written, if it comes late.

Promises: pure. The eLog shows when it got an entry and has no field for when that was written
(elog sheet, section 3.5), so a late one says so itself: in the same words on every attempt that
may meet an earlier one, because both times are fixed as long as an entry is in doubt.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from storage.entry import Claim

AFTER_SECONDS = 600.0
LINE = re.compile(r"\(Written ([0-9: -]+ UTC)(?: on [^\n]*)?; delivered late\.\)")


def late_line(claim: Claim, after_seconds: float, host: str) -> str | None:
    """The line for a claim that is first sent more than `after_seconds` after its time.

    `after_seconds` 0: never. None: it is not late.
    """
    sent = claim.first_sent_at
    if not after_seconds or sent is None or sent - claim.created_at <= after_seconds * 1000:
        return None
    where = f" on {host}" if host else ""
    return f"(Written {written(claim.created_at)}{where}; delivered late.)"


def without_host(text: str) -> str:
    """The text with any such line as it would be on whatever host: one may be renamed."""
    return LINE.sub(r"(Written \1; delivered late.)", text)


def written(moment_ms: int) -> str:
    """A time as people read it, with its zone: the same wherever it is worked out."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=moment_ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def before_correction(claim: Claim) -> Claim:
    """The claim with the time that our clock showed before it was set right, if it was."""
    raw = claim.raw_created_at
    return claim if raw is None else replace(claim, created_at=raw)
