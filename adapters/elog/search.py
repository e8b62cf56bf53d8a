"""Finding a post again whose answer was lost (elog sheet, sections 4 and 5).

Promises: pure; no I/O. A post is recognised by a marker that was sent with it: our id as its
`jira_ticket` (kept, returned, not shown), or as a tag. Entries that a person has edited or
deleted since are still recognised: they must not be posted again.
"""

import email.utils
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from adapters.http import Answer
from storage.entry import Claim, Doubt

Marker = Literal["jira_ticket", "tag"]

# How far the server's clock may be from ours before the window misses an entry.
MARGIN_MS = 10 * 60 * 1000
# The server makes a thumbnail of each file, for at most 30 s, before it inserts the entry.
FILE_MS = 30 * 1000


def marked(form: dict[str, str], claim: Claim, marker: Marker) -> dict[str, str]:
    """The form with the marker by which `find` knows the entry again."""
    if marker == "jira_ticket":
        return form | {"jira_ticket": claim.id}
    tags = f"{form.get('log_tags', '')} {marker_tag(claim)}".strip()
    return form | {"log_tags": tags}


def marker_tag(claim: Claim) -> str:
    """The visible marker."""
    return f"hf-{claim.id}"


def window(doubt: Doubt, skew_ms: int = 0) -> dict[str, str]:
    """The query for all entries that the server may have made from this one.

    `skew_ms`: how much the server's clock is known to be ahead of ours (negative: behind). Ours
    may have been set right since the entry was sent, so the window covers both.
    """
    start = doubt.first_sent_at + min(0, skew_ms) - MARGIN_MS
    upload = FILE_MS * len(doubt.claim.attachments)
    end = doubt.last_sent_at + max(0, skew_ms) + MARGIN_MS + upload
    return {"start_date": wire_time(start), "end_date": wire_time(end)}


def wire_time(moment_ms: int) -> str:
    """The only spelling of a time that the search does not crash on."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=moment_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment_ms % 1000:03d}Z"


def skew(answer: Answer, now_ms: int) -> int:
    """How far the server's clock is ahead of ours, in ms; 0 when it does not say."""
    try:
        sent = email.utils.parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return 0
    return int(sent.timestamp() * 1000) - now_ms


def matches(found: Sequence[Any], claim: Claim, marker: Marker) -> list[str]:
    """The ids of the entries that carry the claim's marker, oldest first.

    An edit keeps the id and leaves a copy of the old values behind, marked as deleted, with
    the same insert_time and the entry as its parent: that copy stands for its parent.
    """
    entries = {item["_id"]: item for item in found if _has_id(item)}
    inserted: dict[str, str] = {}
    for item in entries.values():
        if _carries(item, claim, marker):
            live = _live(item, entries)
            inserted[live["_id"]] = str(live.get("insert_time"))
    # ISO times of one zone sort as text, also where a zero fraction is left out ("+" < ".").
    return sorted(inserted, key=lambda remote_id: (inserted[remote_id], remote_id))


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("_id"), str)


def _carries(item: dict[str, Any], claim: Claim, marker: Marker) -> bool:
    if marker == "jira_ticket":
        return item.get("jira_ticket") == claim.id
    return marker_tag(claim) in (item.get("tags") or [])


def _live(item: dict[str, Any], entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    parent = entries.get(str(item.get("parent")))
    is_old_version = parent is not None and parent.get("insert_time") == item.get("insert_time")
    if item.get("deleted_by") and parent is not None and is_old_version:
        return parent
    return item
