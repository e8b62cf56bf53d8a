"""What can be asked of AUDITOR, and what a question is about (AUDITOR sheet, section 1). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.auditor.asking import PARAMETERS, one_record, parse, since
from adapters.auditor.query import Query
from adapters.reading import UNKNOWN, Misasked, Question, Resource

RESOURCES = {
    "records": Resource("accounting records, all or those that meet conditions", PARAMETERS),
    "record": Resource(
        "one record; null when there is none",
        {"record_id": "its id"},
        subject="record_id",
        required=("record_id",),
    ),
    "started_since": Resource(
        "records that started at a time or later",
        {"time": "RFC 3339 with an offset"},
        subject="time",
        required=("time",),
    ),
    "stopped_since": Resource(
        "records that stopped at a time or later",
        {"time": "RFC 3339 with an offset"},
        subject="time",
        required=("time",),
    ),
    "health": Resource("does AUDITOR reach its database? Never answered from the cache"),
    "metrics": Resource("what AUDITOR tells Prometheus, as text"),
}
PLAIN = ("health", "metrics")
FIRST_ONLY = (
    "a component condition is met by any component of a record here; AUDITOR's own query looks at"
    " the first one only"
)
LACKING = "records that lack the key are in it; AUDITOR's own dnc leaves them out"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan is about. `single`: its answer is one record, not a list."""

    resource: str
    query: Query = field(default_factory=Query)
    single: bool = False


def asked_of(question: Question) -> Asked:
    """Judge a question. Raises Misasked."""
    resource, _, rest = question.resource.strip("/").partition("/")
    parameters = question.parameters
    if resource == "record" and rest:  # as AUDITOR's own path has it
        parameters = (*parameters, ("record_id", rest))
    elif resource not in RESOURCES or rest:
        known = ", ".join(RESOURCES)
        raise Misasked(f"AUDITOR has no {question.resource!r}, but {known}", status=UNKNOWN)
    if resource == "records":
        return Asked(resource, parse(parameters))
    said = _only(resource, parameters)
    match resource:
        case "record":
            return Asked(resource, one_record(said["record_id"]), single=True)
        case "started_since" | "stopped_since":
            # The same as `records` with this condition, and kept as that.
            started = resource == "started_since"
            return Asked("records", since("start_time" if started else "stop_time", said["time"]))
        case _:
            return Asked(resource)


def _only(resource: str, parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a resource that knows few. Raises Misasked."""
    known = RESOURCES[resource].required
    said: dict[str, str] = {}
    for name, value in parameters:
        if name not in known or name in said:
            takes = f"takes {known[0]}, once" if known else "takes no parameters"
            raise Misasked(f"{name!r}: {resource} {takes}", parameter=name)
        said[name] = value
    for name in known:
        if name not in said:
            raise Misasked(f"{resource} needs {name}", parameter=name)
    return said


def notes_of(query: Query) -> tuple[str, ...]:
    """What differs from AUDITOR's own reading of the question."""
    lacking = LACKING if any(one.operator == "dnc" for one in query.conditions) else ""
    first_only = FIRST_ONLY if "component" in query.subjects else ""
    return tuple(filter(None, (first_only, lacking)))
