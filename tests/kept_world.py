"""A small OMS that is known to the last row, and a shelf in memory.

`World.answer` says by brute force, over typed columns, what the server would (OMS sheet, sections
2, 3 and 8), the traps included: `end_lumi` comes from the next row of the same answer; rows of
granularity `run` and of `hltpathinfo` are sums over what the filters leave.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from adapters.oms.query import Filter, Query
from adapters.reading import Plan, Question
from storage.cached import Fact, Kept, Label

EPOCH = datetime(2017, 6, 16, tzinfo=UTC)
HOUR = 3600 * 1000
DAY = 24 * HOUR
GRACE = 48 * HOUR
UNITS = {"init_lumi": ("10^{30}", "10^{33}"), "l1_rate": ("Hz", "kHz"), "rate": ("Hz", "kHz")}
PATHS = ("HLT_ZeroBias_v5", "HLT_Mu_v1", "hlt_mu_v2")
KEYS = {
    "runs": ("run_number",),
    "lumisections": ("run_number", "lumisection_number"),
    "l1triggerrates": ("run_number", "last_lumisection_number"),
    "hltpathinfo": ("run_number", "path_name"),
    "fills": ("fill_number",),
}

Attributes = dict[str, Any]


def text_of(hours: float) -> str:
    return (EPOCH + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def plan_of(query: Query) -> Plan:
    return Plan(Question(query.resource), query.key, query.family, query, query.as_json())


class MemoryShelf:
    """The kept answers and facts, without a database."""

    def __init__(self) -> None:
        self.answers: dict[str, Kept] = {}
        self.remembered: dict[str, Fact] = {}
        self.loaded: list[str] = []

    async def get(self, key: str) -> Kept | None:
        self.loaded.append(key)
        return self.answers.get(key)

    async def family(self, family: str) -> Sequence[Label]:
        found = [kept.label for kept in self.answers.values() if kept.label.family == family]
        return sorted(found, key=lambda label: -label.fetched_at)

    async def put(self, kept: Kept) -> None:
        self.answers[kept.label.key] = kept

    async def facts(self, names: Sequence[str]) -> Mapping[str, Fact]:
        return {name: self.remembered[name] for name in names if name in self.remembered}

    async def note(self, values: Mapping[str, Any], seen_at: int) -> Mapping[str, Fact]:
        for name, value in values.items():
            last = self.remembered.get(name)
            since = last.since if last and last.value == value else seen_at if last else None
            self.remembered[name] = Fact(name, value, seen_at, since)
        return await self.facts(list(values))


def kept_of(query: Query, rows: Any, fetched_at: int, *, complete: bool = True) -> Kept:
    total = len(rows)
    label = Label(query.key, query.family, fetched_at, complete, False, query.as_json())
    return Kept(label, rows, {"totalResourceCount": total})


@dataclass
class World:
    """`tables`: the attributes of all rows, per resource; rates per lumisection.

    `next_after_sort`: the next row, of which `end_lumi` comes, is the next one as sorted.
    """

    tables: dict[str, list[Attributes]]
    next_after_sort: bool = False
    shelf: MemoryShelf = field(default_factory=MemoryShelf)

    def answer(self, query: Query) -> tuple[list[dict[str, Any]], int]:
        rows = [dict(one) for one in self.tables[query.resource] if meets(one, query.filters)]
        rows.sort(key=lambda one: [str(one[n]).rjust(9) for n in KEYS[query.resource]])
        if self.next_after_sort and "end_lumi" not in " ".join(query.sort):
            rows = sorted_by(query.sort, rows)
        if query.resource == "lumisections":
            for one, after in zip(rows, [*rows, {"init_lumi": 0.0}][1:], strict=True):
                one["end_lumi"] = after["init_lumi"]
        if query.resource == "hltpathinfo":
            rows = summed(rows, ("run_number", "path_name"), ("accepted",))
        if query.granularity == "run":
            rows = summed(rows, ("run_number",), ("last_lumisection_number", "rate"))
        rows = sorted_by(query.sort, rows)
        total = len(rows)
        if query.limit is not None:
            start = query.offset or 0
            rows = rows[start : start + query.limit]
        return [row_of(query, one) for one in rows], total

    async def fetch(self, query: Query, fetched_at: int) -> Kept:
        rows, total = self.answer(query)
        kept = kept_of(query, rows, fetched_at)
        kept = Kept(kept.label, kept.data, {"totalResourceCount": total})
        await self.shelf.put(kept)
        return kept


def summed(rows: Sequence[Attributes], by: Sequence[str], names: Sequence[str]) -> list[Attributes]:
    groups: dict[tuple[Any, ...], Attributes] = {}
    for one in rows:
        made = groups.setdefault(tuple(one[name] for name in by), {n: one[n] for n in by})
        for name in names:
            made[name] = made.get(name, 0) + (one[name] or 0)
    return list(groups.values())


def sorted_by(names: Sequence[str], rows: list[Attributes]) -> list[Attributes]:
    for name in reversed(names):
        rows = nulls_last(rows, name)
    return rows


def nulls_last(rows: list[Attributes], name: str) -> list[Attributes]:
    by = name.lstrip("-")
    valued = [one for one in rows if one[by] is not None]
    nulls = [one for one in rows if one[by] is None]
    return sorted(valued, key=lambda one: one[by], reverse=name.startswith("-")) + nulls


def row_of(query: Query, attributes: Attributes) -> dict[str, Any]:
    shown = {n: v for n, v in attributes.items() if not query.fields or n in query.fields}
    names = KEYS[query.resource]
    row: dict[str, Any] = {
        "id": "_".join(str(attributes[name]) for name in names if name in attributes),
        "type": query.resource,
        "attributes": shown,
    }
    units = {n: {"units": UNITS[n][attributes.get("run_number", 0) % 2]} for n in UNITS}
    if told := {n: one for n, one in units.items() if n in shown}:
        row["meta"] = {"row": told}
    return row


def meets(row: Attributes, filters: Sequence[Filter]) -> bool:
    return all(meets_one(row[one.attribute], one) for one in filters)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda a, b: bool(a == b),
    "NEQ": lambda a, b: bool(a != b),
    "LT": lambda a, b: bool(a < b),
    "LE": lambda a, b: bool(a <= b),
    "GT": lambda a, b: bool(a > b),
    "GE": lambda a, b: bool(a >= b),
}


def meets_one(value: Any, one: Filter) -> bool:
    if one.value == "null":
        return (value is None) == (one.operator == "EQ")
    if value is None:
        return False
    if one.operator == "IN":
        return any(value == typed(value, text) for text in one.value.split(","))
    if one.operator == "CT":
        return all(text in value for text in one.value.split(","))
    if one.operator == "LIKE":
        return like(str(value).lower(), one.value.lower())
    return COMPARISONS[one.operator](value, typed(value, one.value))


def typed(value: Any, text: str) -> Any:
    """Times of the tables have one form; literals come in others too."""
    if isinstance(value, bool):
        return text.lower() == "true"
    if isinstance(value, int | float):
        return float(text)
    if value.startswith("2017-"):
        return text.removesuffix("Z").replace(" ", "T").ljust(19, ":").replace(":::", ":00") + "Z"
    return text


def like(value: str, wanted: str) -> bool:
    """By hand: no regular expression."""
    if "%" not in wanted:
        return wanted in value
    first, *rest = wanted.split("%")
    if not value.startswith(first):
        return False
    value = value[len(first) :]
    for part in rest[:-1]:
        where = value.find(part)
        if where < 0:
            return False
        value = value[where + len(part) :]
    return value.endswith(rest[-1])


def a_world(dice: Random) -> World:
    """Six to ten run numbers from 100 on, some of them no runs."""
    tables: dict[str, list[Attributes]] = {name: [] for name in KEYS}
    for number in range(100, 100 + dice.randint(6, 10)):
        if dice.random() < 0.75:
            _run(dice, number, tables)
    for fill in {one["fill_number"] for one in tables["runs"]}:
        tables["fills"].append(
            {"fill_number": fill, "end_time": text_of(fill), "peak_lumi": dice.choice((1.5, None))}
        )
    return World(tables, next_after_sort=dice.random() < 0.5)


def _run(dice: Random, number: int, tables: dict[str, list[Attributes]]) -> None:
    sections = [one for one in range(1, dice.randint(2, 5)) if one == 1 or dice.random() < 0.8]
    tables["runs"].append(
        {
            "run_number": number,
            "fill_number": 50 + number // 4,
            "l1_rate": dice.choice((None, 0.5, 10.0, 100.0)),
            "b_field": dice.choice((None, 0, 3.8, 10)),
            "sequence": dice.choice(("GLOBAL-RUN", "Global-Run", "MINIDAQ", None)),
            "l1_key": dice.choice((None, "9", "10", "a_1", "A%1")),
            "stable_beam": dice.choice((True, False, None)),
            "start_time": text_of(number),
            "end_time": text_of(number + 1),
            "last_update": text_of(number + 0.5),
            "last_lumisection_number": sections[-1],
            "components": dice.choice((None, [], ["DT"], ["CSC", "DT"])),
        }
    )
    for section in sections:
        tables["lumisections"].append(
            {
                "run_number": number,
                "lumisection_number": section,
                "init_lumi": dice.choice((None, 1.5, 2.5)),
                "pileup": dice.choice((None, 9, 30.5)),
                "cms_active": dice.choice((True, False, None)),
                "prescale_name": dice.choice((None, "2.0e34", "1e34")),
            }
        )
        tables["l1triggerrates"].append(
            {
                "run_number": number,
                "last_lumisection_number": section,
                "rate": dice.choice((1.0, 2.0)),
                "l1a_physics": {"counter": 5 * section, "rate": dice.choice((None, 1.5))},
            }
        )
        for path in PATHS:
            if dice.random() < 0.6:
                tables["hltpathinfo"].append(
                    {"run_number": number, "path_name": path, "accepted": section}
                )
