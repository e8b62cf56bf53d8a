"""Rows of OMS that are not about one run: fills, eras, bunches, menus (OMS sheet, section 7)."""

from collections.abc import Iterable
from typing import Any

from tests.emulators.oms_query import Row
from tests.emulators.oms_rows import path_names, with_units
from tests.emulators.oms_runs import Run, wobble

ERAS = (
    ("2017B", "2017-06-01T00:00:00Z", "2017-07-01T00:00:00Z", 5750, 5920),
    ("2017H", "2017-11-10T00:00:00Z", "2017-11-20T00:00:00Z", 6380, 6400),
    ("2018A", "2018-04-20T00:00:00Z", "2018-06-01T00:00:00Z", 6580, 6750),
    ("2024C", "2024-04-20T00:00:00Z", None, 9560, None),  # not over
)


def example_tables(runs: Iterable[Run]) -> dict[str, list[Row]]:
    fills: dict[int, list[Run]] = {}
    for run in runs:
        fills.setdefault(run.attributes["fill_number"], []).append(run)
    keys = sorted({run.attributes["hlt_key"] for some in fills.values() for run in some})
    return {
        "fills": [a_fill(number, some) for number, some in sorted(fills.items())],
        "bunches": [a_bunch(number, place) for number in sorted(fills) for place in range(1, 41)],
        "eras": [
            Row(
                era[0],
                dict(
                    zip(
                        ("name", "start_time", "end_time", "start_fill", "end_fill"),
                        era,
                        strict=True,
                    )
                ),
            )
            for era in ERAS
        ],
        "hltconfigdata": [menu_line(key, path) for key in keys for path in path_names(278)[:20]],
        "hltprescalesets": [
            Row(path, {"path_name": path, "prescales": [1, 2, 4]}) for path in path_names(278)
        ],
    }


def a_fill(number: int, runs: list[Run]) -> Row:
    first, last = runs[0].attributes, runs[-1].attributes
    total = round(sum(run.attributes["delivered_lumi"] for run in runs), 3)
    attributes: dict[str, Any] = {
        "fill_number": number,
        "start_time": first["start_time"],
        "end_time": last["end_time"],
        "start_stable_beam": first["start_time"],
        "end_stable_beam": last["end_time"],  # null, as the end is, while it goes on
        "stable_beams": True,
        "duration": sum(run.attributes["duration"] or 0 for run in runs),
        **{name: first[name] for name in ("era", "energy", "b_field")},
        **{
            f"fill_type_{name}": first[f"fill_type_{name}"]
            for name in ("party1", "party2", "runtime")
        },
        "injection_scheme": "25ns_2556b_2544_2215_2332_144bpi_20inj",
        "bunches_beam1": 2556,
        "bunches_beam2": 2556,
        "bunches_colliding": 2544,
        "bunches_target": 2544,
        "delivered_lumi": total,
        "recorded_lumi": round(total * 0.94, 3),
        "delivered_lumi_stablebeams": total,
        "recorded_lumi_stablebeams": round(total * 0.94, 3),
        "peak_lumi": max(run.attributes["init_lumi"] for run in runs),
        "peak_pileup": round(30 + 20 * wobble(number), 3),
        "efficiency_time": 94.1,
        "efficiency_lumi": 93.8,
        "crossing_angle": 150.0,
        "intensity_beam1": 2.9e14,
        "intensity_beam2": 2.8e14,
        "downtime": int(600 * wobble(number, 1)),
    }
    return Row(str(number), attributes, with_units("fills"))


def a_bunch(fill: int, place: int) -> Row:
    attributes = {
        "fill_number": fill,
        "bunch_number": place,
        "initial_lumi": round(5 * wobble(fill, place), 3),
        "beam_1_configured": True,
        "beam_2_configured": place % 7 != 0,
        "intensity_beam_1": 1.1e11,
        "intensity_beam_2": 1.1e11,
    }
    return Row(f"{fill}_{place}", attributes, {})


def menu_line(key: str, path: str) -> Row:
    attributes = {"config_name": key, "path_name": path, "l1_prerequisite": "L1_ZeroBias"}
    return Row(f"{key}_{path}", attributes)
