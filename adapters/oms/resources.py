"""What is known of OMS's resources: what orders their rows, and which run a row belongs to.

Source: protocols sheet of OMS, sections 3, 7 and 8. Resources that are not here can be asked,
too: their rows are ordered by nothing, and what they say is never final.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OmsResource:
    """One resource. `order`: attributes that tell its rows apart, in the order of a sort.

    `run`: the attribute that names a row's run, None where rows belong to none. `section`: the
    attribute that counts a row's lumisections when a row is a lumisection or ends with one.
    `subject`: what a bare number asks for. `granularity`: what is asked for when nobody says.
    `loose`: its total is not the number of its rows. `final`: what it says is final at once.
    """

    order: tuple[str, ...] = ()
    run: str | None = "run_number"
    section: str | None = None
    subject: str = "run_number"
    granularity: str | None = None
    loose: bool = False
    final: bool = False


PER_SECTION = OmsResource(
    order=("run_number", "last_lumisection_number"), section="last_lumisection_number"
)
UNKNOWN = OmsResource(run=None)

RESOURCES = {
    "runs": OmsResource(order=("run_number",)),
    "lumisections": OmsResource(
        order=("run_number", "lumisection_number"), section="lumisection_number"
    ),
    "l1triggerrates": OmsResource(
        order=("run_number", "last_lumisection_number"),
        section="last_lumisection_number",
        granularity="lumisection",
    ),
    "deadtimes": OmsResource(
        order=("run_number", "last_lumisection_number"),
        section="last_lumisection_number",
        granularity="lumisection",
    ),
    "l1algorithmtriggers": OmsResource(
        order=("run_number", "bit", "last_lumisection_number"),
        section="last_lumisection_number",
        granularity="run",
    ),
    "hltpathinfo": OmsResource(order=("run_number", "path_name"), loose=True),
    "hltpathrates": OmsResource(
        order=("run_number", "path_name", "last_lumisection_number"),
        section="last_lumisection_number",
        granularity="lumisection",
    ),
    "streams": OmsResource(
        order=("run_number", "stream_name", "last_lumisection_number"),
        section="last_lumisection_number",
        granularity="run",
    ),
    "datasetrates": OmsResource(
        order=("run_number", "dataset_name", "last_lumisection_number"),
        section="last_lumisection_number",
        granularity="run",
    ),
    "hltconfigdata": OmsResource(order=("config_name", "path_name"), run=None, final=True),
    "hltprescalesets": OmsResource(order=("path_name",), run=None, final=True),
    "l1configurationkeys": OmsResource(run=None, final=True),
    "fills": OmsResource(order=("fill_number",), run=None, subject="fill_number"),
    "bunches": OmsResource(order=("fill_number", "bunch_number"), run=None, subject="fill_number"),
    "eras": OmsResource(order=("name",), run=None, subject="name"),
}


def resource_of(path: str) -> OmsResource:
    """What is known of the rows that `path` gives: of its last resource, with ids left out."""
    parts = [one for one in path.split("/") if one != "relationships"]
    # RESOURCE, RESOURCE/ID, RESOURCE/ID/RELATION, ...
    return RESOURCES.get(parts[(len(parts) - 1) // 2 * 2], UNKNOWN)
