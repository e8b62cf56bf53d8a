"""What a kept answer says about another question. Pure.

Promises: only what follows from it for certain. That an entry or a run is not in an older answer
does not say that there is none: it may have come since. The runs of a tag are not made of the
tags of runs, nor an entry of a search: nothing proves that the eLog counts them alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.elog.reads import entries
from adapters.elog.reads.ask import Ask
from adapters.elog.reads.given import covers, within
from adapters.elog.reads.topics import params_rows
from adapters.reading import NotKept

View = Callable[[Any], Any]  # the kept data to the data that was asked for; raises NotKept

EVERYTHING = [[0, None]]
# What a search can be answered by from all entries: anything else only the eLog can judge.
TOLD_HERE = frozenset(("run", "runs", "since", "until", "tag", "id"))


def view(wanted: Ask, there: Ask) -> View | None:
    """How the answer to `there` says what is `wanted`; None: it does not."""
    if wanted.key == there.key:
        return lambda data: data
    make = IMPLIED.get((wanted.resource, there.resource))
    if make is None or wanted.experiment != there.experiment:
        return None
    return make(wanted, there)


def _of_whole_runs(there: Ask, made: View) -> View | None:
    return made if there.options["include_params"] else None


def _params_of_runs(wanted: Ask, there: Ask) -> View | None:
    return _of_whole_runs(there, lambda data: _chosen(params_rows(data, wanted), wanted))


def _run_of_runs(wanted: Ask, there: Ask) -> View | None:
    return _of_whole_runs(there, lambda data: _run_of(data, wanted))


def _runs_of_runs(_: Ask, there: Ask) -> View | None:
    return _of_whole_runs(there, lambda data: [_without_params(run) for run in data])


def _entries_of_entries(_: Ask, there: Ask) -> View | None:
    """Without the deleted ones."""
    if not there.options["deleted"]:
        return None
    return lambda data: entries.chosen(data, ancestors=True, deleted=False)


def _entry_of_entries(wanted: Ask, _: Ask) -> View | None:
    return lambda data: _entry_of(data, wanted)


def _params_of_params(wanted: Ask, there: Ask) -> View | None:
    kept_runs, kept_names = there.options["runs"], there.options["names"]
    if not within(wanted.options["runs"] or EVERYTHING, kept_runs or EVERYTHING):
        return None
    names = wanted.options["names"]
    if kept_names is not None and (names is None or not set(names) <= set(kept_names)):
        return None

    def chosen(rows: Any) -> Any:
        runs = [{"num": row["run"], "params": row["params"]} for row in rows]
        return _chosen(params_rows(runs, wanted), wanted)

    return chosen


def _chosen(rows: list[dict[str, Any]], wanted: Ask) -> list[dict[str, Any]]:
    spans = wanted.options["runs"]
    return [row for row in rows if spans is None or covers(spans, row["run"])]


def _run_of(runs: Any, wanted: Ask) -> Any:
    number = wanted.options["run"]
    for run in runs:
        if run["num"] == number:
            return run
    raise NotKept(f"run {number} of {wanted.experiment} was not there when its runs were asked for")


def _without_params(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "params"}


def _entry_of(everything: Any, wanted: Ask) -> Any:
    for item in everything:
        if item["_id"] == wanted.options["id"]:
            return item
    raise NotKept(f"no entry {wanted.options['id']} was seen in {wanted.experiment}")


def _search_of_search(wanted: Ask, there: Ask) -> View | None:
    """The same search, with less of what does not match."""
    if entries.form_in(wanted.options) != entries.form_in(there.options):
        return None
    shown = {name: wanted.options[name] for name in ("ancestors", "deleted")}
    if any(shown[name] and not there.options[name] for name in shown):
        return None
    return lambda data: entries.chosen(data, **shown)


def _search_of_entries(wanted: Ask, there: Ask) -> View | None:
    form = entries.form_in(wanted.options)
    ancestors, deleted = wanted.options["ancestors"], wanted.options["deleted"]
    # An ancestor may have been deleted, and what is beyond it is found only through it.
    if not TOLD_HERE.issuperset(form) or ((deleted or ancestors) and not there.options["deleted"]):
        return None

    def found(data: Any) -> Any:
        hits = entries.searched(data, form, ancestors=ancestors)
        return entries.chosen(hits, ancestors=ancestors, deleted=deleted)

    return found


IMPLIED: Mapping[tuple[str, str], Callable[[Ask, Ask], View | None]] = {
    ("params", "params"): _params_of_params,
    ("params", "runs"): _params_of_runs,
    ("run", "runs"): _run_of_runs,
    ("runs", "runs"): _runs_of_runs,
    ("entries", "entries"): _entries_of_entries,
    ("entry", "entries"): _entry_of_entries,
    ("search", "search"): _search_of_search,
    ("search", "entries"): _search_of_entries,
}
