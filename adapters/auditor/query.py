"""What a question for records means: its conditions, judged here and as AUDITOR takes them.

Promises: pure. A condition that AUDITOR applies to less than it says is never sent: `component`
looks there at the first component only and breaks off at large amounts, `dnc` leaves out records
that do not have the key. Those are judged here, over all components and all records. (AUDITOR
sheet, section 1.4)
"""

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

Subject = Literal["record_id", "start_time", "stop_time", "runtime", "meta", "component"]
Value = str | int | tuple[str, ...]
Row = Mapping[str, Any]

TIMES = ("start_time", "stop_time")
SORTABLE = ("start_time", "stop_time", "runtime", "record_id")
FIRST = "stop_time"  # what the server sorts by when nobody says
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "equals": operator.eq,
}
LOWER, UPPER = ("gt", "gte"), ("lt", "lte")


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One condition. `name`: the key of `meta` or the name of the component, else empty.

    `operator`: one of COMPARE, or for `meta` "c" (contains all) and "dnc" (contains none), whose
    value is a tuple. Times are texts in UTC.
    """

    subject: Subject
    name: str
    operator: str
    value: Value

    @property
    def sent(self) -> bool:
        """Does AUDITOR judge it as it is meant?"""
        return self.subject != "component" and self.operator != "dnc"

    @property
    def limit(self) -> Any:
        """The value, to be compared with."""
        return datetime.fromisoformat(str(self.value)) if self.subject in TIMES else self.value

    def holds(self, row: Row) -> bool:
        """Is it true of a record, if it is on none of its components?

        Raises ValueError, TypeError, AttributeError for what is no record.
        """
        match self.subject:
            case "meta":
                values = set((row.get("meta") or {}).get(self.name, ()))
                listed = set(self.value) if isinstance(self.value, tuple) else set()
                return listed <= values if self.operator == "c" else not listed & values
            case "start_time" | "stop_time":
                text = row.get(self.subject)
                told = None if text is None else datetime.fromisoformat(text)
            case _:
                told = row.get(self.subject)
        return told is not None and COMPARE[self.operator](told, self.limit)

    def holds_of(self, part: Row) -> bool:
        """Is it true of one component?"""
        return part["name"] == self.name and COMPARE[self.operator](part["amount"], self.value)

    def implies(self, other: "Condition") -> bool:
        """Is the other one true of each record of which this is?"""
        if (self.subject, self.name) != (other.subject, other.name):
            return False
        if isinstance(self.value, tuple) and isinstance(other.value, tuple):
            return self.operator == other.operator and set(other.value) <= set(self.value)
        if self == other:
            return True
        for side, beyond in ((LOWER, operator.gt), (UPPER, operator.lt)):
            if other.operator in side and self.operator in (*side, "equals"):
                # At the same value only "gt" says more than "gte"; an equal one is no "gt".
                strict = self.operator == side[0] or other.operator == side[1]
                ours, theirs = self.limit, other.limit
                return bool(beyond(ours, theirs) or (ours == theirs and strict))
        return False


@dataclass(frozen=True, slots=True)
class Query:
    """A question for records. All conditions hold at once.

    `sort`: one of SORTABLE, "-" before it if it descends; None: as the server does when nobody
    says. `limit`: at most so many records; None: all.
    """

    conditions: tuple[Condition, ...] = ()
    sort: str | None = None
    limit: int | None = None

    @property
    def judged_here(self) -> tuple[Condition, ...]:
        """The conditions that AUDITOR is not asked."""
        return tuple(one for one in self.conditions if not one.sent)

    @property
    def subjects(self) -> frozenset[Subject]:
        """What there are conditions on."""
        return frozenset(one.subject for one in self.conditions)

    def as_json(self) -> dict[str, Any]:
        """For a label; equal questions give equal texts when dumped with sorted keys."""
        return {
            "conditions": [
                [one.subject, one.name, one.operator, one.value] for one in self.conditions
            ],
            "sort": self.sort,
            "limit": self.limit,
        }

    def asked(self, row: Row) -> bool:
        """Does a record meet what AUDITOR is asked? Raises as `holds`."""
        return all(one.holds(row) for one in self.conditions if one.sent)

    def matches(self, row: Row) -> bool:
        """Does a record meet every condition? All those on one name, one component has to meet.

        Raises as `holds`, and LookupError.
        """
        if not all(one.holds(row) for one in self.conditions if one.subject != "component"):
            return False
        parts = [one for one in self.conditions if one.subject == "component"]
        return all(
            any(
                all(one.holds_of(part) for one in parts if one.name == name)
                for part in row.get("components") or ()
            )
            for name in {one.name for one in parts}
        )

    def implies(self, other: "Query") -> bool:
        """Does each record that meets this one's conditions meet the other's?"""
        return all(
            any(one.implies(theirs) for one in self.conditions) for theirs in other.conditions
        )

    def wire(self, sort: str | None, limit: int | None) -> str:
        """The query string: brackets as they are, all else percent-encoded."""
        pairs = [pair for one in self.conditions if one.sent for pair in _pairs(one)]
        if sort is not None:
            pairs.append(f"sort_by[{'desc' if sort[0] == '-' else 'asc'}]={sort.lstrip('-')}")
        if limit is not None:
            pairs.append(f"limit={limit}")
        return "&".join(pairs)


def from_json(about: Mapping[str, Any]) -> Query:
    """The query that `as_json` gave."""
    conditions = (
        Condition(subject, name, sign, tuple(value) if isinstance(value, list) else value)
        for subject, name, sign, value in about["conditions"]
    )
    return Query(tuple(conditions), about["sort"], about["limit"])


def key_of(resource: str, query: Query) -> str:
    """The canonical form of a question."""
    said = {"resource": resource, **query.as_json()}
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def ordered(rows: Iterable[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    """Records in the order asked for, as many as asked for. What has no value is largest.

    Ids sort by their characters' numbers; the server's database may have another order.
    """
    sort = query.sort or FIRST
    name = sort.lstrip("-")
    there = [one for one in rows if one.get(name) is not None]
    absent = [one for one in rows if one.get(name) is None]
    there.sort(key=lambda one: _sortable(name, one[name]), reverse=sort[0] == "-")
    found = [*absent, *there] if sort[0] == "-" else [*there, *absent]
    return found[: query.limit]


def _sortable(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in TIMES else value


def _pairs(condition: Condition) -> Sequence[str]:
    name, sign, value = quote(condition.name, safe=""), condition.operator, condition.value
    match condition.subject:
        case "record_id":
            return [f"record_id={quote(str(value), safe='')}"]
        case "meta" if isinstance(value, tuple):
            return [f"meta[{name}][c][{n}]={quote(one, safe='')}" for n, one in enumerate(value)]
        case subject:
            return [f"{subject}[{sign}]={quote(str(value), safe='')}"]
