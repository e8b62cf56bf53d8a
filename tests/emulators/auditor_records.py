"""What AUDITOR reads from a request and writes to an answer: its JSON rules (sheet, section 1.1).

Refusals carry the text of the server's own 400. Their line and column are only roughly the
server's: what is wrong inside a body is reported at its end.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAX_INT64 = 2**63 - 1
PREFIX = "Json deserialize error: "
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
ZERO_WIDTH_JOINER = "\u200d"


class Unreadable(Exception):
    """The body is refused; the text is serde's."""


class Fields(list[tuple[str, Any]]):
    """A JSON object with its repeated names, which serde sees and a dict hides."""


@dataclass(frozen=True)
class Record:
    """A row of auditor_accounting (sheet, section 1.5)."""

    record_id: str
    meta: dict[str, list[str]] | None
    components: list[dict[str, Any]]
    start_time: datetime | None
    stop_time: datetime | None

    @property
    def runtime(self) -> int | None:
        """Whole seconds, truncated towards zero; negative when it stopped before it started."""
        if self.start_time is None or self.stop_time is None:
            return None
        return int((self.stop_time - self.start_time).total_seconds())

    def as_object(self) -> dict[str, Any]:
        """As GET answers it, in the server's key order."""
        return {
            "record_id": self.record_id,
            "meta": self.meta,
            "components": self.components,
            "start_time": printed(self.start_time),
            "stop_time": printed(self.stop_time),
            "runtime": self.runtime,
        }

    def as_json(self) -> str:
        return json.dumps(self.as_object(), ensure_ascii=False, separators=(",", ":"))

    @property
    def poison(self) -> bool:
        """Does it pass the rules and fail in PostgreSQL, for ever?"""
        return len(self.record_id.encode()) > 2704 or any("\0" in name for name in self.names())

    def names(self) -> Iterator[str]:
        yield self.record_id
        for key, values in (self.meta or {}).items():
            yield from (key, *values)
        for part in self.components:
            yield from (part["name"], *(one["name"] for one in part["scores"]))


def printed(moment: datetime | None) -> str | None:
    """With 0, 3 or 6 digits of a second, and Z."""
    if moment is None:
        return None
    fraction = "seconds" if moment.microsecond == 0 else "milliseconds"
    if moment.microsecond % 1000:
        fraction = "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=fraction) + "Z"


def read_add(body: bytes) -> Record:
    return read(body, lambda raw: record(raw, "struct RecordAdd", "start_time"))


def read_update(body: bytes) -> Record:
    return read(body, lambda raw: record(raw, "struct RecordUpdate", "stop_time"))


def read_adds(body: bytes) -> list[Record]:
    return read(
        body,
        lambda raw: [record(one, "struct RecordAdd", "start_time") for one in a_list(raw)],
    )


def read(body: bytes, shape: Callable[[Any], Any]) -> Any:
    """Parse `body` into `shape`. Raises Unreadable with the whole text of the 400."""
    try:
        raw = json.loads(body.decode(), object_pairs_hook=Fields, parse_constant=not_json)
    except json.JSONDecodeError as exc:
        what = "EOF while parsing a value" if exc.pos >= len(exc.doc) else "expected value"
        raise Unreadable(f"{PREFIX}{what} at line {exc.lineno} column {exc.colno}") from exc
    except (ValueError, RecursionError) as exc:
        raise Unreadable(f"{PREFIX}expected value at line 1 column {len(body)}") from exc
    try:
        return shape(raw)
    except Unreadable as exc:
        raise Unreadable(f"{PREFIX}{exc} at line 1 column {len(body)}") from exc


def not_json(constant: str) -> Any:
    raise ValueError(constant)


def record(raw: Any, wanted: str, required: str) -> Record:
    """`required`: the one of the two times that must be there."""
    known = ("record_id", "meta", "components", "start_time", "stop_time")
    values = struct(raw, wanted, known)
    for name in ("record_id", "components", required):
        if name not in values:
            raise Unreadable(f"missing field `{name}`")
    times = {}
    for name in ("start_time", "stop_time"):
        absent = name != required and values.get(name) is None
        times[name] = None if absent else time(values[name])
    return Record(
        record_id=a_name(values["record_id"]),
        meta=meta(values.get("meta")),
        components=[component(one) for one in a_list(values["components"])],
        **times,
    )


