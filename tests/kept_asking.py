"""Questions in one line, put to what is kept of a small OMS of runs 100 to 120."""

from typing import Any

import pytest

from adapters.oms.query import Query, parse
from adapters.oms.recall import recall
from adapters.reading import NotKept, Recalled
from tests.kept_world import GRACE, World, plan_of, text_of

NO_RUNS = (*range(105, 110), 113)


def a_run(number: int) -> dict[str, Any]:
    return {"run_number": number, "l1_rate": 1.0, "sequence": "GLOBAL-RUN", "init_lumi": 1.5}


def runs_100_to_120() -> World:
    """Runs 100 to 120, of which 105 to 109 and 113 are none; two lumisections each."""
    numbers = [n for n in range(100, 121) if n not in NO_RUNS]
    sections = [
        {"run_number": n, "lumisection_number": s, "init_lumi": 1.5 * s, "pileup": 9.0}
        for n in numbers
        for s in (1, 2)
    ]
    paths = [
        {"run_number": n, "path_name": path, "accepted": 1}
        for n in numbers
        for path in ("HLT_Mu_v1", "HLT_ZeroBias_v5")
    ]
    rates = [
        {"run_number": n, "last_lumisection_number": s, "rate": 1.0}
        for n in numbers
        for s in (1, 2)
    ]
    return World(
        {
            "runs": [a_run(n) for n in numbers],
            "lumisections": sections,
            "hltpathinfo": paths,
            "l1triggerrates": rates,
            "fills": [{"fill_number": n, "end_time": text_of(n)} for n in range(50, 60)],
        }
    )


def query(text: str) -> Query:
    """`runs run=100:105 fields=a,b`"""
    resource, *parameters = text.split(" ")
    return parse(resource, [(n, v) for n, _, v in (one.partition("=") for one in parameters)])


async def ask(world: World, text: str, *, partial: bool = False) -> Recalled:
    return await recall(plan_of(query(text)), world.shelf, partial=partial, grace_ms=GRACE)


async def refusal(world: World, text: str, *, partial: bool = False) -> NotKept:
    with pytest.raises(NotKept) as caught:
        await ask(world, text, partial=partial)
    return caught.value


async def fetch(world: World, *texts: str) -> None:
    for time, text in enumerate(texts, 1 + len(world.shelf.answers)):
        await world.fetch(query(text), time)


def numbers(said: Recalled) -> list[int]:
    return [int(row["id"].split("_")[0]) for row in said.data]
