"""Questions to POST /events/query: a MongoDB filter of the asker's own, or a few conditions. Pure.

The server hands a filter to its database unread (event manager sheet, section 4), so what would
run a script there, or could only fail, is refused here. Conditions become a filter that cannot be
anything else; times among them are compared as moments, which the database cannot do: it keeps
texts in many zones. So its filter is drawn wider, and what it finds is looked through here.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from adapters.event_manager.event_types import TWINS, event_type_of
from adapters.event_manager.originals import Json
from adapters.event_manager.payload import is_ulid, log_level_of, timestamp_of
from adapters.reading import Misasked

SEARCHED = {
    "selector": 'a MongoDB filter as JSON, such as {"event_data.k": 1}; {} finds everything',
    "type": "this type of event",
    "level": "from this log level on, as a number or a name",
    "node_id": "from this node",
    "experiment_id": "of this experiment",
    "since": "from this time on, ISO 8601",
    "until": "up to this time, ISO 8601",
}
SOURCES = ("node_id", "experiment_id")
SCRIPTS = ("$where", "$function", "$accumulator")
JOINING = ("$and", "$or", "$nor")
INT64 = range(-(2**63), 2**63)
DEEPEST = 100  # what MongoDB takes of documents in documents
# No zone is a day away from UTC; an hour more, so that nothing depends on the ends.
FARTHEST = timedelta(hours=25)
ENDS_OF_TIME = ("0001-01-01T00:00:00", "9999-12-31T23:59:59")


@dataclass(frozen=True, slots=True)
class Conditions:
    """All of them have to be true of an event. `since` and `until` are ISO texts in UTC."""

    type: str | None = None
    level: int | None = None
    source: tuple[tuple[str, str], ...] = ()
    since: str | None = None
    until: str | None = None

    def selector(self) -> Json:
        """A filter that finds all such events, and maybe some of other times."""
        wanted: Json = {f"source.{name}": value for name, value in self.source}
        if self.type is not None:
            names = sorted({self.type, TWINS.get(self.type, self.type)})
            wanted["event_type"] = {"$in": names}  # one type, renamed in 0.7.0
        if self.level is not None:
            wanted["log_level"] = {"$gte": self.level}
        times = {}
        if self.since is not None:
            times["$gte"] = _digits(self.since, -FARTHEST)
        if self.until is not None:
            times["$lte"] = _digits(self.until, FARTHEST)
        return {**wanted, "event_timestamp": times} if times else wanted

    def takes(self, event: Mapping[str, Any]) -> bool:
        """Is all of it but the time true of an event as the server shows it?"""
        source, level = event.get("source"), event.get("log_level")
        shown = source if isinstance(source, dict) else {}
        return (
            self.type in (None, event.get("event_type"), TWINS.get(str(event.get("event_type"))))
            and (self.level is None or (isinstance(level, int) and level >= self.level))
            and all(shown.get(name) == value for name, value in self.source)
        )

    @property
    def has_times(self) -> bool:
        """Does it depend on when an event was?"""
        return self.since is not None or self.until is not None

    def spans(self, moment: datetime) -> bool:
        """Is it a moment of the time asked for? Both ends are in it."""
        since, until = _moment(self.since), _moment(self.until)
        return (since is None or since <= moment) and (until is None or moment <= until)


@dataclass(frozen=True, slots=True)
class Search:
    """`selector` is what is sent; `conditions` what it stands for, None where it is the asker's."""

    selector: Json
    conditions: Conditions | None = None


def search_for(given: Mapping[str, str], zone: tzinfo | None) -> Search:
    """What is looked for; `zone` is that of times without one. Raises Misasked."""
    if not given:
        said = "say what to look for: selector=, or one of type=, level=, since= and so on"
        raise Misasked(f"{said}; selector={{}} finds everything", parameter="selector")
    if "selector" not in given:
        conditions = _conditions(given, zone)
        return Search(conditions.selector(), conditions)
    if len(given) > 1:
        said = "a selector says everything: put the other conditions into it"
        raise Misasked(said, parameter=next(name for name in given if name != "selector"))
    return Search(_judged(given["selector"]))


def moment_of(text: Any, zone: tzinfo | None) -> datetime | None:
    """The moment of a time; `zone` is that of times without one (None: this host's).

    None where it is no time, or one that no zone can be found for.
    """
    try:
        moment = timestamp_of(text)
        return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _conditions(given: Mapping[str, str], zone: tzinfo | None) -> Conditions:
    for name in SOURCES:
        if name in given and not is_ulid(given[name]):
            raise Misasked(f"{name}: {given[name]!r} is no ULID, as these ids are", parameter=name)
    try:
        name = "type"
        event_type = event_type_of(given[name]) if name in given else None
        name = "level"
        level = log_level_of(given[name]) if name in given else None
    except ValueError as exc:
        raise Misasked(f"{name}: {given[name]!r}: {exc}", parameter=name) from exc
    return Conditions(
        event_type,
        level,
        tuple((name, given[name]) for name in SOURCES if name in given),
        _utc("since", given, zone),
        _utc("until", given, zone),
    )


def _utc(name: str, given: Mapping[str, str], zone: tzinfo | None) -> str | None:
    if name not in given:
        return None
    moment = moment_of(given[name], zone)
    if moment is None:
        raise Misasked(f"{name}: {given[name]!r} is no ISO 8601 time", parameter=name)
    return moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _digits(text: str, margin: timedelta) -> str:
    """The time without its zone, as much earlier or later."""
    naive = datetime.fromisoformat(text).replace(tzinfo=None)
    try:
        return (naive + margin).isoformat(timespec="seconds")
    except OverflowError:
        return ENDS_OF_TIME[margin > timedelta(0)]


def _judged(text: str) -> Json:
    """The selector of a text. Raises Misasked where the server would fail or do more than find."""
    try:
        selector = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as exc:
        raise _wrong(f"is no JSON: {exc}") from exc
    if not isinstance(selector, dict):
        raise _wrong('has to be an object, such as {"event_type": "log_error"}')
    _judge(selector, 0)
    _judge_names(selector)
    return selector


def _judge(value: Any, depth: int) -> None:
    """What the database cannot take, or would run, wherever it stands."""
    if depth > DEEPEST:
        raise _wrong(f"is nested more than {DEEPEST} levels deep")
    match value:
        case dict():
            for name, part in value.items():
                if name in SCRIPTS:
                    raise _wrong(f"has {name!r} in it, which runs a script in the database")
                _judge(name, depth + 1)
                _judge(part, depth + 1)
        case list():
            for part in value:
                _judge(part, depth + 1)
        case int() if value not in INT64:
            raise _wrong(f"has a number beyond 64 bits in it: {value}")
        case float() if not math.isfinite(value):
            raise _wrong("has a number too large for JSON in it")
        case str() if "\0" in value or not is_text(value):
            raise _wrong("has a NUL or half a surrogate pair in it")
        case _:
            pass


def _judge_names(selector: Mapping[str, Any]) -> None:
    """Names at the places where fields of an event are named."""
    if "event_id" in selector:
        # The server would find nothing, and say so as if there were nothing.
        raise _wrong("names 'event_id', which is '_id' in what is stored: write '_id'")
    for name in JOINING:
        parts = selector.get(name)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                _judge_names(part)


def is_text(value: str) -> bool:
    """Can it be sent? Half a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> Json:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name is there twice")
    return told


def _wrong(what: str) -> Misasked:
    return Misasked(f"the selector {what}", parameter="selector")
