"""The conservation oracle: what was accepted against what the backends hold.

Every entry made here carries a mark that no other has; a ledger is the list of marks that a
backend holds, so what is lost, invented or doubled can be counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.world import EXPERIMENT, World

BACKENDS = ("elog", "events", "telemetry", "accounting")


def payload(backend: str, mark: str) -> dict[str, Any]:
    """A payload that the backend takes, carrying `mark`."""
    match backend:
        case "elog":
            return {"experiment": EXPERIMENT, "text": f"Beam is back {mark}", "tags": ["SHIFT"]}
        case "events":
            return {"event_type": "log_info", "event_data": {"mark": mark, "μ": [1, 2.5, None]}}
        case "telemetry":
            return {"type": "weather", "data": {"mark": mark, "wind": 3.5}}
        case _:
            return {
                "record_id": mark,
                "components": [{"name": "cpu", "amount": 4, "scores": []}],
                "start_time": "2026-11-23T10:00:00Z",
                "meta": {"site": ["endstation"]},
            }


def marks(world: World, backend: str) -> list[str]:
    """The marks that a backend holds, in order of arrival."""
    match backend:
        case "elog":
            return [one["content"].split()[-1] for one in world.elog.ledger() if "content" in one]
        case "events":
            return [one["event_data"]["mark"] for one in world.events.ledger()]
        case "telemetry":
            return [one["data"]["mark"] for one in world.telemetry.ledger()]
        case _:
            return [one["record_id"] for one in world.accounting.ledger()]


@dataclass(frozen=True)
class Balance:
    """The outcome of a comparison: marks by what became of them."""

    accepted: int
    delivered: int
    lost: list[str]
    invented: list[str]
    doubled: list[str]

    @property
    def exact(self) -> bool:
        return not (self.lost or self.invented or self.doubled)


def balance(world: World, accepted: Iterable[tuple[str, str]]) -> Balance:
    """Compare (backend, mark) pairs that were accepted with all four ledgers."""
    wanted = set(accepted)
    held = Counter((backend, mark) for backend in BACKENDS for mark in marks(world, backend))
    return Balance(
        accepted=len(wanted),
        delivered=len(wanted & held.keys()),
        lost=sorted(mark for _, mark in wanted - held.keys()),
        invented=sorted(mark for _, mark in held.keys() - wanted),
        doubled=sorted(mark for (_, mark), count in held.items() if count > 1),
    )
