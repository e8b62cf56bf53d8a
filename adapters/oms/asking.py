"""What can be asked of OMS, in words, for help and refusals.

Source: protocols sheet of OMS, section 7. Other resources of OMS can be asked for, too; of these
something is known.
"""

from collections.abc import Mapping

from adapters.oms.query import SIGNS, SUBJECTS
from adapters.oms.resources import RESOURCES as KNOWN
from adapters.reading import Resource

SUMMARIES = {
    "runs": "runs: when, how long, luminosity, menus, keys, components",
    "lumisections": "luminosity sections of runs: luminosity, pileup, prescales, detector status",
    "l1triggerrates": "Level-1 trigger rates of runs, by lumisection unless told otherwise",
    "deadtimes": "dead times of runs, by lumisection unless told otherwise",
    "l1algorithmtriggers": "rates of Level-1 algorithms, by run unless told otherwise",
    "hltpathinfo": "HLT paths of runs, with their totals",
    "hltpathrates": "rates of HLT paths, by lumisection unless told otherwise",
    "streams": "rates of streams, by run unless told otherwise",
    "datasetrates": "rates of primary datasets, by run unless told otherwise",
    "hltconfigdata": "paths of an HLT configuration",
    "hltprescalesets": "prescales of HLT paths",
    "l1configurationkeys": "keys of Level-1 configurations",
    "fills": "fills of the LHC",
    "bunches": "bunches of fills",
    "eras": "eras of data taking",
}
COMMON = {
    "fields": "attributes to give, as a,b: all without it",
    "filter": f"a condition such as run_number>=297050, with one of {' '.join(SIGNS)}",
    "filter[ATTRIBUTE][OPERATOR]": "a condition as OMS's own client writes it",
    "sort": "attributes to sort by, as a,-b: - descends",
    "limit": "at most so many rows: all without it",
    "offset": "leave out so many rows before them",
    "include": "meta: with the list of attributes; presentation_timestamp: times in that form",
    "granularity": "what one row is about: run, lumisection, fill or range",
    "group[size]": "lumisections that OMS puts together into one row",
    "group[count]": "rows that OMS makes of all lumisections",
}
WORDS = {
    "run": "a run such as 297050, or a range such as 297050:297056; either end may be left out",
    "fill": "a fill such as 5839, or a range such as 5838:5840",
    "era": "the name of an era, such as 2017B",
}


def _resource(name: str) -> Resource:
    subject = next(word for word, one in SUBJECTS.items() if one == KNOWN[name].subject)
    if KNOWN[name].final:  # its rows are about a configuration, and about no run
        return Resource(SUMMARIES[name], COMMON)
    return Resource(SUMMARIES[name], {subject: WORDS[subject], **COMMON}, subject=subject)


RESOURCES: Mapping[str, Resource] = {name: _resource(name) for name in SUMMARIES}
