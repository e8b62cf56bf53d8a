"""Where each resource is asked for, and what its value has to look like. Pure.

Promises: parameters have the names that were handed in (the eLog stores `.` and `$` of a name as
other characters); a value of another shape than the eLog's is no answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.elog.accounts import ACTIVE
from adapters.elog.logbook import of_experiment
from adapters.elog.payloads import STORED_AS
from adapters.elog.reads import entries, raw
from adapters.elog.reads.ask import Ask, Target

WRITTEN_AS = str.maketrans({stored: chr(name) for name, stored in STORED_AS.items()})
LONGEST_QUERY = 2_000  # characters; with more names than that, all parameters are asked for
PARAMS = ("params", "editable_params")


class Odd(Exception):
    """A success whose value is not the eLog's."""


@dataclass(frozen=True, slots=True)
class Topic:
    """How a resource is asked for, and what its value is as data. `data` raises Odd."""

    target: Callable[[Ask], Target]
    data: Callable[[Any, Ask], Any]


def written(name: str) -> str:
    """The name of a parameter as it was handed in."""
    return name.translate(WRITTEN_AS)


def run_document(found: Any) -> dict[str, Any]:
    """A run as the eLog shows it, with the names of its parameters as they were handed in."""
    if not isinstance(found, dict) or type(found.get("num")) is not int:
        raise Odd
    renamed = {
        field: {written(name): value for name, value in found[field].items()}
        for field in PARAMS
        if isinstance(found.get(field), dict)
    }
    return {**found, **renamed}


def params_rows(runs: list[dict[str, Any]], ask: Ask) -> list[dict[str, Any]]:
    """{run, params} of each run, by number, with the parameters that were asked for."""
    names = ask.options["names"]
    rows = []
    for run in sorted(runs, key=lambda one: int(one["num"])):
        params = run.get("params", {})
        wanted = params if names is None else {one: params[one] for one in names if one in params}
        rows.append({"run": run["num"], "params": wanted})
    return rows


def is_asked_whole(ask: Ask) -> bool:
    """Are all parameters asked for, because the server cannot be asked for these names?"""
    names = ask.options["names"]
    return names is None or any("," in one for one in names) or len(",".join(names)) > LONGEST_QUERY


def _at(name: str, *, open: bool = False) -> Callable[[Ask], Target]:  # noqa: A002 - as in Target
    return lambda ask: Target(f"{of_experiment(ask.named)}/{name}", open=open)


def _active(ask: Ask) -> Target:
    place = ask.options
    query = (("instrument_name", place["instrument"]), ("station", str(place["station"])))
    return Target(ACTIVE, query, open=True)


def _runs_target(ask: Ask) -> Target:
    with_params = ask.resource == "params" or ask.options["include_params"]
    path = f"{of_experiment(ask.named)}/runs"
    return Target(path, (("includeParams", "true" if with_params else "false"),))


def _params_target(ask: Ask) -> Target:
    if is_asked_whole(ask):
        return _runs_target(ask)
    names = ",".join(ask.options["names"]).translate(STORED_AS)
    path = f"{of_experiment(ask.named)}/get_run_params_for_all_runs"
    return Target(path, (("param_names", names),))


def _run_target(ask: Ask) -> Target:
    return Target(f"{of_experiment(ask.named)}/runs/{ask.options['run']}")


def _tag_target(ask: Ask) -> Target:
    path = f"{of_experiment(ask.named)}/get_runs_with_tag"
    return Target(path, (("tag", ask.options["tag"]),), open=True)


def _search_target(ask: Ask) -> Target:
    form = entries.form_in(ask.options)
    return Target(f"{of_experiment(ask.named)}/search_elog", entries.query_of(form))


def _entry_target(ask: Ask) -> Target:
    id_ = ask.options["id" if ask.resource == "entry" else "entry"]
    return Target(f"{of_experiment(ask.named)}/search_elog", (("_id", id_),))


def _one(found: Any, _: Ask) -> Any:
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise Odd
    return found


def _objects(found: Any, _: Ask) -> Any:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Odd
    return found


def _runs(found: Any, _: Ask) -> Any:
    if not isinstance(found, list):
        raise Odd
    return [run_document(one) for one in found]


def _params(found: Any, ask: Ask) -> Any:
    return params_rows(_runs(found, ask), ask)


def _run(found: Any, ask: Ask) -> Any:
    document = run_document(found)
    if document["num"] != ask.options["run"]:
        raise Odd
    return document


def _numbers(found: Any, _: Ask) -> Any:
    if not isinstance(found, list) or not all(type(one) is int for one in found):
        raise Odd
    return found


def _texts(found: Any, _: Ask) -> Any:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Odd
    return found


def _tags_by_run(found: Any, ask: Ask) -> Any:
    if not isinstance(found, dict):
        raise Odd
    return {run: _texts(tags, ask) for run, tags in found.items()}


def _items(found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(entries.is_entry(one) for one in found):
        raise Odd
    return found


def _search(found: Any, ask: Ask) -> Any:
    options = ask.options
    wanted = {"ancestors": options["ancestors"], "deleted": options["deleted"]}
    return entries.shown(_items(found), entries.form_in(options), **wanted)


def _entries(found: Any, ask: Ask) -> Any:
    marked = entries.versions_marked(_items(found))
    return entries.chosen(marked, ancestors=True, deleted=ask.options["deleted"])


def _entry(found: Any, ask: Ask) -> Any:
    """The entry, or None where there is none of its id."""
    wanted = ask.options["id" if ask.resource == "entry" else "entry"]
    marked = entries.versions_marked(_items(found))
    return next((one for one in marked if one["_id"] == wanted), None)


TOPICS: Mapping[str, Topic] = {
    "active_experiment": Topic(_active, _one),
    "active_experiments": Topic(lambda _: Target("/lgbk/ws/activeexperiments"), _objects),
    "runs": Topic(_runs_target, _runs),
    "run": Topic(_run_target, _run),
    "current_run": Topic(_at("current_run", open=True), lambda found, _: run_document(found)),
    "params": Topic(_params_target, _params),
    "runs_by_tag": Topic(_tag_target, _numbers),
    "tags": Topic(_at("get_elog_tags"), _texts),
    "tags_by_run": Topic(_at("get_runs_to_tags"), _tags_by_run),
    "workflows": Topic(_at("workflow_definitions"), _objects),
    "workflow_jobs": Topic(_at("workflow_jobs"), _objects),
    "search": Topic(_search_target, _search),
    "entries": Topic(_at("elog"), _entries),
    "entry": Topic(_entry_target, _entry),
    "attachment": Topic(_entry_target, _entry),
    "raw": Topic(raw.target, lambda found, _: found),
}
