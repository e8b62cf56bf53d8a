"""Questions to a telemetry server, live and from kept answers (telemetry sheet, section 4).

Promises: values come as the server shows them; that there is none is an answer, that the server
cannot show one is not; nothing that is asked here changes anything there. What is current is never
final: it is in the server's memory alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any

from adapters.answer import Answer
from adapters.base import Site
from adapters.finite import finite, finite_notes
from adapters.http import HttpClient
from adapters.reading import (
    UNKNOWN,
    Fetched,
    Misasked,
    NotKept,
    Plan,
    Progress,
    Question,
    Queued,
    Recalled,
    Resource,
    Shelf,
    recall_exactly,
)
from adapters.telemetry import waiting, wire
from adapters.verdict import Refused

RESOURCES: Mapping[str, Resource] = {
    "current": Resource(
        "The current value of each type of event, or of one.",
        {"type": "only this type; current/TYPE asks the same"},
        subject="type",
    ),
    "run": Resource("The run that is active."),
    "ready": Resource("The server's version, and whether a run is active."),
    "health": Resource("Whether the server answers."),
}
# What there is on the server beside, and does something.
DOING = {
    "event": "an event is stored by it: hand it in with `holdfast put`",
    "run/start": "it starts a run: hand it in with `holdfast put` and the kind run_start",
    "run/stop": "it stops a run: hand it in with `holdfast put` and the kind run_stop",
    "shutdown": "it ends the server for everybody, and Holdfast never sends it",
}
OWN = {"run": "run_id", "ready": "ready", "health": "ok"}  # what only this server says
NO_RUN = "No run is active"
NO_VALUE = "the telemetry server holds no current value of this type"
# After a 500 the server closes the connection without saying so.
ALONE = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: of `current` the values of all types, or of one."""

    resource: str
    type: str | None = None

    @property
    def place(self) -> str:
        """The path that is asked; all values where no path leads to one."""
        if self.type is None:
            return f"/{self.resource}"
        return wire.current_path(self.type) or "/current"


class TelemetryReader:
    """Asks one telemetry server."""

    def __init__(self, site: Site) -> None:
        self._url = site.url.rstrip("/")
        self._http = HttpClient(site)

    def plan(self, question: Question) -> Plan:
        """Judge a question. Raises Misasked."""
        ask = ask_of(question)
        key = _key(ask)
        return Plan(question, key, ask.resource, ask, asdict(ask))

    async def fetch(self, plan: Plan, shelf: Shelf, progress: Progress) -> Fetched:  # noqa: ARG002
        """Ask the server. Raises a DeliveryError."""
        ask: Ask = plan.spec
        answer = await self._http.request("GET", ask.place, headers=ALONE)
        data, replaced = finite(self._read(ask, answer))
        progress(1, 1)
        return Fetched(data, notes=(*_notes(ask, data), *finite_notes(replaced)))

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:  # noqa: ARG002
        """Say it from kept answers: one type also from all of them. Raises NotKept."""
        said = await _recalled(plan, shelf)
        return replace(said, notes=(*said.notes, *_notes(plan.spec, said.data)))

    def queued(self, plan: Plan) -> Sequence[str] | None:
        """The kinds of entry that may belong into the answer."""
        return waiting.KINDS.get(plan.spec.resource, ())

    def merged(self, plan: Plan, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
        """Values with the newer ones that wait, each marked; and how many entries wait."""
        ask: Ask = plan.spec
        if ask.resource != "current":
            return data, len(entries)  # a run that waits for its start is not active
        return waiting.merged(ask.type, data, entries)

    def shown(self, plan: Plan) -> str:
        """The request that `fetch` sends."""
        return f"GET {self._http.preview('GET', plan.spec.place).url}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _read(self, ask: Ask, answer: Answer) -> Any:
        """What the answer says; None: that there is none. Raises Refused, Throttled, Uncertain."""
        fields, good = wire.fields_of(answer), answer.status == HTTPStatus.OK
        match ask.resource:
            case "current" if ask.place == "/current":
                values = fields.get("current")
                if good and isinstance(values, dict):
                    return values if ask.type is None else values.get(ask.type)
            case "current":
                if good and fields.get("type") == ask.type:
                    return fields
                if _is_absent(answer, "No current event for type"):
                    return None
            case _:
                if good and OWN[ask.resource] in fields:
                    return fields
                if ask.resource == "run" and _is_absent(answer, NO_RUN):
                    return None
        if ask.resource == "current" and wire.is_poisoned(answer):
            raise self._poisoned(ask, answer)
        raise wire.unread(answer, self._url + ask.place)

    def _poisoned(self, ask: Ask, answer: Answer) -> Refused:
        what = "a value" if ask.place == "/current" else "this value"
        said = f"{self._url}{ask.place} answered 500: the server holds {what} that it cannot show"
        more = "until a new one of its type comes"
        if ask.place == "/current" and ask.type is None:
            more += "; one type alone (current/TYPE) can be asked for"
        return Refused(f"{said} {more}", **wire.told(answer))


def ask_of(question: Question) -> Ask:
    """What is asked. Raises Misasked naming what makes no sense."""
    path = question.resource.removeprefix("/")
    resource, slash, rest = path.partition("/")
    given: list[str] = [rest] if resource == "current" and slash and rest else []
    if path.strip("/") in DOING:
        said = DOING[path.strip("/")]
        raise Misasked(f"{path.strip('/')!r} is no question: {said}", status=UNKNOWN)
    if resource not in RESOURCES or (rest and not given):
        known = ", ".join(RESOURCES)
        raise Misasked(f"there is no {path!r} to ask for; there are: {known}", status=UNKNOWN)
    for name, value in question.parameters:
        if name not in RESOURCES[resource].parameters:
            known = ", ".join(RESOURCES[resource].parameters) or "none"
            said = f"{name!r} is no parameter of {resource!r}; there are: {known}"
            raise Misasked(said, parameter=name)
        given.append(value)
    if len(given) > 1:
        raise Misasked("'type' is given twice", parameter="type")
    if given and not _is_text(given[0]):
        raise Misasked("type: has half a surrogate pair in it", parameter="type")
    return Ask(resource, given[0] if given else None)


async def _recalled(plan: Plan, shelf: Shelf) -> Recalled:
    ask: Ask = plan.spec
    if ask.type is None:
        return await recall_exactly(plan, shelf)
    exact, all_of_them = await shelf.get(plan.key), await shelf.get(_key(Ask("current")))
    if all_of_them is not None and (
        exact is None or exact.label.fetched_at < all_of_them.label.fetched_at
    ):
        at = all_of_them.label.fetched_at
        value = all_of_them.data.get(ask.type)
        return Recalled(value, "derived", at, complete=True, settled=False)
    if exact is None:
        raise NotKept(
            "neither this value nor all of them were asked for while the server was there"
        )
    return await recall_exactly(plan, shelf)


def _key(ask: Ask) -> str:
    return ask.resource if ask.type is None else f"{ask.resource}/{ask.type}"


def _notes(ask: Ask, data: Any) -> tuple[str, ...]:
    if data is not None:
        return ()
    return (NO_RUN,) if ask.resource == "run" else (NO_VALUE,)


def _is_absent(answer: Answer, words: str) -> bool:
    """Is it the server's word that there is none? The router's 404 is another."""
    detail = str(wire.fields_of(answer).get("detail"))
    return answer.status == HTTPStatus.NOT_FOUND and detail.startswith(words)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
