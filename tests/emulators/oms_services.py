"""Small lists that OMS's portal asks for (OMS sheet, section 1). Their shapes are made up."""

from typing import Any
from urllib.parse import parse_qsl

from tests.emulators.oms_catalogue import RESOURCES
from tests.emulators.oms_world import World

ITEMS = 10
Parts = list[str]


def service(parts: Parts, raw: str, world: World) -> list[dict[str, Any]] | None:
    """The attributes of each row; None: the path is none of these."""
    match parts:
        case ["version"]:
            return [{"version": "3.2.1", "build_time": "2026-01-01T00:00:00Z"}]
        case ["version", "endpoints"]:
            return [{"endpoint": name} for name in sorted(RESOURCES)]
        case ["runs", "sequences"]:
            found = {run.attributes["sequence"] for run in world.runs.values()}
            return [{"sequence": name} for name in sorted(found)]
        case ["downtimes", "groups"]:
            return [{"group": name} for name in ("CMS", "LHC", "TRG")]
        case [("runs" | "fills") as resource, "autocomplete"]:
            return completed(f"{resource[:-1]}_number", raw, world)
    return None


def completed(attribute: str, raw: str, world: World) -> list[dict[str, Any]]:
    """Numbers that begin as asked, newest first."""
    asked = {name.split("[")[1].rstrip("]"): value for name, value in parse_qsl(raw) if "[" in name}
    start = asked.get(attribute, "").rstrip("%")
    sequence = asked.get("sequence")
    found = {
        run.attributes[attribute]
        for run in world.runs.values()
        if str(run.attributes[attribute]).startswith(start)
        and sequence in (None, run.attributes["sequence"])
    }
    most = int(asked.get("items", ITEMS))
    return [{attribute: number} for number in sorted(found, reverse=True)[:most]]


def listed(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    data = [
        {"id": str(place), "type": kind, "attributes": row} for place, row in enumerate(rows, 1)
    ]
    return {"data": data, "meta": {"totalResourceCount": len(rows)}}
