"""What the eLog server holds: experiments with their entries and runs, and how it searches them.

The rules are those of the sheet, sections 3.5, 3.6 and 4, oddities included: deleted entries
are found, an edit leaves a clone, ancestors come along. All methods may be called from any thread.
"""

import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.emulators.elog_answers import crash, hard, integer, object_id, soft

MAX_ATTACHMENT_BYTES = 6_291_456
STORED_AS = str.maketrans({".": "\uff0e", "$": "\uff04"})
ENDING = re.compile(r"(?<=...)(?:ing|ed|s)$")
SEARCH_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

Json = dict[str, Any]


def iso(moment_ms: int) -> str:
    """A time as the server writes it: no fraction where it is zero."""
    moment = datetime.fromtimestamp(moment_ms // 1000, UTC)
    return moment.replace(microsecond=moment_ms % 1000 * 1000).isoformat()


def search_time(text: str) -> datetime:
    if not SEARCH_TIME.fullmatch(text):
        raise crash()
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class Upload:
    """A part of a form named `files`."""

    filename: str
    media_type: str
    content: bytes


@dataclass
class Experiment:
    """One logbook."""

    name: str
    instrument: str
    locked: bool = False
    entries: dict[str, Json] = field(default_factory=dict)
    runs: dict[int, Json] = field(default_factory=dict)
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    definitions: dict[str, Json] = field(default_factory=dict)
    jobs: dict[str, Json] = field(default_factory=dict)

    def run(self, number: str | None) -> Json:
        """The run's document; the highest when none is named. Unknown runs crash the server."""
        wanted = max(self.runs, default=0) if number is None else integer(number)
        if wanted not in self.runs:
            raise crash()
        return self.runs[wanted]

    def tagged(self) -> Iterator[tuple[int, str]]:
        """(run, tag) of every entry that has both; deleted ones still count."""
        for entry in self.entries.values():
            if "run_num" in entry:
                yield from ((entry["run_num"], tag) for tag in entry.get("tags", []))


class Store:
    """All logbooks. `mails` and `now` (epoch ms) are for tests to look at and to set."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.experiments: dict[str, Experiment] = {}
        self.mails: list[Json] = []
        self._ids = itertools.count(1)

    def add(self, name: str, runs: Iterable[int] = ()) -> Experiment:
        """A new logbook; all but the last of its runs have ended."""
        experiment = Experiment(name, name[:3].upper())
        numbers = sorted(runs)
        for number in numbers:
            closed = number != numbers[-1]
            experiment.runs[number] = self.new_run(number, closed=closed)
        self.experiments[name] = experiment
        return experiment

    def post(
        self, where: Experiment, form: Mapping[str, str], user: str, uploads: list[Upload]
    ) -> Json:
        """Store an entry; run, parent and sizes are checked here, all else by the caller."""
        with self.lock:
            stamp = iso(self.now())
            entry: Json = {
                "relevance_time": stamp,
                "insert_time": stamp,
                "author": user,
                "content": form["log_text"],
                "content_type": "TEXT",
            }
            entry |= self._run_number(where, form.get("run_num"))
            entry |= self._ancestry(where, form.get("parent"))
            entry |= self._attachments(where, uploads)
            entry |= {name: value for name, value in _plain(form).items() if value}
            entry["_id"] = self.new_id()
            where.entries[entry["_id"]] = entry
            return entry

    def edit(self, where: Experiment, entry_id: str, user: str, text: str, tags: str = "") -> None:
        """Overwrite an entry in place and leave its old values behind as a deleted clone."""
        with self.lock:
            entry = where.entries[entry_id]
            stamp = iso(self.now())
            clone = {
                **entry,
                "_id": self.new_id(),
                "parent": entry_id,
                "root": entry_id,
                "relevance_time": stamp,
                "deleted_by": user,
                "deleted_time": stamp,
            }
            where.entries[clone["_id"]] = clone
            entry.update(content=text, author=user, tags=tags.split())
            entry["previous_version"] = clone["_id"]

    def delete(self, where: Experiment, entry_id: str, user: str) -> None:
        """Mark an entry as deleted; it stays where it is."""
        with self.lock:
            where.entries[entry_id].update(deleted_by=user, deleted_time=iso(self.now()))

    def set_params(self, where: Experiment, number: str | None, params: Any) -> Json:
        """Merge parameters into a run; last writer of a name wins."""
        with self.lock:
            if not isinstance(params, dict):
                raise crash()
            run = where.run(number)
            run["params"] |= {name.translate(STORED_AS): value for name, value in params.items()}
            return {**run, "params": dict(run["params"])}

    def search(self, where: Experiment, query: Mapping[str, str]) -> list[Json]:
        """Entries by insert_time, with all ancestors of what matches."""
        with self.lock:
            found = {entry["_id"]: entry for entry in _matching(where, query)}
            for entry in list(found.values()):
                for ancestor in _ancestors(where, entry):
                    found.setdefault(ancestor["_id"], ancestor)
            ordered = sorted(found.values(), key=lambda entry: str(entry["insert_time"]))
            return [dict(entry) for entry in ordered]

    def new_id(self) -> str:
        return f"{self.now() // 1000 & 0xFFFFFFFF:08x}{next(self._ids):016x}"

    def new_run(self, number: int, *, closed: bool = False) -> Json:
        """The document of a run that begins now."""
        stamp = iso(self.now())
        return {
            "num": number,
            "type": "DATA",
            "begin_time": stamp,
            "end_time": stamp if closed else None,
            "params": {},
            "editable_params": {},
            "_id": self.new_id(),
        }

    def _run_number(self, where: Experiment, number: str | None) -> Json:
        if not number or (number == "current" and not where.runs):
            return {}
        wanted = max(where.runs) if number == "current" else int(number) if number.isdigit() else -1
        if wanted not in where.runs:
            told = f"Cannot find run with specified run number - {number} for experiment"
            raise soft(f"{told} {where.name}")
        return {"run_num": wanted}

    def _ancestry(self, where: Experiment, parent: str | None) -> Json:
        if not parent:
            return {}
        found = where.entries.get(object_id(parent))
        if found is None:
            told = "Cannot find parent entry for followup log message for experiment"
            raise hard(f"{told} {where.name} for parent oid {parent}")
        return {"root": found.get("root", found["_id"]), "parent": found["_id"]}

    def _attachments(self, where: Experiment, uploads: list[Upload]) -> Json:
        if any(len(upload.content) > MAX_ATTACHMENT_BYTES for upload in uploads):
            raise soft("We limit the size of attachments to 6.0 M", value=None)
        kept = [self._keep(where, upload) for upload in uploads if upload.filename.split("/")[0]]
        return {"attachments": kept} if kept else {}

    def _keep(self, where: Experiment, upload: Upload) -> Json:
        file_id = self.new_id()
        where.contents[file_id] = (upload.media_type, upload.content)
        return {
            "_id": file_id,
            "name": upload.filename.split("/")[0],
            "type": upload.media_type.partition(";")[0].strip(),
            "url": f"mongo://{self.new_id()}",
        }


def _plain(form: Mapping[str, str]) -> Json:
    """The fields that are stored as they come, or split into words."""
    extra = [name for name in ("ISSUE", "ROADBLOCK") if form.get(f"elog_support_{name.lower()}")]
    emails = form.get("log_emails", "").split()
    return {
        "email_to": emails,
        "tags": form.get("log_tags", "").split() + extra,
        "title": form.get("log_title"),
        "jira_ticket": form.get("jira_ticket"),
    }


def _ancestors(where: Experiment, entry: Json) -> Iterator[Json]:
    while "parent" in entry:
        entry = where.entries[entry["parent"]]
        yield entry


def _matching(where: Experiment, query: Mapping[str, str]) -> list[Json]:
    """The first kind of query that is there decides; the others are not looked at."""
    entries = list(where.entries.values())
    tag = query.get("tag")
    match query:
        case {"run_num": number}:
            wanted = integer(number)
            return [entry for entry in entries if entry.get("run_num") == wanted]
        case {"start_run_num": first, "end_run_num": last}:
            runs = range(integer(first), integer(last) + 1)
            return [entry for entry in entries if entry.get("run_num") in runs]
        case {"_id": text}:
            found = where.entries.get(object_id(text))
            return [found] if found else []
        case {"start_date": start, "end_date": end}:
            first_time, last_time = search_time(start), search_time(end)
            return [entry for entry in entries if first_time <= _relevance(entry) <= last_time]
        case {"search_text": text} if text:
            found_by_text = _by_text(entries, text)
            return [e for e in found_by_text if not tag or tag in e.get("tags", [])]
        case _ if tag:
            return [entry for entry in entries if tag in entry.get("tags", [])]
    return entries


def _relevance(entry: Json) -> datetime:
    return datetime.fromisoformat(entry["relevance_time"])


def _by_text(entries: list[Json], text: str) -> list[Json]:
    if text.startswith("t:"):
        return [entry for entry in entries if text[2:] in entry.get("tags", [])]
    if text.startswith("x:"):
        return _by_regex(entries, text[2:], re.MULTILINE)
    words = _words(text)
    found = [
        entry
        for entry in entries
        if text == entry["author"]
        or text in entry.get("tags", [])
        or words & _words(f"{entry['content']} {entry.get('title', '')}")
    ]
    return found or _by_regex(entries, text, re.IGNORECASE)


def _by_regex(entries: list[Json], pattern: str, flags: re.RegexFlag) -> list[Json]:
    try:
        return [entry for entry in entries if re.search(pattern, entry["content"], flags)]
    except re.error:
        return []


def _words(text: str) -> set[str]:
    """The words without their endings, roughly as MongoDB's text search takes them."""
    return {ENDING.sub("", word) for word in re.findall(r"\w+", text.lower())}
