"""Rows of lumisections put together: by run, fill, range, or a number of lumisections.

How the ids of grouped rows look is not known; these are made up.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.emulators.oms_catalogue import Attributes
from tests.emulators.oms_query import Row

# What tells the rows of one lumisection apart.
KEYS = {
    "l1algorithmtriggers": "bit",
    "hltpathrates": "path_name",
    "streams": "stream_name",
    "datasetrates": "dataset_name",
}
# What one row is about when nobody says: not known of the real one, so always ask for it.
GRAINS = {
    "l1triggerrates": "run",
    "deadtimes": "run",
    "l1algorithmtriggers": "lumisection",
    "hltpathrates": "run",
    "streams": "run",
    "datasetrates": "run",
}
Group = tuple[Any, ...]


def put_together(
    resource: str,
    rows: list[Row],
    group: Mapping[str, str],
    attributes: Attributes,
    fills: Mapping[int, int],
) -> list[Row]:
    """`fills`: the fill of each run."""
    grain = group.get("granularity", GRAINS[resource])
    if grain == "lumisection" and not group.keys() & {"size", "count"}:
        return rows
    found: dict[Group, list[Row]] = {}
    size = size_of(rows, group)
    for row in rows:
        run, section = row.attributes["run_number"], row.attributes["last_lumisection_number"]
        own = row.attributes.get(KEYS.get(resource, ""))
        part = (section - 1) // size if size else 0
        where = {"fill": fills[run], "range": "all"}.get(grain, run)
        found.setdefault((where, own, part), []).append(row)
    return [together(key, some, attributes, split=size > 0) for key, some in found.items()]


def size_of(rows: Iterable[Row], group: Mapping[str, str]) -> int:
    """How many lumisections one row has; 0: all."""
    if "size" in group:
        return int(group["size"])
    if "count" in group:
        last = max((row.attributes["last_lumisection_number"] for row in rows), default=1)
        return -(-int(last) // int(group["count"]))
    return 0


def together(key: Group, rows: list[Row], attributes: Attributes, *, split: bool) -> Row:
    first, last = rows[0].attributes, rows[-1].attributes
    made: dict[str, Any] = {}
    for name, attribute in attributes.items():
        values = [row.attributes[name] for row in rows if row.attributes[name] is not None]
        match attribute.type:
            case "rate" | "percent":
                made[name] = nested(values)
            case "float":
                made[name] = mean(values)
            case "int" if name in ("counter", "n_events"):
                made[name] = sum(values) if values else None
            case _:
                made[name] = first[name]
    made["last_lumisection_number"] = last["last_lumisection_number"]
    where, own, part = key
    named = [where, *([own] if own is not None else []), *([part] if split else [])]
    return Row("_".join(str(one) for one in named), made, rows[0].units)


def nested(values: list[dict[str, Any]]) -> dict[str, Any]:
    names = values[0] if values else {}
    found = {name: [one[name] for one in values if one[name] is not None] for name in names}
    return {
        name: mean(some) if name != "counter" else sum(some) if some else None
        for name, some in found.items()
    }


def mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
