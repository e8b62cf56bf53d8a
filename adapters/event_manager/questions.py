"""What an Event Manager can be asked, judged before anybody is asked. Pure.

Source: event manager sheet, sections 1 and 4. Promises: nothing that is asked for here changes
anything on the server; the parameters that would (they write files there) are refused by name.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from adapters.event_manager.originals import Json
from adapters.event_manager.payload import log_level_of, timestamp_of
from adapters.event_manager.resources import DOING, FORMATS, PERIODS, REPORTS, RESOURCES, WRITING
from adapters.event_manager.search import Search, is_text, search_for
from adapters.reading import UNKNOWN, Misasked, Question

WORDS = {"true": True, "false": False}
COUNT = re.compile(r"[0-9]{1,9}")
NEWEST = 100  # the server's own default


@dataclass(frozen=True, slots=True)
class ById:
    """One event."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the list of events. `start` and `end`: ISO texts, as the server compares them."""

    archived: bool = False
    number: int = NEWEST
    offset: int = 0
    level: int = 0
    start: str | None = None
    end: str | None = None
    include_archived: bool = False

    @property
    def is_old(self) -> bool:
        """May servers before 0.7.0 be asked this? They ignore what they do not know."""
        return not (self.offset or self.start or self.end or self.include_archived)

    def parameters(self) -> dict[str, str]:
        """As the server takes them, without what it does by itself."""
        told: dict[str, Any] = {
            "number": self.number,
            "level": self.level or None,
            "offset": self.offset or None,
            "start_time": self.start,
            "end_time": self.end,
            "include_archived": "true" if self.include_archived else None,
        }
        return {name: str(value) for name, value in told.items() if value is not None}

    def selector(self) -> Json:
        """A filter that finds what the whole list would be made of."""
        if self.archived:
            return {"archived": True}
        times = {"$gte": self.start, "$lte": self.end}
        wanted: Json = {
            "log_level": {"$gte": self.level},
            "event_timestamp": {sign: at for sign, at in times.items() if at is not None},
            "archived": {"$ne": True},
        }
        if self.include_archived:
            del wanted["archived"]
        return {name: condition for name, condition in wanted.items() if condition}

    def takes(self, event: Json) -> bool:
        """Would the server have it in this list, if the list were long enough?"""
        at, level = str(event.get("event_timestamp", "")), event.get("log_level")
        hidden = event.get("archived") is True and not self.include_archived
        return (
            not hidden
            and isinstance(level, int)
            and level >= self.level
            and (self.start is None or self.start <= at)
            and (self.end is None or at <= self.end)
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A report of how the laboratory was used. `parameters`: in the server's words, sorted."""

    name: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def is_csv(self) -> bool:
        """Is text asked for, as a spreadsheet reads it?"""
        return ("csv_format", "true") in self.parameters


@dataclass(frozen=True, slots=True)
class Page:
    """What the server says of itself: health, definition, settings."""

    name: str


Spec = ById | Window | Search | Report | Page


def spec_of(question: Question, zone: tzinfo | None) -> Spec:
    """What is asked, `zone` being that of times without one (None: this host's).

    Raises Misasked naming what makes no sense.
    """
    resource, _, rest = question.resource.strip("/").partition("/")
    parameters = question.parameters
    if resource == "event" and rest:
        resource, parameters = "event", (("id", rest), *parameters)
    elif rest or resource not in RESOURCES:
        raise _no_such_thing(question.resource.strip("/"))
    given = _given(resource, parameters)
    match resource:
        case "event":
            return ById(_id(given["id"]))
        case "recent":
            return _window(given)
        case "archived":
            return Window(archived=True, number=_number(given), offset=_count("offset", given, 0))
        case "query":
            return search_for(given, zone)
        case "sessions" | "periods" | "users":
            return _report(resource, given)
        case _:
            return Page(resource)


def as_json(spec: Spec) -> Json:
    """A question in one form, for keys and labels; `asked` is the name of its type."""
    return {"asked": type(spec).__name__, **asdict(spec)}


def key_of(spec: Spec) -> str:
    """Equal for equal questions."""
    return json.dumps(as_json(spec), sort_keys=True, separators=(",", ":"))


def _no_such_thing(resource: str) -> Misasked:
    for path, what in DOING.items():
        if resource.startswith(path):
            return Misasked(f"{resource!r} is no question: {what}", status=UNKNOWN)
    known = ", ".join(RESOURCES)
    return Misasked(f"there is no {resource!r} to ask for; there are: {known}", status=UNKNOWN)


def _given(resource: str, parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name, all of them known, none twice, none missing."""
    about, given = RESOURCES[resource], dict[str, str]()
    for name, value in parameters:
        if name in WRITING and resource in REPORTS:
            said = f"{name!r} would write a file on the server, which no question does"
            raise Misasked(f"{said}: leave it out, and keep the answer here", parameter=name)
        if name not in about.parameters:
            known = ", ".join(about.parameters) or "none"
            raise Misasked(
                f"{name!r} is no parameter of {resource!r}; there are: {known}", parameter=name
            )
        if name in given:
            raise Misasked(f"{name!r} is given twice", parameter=name)
        given[name] = value
    for name in about.required:
        if not given.get(name):
            raise Misasked(f"{resource!r} needs {name!r}: {about.parameters[name]}", parameter=name)
    return given


def _id(text: str) -> str:
    if "\0" in text or not is_text(text):
        raise Misasked("id: has a NUL or half a surrogate pair in it", parameter="id")
    return text


def _window(given: Mapping[str, str]) -> Window:
    return Window(
        number=_number(given),
        offset=_count("offset", given, 0),
        level=_read("level", given, log_level_of, 0),
        start=_read("start", given, _as_the_server_compares, None),
        end=_read("end", given, _as_the_server_compares, None),
        include_archived=_read("include_archived", given, _word, default=False),
    )


def _report(resource: str, given: Mapping[str, str]) -> Report:
    told = {
        "start_time": _read("start", given, _iso, None),
        "end_time": _read("end", given, _iso, None),
        "csv_format": "true" if _read("format", given, _one_of(FORMATS), "json") == "csv" else None,
        "analysis_type": _read("analysis_type", given, _one_of(PERIODS), None),
        "user_timezone": _read("user_timezone", given, _zone, None),
        "include_users": _read("include_users", given, _truth, None),
    }
    if _is_backwards(told["start_time"], told["end_time"]):
        raise Misasked("'start' has to be before 'end'", parameter="start")
    return Report(resource, tuple(sorted((n, v) for n, v in told.items() if v is not None)))


def _read(name: str, given: Mapping[str, str], read: Callable[[str], Any], default: Any) -> Any:
    if name not in given:
        return default
    try:
        return read(given[name])
    except ValueError as exc:
        raise Misasked(f"{name}: {given[name]!r}: {exc}", parameter=name) from exc


def _number(given: Mapping[str, str]) -> int:
    number = _count("number", given, NEWEST)
    if number < 1:
        # For the server 0 is no limit at all; whoever wants everything has to say so.
        said = "number: has to be 1 or more; for all events ask 'query' with selector={}"
        raise Misasked(said, parameter="number")
    return number


def _count(name: str, given: Mapping[str, str], default: int) -> int:
    def count(text: str) -> int:
        if COUNT.fullmatch(text) is None:
            raise ValueError("has to be a number, 0 or more, of at most 9 digits")
        return int(text)

    return int(_read(name, given, count, default))


def _word(text: str) -> bool:
    if text.lower() not in WORDS:
        raise ValueError("has to be true or false")
    return WORDS[text.lower()]


def _truth(text: str) -> str:
    return "true" if _word(text) else "false"


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:  # the server would report something else without a word
            raise ValueError(f"has to be one of {', '.join(words)}")
        return text

    return read


def _as_the_server_compares(text: str) -> str:
    return timestamp_of(text).isoformat()


def _iso(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("has to be an ISO 8601 time") from None


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # the server would take another without a word
        raise ValueError("is no time zone that this host knows") from None
    return text


def _is_backwards(start: str | None, end: str | None) -> bool:
    """The server would report a time of less than nothing. It knows the zone of times without."""
    if start is None or end is None:
        return False
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return (first.tzinfo is None) == (last.tzinfo is None) and first >= last
