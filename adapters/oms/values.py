"""Values of OMS: which kind an attribute is, how a literal of a filter is read, and how the two
are compared. Pure.

Source: protocols sheet of OMS, sections 2, 7 and 8. Promises: what the server would do is either
known or not said. A value and a literal that nobody can compare for certain raise NotKept; a
null row value is matched by no comparison, not by NEQ either.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from adapters.oms.query import NULL, Filter
from adapters.reading import NotKept

Number = int | float
Literal = Number | datetime | bool | str

NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?:(:\d\d)(\.\d{1,6})?)?Z?")
TRUTHS = {"true": True, "false": False}
RANGES = ("LT", "GT", "LE", "GE")


class Kind(Enum):
    """How the literals of an attribute are to be read."""

    WHOLE = "whole number"
    NUMBER = "number"
    TIME = "time"
    TRUTH = "true or false"
    TEXT = "text"


SECTIONS = frozenset(("lumisection_number", "first_lumisection_number", "last_lumisection_number"))
KINDS = (
    (Kind.WHOLE, re.compile(r"\w+_lumisection_number|(run|lumisection|fill|bunch)_number|bit")),
    (Kind.WHOLE, re.compile(r"(start|end)_fill|prescale_index|\w*counter")),
    (Kind.NUMBER, re.compile(r"(init|end|delivered|recorded|peak|initial)_lumi|\w*_rate|rate")),
    (Kind.NUMBER, re.compile(r"(delivered|recorded)_lumi_per_lumisection|(peak_)?pileup|duration")),
    (Kind.TIME, re.compile(r"(start|end)_time|last_update|(start|end)_stable_beam")),
    (Kind.TRUTH, re.compile(r"\w+_(ready|present)|beams?\d?_stable|stable_beam|cms_active")),
)


def kind_of(attribute: str) -> Kind | None:
    """What the sheet shows of an attribute, by its name; None: it may be anything."""
    return next((kind for kind, name in KINDS if name.fullmatch(attribute)), None)


def number_of(text: str) -> Number | None:
    """The number that a text says."""
    if not NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def time_of(text: Any) -> datetime | None:
    """The time that a text says, in UTC; seconds and the Z may be left out."""
    match = TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    day, minute, second, part = match.groups()
    try:
        return datetime.fromisoformat(f"{day}T{minute}{second or ':00'}").replace(
            tzinfo=UTC, microsecond=int((part or ".0")[1:].ljust(6, "0"))
        )
    except ValueError:
        return None


def ms_of(text: Any) -> int | None:
    """The time that a text says, in epoch ms."""
    time = time_of(text)
    return None if time is None else int(time.timestamp() * 1000)


def literal(text: str, kind: Kind) -> Literal | None:
    """A literal read as one kind; None when it is none."""
    match kind:
        case Kind.WHOLE | Kind.NUMBER:
            return number_of(text)
        case Kind.TIME:
            return time_of(text)
        case Kind.TRUTH:
            return TRUTHS.get(text.lower())
        case Kind.TEXT:
            return text


def literals(one: Filter) -> Sequence[str]:
    """The literals of a condition: several where it takes a list."""
    return one.value.split(",") if one.operator in ("IN", "CT") else [one.value]


def matches(one: Filter, value: Any) -> bool:
    """Would the server find that a row with this value meets the condition? Raises NotKept."""
    if NULL in literals(one):
        return _nullness(one, value)
    if value is None:
        return False
    if isinstance(value, dict):
        raise NotKept(f"{one.attribute} has parts: only OMS can filter by it")
    match one.operator:
        case "CT":
            return _contains(one, value)
        case "LIKE":
            return _like(one, value)
        case "IN":
            return any(_compared(one, "EQ", value, text) for text in literals(one))
        case _:
            return _compared(one, one.operator, value, one.value)


def _nullness(one: Filter, value: Any) -> bool:
    if one.operator not in ("EQ", "NEQ"):
        raise NotKept(f"only OMS can say what {one.operator} null means for {one.attribute}")
    return (value is None) == (one.operator == "EQ")


def _contains(one: Filter, value: Any) -> bool:
    if not isinstance(value, list):
        raise NotKept(f"{one.attribute} is no list: only OMS can say what it contains")
    held = {name in value for name in literals(one)}
    if len(held) > 1:
        # Whether a list of names asks for all of them or for any is not known.
        raise NotKept(f"only OMS can say what {one.attribute} CT {one.value!r} means: ask for one")
    return held.pop()


def _like(one: Filter, value: Any) -> bool:
    return bool(pattern(one.value).fullmatch(like_text(one, value)))


def like_text(one: Filter, value: Any) -> str:
    """The text of a value that LIKE looks at. Raises NotKept where nobody knows it."""
    if isinstance(value, str) and time_of(value) is None:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise NotKept(f"only OMS can say which {one.attribute} is like {one.value!r}")


def pattern(text: str, *, exact: bool = False) -> re.Pattern[str]:
    """What LIKE asks for: `%` is any text, and a bare text is looked for anywhere in it.

    OMS may take capitals and `_` in other ways (not known): `exact` minds the case, and takes
    `_` for any one letter.
    """
    inner = text if "%" in text else f"%{text}%"
    parts = [re.escape(part) for part in inner.split("%")]
    flags = re.DOTALL
    if exact:
        return re.compile(".*".join(part.replace("_", ".") for part in parts), flags)
    return re.compile(".*".join(parts), flags | re.IGNORECASE)


def _compared(one: Filter, operator: str, value: Any, text: str) -> bool:
    kind = _kind_of_value(value)
    wanted = literal(text, kind) if kind else None
    given: Any = time_of(value) if kind is Kind.TIME else value
    if wanted is None or (kind is Kind.TRUTH and operator in RANGES):
        raise NotKept(f"only OMS can say how {one.attribute} compares with {text!r}")
    match operator:
        case "EQ":
            return bool(given == wanted)
        case "NEQ":
            return bool(given != wanted)
        case "LT":
            return bool(given < wanted)
        case "LE":
            return bool(given <= wanted)
        case "GT":
            return bool(given > wanted)
        case _:
            return bool(given >= wanted)


def _kind_of_value(value: Any) -> Kind | None:
    match value:
        case bool():
            return Kind.TRUTH
        case int() | float():
            return Kind.NUMBER
        case str():
            return Kind.TEXT if time_of(value) is None else Kind.TIME
        case _:
            return None
