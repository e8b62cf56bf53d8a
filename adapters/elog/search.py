"""Finding a post again whose answer was lost (elog sheet, sections 4 and 5).

Promises: pure; no I/O. A post is recognised by a marker that was sent with it: our id as its
`jira_ticket` (kept, returned, not shown), or as a tag; or, where neither is wanted, by all that
it says. Entries that a person has edited or deleted since are still recognised: they must not
be posted again. What was looked for in the wrong place is never taken for absent.
"""

import email.utils
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from adapters.answer import Answer
from adapters.elog.files import wire_name
from adapters.elog.late import without_host
from adapters.elog.payloads import FLAG_FIELDS
from adapters.verdict import Uncertain
from storage.entry import Claim, Doubt

Marker = Literal["jira_ticket", "tag", "content"]

# How far the server's clock may be from ours before a window misses an entry.
MARGIN_MS = 10 * 60 * 1000
# Our own clock may have been set since. A marker is nobody else's, so it costs only time to look
# further back; what is known by its words alone has to be looked for closely.
EARLIER_MS = {"jira_ticket": 24 * 3600 * 1000, "content": MARGIN_MS}
# The server makes a thumbnail of each file, for at most 30 s, before it inserts the entry.
FILE_MS = 30 * 1000
LAST_MS = 253_402_300_799_999  # the end of the year 9999

# What a search can compare where no marker was sent; an author or a mail it cannot.
COMPARED = {"log_text", "log_title", "log_tags", "run_num", "parent"} | {
    field for field, tag in FLAG_FIELDS.values() if tag
}

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sought:
    """A lost post: `form` is what was sent, `now` our clock.

    `skew`: how far the server's clock is ahead of ours, in ms; None: nobody has told. `texts`:
    what else it may have said, beside what is in the form.
    """

    doubt: Doubt
    form: Mapping[str, str]
    marker: Marker
    now: int
    skew: int | None = None
    texts: tuple[str, ...] = ()

    @property
    def claim(self) -> Claim:
        """The entry itself."""
        return self.doubt.claim

    def offsets(self) -> tuple[int, ...]:
        """How far the server may have been ahead of our clock when the entry was sent.

        Ours may have been set right since, so each of these is possible.
        """
        claim, skew = self.claim, self.skew or 0
        raw = claim.raw_created_at
        return (0, skew) if raw is None else (0, skew, claim.created_at - raw)

    def lost_in_time(self) -> bool:
        """Can nobody say when it was sent, in the server's time?

        A time that is still to come proves that our clock was set back since.
        """
        if self.skew is None:
            return True
        return self.doubt.first_sent_at > self.now + max(0, self.skew) + MARGIN_MS


def marked(form: dict[str, str], claim: Claim, marker: Marker) -> dict[str, str]:
    """The form with the marker by which `find` knows the entry again."""
    match marker:
        case "jira_ticket":
            return form | {"jira_ticket": claim.id}
        case "tag":
            tags = f"{form.get('log_tags', '')} {marker_tag(claim)}".strip()
            return form | {"log_tags": tags}
        case "content":
            return form


def marker_tag(claim: Claim) -> str:
    """The visible marker."""
    return f"hf-{claim.id}"


def first_look(sought: Sought) -> dict[str, str]:
    """The query for every entry that may be the lost one, if the clocks are right.

    Its end is not the last attempt but now: an edit leaves the old values behind under the time
    of the edit.
    """
    if sought.marker == "tag":
        return {"tag": marker_tag(sought.claim)}
    start = sought.doubt.first_sent_at + min(sought.offsets()) - EARLIER_MS[sought.marker]
    end = max(sought.now, sought.doubt.last_sent_at) + max(sought.offsets()) + MARGIN_MS
    return window(start, end + FILE_MS * len(sought.claim.attachments))


def second_look(sought: Sought) -> dict[str, str] | None:
    """The query for a look in the server's time; None: the first look was in the right place.

    Raises Uncertain when no look can tell.
    """
    if sought.marker == "tag":
        return None
    if sought.lost_in_time():
        return _everything(sought)
    return first_look(sought) if abs(sought.skew or 0) > MARGIN_MS / 2 else None


def window(start_ms: int, end_ms: int) -> dict[str, str]:
    """The query for all entries of a time."""
    return {"start_date": wire_time(start_ms), "end_date": wire_time(end_ms)}


