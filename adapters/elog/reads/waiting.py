"""What of our own outbox belongs into an answer, and how it is marked there. Pure.

Promises: nothing of ours looks like something that the eLog holds. A run names under `queued`
which of its parameters come from which entry; everything else of ours says `"queued": true`, and
`queued_entry`, the id of the entry. What belongs where nobody can tell yet, because it says
"current", is listed apart under `queued_elsewhere`. Entries are taken in the order in which they
were accepted: the last one counts, as it will in the eLog.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.elog.payloads import CURRENT, FLAG_FIELDS
from adapters.elog.reads import entries as posts
from adapters.elog.reads.ask import Ask
from adapters.elog.reads.given import covers
from adapters.elog.workflow import Workflow, definition
from adapters.reading import Queued

QUEUED = "queued"
ENTRY = "queued_entry"
STATE = "queued_state"
ELSEWHERE = "queued_elsewhere"

Merged = tuple[Any, int]
KINDS: Mapping[str, tuple[str, ...] | None] = {
    "active_experiment": (),
    "active_experiments": (),
    "attachment": (),
    "current_run": ("run_params",),
    "entries": ("post",),
    "entry": (),
    "params": ("run_params",),
    "raw": None,
    "run": ("run_params",),
    "runs": ("run_params",),
    "runs_by_tag": ("post",),
    "search": ("post",),
    "tags": ("post",),
    "tags_by_run": ("post",),
    "workflow_jobs": None,  # a run status waits for the job service, which names jobs by itself
    "workflows": ("workflow",),
}


def kinds(ask: Ask) -> Sequence[str] | None:
    """The kinds of entry that belong into an answer. None: it cannot be told.

    The answer about what is current does not say which experiment it is about.
    """
    if ask.is_open:
        return None
    if ask.resource == "runs" and not ask.options["include_params"]:
        return ()
    return KINDS[ask.resource]


def merged(ask: Ask, data: Any, entries: Sequence[Queued]) -> Merged:
    """The answer with the entries, marked; and how many of them are shown."""
    ours = [one for one in entries if one.payload.get("experiment") in (ask.experiment, CURRENT)]
    ours.sort(key=lambda one: one.accepted_at)
    here = [one for one in ours if one.payload["experiment"] == ask.experiment]
    elsewhere = [one for one in ours if one.payload["experiment"] == CURRENT]
    data, count, more = MERGES[ask.resource](ask, data, here)
    apart = [_apart(one) for one in (*more, *elsewhere)]
    return _with_apart(data, apart), count + len(apart)


def _with_apart(data: Any, apart: list[dict[str, Any]]) -> Any:
    if not apart:
        return data
    if isinstance(data, list):
        return [*data, {ELSEWHERE: apart}]
    return {**(data or {}), ELSEWHERE: apart}


def _apart(entry: Queued) -> dict[str, Any]:
    return {**_marks(entry), "kind": entry.kind, "payload": dict(entry.payload)}


def _marks(entry: Queued) -> dict[str, Any]:
    return {QUEUED: True, ENTRY: entry.id, STATE: entry.state}


Parts = tuple[Any, int, list[Queued]]  # data, entries in it, entries of which nobody can tell


def _run_params(ask: Ask, data: Any, entries: Sequence[Queued]) -> Parts:
    """Rows of runs, or the one run that was asked for."""
    open_, named = _split(entries)
    number = "run" if ask.resource == "params" else "num"
    single = ask.resource in ("run", "current_run")
    rows = [dict(one) for one in ([data] if single and data else data or [])]
    by_run = {row[number]: row for row in rows}
    count = 0
    for entry in named:
        run = entry.payload["run"]
        params = _wanted(ask, by_run, run, entry.payload["params"])
        if not params:
            continue
        if run not in by_run:
            by_run[run] = {number: run, "params": {}}
        _add(by_run[run], params, entry.id)
        count += 1
    if single:
        return next(iter(by_run.values()), None), count, open_
    ordered = sorted(by_run.values(), key=lambda row: int(row[number]), reverse=number == "num")
    return ordered, count, open_


def _wanted(ask: Ask, there: Mapping[int, Any], run: int, params: Any) -> dict[str, Any]:
    """The parameters of a run that belong into the answer."""
    match ask.resource:
        case "run" if run != ask.options["run"]:
            return {}
        case "current_run" if run not in there:
            return {}
        case "params":
            spans, names = ask.options["runs"], ask.options["names"]
            if spans is not None and not covers(spans, run):
                return {}
            return {one: params[one] for one in params if names is None or one in names}
    return dict(params)


def _add(row: dict[str, Any], params: Mapping[str, Any], entry_id: str) -> None:
    row["params"] = {**row.get("params", {}), **params}
    row[QUEUED] = {**row.get(QUEUED, {}), **dict.fromkeys(params, entry_id)}


def _split(entries: Iterable[Queued]) -> tuple[list[Queued], list[Queued]]:
    """Those whose run is still to be found out, and those that name it."""
    open_: list[Queued] = []
    named: list[Queued] = []
    for one in entries:
        (open_ if one.payload.get("run") == CURRENT else named).append(one)
    return open_, named


def _posts(ask: Ask, data: Any, entries: Sequence[Queued]) -> Parts:
    """Entries of the logbook, at the end: they will be its newest."""
    form = posts.form_in(ask.options)
    by_run = not {"run", "runs"}.isdisjoint(form)
    open_, named = _split(entries) if by_run else ([], entries)
    found = [(one, _document(one)) for one in named]
    hits = [(one, document) for one, document in found if posts.matches(form, document)]
    untold = [one for one, document in found if "regex" in form and _unknown(form, document)]
    return [*(data or []), *(document for _, document in hits)], len(hits), [*open_, *untold]


def _unknown(form: Mapping[str, Any], document: dict[str, Any]) -> bool:
    return posts.matches(form, document) is None


def _document(entry: Queued) -> dict[str, Any]:
    """A post under the names of the eLog's fields; its time is when it was accepted here."""
    said = entry.payload
    accepted = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=entry.accepted_at)
    fields = {
        "relevance_time": accepted.isoformat(timespec="milliseconds"),
        "content": said.get("text"),
        "title": said.get("title"),
        "author": said.get("author"),
        "run_num": said.get("run"),
        "parent": said.get("reply_to"),
        "tags": _tags(entry),
        "email_to": said.get("emails"),
    }
    return {name: value for name, value in fields.items() if value} | _marks(entry)


