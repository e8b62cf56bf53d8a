"""The language of questions for records: parameters as people, scripts and clients write them.

Promises: pure. What AUDITOR drops without a word (unknown operators of `meta`, a time that
"equals", two lower bounds on one field) is refused here by name; nothing is ignored. Each
condition has a short form, `filter=meta.site~FR,DE`, and AUDITOR's own, `meta[site][c][0]=FR`.
(AUDITOR sheet, section 1.4)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adapters.auditor.payloads import check_name, check_time
from adapters.auditor.query import COMPARE, LOWER, SORTABLE, TIMES, UPPER, Condition, Query, Subject
from adapters.reading import Misasked, Parameters

LARGEST = 2**63 - 1  # of numbers; beyond it the server refuses, or PostgreSQL does without a word

SIGNS = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt", "=": "equals", "~": "c", "!~": "dnc"}
PLACE = re.compile(r"([a-z_]+)((?:\[[^\[\]]*\])*)")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
EXPRESSION = re.compile(
    r"\s*(record_id|start_time|stop_time|runtime|(?:meta|component)\.(?:.+?))"
    r"\s*(>=|<=|!~|>|<|=|~)(.*)",
    re.DOTALL,
)
NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)

PARAMETERS = {
    "filter": "FIELD OPERATOR VALUE with > >= < <= for start_time, stop_time (RFC 3339 with an"
    " offset), runtime (seconds) and component.NAME, = too for all but times; record_id=ID;"
    " meta.KEY~A,B (contains all) and meta.KEY!~A,B (contains none). May be repeated",
    "record_id": "one record's id",
    "runtime": "seconds, exactly",
    "sort": f"one of {', '.join(SORTABLE)}; with - before it, descending",
    "limit": "at most so many records",
    "start_time[gt|gte|lt|lte]": "AUDITOR's own forms, also of stop_time, runtime, meta[KEY][c],"
    " meta[KEY][dnc], component[NAME] and sort_by[asc|desc]",
}
NO_EQUAL_TIMES = (
    "AUDITOR has no equality of times, it drops such a condition without a word: ask for a span,"
    " such as start_time>=2024-01-31T12:00:00Z and start_time<2024-01-31T12:00:01Z"
)


@dataclass(slots=True)
class _Draft:
    conditions: list[Condition] = field(default_factory=list)
    lists: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    sort: str | None = None
    limit: int | None = None


def parse(parameters: Parameters) -> Query:
    """What the parameters ask for. Raises Misasked naming the one that makes no sense."""
    draft = _Draft()
    for name, value in parameters:
        _take(draft, name, value)
    lists = [
        Condition("meta", key, sign, tuple(sorted(set(values))))
        for (key, sign), values in draft.lists.items()
    ]
    return Query(tuple(sorted([*draft.conditions, *lists], key=str)), draft.sort, draft.limit)


def since(subject: Subject, text: str) -> Query:
    """What started, or stopped, at a time or later. Raises Misasked."""
    return Query((Condition(subject, "", "gte", moment(text, "time")),))


def one_record(record_id: str) -> Query:
    """The record of an id. Raises Misasked."""
    return Query((Condition("record_id", "", "equals", a_name(record_id, "record_id")),))


def moment(text: str, parameter: str) -> str:
    """A time as text in UTC, to the microsecond, as AUDITOR prints its own. Raises Misasked."""
    try:
        plain = re.sub(r":60(?=[.Zz+-])", ":59", check_time(text.strip())).upper()
        exact = datetime.fromisoformat(plain).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as exc:
        said = f"{parameter}: {text!r} is no time: RFC 3339 with an offset is, as"
        raise Misasked(f"{said} 2024-01-31T12:00:00Z", parameter=parameter) from exc
    return f"{exact.isoformat()}Z"


def a_name(text: str, parameter: str) -> str:
    """A name that AUDITOR can have, or Misasked: it answers others with `null` or nothing."""
    try:
        return check_name(text)
    except ValueError as exc:
        raise Misasked(f"{parameter}: {exc}", parameter=parameter) from exc


def _take(draft: _Draft, name: str, value: str) -> None:
    found = PLACE.fullmatch(name)
    head, inner = (found[1], BRACKETS.findall(found[2])) if found else (name, [])
    match head, inner:
        case "filter", []:
            _expression(draft, value)
        case ("record_id" | "runtime") as subject, []:
            _add(draft, subject, "", "equals", value, name)
        case (("start_time" | "stop_time"), []):
            raise Misasked(f"{name}: {NO_EQUAL_TIMES}", parameter=name)
        case "sort", []:
            _sort(draft, value, name)
        case "limit", []:
            draft.limit = _number(value, name, least=1)
        case _:
            _take_own(draft, head, inner, value, name)


def _take_own(draft: _Draft, head: str, inner: Sequence[str], value: str, name: str) -> None:
    """AUDITOR's own forms, but that the brackets after `c` and `dnc` may be left out."""
    match head, inner:
        case ("start_time" | "stop_time" | "runtime") as subject, [sign]:
            _add(draft, subject, "", sign, value, name)
        case "component", [part, sign]:
            _add(draft, "component", part, sign, value, name)
        case "meta", [key, sign]:
            _list(draft, key, sign, _parts(value), name)
        case "meta", [key, sign, _]:
            _list(draft, key, sign, [value], name)
        case "sort_by", ["asc"]:
            _sort(draft, value, name)
        case "sort_by", ["desc"]:
            _sort(draft, f"-{value}", name)
        case _:
            known = "filter, record_id, start_time[OP], stop_time[OP], runtime[OP], meta[KEY][OP]"
            raise Misasked(
                f"{name!r} is no parameter of AUDITOR's records: {known}, component[NAME][OP],"
                " sort and limit are",
                parameter=name,
            )


