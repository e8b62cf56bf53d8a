"""Entries of the logbook: the forms of a search, and what of its answer was asked for. Pure.

The eLog answers a search with all ancestors of what matches, with deleted entries, and with the
copies of old versions that edits leave behind (elog sheet, section 4). Promises: what does not
match is left out, or marked; of what only the eLog can judge nothing is left out, and what may be
an ancestor only says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adapters.elog.moment import epoch_ms
from adapters.elog.reads.given import Given, covers
from adapters.elog.search import LAST_MS, window
from adapters.reading import Misasked

Item = dict[str, Any]
Form = Mapping[str, Any]

FORMS = ("run", "runs", "since", "tag", "text", "regex", "id")
ANCESTOR = "ancestor"  # the mark: true, or "perhaps" where only the eLog can tell
OLD_VERSION = "old_version_of"
PERHAPS = "perhaps"
# What a search with a text of such a beginning would be taken for.
PREFIXES = {"t:": "tag", "x:": "regex"}
PLAIN = re.compile(r"[\w \-,;:'\"!@#%&=<>/~`]*")
WORD = re.compile(r"\w+")


def form_of(given: Given) -> dict[str, Any]:
    """The one form of a search that was given. Raises Misasked for none, and for more."""
    names = ["since" if one == "until" else one for one in (*FORMS, "until") if one in given]
    forms = sorted(set(names), key=FORMS.index)
    if forms not in ([one] for one in FORMS) and forms != ["tag", "text"]:
        said = " and ".join(forms) if forms else "nothing to search for"
        raise Misasked(
            f"{said}: the eLog searches by one of run, runs, since/until, tag, text, regex, id"
            " at a time (text may stand beside tag)",
            parameter=forms[-1] if forms else None,
        )
    made: dict[str, Any] = {}
    for one in forms:
        made |= _part(one, given)
    return made


def _part(form: str, given: Given) -> dict[str, Any]:
    match form:
        case "run":
            return {"run": given.run()}
        case "runs":
            return {"runs": _one_span(given)}
        case "since":
            return _times(given)
        case "id":
            return {"id": given.id("id")}
        case "text":
            return {"text": _text(given)}
    return {form: given.text(form)}


def _one_span(given: Given) -> list[int]:
    spans = given.spans("runs")
    if len(spans) != 1 or spans[0][1] is None:
        said = "runs: the eLog searches from one run to another, as in 1:10"
        raise Misasked(said, parameter="runs")
    return [spans[0][0] or 0, spans[0][1]]


def _times(given: Given) -> dict[str, int]:
    since = given.moment("since") if "since" in given else 0
    until = given.moment("until") if "until" in given else LAST_MS
    if not 0 <= since <= until <= LAST_MS:
        raise Misasked("since has to be before until, and after 1970", parameter="since")
    return {"since": since, "until": until}


def _text(given: Given) -> str:
    text = given.text("text")
    meant = PREFIXES.get(text[:2])
    if meant is not None or not text.strip():
        said = f"; say {meant}={text[2:]!r}" if meant else ""
        raise Misasked(f"text: {text!r} are no words to search for{said}", parameter="text")
    return text


def form_in(options: Mapping[str, Any]) -> Form:
    """What of an ask's options is searched for."""
    return {name: options[name] for name in (*FORMS, "until") if name in options}


def query_of(form: Form) -> tuple[tuple[str, str], ...]:
    """The form as the eLog spells it: the first that it knows counts, top down."""
    match form:
        case {"run": run}:
            return (("run_num", str(run)),)
        case {"runs": [first, last]}:
            return (("start_run_num", str(first)), ("end_run_num", str(last)))
        case {"id": id_}:
            return (("_id", id_),)
        case {"since": since, "until": until}:
            return tuple(window(since, until).items())
    words = [("search_text", f"x:{form['regex']}")] if "regex" in form else []
    words += [("search_text", form["text"])] if "text" in form else []
    return (*words, *((("tag", form["tag"]),) if "tag" in form else ()))


def matches(form: Form, item: Item) -> bool | None:
    """Is the item what the form asks for? None: only the eLog can tell."""
    said = [TESTS[name](form, item) for name in form if name in TESTS]
    if False in said:
        return False
    return None if None in said else True


def _in_runs(form: Form, item: Item) -> bool:
    run = _run_of(item)
    return run is not None and covers([form["runs"]], run)


