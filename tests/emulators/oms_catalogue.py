"""What each resource of OMS has: its attributes, their types and units (OMS sheet, sections 4, 7).

A catalogue is complete or absent: of a resource whose attributes nobody has seen there is none,
and its `/meta` is a 404. Types: int, float, text, bool, time, list, and the nested ones `rate`
({counter, rate}) and `percent` ({counter, percent}), which can be neither sought nor sorted by.
"""

from dataclasses import dataclass
from typing import Any

LUMI = "10^{30}cm^{-2}s^{-1}"
INTEGRATED = "pb^{-1}"
RUN = "run_number:int"
SPAN = "first_lumisection_number:int last_lumisection_number:int"
DCS = (
    "bpix fpix tibtid tob tecp tecm cscp cscm dtp dtm dt0 ebp ebm eep eem esp esm hbhea hbheb"
    " hbhec hf ho rpc castor zdc gem gemp gemm rp_time rp_sect_45 rp_sect_56"
)
DEADTIMES = (
    "total_deadtime tts trigger_rules bunch_mask re_tri apve daq_backpressure calibration"
    " software_pause firmware_pause"
)
WRITTEN = {
    "runs": f"b_field:float=T beamactive_total_deadtime:float=% beta_star_start:float=cm"
    f" beta_star_stop:float=cm clock_type:text cmssw_version:text components:list"
    f" components_out:list crossing_angle_start:float=urad crossing_angle_stop:float=urad"
    f" delivered_lumi:float={INTEGRATED} duration:int=s end_lumi:float={LUMI} end_time:time"
    f" energy:float=GeV era:text fill_number:int fill_type_party1:text fill_type_party2:text"
    f" fill_type_runtime:text hlt_key:text hlt_physics_counter:int hlt_physics_rate:float=Hz"
    f" hlt_physics_size:float=MB hlt_physics_throughput:float=GB/s init_lumi:float={LUMI}"
    f" initial_prescale_index:int l1_hlt_mode:text l1_hlt_mode_stripped:text l1_key:text"
    f" l1_key_stripped:text l1_menu:text l1_rate:float=Hz l1_triggers_counter:int"
    f" last_lumisection_number:int last_update:time recorded_lumi:float={INTEGRATED} {RUN}"
    f" sequence:text stable_beam:bool start_time:time tier0_transfer:bool trigger_mode:text",
    "lumisections": f"{RUN} lumisection_number:int fill_number:int start_time:time end_time:time"
    f" init_lumi:float={LUMI} end_lumi:float={LUMI} delivered_lumi:float={INTEGRATED}"
    f" recorded_lumi:float={INTEGRATED} delivered_lumi_per_lumisection:float={INTEGRATED}"
    f" recorded_lumi_per_lumisection:float={INTEGRATED} pileup:float prescale_index:int"
    " prescale_name:text physics_flag:bool cms_active:bool beam_present:bool beams_stable:bool"
    " beam1_present:bool beam2_present:bool beam1_stable:bool beam2_stable:bool "
    + " ".join(f"{one}_ready:bool" for one in DCS.split()),
    "l1triggerrates": f"{RUN} {SPAN} start_time:time l1a_physics:rate l1a_total:rate"
    " l1a_random:rate l1a_calibration:rate total_before_deadtime:rate"
    " physics_generated_fdl_tcds:rate physics_generated_fdl_gt:rate trigger_physics_lost:rate"
    " trigger_physics_lost_beam_active:rate trigger_physics_lost_beam_inactive:rate"
    " trigger_physics_beam_active:rate trigger_physics_beam_inactive:rate"
    " percentage_physics_triggers_lost:float=%"
    " percentage_physics_triggers_lost_beam_active:float=%"
    " percentage_physics_triggers_lost_beam_inactive:float=%",
    "deadtimes": f"{RUN} {SPAN} start_time:time "
    + " ".join(
        f"{who}_{what}:percent" for who in ("overall", "beamactive") for what in DEADTIMES.split()
    ),
    "l1algorithmtriggers": f"{RUN} {SPAN} start_time:time bit:int name:text"
    " pre_dt_before_prescale_rate:float=Hz pre_dt_rate:float=Hz post_dt_rate:float=Hz"
    " post_dt_hlt_rate:float=Hz",
    "hltpathinfo": f"path_name:text {RUN} rate:float=Hz l1_pass:int ps_pass:int accepted:int"
    " rejected:int excepted:int",
    "hltpathrates": f"path_name:text {RUN} {SPAN} start_time:time rate:float=Hz counter:int",
    "hltconfigdata": "config_name:text path_name:text l1_prerequisite:text",
    "hltprescalesets": "path_name:text prescales:list",
    "streams": f"stream_name:text {RUN} {SPAN} start_time:time rate:float=Hz n_events:int",
    "datasetrates": f"dataset_name:text {RUN} {SPAN} start_time:time rate:float=Hz n_events:int",
    "fills": f"fill_number:int start_time:time end_time:time start_stable_beam:time"
    f" end_stable_beam:time stable_beams:bool duration:int=s era:text energy:float=GeV"
    f" b_field:float=T fill_type_party1:text fill_type_party2:text fill_type_runtime:text"
    f" injection_scheme:text bunches_beam1:int bunches_beam2:int bunches_colliding:int"
    f" bunches_target:int delivered_lumi:float={INTEGRATED} recorded_lumi:float={INTEGRATED}"
    f" delivered_lumi_stablebeams:float={INTEGRATED} recorded_lumi_stablebeams:float={INTEGRATED}"
    f" peak_lumi:float={LUMI} peak_pileup:float efficiency_time:float=% efficiency_lumi:float=%"
    f" crossing_angle:float=urad intensity_beam1:float intensity_beam2:float downtime:int=s",
    "bunches": "fill_number:int bunch_number:int initial_lumi:float beam_1_configured:bool"
    " beam_2_configured:bool intensity_beam_1:float intensity_beam_2:float",
    "eras": "name:text start_time:time end_time:time start_fill:int end_fill:int",
}
UNSEEN = (
    "runkeys daqreadouts l1configurationkeys l1prescalesets prescalechanges lhcrunconfigurations"
    " filldetails filldetailx downtimes downtimesrun3 deadtimesperrange lumisummaries"
    " lumisummariesperrange weeklysummaries yearlystatistics runtimeanalyses"
)
WITHOUT_CATALOGUE = UNSEEN.split()
# What is told of a run or another thing: relation -> (resource, whether there is one only).
RELATIONS = {
    "runs": {
        "runkeys": ("runkeys", False),
        "l1configurationkey": ("l1configurationkeys", True),
        "l1algorithmtriggers": ("l1algorithmtriggers", False),
        "hltconfigdata": ("hltconfigdata", False),
        "deadtime": ("deadtimes", False),
        "daqreadouts": ("daqreadouts", False),
        "fill": ("fills", True),
        "l1triggerrate": ("l1triggerrates", False),
        "lumisections": ("lumisections", False),
    },
    "lumisections": {"run": ("runs", True), "fill": ("fills", True)},
    "fills": {"runs": ("runs", False), "bunches": ("bunches", False)},
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a resource; `units` is what most rows have."""

    name: str
    type: str
    units: str | None = None

    @property
    def nested(self) -> bool:
        return self.type in ("rate", "percent")

    def as_json(self) -> dict[str, Any]:
        words = self.name.replace("_", " ")
        return {
            "title": words.capitalize(),
            "description": f"The {words}",
            "units": self.units,
            "api_type": self.type,
            "sortable": not self.nested,
            "searchable": not self.nested,
            "projectable": True,
        }


Attributes = dict[str, Attribute]


def read(written: str) -> Attributes:
    found: Attributes = {}
    for one in written.split():
        name, _, rest = one.partition(":")
        kind, _, units = rest.partition("=")
        found[name] = Attribute(name, kind, units or None)
    return found


CATALOGUE = {resource: read(written) for resource, written in WRITTEN.items()}
RESOURCES = (*CATALOGUE, *WITHOUT_CATALOGUE)