def _expression(draft: _Draft, text: str) -> None:
    found = EXPRESSION.fullmatch(text)
    if found is None:
        fields = "record_id, start_time, stop_time, runtime, meta.KEY, component.NAME"
        raise Misasked(
            f"filter {text!r}: write FIELD OPERATOR VALUE, with one of {fields}"
            f" and one of {' '.join(SIGNS)}",
            parameter="filter",
        )
    subject, _, name = found[1].partition(".")
    sign, value = SIGNS[found[2]], found[3].strip()
    if subject == "meta":
        _list(draft, name, sign, _parts(value), "filter")
    else:
        _add(draft, subject, name, sign, value, "filter")  # type: ignore[arg-type]


def _add(draft: _Draft, subject: Subject, name: str, sign: str, value: str, parameter: str) -> None:
    known = ["equals"] if subject == "record_id" else list(COMPARE)
    if subject in TIMES and sign == "equals":
        raise Misasked(f"{parameter}: {NO_EQUAL_TIMES}", parameter=parameter)
    if sign not in known:
        raise Misasked(
            f"{parameter}: {subject} knows no operator {sign!r}, but {', '.join(known)}",
            parameter=parameter,
        )
    _judge_rivals(draft, subject, name, sign, parameter)
    limit: str | int
    if subject == "record_id":
        limit = a_name(value, parameter)
    elif subject in TIMES:
        limit = moment(value, parameter)
    else:
        limit = _number(value, parameter)
    part = a_name(name, parameter) if subject == "component" else ""
    draft.conditions.append(Condition(subject, part, sign, limit))


def _judge_rivals(draft: _Draft, subject: Subject, name: str, sign: str, parameter: str) -> None:
    """Of two lower bounds on one field AUDITOR drops both, and every other one beside them."""
    for one in draft.conditions:
        same = one.operator == sign or any({one.operator, sign} <= set(s) for s in (LOWER, UPPER))
        if (one.subject, one.name) == (subject, name) and same:
            said = f"{one.operator} and {sign}" if one.operator != sign else f"{sign} twice"
            raise Misasked(
                f"{parameter}: {subject} has {said}: say only one of them", parameter=parameter
            )


def _list(draft: _Draft, key: str, sign: str, values: Sequence[str], parameter: str) -> None:
    if sign not in ("c", "dnc"):
        raise Misasked(
            f"{parameter}: meta has lists, which contain all (c, or ~) or none (dnc, or !~) of"
            f" what you name; {sign!r} it does not know",
            parameter=parameter,
        )
    names = [a_name(one, parameter) for one in values]
    draft.lists.setdefault((a_name(key, parameter), sign), []).extend(names)


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _sort(draft: _Draft, value: str, parameter: str) -> None:
    if value.removeprefix("-") not in SORTABLE:
        known = ", ".join(SORTABLE)
        raise Misasked(f"{parameter}: {value!r} is none of {known}", parameter=parameter)
    if draft.sort is not None:
        raise Misasked(f"{parameter}: AUDITOR sorts by one field only", parameter=parameter)
    draft.sort = value


def _number(text: str, parameter: str, least: int = 0) -> int:
    plain = text.strip()
    if not NUMBER.fullmatch(plain) or not least <= int(plain) <= LARGEST:
        said = f"{parameter}: has to be a whole number from {least} to {LARGEST}"
        raise Misasked(said, parameter=parameter)
    return int(plain)