def _in_time(form: Form, item: Item) -> bool | None:
    moment = epoch_ms(item.get("relevance_time"))
    return None if moment is None else bool(form["since"] <= moment <= form["until"])


def _says(form: Form, item: Item) -> bool | None:
    """By author, tag or word. The eLog knows other forms of a word, too."""
    text = form["text"]
    content = str(item.get("content"))
    words = set(WORD.findall(f"{content} {item.get('title') or ''}".lower()))
    found = (
        text == item.get("author")
        or text in tags_of(item)
        or not words.isdisjoint(WORD.findall(text.lower()))
    )
    return True if found else None


def _has(form: Form, item: Item) -> bool | None:
    """Patterns are the eLog's matter: another dialect, and some of them take for ever."""
    regex = form["regex"]
    return regex in str(item.get("content")) if PLAIN.fullmatch(regex) else None


# `until` belongs to `since`.
TESTS: Mapping[str, Callable[[Form, Item], bool | None]] = {
    "run": lambda form, item: _run_of(item) == form["run"],
    "runs": _in_runs,
    "since": _in_time,
    "id": lambda form, item: item.get("_id") == form["id"],
    "tag": lambda form, item: form["tag"] in tags_of(item),
    "text": _says,
    "regex": _has,
}


def shown(found: Sequence[Item], form: Form, *, ancestors: bool, deleted: bool) -> list[Item]:
    """What of a search's answer was asked for, marked."""
    entries = {item["_id"]: item for item in found}
    upwards = {id_ for item in found for id_ in _lineage(item, entries)}
    marked = []
    for item in found:
        hit = matches(form, item)
        if hit is False:
            mark: Item = {ANCESTOR: True}
        elif hit is None and item["_id"] in upwards:
            mark = {ANCESTOR: PERHAPS}
        else:
            mark = {}
        marked.append({**item, **_version(item, entries), **mark})
    return chosen(marked, ancestors=ancestors, deleted=deleted)


def searched(everything: Sequence[Item], form: Form, *, ancestors: bool) -> list[Item]:
    """What a search by something that can be told here would find among all entries."""
    entries = {item["_id"]: item for item in everything}
    hits = {item["_id"] for item in everything if matches(form, item)}
    lineage = {id_ for id_ in hits for id_ in _lineage(entries[id_], entries)} - hits
    found = []
    for item in everything:
        if item["_id"] in hits:
            found.append(item)
        elif ancestors and item["_id"] in lineage:
            found.append({**item, ANCESTOR: True})
    return found


def chosen(marked: Sequence[Item], *, ancestors: bool, deleted: bool) -> list[Item]:
    """Without what was not asked for."""
    return [
        item
        for item in marked
        if (ancestors or item.get(ANCESTOR) is not True) and (deleted or not item.get("deleted_by"))
    ]


def versions_marked(found: Sequence[Item]) -> list[Item]:
    """All of them, those that an edit left behind marked."""
    entries = {item["_id"]: item for item in found}
    return [{**item, **_version(item, entries)} for item in found]


def perhaps_note(data: Any) -> tuple[str, ...]:
    """What has to be said of entries that may not match."""
    if any(isinstance(one, dict) and one.get(ANCESTOR) == PERHAPS for one in data or ()):
        mark = f'entries marked "{ANCESTOR}": "{PERHAPS}" are answered by others here'
        return (f"{mark}: the eLog does not tell whether they match themselves",)
    return ()


def tags_of(item: Item) -> Sequence[Any]:
    """The tags of an entry."""
    tags = item.get("tags")
    return tags if isinstance(tags, list) else []


def is_entry(item: Any) -> bool:
    """Does it have an id, so that it can be told from others?"""
    return isinstance(item, dict) and isinstance(item.get("_id"), str)


def _run_of(item: Item) -> int | None:
    run = item.get("run_num")
    return run if type(run) is int else None


def _version(item: Item, entries: Mapping[str, Item]) -> Item:
    """The mark of the copy that an edit leaves behind: it is as old as what it is a copy of."""
    parent = entries.get(str(item.get("parent")))
    same = parent is not None and parent.get("insert_time") == item.get("insert_time")
    return {OLD_VERSION: item["parent"]} if same and item.get("deleted_by") else {}


def _lineage(item: Item, entries: Mapping[str, Item]) -> Iterator[str]:
    """The ids of its ancestors, as far as they are there."""
    seen = {item["_id"]}
    while (parent := str(item.get("parent"))) in entries and parent not in seen:
        seen.add(parent)
        yield parent
        item = entries[parent]
