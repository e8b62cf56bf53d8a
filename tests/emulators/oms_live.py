"""A run that goes on: what a client sees of it as the clock moves (OMS sheet, section 8)."""

from dataclasses import dataclass, field
from typing import Any

from tests.emulators.oms_runs import SECTION_SECONDS, Run, a_run

LAG = 2  # lumisections whose rates have not arrived yet


@dataclass
class Going:
    """A run and when it began (epoch seconds). `gaps`: lumisections that never come.

    While it goes, a lumisection comes each 23.31 s and moves `last_update`; the newest ones have
    no rates until `lag` more have come, or after the end until as much time has passed.
    """

    run: Run
    began: float
    lag: int = LAG
    gaps: set[int] = field(default_factory=set)
    ended: float | None = None

    def move(self, now: float, today: str) -> None:
        """What has come since."""
        begun = self._begun(now)
        until = begun if self.ended is None else self._begun(self.ended)
        sections = [one for one in range(1, until + 1) if one not in self.gaps]
        self.run.filled = max(0, begun - self.lag)
        if sections == self.run.sections:
            return
        self.run.sections = sections
        last = sections[-1]
        self.run.attributes |= {
            "last_lumisection_number": last,
            "l1_triggers_counter": 1_000_000 * last,
            "hlt_physics_counter": 1000 * last,
            "last_update": today,
        }

    def _begun(self, now: float) -> int:
        return 1 + int((now - self.began) / SECTION_SECONDS + 1e-6)


def new_run(number: int, fill: int, today: str, **changes: Any) -> Run:
    unknown = dict.fromkeys(("end_time", "duration", "end_lumi", "l1_rate"))
    going = {"last_update": today, "tier0_transfer": False}
    return a_run(number, fill, today, 0, **{**unknown, **going, **changes})
