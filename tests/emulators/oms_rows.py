"""The rows that OMS has about a run, lumisection by lumisection (OMS sheet, sections 6 and 7)."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from tests.emulators.oms_catalogue import CATALOGUE, DCS, DEADTIMES
from tests.emulators.oms_query import Row
from tests.emulators.oms_runs import RECORDED_PART, SECTION_SECONDS, Run, gained, lumi_at, wobble

ZERO_BIAS = "HLT_ZeroBias_v5"
# Lumisection 1 of run 297050, as recorded, and what makes the mean of the run 48025.66.
RECORDED = (297050, 1)
MEAN, OTHERS = 48025.66, 48056.1
L1_RATES = {
    "l1a_physics": 23916.926,
    "l1a_total": 24418.342,
    "l1a_random": 401.416,
    "l1a_calibration": 100.0,
    "total_before_deadtime": 33590.1,
    "physics_generated_fdl_tcds": 33083.5,
    "physics_generated_fdl_gt": None,
    "trigger_physics_lost": 9166.6,
    "trigger_physics_lost_beam_active": 9017.3,
    "trigger_physics_lost_beam_inactive": 149.3,
    "trigger_physics_beam_active": 23611.0,
    "trigger_physics_beam_inactive": 305.9,
}
LOST = {
    "percentage_physics_triggers_lost": 27.708,
    "percentage_physics_triggers_lost_beam_active": 27.257,
    "percentage_physics_triggers_lost_beam_inactive": 32.828,
}
COUNTED = {"l1a_physics": 557503, "l1a_total": 569191}
OBJECTS = ("AK8PFJet", "DiPFJetAve", "Ele", "IsoMu", "L1SingleMu", "Mu", "PFHT", "PFMET", "Photon")


def rows_of_run(run: Run) -> list[Row]:
    return [Row(str(run.number), dict(run.attributes), with_units("runs") | run.units)]


def sections_of(run: Run) -> list[Row]:
    """Luminosities are cumulative over the fill; small ones have a scale of their own."""
    made = []
    delivered, recorded = run.before, RECORDED_PART * run.before
    for section in run.sections:
        here = run.has_values(section) and run.attributes["init_lumi"] is not None
        lumi = lumi_at(run.attributes["init_lumi"], section) if here else None
        more = None if lumi is None else gained(lumi)
        delivered += more or 0
        recorded += RECORDED_PART * (more or 0)
        small = delivered < 1
        scale = 1000 if small else 1
        on = run.colliding
        active = section > run.inactive
        attributes = {
            "run_number": run.number,
            "lumisection_number": section,
            "fill_number": run.attributes["fill_number"],
            "start_time": run.starts(section),
            "end_time": run.starts(section + 1),
            "init_lumi": lumi,
            "end_lumi": None,  # of the next row of an answer, whichever that is
            "delivered_lumi": None if more is None else round(delivered * scale, 6),
            "recorded_lumi": None if more is None else round(recorded * scale, 6),
            "delivered_lumi_per_lumisection": more,
            "recorded_lumi_per_lumisection": None
            if more is None
            else round(RECORDED_PART * more, 6),
            "pileup": None if lumi is None else round(lumi / 400, 3),
            "prescale_index": 2 if section < 100 else 3,
            "prescale_name": "1.5e34" if section < 100 else "1.2e34",
            "physics_flag": active,
            "cms_active": active,
            "beam_present": on,
            "beams_stable": on and active,
            "beam1_present": on,
            "beam2_present": on,
            "beam1_stable": on,
            "beam2_stable": on,
        }
        attributes |= DETECTORS
        units = dict(with_units("lumisections"))
        if small:
            units |= dict.fromkeys(("delivered_lumi", "recorded_lumi"), "nb^{-1}")
        made.append(Row(f"{run.number}_{section}", attributes, units))
    return made


DETECTORS = {f"{one}_ready": True for one in DCS.split()} | dict.fromkeys(
    ("castor_ready", "zdc_ready", "gem_ready", "gemp_ready", "gemm_ready")
)


def l1_rates_of(run: Run) -> list[Row]:
    rows = []
    for section in run.sections:
        if (run.number, section) == RECORDED:
            physics: float | None = L1_RATES["l1a_physics"]
        elif run.number == RECORDED[0]:
            aside = 900 * wobble(section // 2)  # sections 2 and 3, 4 and 5, ... level out
            physics = round(OTHERS + (aside if section % 2 else -aside), 3)
        else:
            physics = (run.attributes["l1_rate"] or 0) * (0.9 + 0.2 * wobble(run.number, section))
        rows.append(l1_rate(run, section, physics if run.has_values(section) else None))
    return rows


def l1_rate(run: Run, section: int, physics: float | None) -> Row:
    recorded = (run.number, section) == RECORDED
    attributes = span(run, section)
    for name, model in L1_RATES.items():
        rate = None
        if physics is not None and model is not None:
            rate = round(physics * model / 23916.926, 3)
        counter = None if rate is None else round(rate * SECTION_SECONDS)
        attributes[name] = {
            "counter": COUNTED.get(name, counter) if recorded else counter,
            "rate": rate,
        }
    attributes |= {
        name: None if physics is None else value if recorded else round(value / 5, 3)
        for name, value in LOST.items()
    }
    return Row(f"{run.number}_{section}", attributes, with_units("l1triggerrates"))


def deadtimes_of(run: Run) -> list[Row]:
    rows = []
    for section in run.sections:
        attributes = span(run, section)
        for place, name in enumerate(
            f"{who}_{what}" for who in ("overall", "beamactive") for what in DEADTIMES.split()
        ):
            percent = round(2 * wobble(run.number, section, place), 3)
            known = run.has_values(section)
            attributes[name] = {
                "counter": int(percent * 10_000) if known else None,
                "percent": percent if known else None,
            }
        rows.append(Row(f"{run.number}_{section}", attributes, {}))
    return rows


def algorithms_of(run: Run) -> list[Row]:
    return [
        Row(f"{run.number}_{bit}_{section}", algorithm(run, section, bit, name))
        for section in run.sections
        for bit, name in ((0, "L1_ZeroBias"), (7, "L1_SingleMu22"), (459, "L1_HTT360er"))
    ]


def algorithm(run: Run, section: int, bit: int, name: str) -> dict[str, Any]:
    known = run.has_values(section)
    rate = round(1000 * wobble(run.number, section, bit), 3) if known else None
    before = None if rate is None else rate * 10
    rates = {"pre_dt_before_prescale_rate": before, "pre_dt_rate": rate}
    after = {"post_dt_rate": rate, "post_dt_hlt_rate": rate}
    return {**span(run, section), "bit": bit, "name": name, **rates, **after}


def path_rates_of(run: Run, path: str) -> list[Row]:
    place = path_names(run.paths).index(path)
    rows = []
    for section in run.sections:
        known = run.has_values(section)
        rate = round(40 * wobble(run.number, section, place), 3) if known else None
        counter = None if rate is None else round(rate * SECTION_SECONDS)
        attributes = {"path_name": path, **span(run, section), "rate": rate, "counter": counter}
        rows.append(Row(f"{run.number}_{path}_{section}", attributes, with_units("hltpathrates")))
    return rows


def path_totals_of(run: Run) -> list[Row]:
    rows = []
    for place, path in enumerate(path_names(run.paths)):
        accepted = int(run.attributes["hlt_physics_counter"] * wobble(run.number, place))
        attributes = {
            "path_name": path,
            "run_number": run.number,
            "rate": round(accepted / (run.attributes["duration"] or 1), 3),
            "l1_pass": accepted * 100,
            "ps_pass": accepted * 10,
            "accepted": accepted,
            "rejected": accepted * 9,
            "excepted": 0,
        }
        rows.append(Row(f"{run.number}_{path}", attributes, with_units("hltpathinfo")))
    return rows


def events_of(run: Run, resource: str, names: Iterable[str]) -> list[Row]:
    """`streams` and `datasetrates`: one row per name and lumisection."""
    key = {"streams": "stream_name", "datasetrates": "dataset_name"}[resource]
    rows = []
    for section in run.sections:
        for place, name in enumerate(names):
            known = run.has_values(section)
            rate = round(500 * wobble(run.number, section, place), 3) if known else None
            events = None if rate is None else round(rate * SECTION_SECONDS)
            attributes = {key: name, **span(run, section), "rate": rate, "n_events": events}
            units = with_units(resource)
            rows.append(Row(f"{run.number}_{name}_{section}", attributes, units))
    return rows


def span(run: Run, section: int) -> dict[str, Any]:
    return {
        "run_number": run.number,
        "first_lumisection_number": section,
        "last_lumisection_number": section,
        "start_time": run.starts(section),
    }


@cache
def path_names(count: int) -> list[str]:
    """`count` names of HLT paths, ascending, HLT_ZeroBias_v5 among them."""
    names = [
        f"HLT_{OBJECTS[place % 9]}{20 + place // 9}_v{1 + place % 14}" for place in range(count)
    ]
    return sorted([*names[: count - 1], ZERO_BIAS])


@cache
def with_units(resource: str) -> dict[str, str]:
    attributes = CATALOGUE[resource].values()
    return {one.name: one.units for one in attributes if one.units is not None}
