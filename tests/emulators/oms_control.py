"""What a test in another process tells the emulator of OMS, by POST with a JSON object:

/_emulator/now {"seconds": 1800000000}          the clock
/_emulator/tick {"sections": 5}                 so many lumisections later
/_emulator/begin {"number": 500001}             also "fill", "lag", "gaps"
/_emulator/end, /_emulator/transfer {"number": 500001}
/_emulator/change {"resource": "runs", "row_id": "297050", "touch": true, "l1_rate": 1.0}
/_emulator/add_runs {"count": 5000}             also "first", "sections"
/_emulator/gate {"ways": ["bearer"], "says": "403"}, /_emulator/sso {"lifetime_seconds": 5}
/_emulator/log_in, /_emulator/revoke, /_emulator/approve, /_emulator/deny {}
/_emulator/switch {"overcounts": 3}
"""

from typing import Any

from tests.emulators.oms_gate import Gate
from tests.emulators.oms_sso import Sso
from tests.emulators.oms_world import World


def control(emulator: Any, what: str, told: dict[str, Any]) -> Any:
    """Do it; answers how things stand. Raises ValueError for what it does not know."""
    world: World = emulator.world
    gate: Gate = emulator.gate
    sso: Sso = emulator.sso
    match what:
        case "now":
            world.now = told["seconds"]
        case "tick" | "begin" | "end" | "transfer" | "change" | "add_runs":
            getattr(world, what)(**told)
        case "log_in":
            return {"cookie": gate.log_in()}
        case "revoke" | "approve" | "deny":
            getattr(sso, what)()
        case "gate":
            switch(gate, told)
        case "sso":
            switch(sso, told)
        case "switch":
            switch(emulator, told)
        case _:
            raise ValueError(f"the emulator of OMS knows nothing of {what}")
    return {"now": world.now, "ways": list(gate.ways), "says": gate.says, "runs": len(world.runs)}


def switch(what: object, told: dict[str, Any]) -> None:
    for name, value in told.items():
        if not hasattr(what, name):
            raise ValueError(f"{type(what).__name__} has no {name}")
        setattr(what, name, value)
