"""Runs as the emulator of OMS knows them: the examples of OMS sheet, section 6, and made-up ones.

What the sheet gives is exact; the rest is made up, the same each time.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.emulators.oms_query import written

SECTION_SECONDS = 23.31
RECORDED_PART = 0.94
COMPONENTS = ["CSC", "DAQ", "DCS", "DQM", "DT", "ECAL", "ES", "HCAL", "HF", "PIXEL", "RPC"]
COLLISIONS = "collisions2017"


@dataclass
class Run:
    """A run. `attributes` as OMS tells them; `sections`: the numbers of its lumisections.

    `filled`: the last lumisection whose rates and luminosities have arrived; None: all have.
    `before`: the fill's luminosity before it, in pb^-1. `paths`: how many HLT paths it has.
    `inactive`: how many lumisections at its start CMS was not active in.
    """

    attributes: dict[str, Any]
    sections: list[int]
    filled: int | None = None
    before: float = 0.0
    paths: int = 278
    inactive: int = 2
    units: dict[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return int(self.attributes["run_number"])

    @property
    def colliding(self) -> bool:
        return bool(self.attributes["stable_beam"])

    def has_values(self, section: int) -> bool:
        return self.filled is None or section <= self.filled

    def starts(self, section: int) -> str:
        """When a lumisection began: the first one 54 s after the run."""
        start = datetime.fromisoformat(self.attributes["start_time"])
        return written(start + timedelta(seconds=54 + int(SECTION_SECONDS * (section - 1))))


def lumi_at(first: float, section: int) -> float:
    """Beams fade."""
    return round(first * 0.9998**section, 6)


def gained(lumi: float) -> float:
    """pb^-1 in one lumisection."""
    return round(lumi * SECTION_SECONDS * 1e-6, 6)


def wobble(*parts: int) -> float:
    """A made-up number from 0 to 1, the same for the same parts."""
    mixed = 17
    for part in parts:
        mixed = (mixed * 1_000_003 + part * 7_919) % 2_147_483_647
    return (mixed % 10_007) / 10_007


def a_run(
    number: int,
    fill: int,
    start: str,
    sections: int | list[int],
    **changes: Any,
) -> Run:
    """A settled global run with lumisections 1 to `sections`, or those listed."""
    listed = list(range(1, sections + 1)) if isinstance(sections, int) else sections
    last = listed[-1] if listed else 0
    seconds = 54 + int(SECTION_SECONDS * last)
    end = written(datetime.fromisoformat(start) + timedelta(seconds=seconds))
    lumi = changes.get("init_lumi") or 1000 + round(12_000 * wobble(number), 3)
    delivered = sum(gained(lumi_at(lumi, section)) for section in listed)
    year = start[:4]
    attributes = {
        "b_field": 3.8,
        "beamactive_total_deadtime": round(3 * wobble(number, 1), 3),
        "beta_star_start": 40.0,
        "beta_star_stop": 40.0,
        "clock_type": "LHC",
        "cmssw_version": "CMSSW_9_2_3" if year == "2017" else "CMSSW_10_1_2",
        "components": COMPONENTS,
        "components_out": ["CTPPS"],
        "crossing_angle_start": 150.0,
        "crossing_angle_stop": 150.0,
        "delivered_lumi": round(delivered, 6),
        "duration": seconds,
        "end_lumi": round(lumi * 0.8, 6),
        "end_time": end,
        "energy": 6500.0,
        "era": f"{year}B",
        "fill_number": fill,
        "fill_type_party1": "PROTON",
        "fill_type_party2": "PROTON",
        "fill_type_runtime": "PROTONS",
        "hlt_key": f"/cdaq/physics/Run{year}/2e34/v1.2.0/HLT/V1",
        "hlt_physics_counter": 1000 * last,
        "hlt_physics_rate": round(900 + 200 * wobble(number, 2), 3),
        "hlt_physics_size": 1.1,
        "hlt_physics_throughput": 1.2,
        "init_lumi": lumi,
        "initial_prescale_index": 2,
        "l1_hlt_mode": f"{COLLISIONS}/v37",
        "l1_hlt_mode_stripped": COLLISIONS,
        "l1_key": f"{COLLISIONS}_base/v105",
        "l1_key_stripped": f"{COLLISIONS}_base",
        "l1_menu": "L1Menu_Collisions2017_dev_r5",
        "l1_rate": round(30_000 + 50_000 * wobble(number, 3), 3),
        "l1_triggers_counter": 1_000_000 * last,
        "last_lumisection_number": last or None,
        "last_update": end,
        "recorded_lumi": round(delivered * RECORDED_PART, 6),
        "run_number": number,
        "sequence": "GLOBAL-RUN",
        "stable_beam": True,
        "start_time": start,
        "tier0_transfer": True,
        "trigger_mode": f"{COLLISIONS}/v37",
    }
    return Run({**attributes, **changes}, listed)


def first_examples() -> list[Run]:
    """Runs 297050 to 297056 (examples 1 to 4, 6 and 7)."""
    first = a_run(
        297050,
        5839,
        "2017-06-16T20:50:33Z",
        793,
        end_time="2017-06-17T01:57:57Z",
        last_update="2017-06-16T21:13:57Z",  # before its end: no sign of being closed
        duration=18444,
        init_lumi=6885.2021484375,
        l1_rate=49130.85,
    )
    made = [first]
    for number, start, sections, rate in (
        (297051, "2017-06-17T02:00:10Z", 12, 1114.198),
        (297052, "2017-06-17T02:11:40Z", 8, 766.784),
        (297053, "2017-06-17T02:22:05Z", 23, 972.374),
        (297054, "2017-06-17T02:40:31Z", 4, 0.686),
        (297055, "2017-06-17T02:49:02Z", 3, None),
        (297056, "2017-06-17T02:58:47Z", 211, 60997.938),
    ):
        made.append(a_run(number, 5839, start, sections, l1_rate=rate))
        made[-1].attributes["stable_beam"] = sections > 100
    made[5].filled = 0  # long settled, and null for ever
    made[1].units["delivered_lumi"] = "nb^{-1}"  # a scale of its own
    return made


# Runs and how many lumisections they have: 4655, and 983 before run 315224 (example 5b).
SPRING_2018 = (
    (315190, 383),
    (315195, 50),
    (315201, 250),
    (315206, 100),
    (315213, 200),
    (315224, 512),
    (315241, 600),
    (315252, 700),
    (315257, 360),
    (315264, 800),
    (315270, 700),
)


def spring_2018() -> list[Run]:
    """The runs from 315190 to 315290, with a test of one detector that has no lumisections."""
    made = [
        a_run(number, 6600 + place // 2, f"2018-04-{24 + place // 3}T0{place % 3 * 3}:10:00Z", many)
        for place, (number, many) in enumerate(SPRING_2018)
    ]
    alone = a_run(315199, 6600, "2018-04-24T02:00:00Z", 0, sequence="MINIDAQ", stable_beam=False)
    for run in (*made, alone):
        run.attributes["era"] = "2018A"
    return [*made, alone]


def other_examples() -> list[Run]:
    """Run 306458 (example 8), and run 380147, which has no lumisection 186."""
    pulsing = a_run(306458, 6387, "2017-11-11T07:12:00Z", 269, era="2017H")
    pulsing.inactive = 28
    holed = [one for one in range(1, 411) if one != 186]
    return [pulsing, a_run(380147, 9571, "2024-05-01T12:00:00Z", holed, era="2024C")]


def example_runs() -> list[Run]:
    """In order of numbers, each with what its fill had delivered before."""
    runs = [*first_examples(), *spring_2018(), *other_examples()]
    runs.sort(key=lambda run: run.number)
    delivered: dict[int, float] = {}
    for run in runs:
        fill = run.attributes["fill_number"]
        run.before = delivered.get(fill, 0.0)
        delivered[fill] = run.before + run.attributes["delivered_lumi"]
    return runs