def wire_time(moment_ms: int) -> str:
    """The only spelling of a time that the search does not crash on."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=moment_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment_ms % 1000:03d}Z"


def skew(answer: Answer, now_ms: int) -> int | None:
    """How far the server's clock is ahead of ours, in ms; None when it does not say."""
    try:
        sent = email.utils.parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return int(sent.timestamp() * 1000) - now_ms


def matches(found: Sequence[Any], sought: Sought) -> list[str]:
    """The ids of the entries that may be the lost one, oldest first.

    An edit keeps the id and leaves a copy of the old values behind, marked as deleted, with
    the same insert_time and the entry as its parent: that copy stands for its parent.
    """
    entries = {item["_id"]: item for item in found if _has_id(item)}
    inserted: dict[str, str] = {}
    for item in entries.values():
        live = _live(item, entries)
        if _carries(item, live, sought):
            inserted[live["_id"]] = str(live.get("insert_time"))
    # ISO times of one zone sort as text, also where a zero fraction is left out ("+" < ".").
    return sorted(inserted, key=lambda remote_id: (inserted[remote_id], remote_id))


def _everything(sought: Sought) -> dict[str, str]:
    """The whole logbook. What has no marker of ours could be anybody's there."""
    if sought.marker == "content":
        raise Uncertain(
            "our clock was set back since it was sent, or the eLog does not tell its time: an"
            " entry without a marker cannot be told from others then. Look in the logbook, and"
            " discard the entry if it is there"
        )
    return window(0, LAST_MS)


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("_id"), str)


def _live(item: Item, entries: Mapping[str, Item]) -> Item:
    parent = entries.get(str(item.get("parent")))
    is_old_version = parent is not None and parent.get("insert_time") == item.get("insert_time")
    if item.get("deleted_by") and parent is not None and is_old_version:
        return parent
    return item


def _carries(item: Item, live: Item, sought: Sought) -> bool:
    match sought.marker:
        case "jira_ticket":
            return bool(item.get("jira_ticket") == sought.claim.id)
        case "tag":
            return marker_tag(sought.claim) in (item.get("tags") or [])
        case "content":
            return _says_the_same(item, live, sought) and _in_time(live, sought)


def _says_the_same(item: Item, live: Item, sought: Sought) -> bool:
    """Is all that was sent, and that the server keeps, in the item?

    The copy of an old version has another parent than the entry itself.
    """
    form, content = sought.form, item.get("content")
    texts = {without_host(text) for text in (form["log_text"], *sought.texts)}
    if not isinstance(content, str) or without_host(content) not in texts:
        return False
    said = (
        item.get("title") or "",
        _tags(item, form),
        str(item.get("run_num", "")),
        live.get("parent") or "",
        _file_names(live),
    )
    return said == (
        form.get("log_title", ""),
        _tags({"tags": form.get("log_tags", "").split() + _added_tags(form)}, form),
        form.get("run_num", ""),
        form.get("parent", "").lower(),
        Counter(map(wire_name, sought.claim.attachments)),
    )


def _tags(item: Item, form: Mapping[str, str]) -> tuple[list[str], set[str]]:
    """The tags in their order, and apart from them those that the server adds for a flag."""
    added = set(_added_tags(form))
    said = item.get("tags")
    tags = [str(tag) for tag in said] if isinstance(said, list) else []
    return [tag for tag in tags if tag not in added], added.intersection(tags)


def _added_tags(form: Mapping[str, str]) -> list[str]:
    return [tag for field, tag in FLAG_FIELDS.values() if tag and form.get(field)]


def _file_names(item: Item) -> Counter[str]:
    files = [file for file in item.get("attachments") or [] if isinstance(file, dict)]
    return Counter(str(file.get("name")) for file in files)


def _in_time(item: Item, sought: Sought) -> bool:
    """Was it inserted while it may have been ours that was on its way?"""
    try:
        inserted = datetime.fromisoformat(str(item.get("insert_time"))).timestamp() * 1000
    except ValueError:
        return True  # the server itself has said that it belongs into the window
    upload = FILE_MS * len(sought.claim.attachments)
    first, last = sought.doubt.first_sent_at, sought.doubt.last_sent_at + upload
    return any(
        first + offset - MARGIN_MS <= inserted <= last + offset + MARGIN_MS
        for offset in sought.offsets()
    )
