"""From a question to an ask: every resource's parameters, judged. Pure; raises Misasked."""

from collections.abc import Callable
from typing import Any

from adapters.elog.opening import NO_INSTRUMENT
from adapters.elog.payloads import CURRENT
from adapters.elog.reads import raw
from adapters.elog.reads.ask import Ask
from adapters.elog.reads.entries import form_of
from adapters.elog.reads.given import Given
from adapters.elog.reads.resources import RESOURCES
from adapters.reading import UNKNOWN, Misasked, Question


def asked(question: Question, backend: str, options: Any) -> Ask:
    """What a question asks for. `options`: the settings of the backend. Raises Misasked."""
    resource = question.resource.strip("/")
    if resource.partition("/")[0] == "raw":
        return _placed(raw.asked(resource, question.parameters, backend), options)
    if resource not in RESOURCES:
        known = ", ".join(RESOURCES)
        said = f"the eLog has no {resource!r} to ask for; there are: {known}"
        raise Misasked(said, status=UNKNOWN)
    given = Given(resource, RESOURCES[resource], question.parameters)
    if resource == "active_experiment":
        return _station(given, options)
    if resource == "active_experiments":
        return Ask(resource)
    made = Ask(resource, given.experiment(), OPTIONS.get(resource, _none)(given))
    if resource == "run" and made.options["run"] == CURRENT:
        made = Ask("current_run", made.experiment)
    return _placed(made, options)


def here(options: Any) -> Ask:
    """The question for the experiment that is active on our own station."""
    place = {"instrument": str(options.instrument).lower(), "station": options.station}
    return Ask("active_experiment", None, place)


def _placed(ask: Ask, options: Any) -> Ask:
    """The ask, if it can be told whose current experiment it means."""
    if ask.experiment == CURRENT and options.instrument is None:
        raise Misasked(NO_INSTRUMENT, parameter="experiment")
    return ask


def _station(given: Given, options: Any) -> Ask:
    instrument = given.text("instrument") if "instrument" in given else options.instrument
    if instrument is None:
        said = "the settings of this backend name no instrument: say which one is meant"
        raise Misasked(said, parameter="instrument")
    if not str(instrument).isalnum():
        raise Misasked(f"{instrument!r} is no name of an instrument", parameter="instrument")
    own = str(instrument).lower() == str(options.instrument).lower()
    station = options.station if own else 0
    if "station" in given:
        station = given.number("station")
    return Ask(
        "active_experiment", None, {"instrument": str(instrument).lower(), "station": station}
    )


def _none(_: Given) -> dict[str, Any]:
    return {}


def _runs(given: Given) -> dict[str, Any]:
    return {"include_params": given.flag("include_params", default=True)}


def _run(given: Given) -> dict[str, Any]:
    return {"run": given.run()}


def _params(given: Given) -> dict[str, Any]:
    names = {one.strip() for text in given.all("names") for one in text.split(",")}
    names |= set(given.all("name"))
    if "names" in given and not names - {""}:
        raise Misasked("names: there is none", parameter="names")
    runs = given.spans("runs") if "runs" in given else None
    return {"runs": runs, "names": sorted(names - {""}) or None}


def _tag(given: Given) -> dict[str, Any]:
    return {"tag": given.text("tag")}


def _entries(given: Given) -> dict[str, Any]:
    return {"deleted": given.flag("deleted", default=False)}


def _search(given: Given) -> dict[str, Any]:
    shown = {"ancestors": given.flag("ancestors", default=False)}
    return {**form_of(given), **_entries(given), **shown}


def _entry(given: Given) -> dict[str, Any]:
    return {"id": given.id("id")}


def _attachment(given: Given) -> dict[str, Any]:
    return {"entry": given.id("entry"), "attachment": given.text("attachment")}


OPTIONS: dict[str, Callable[[Given], dict[str, Any]]] = {
    "runs": _runs,
    "run": _run,
    "params": _params,
    "runs_by_tag": _tag,
    "entries": _entries,
    "search": _search,
    "entry": _entry,
    "attachment": _attachment,
}
