"""What a status means for a person, as an exit code. Standard library only.

    0  fine           1  needs attention
    2  stuck          3  no agent runs

Beside `agent.status`, because `holdfast status` must not load the storage to tell it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FINE, ATTENTION, STUCK, NOT_RUNNING = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a person is asked for. Seconds."""

    attention_after: float
    stuck_after: float


def exit_code(status: Mapping[str, Any], thresholds: Thresholds) -> int:
    """The most severe of what `status` (the contract's JSON) tells; design 8."""
    if not status["agent"]["running"]:
        return NOT_RUNNING
    codes = [severity(one, thresholds) for one in status["backends"].values()]
    if status["spool"].get("blocked") or status["spool"].get("rejected"):
        codes.append(ATTENTION)
    if status.get("salvage"):  # until an operator has seen it
        codes.append(ATTENTION)
    return max(codes, default=FINE)


def severity(one: Mapping[str, Any], thresholds: Thresholds) -> int:
    """FINE, ATTENTION or STUCK for one backend of a status."""
    waits = one["oldest_age_seconds"] or 0
    if one["state"] == "flowing" and (one.get("silent_seconds") or 0) > thresholds.stuck_after:
        return STUCK
    if one["dead"] or one["state"] in ("refused", "unconfigured"):
        return ATTENTION
    return ATTENTION if waits > thresholds.attention_after else FINE
