"""Questions about the small OMS, by dice: any, and such as resemble one that was asked before."""

from dataclasses import replace
from random import Random

from adapters.oms.query import Filter, Query
from tests.kept_world import text_of

LITERALS = {
    "run_number": ("100", "102", "104", "104.5", "106", "109", "200"),
    "fill_number": ("75", "76", "77", "76.5"),
    "lumisection_number": ("1", "2", "3"),
    "last_lumisection_number": ("1", "2", "3", "-1"),
    "l1_rate": ("0.5", "1e1", "10", "50", "100.0", "null"),
    "b_field": ("0", "3.8", "9", "10", "null"),
    "sequence": ("GLOBAL-RUN", "Global-Run", "MINIDAQ", "null"),
    "l1_key": ("9", "10", "a_1", "A%1", "null"),
    "stable_beam": ("true", "True", "false", "null"),
    "cms_active": ("true", "False", "null"),
    "start_time": (text_of(102), text_of(104)[:-4], text_of(106)[:-1], text_of(100)),
    "components": ("DT", "CSC", "CSC,DT"),
    "init_lumi": ("1.5", "2", "2.5", "null"),
    "pileup": ("9", "30.5", "null"),
    "prescale_name": ("2.0e34", "1e34", "null"),
    "rate": ("1.0", "1.5"),
    "path_name": ("HLT_ZeroBias_v5", "HLT_Mu_v1", "hlt_mu_v2"),
    "accepted": ("2", "3"),
}
LIKES = ("HLT_%", "%v1", "mu", "%", "%_v%1", "GLOBAL%", "10", "a_1")
NAMES = {
    "runs": "run_number fill_number l1_rate b_field sequence l1_key stable_beam start_time",
    "lumisections": "run_number lumisection_number init_lumi pileup cms_active prescale_name",
    "l1triggerrates": "run_number last_lumisection_number rate l1a_physics",
    "hltpathinfo": "run_number path_name accepted",
}
TEXTS = ("sequence", "l1_key", "path_name", "prescale_name")
PLAIN = ("EQ", "NEQ", "LT", "LE", "GT", "GE", "IN")


def some(dice: Random, resource: str | None = None) -> Query:
    resource = resource or dice.choice(tuple(NAMES))
    filters = [
        *_runs(dice),
        *(_condition(dice, resource) for _ in range(dice.choice((0, 0, 1, 2)))),
    ]
    group: tuple[tuple[str, str], ...] = ()
    if resource == "l1triggerrates":
        group = (("granularity", dice.choice(("run", "lumisection", "lumisection"))),)
    query = Query(resource, filters=tuple(sorted(filters)), group=group)
    return _shown(dice, query)


def like_that(dice: Random, before: Query) -> Query:
    """Narrower, or wider, or nearly the same."""
    filters = set(before.filters)
    if dice.random() < 0.15 and filters:
        filters.remove(dice.choice(sorted(filters)))
    if dice.random() < 0.6:
        filters = {one for one in filters if one.attribute != "run_number"} | {*_runs(dice)}
    if dice.random() < 0.3:
        filters.add(_condition(dice, before.resource))
    query = replace(before, filters=tuple(sorted(filters)), offset=None, limit=None)
    return _shown(dice, query) if dice.random() < 0.5 else query


def _runs(dice: Random) -> list[Filter]:
    first = dice.randint(99, 110)
    last = first + dice.choice((0, 1, 2, 3, 5, 9))
    match dice.randint(0, 9):
        case 0:
            return []
        case 1 | 2:
            return [Filter("run_number", "EQ", str(first))]
        case 3:
            wanted = Filter("run_number", "IN", f"{first},{last}")
            return [dice.choice((wanted, Filter("run_number", "LIKE", "%2")))]
        case 4:
            return [Filter("run_number", dice.choice(("GE", "GT", "LE")), str(first))]
        case 5:
            return [Filter("run_number", "GT", str(first)), Filter("run_number", "LT", str(last))]
        case _:
            return [Filter("run_number", "GE", str(first)), Filter("run_number", "LE", str(last))]


def _condition(dice: Random, resource: str) -> Filter:
    names = NAMES[resource].split()
    if resource == "runs":
        names.append("components")
    if resource == "l1triggerrates":
        names.remove("l1a_physics")
    name = dice.choice(names)
    if name == "components":
        return Filter(name, "CT", dice.choice(LITERALS[name]))
    if name in TEXTS and dice.random() < 0.4:
        return Filter(name, "LIKE", dice.choice(LIKES))
    literal = dice.choice(LITERALS[name])
    truth = name in ("stable_beam", "cms_active")
    if literal == "null" or truth:
        return Filter(name, dice.choice(("EQ", "NEQ")), literal)
    operator = dice.choice(PLAIN)
    if operator == "IN":
        others = [one for one in LITERALS[name] if one != "null"]
        literal = ",".join({literal: None, dice.choice(others): None})
    return Filter(name, operator, literal)


def _shown(dice: Random, query: Query) -> Query:
    names = NAMES[query.resource].split()
    if query.resource == "lumisections" and dice.random() < 0.2:
        names.append("end_lumi")
    if query.granularity == "run":
        names = ["run_number", "rate"]
    fields = frozenset(dice.sample(names, dice.randint(1, len(names))))
    if dice.random() < 0.5:
        fields = frozenset()
    sort: tuple[str, ...] = ()
    if dice.random() < 0.5:
        able = [name for name in names if name != "l1a_physics"]
        chosen = dice.sample(able, min(len(able), dice.randint(1, 2)))
        sort = tuple(dice.choice(("", "-")) + name for name in chosen)
    query = replace(query, fields=fields, sort=sort)
    if dice.random() < 0.15:
        query = replace(query, offset=dice.choice((0, 2, 4)), limit=dice.choice((2, 4, 50)))
    return query