def _tags(entry: Queued) -> list[str]:
    """Its own tags, and those that the eLog adds for its flags."""
    added = [FLAG_FIELDS[one][1] for one in entry.payload.get("flags") or ()]
    return [*(entry.payload.get("tags") or ()), *(one for one in added if one)]


def _runs_by_tag(ask: Ask, data: Any, entries: Sequence[Queued]) -> Parts:
    tagged = [one for one in entries if ask.options["tag"] in _tags(one)]
    open_, named = _split(tagged)
    pairs = [(one.payload["run"], one) for one in named if one.payload.get("run") is not None]
    return (*_listed("run", data or [], pairs), open_)


def _tags_used(_: Ask, data: Any, entries: Sequence[Queued]) -> Parts:
    pairs = [(tag, one) for one in entries for tag in _tags(one)]
    return (*_listed("tag", data or [], pairs), [])


def _tags_by_run(_: Ask, data: Any, entries: Sequence[Queued]) -> Parts:
    open_, named = _split(one for one in entries if _tags(one))
    by_run: dict[str, Any] = {**(data or {})}
    count = 0
    for entry in named:
        run = entry.payload.get("run")
        if run is None:
            continue
        pairs = [(tag, entry) for tag in _tags(entry)]
        by_run[str(run)], shown = _listed("tag", by_run.get(str(run), []), pairs)
        count += shown
    return by_run, count, open_


def _listed(name: str, there: Sequence[Any], pairs: Sequence[tuple[Any, Queued]]) -> Merged:
    """A list with what it would have more: {name, queued, ...} for each value not there yet."""
    known = [one[name] if isinstance(one, dict) else one for one in there]
    more = []
    shown = set()
    for value, entry in pairs:
        if value not in known:
            known.append(value)
            more.append({name: value, **_marks(entry)})
            shown.add(entry.id)
    return [*there, *more], len(shown)


def _workflows(_: Ask, data: Any, entries: Sequence[Queued]) -> Parts:
    """Definitions by name: one of ours takes the place of the one that it will replace."""
    by_name = {str(one.get("name")): one for one in data or []}
    for entry in entries:
        wanted = dict(definition(Workflow.model_validate(dict(entry.payload))))
        before = by_name.get(str(wanted["name"]), {})
        kept = {"_id": before["_id"]} if "_id" in before else {}
        by_name[str(wanted["name"])] = {**kept, **wanted, **_marks(entry)}
    return [by_name[name] for name in sorted(by_name)], len(entries), []


MERGES: Mapping[str, Callable[[Ask, Any, Sequence[Queued]], Parts]] = {
    "current_run": _run_params,
    "entries": _posts,
    "params": _run_params,
    "run": _run_params,
    "runs": _run_params,
    "runs_by_tag": _runs_by_tag,
    "search": _posts,
    "tags": _tags_used,
    "tags_by_run": _tags_by_run,
    "workflows": _workflows,
}