def struct(raw: Any, wanted: str, known: tuple[str, ...]) -> dict[str, Any]:
    """The known fields of an object; others are ignored, known ones may not repeat."""
    if not isinstance(raw, Fields):
        raise wrong(raw, wanted)
    values: dict[str, Any] = {}
    for name, value in raw:
        if name in known and name in values:
            raise Unreadable(f"duplicate field `{name}`")
        values[name] = value
    return values


def component(raw: Any) -> dict[str, Any]:
    values = required_of(raw, "struct Component", ("name", "amount", "scores"))
    return {
        "name": a_name(values["name"]),
        "amount": amount(values["amount"]),
        "scores": [score(one) for one in a_list(values["scores"])],
    }


def score(raw: Any) -> dict[str, Any]:
    values = required_of(raw, "struct Score", ("name", "value"))
    return {"name": a_name(values["name"]), "value": value(values["value"])}


def required_of(raw: Any, wanted: str, names: tuple[str, ...]) -> dict[str, Any]:
    values = struct(raw, wanted, names)
    for name in names:
        if name not in values:
            raise Unreadable(f"missing field `{name}`")
    return values


def meta(raw: Any) -> dict[str, list[str]] | None:
    if raw is None:
        return None
    if not isinstance(raw, Fields):
        raise wrong(raw, "a map")
    return {a_name(key): [a_name(one) for one in a_list(values)] for key, values in raw}


def a_name(raw: Any) -> str:
    """Not blank, at most 256 graphemes (counted here as code points that join nothing)."""
    if not isinstance(raw, str):
        raise wrong(raw, "a string")
    if not raw.strip() or graphemes(raw) > 256:
        raise Unreadable(f"Parsing '{raw}' failed.")
    if any("\ud800" <= sign <= "\udfff" for sign in raw):
        raise Unreadable("lone leading surrogate in hex escape")
    return raw


def graphemes(text: str) -> int:
    count, joined = 0, False
    for sign in text:
        extends = unicodedata.category(sign)[0] == "M" or sign == ZERO_WIDTH_JOINER
        count += not (joined or extends)
        joined = sign == ZERO_WIDTH_JOINER
    return count


def amount(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise wrong(raw, "i64")
    if raw > MAX_INT64:
        raise Unreadable(f"invalid value: integer `{raw}`, expected i64")
    if raw < 0:
        raise Unreadable(f"Parsing '{raw}' failed.")
    return raw


def value(raw: Any) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool):
        raise wrong(raw, "f64")
    if abs(raw) > sys.float_info.max:
        raise Unreadable("number out of range")
    if raw < 0:
        raise Unreadable(f"Parsing '{raw}' failed.")
    return float(raw)


def time(raw: Any) -> datetime:
    """Any offset, kept in UTC to the microsecond."""
    if not isinstance(raw, str):
        raise wrong(raw, "an RFC 3339 formatted date and time string")
    if not RFC_3339.fullmatch(raw):
        raise Unreadable("input contains invalid characters")
    try:
        return datetime.fromisoformat(raw.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Unreadable("input is out of range") from exc


def a_list(raw: Any) -> list[Any]:
    # An object is a list of pairs here, and still no array.
    if not isinstance(raw, list) or isinstance(raw, Fields):
        raise wrong(raw, "a sequence")
    return raw


def wrong(raw: Any, expected: str) -> Unreadable:
    return Unreadable(f"invalid type: {kind_of(raw)}, expected {expected}")


def kind_of(raw: Any) -> str:
    match raw:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(raw).lower()}`"
        case int():
            return f"integer `{raw}`"
        case float():
            return f"floating point `{raw}`"
        case str():
            return f'string "{raw}"'
        case Fields():
            return "map"
        case _:
            return "sequence"
