"""The table of answers in docs/backends/elog.md says what the code does, for every answer."""

import itertools
from typing import Any

import pytest

from adapters.answer import Answer
from adapters.elog import proofs
from adapters.elog.payloads import RunParams
from adapters.elog.verdicts import Asked, NoSuchRun, is_crash
from adapters.verdict import DeliveryError, Parked, Refused
from tests.builders import a_claim
from tests.elog_table import BODIES, JSON, STATUSES, covers, in_cell, rows, said

HEAD = "| endpoint | status | body | verdict | what happens |"
AN_ID = "6b02d5fd77e06dbaf0b4893d"
EXPERIMENT = "mfxl1000123"
ASKED = Asked("http://elog/x", EXPERIMENT, "mfxopr")
CLAIM = a_claim(kind="post")
PARAMS = RunParams(experiment=EXPERIMENT, run=7, params={"a": 1})

RUN = {"_id": AN_ID, "num": 7, "params": {"a": 1}}
PROOF: dict[str, Any] = {"post": {"_id": AN_ID}, "run_params": RUN, "search": []}


def told(table: list[list[str]], endpoint: str, status: int, body: str) -> str:
    """What the page says about an answer: the first row that fits."""
    for endpoints, statuses, bodies, verdict, _ in table:
        fits = endpoints == "all" or endpoint in endpoints.split(", ")
        if fits and in_cell(bodies, body) and covers(statuses, status):
            return verdict
    return "nothing"


def judged(endpoint: str, answer: Answer) -> str:
    """What the code says about it."""
    if endpoint == "run_params" and is_crash(answer):
        return "by the run"
    try:
        match endpoint:
            case "post":
                proofs.stored_post(answer, ASKED, CLAIM)
            case "run_params":
                proofs.stored_params(answer, ASKED, PARAMS)
            case _:
                proofs.found_entries(answer, ASKED)
                return "found"
    except NoSuchRun:
        return "by the run" if endpoint == "post" else "Rejected"
    except DeliveryError as error:
        return named(error)
    return "receipt"


def named(error: DeliveryError) -> str:
    match error:
        case Refused(landed=True):
            return "Refused (landed?)"
        case Refused(credentials=True):
            return "Refused (credentials)"
        case Parked(unknown=True):
            return "Parked (unknown)"
    return type(error).__name__


@pytest.mark.parametrize("endpoint", ["post", "run_params", "search"])
def test_every_answer_has_the_verdict_that_the_page_tells(endpoint: str) -> None:
    table = rows(HEAD)
    bodies = BODIES | {"yes": [(said(PROOF[endpoint]), JSON)]}
    wrong, proven = set(), set()
    for status, (name, examples) in itertools.product(STATUSES, bodies.items()):
        expected = told(table, endpoint, status, name)
        for body, label in examples:
            found = judged(endpoint, Answer(status, {"content-type": label}, body))
            if found != expected:
                wrong.add(f"{status} {name} {body[:20]!r}: {found}, and the page says {expected}")
            if found in ("receipt", "found"):
                proven.add((status, name))

    assert sorted(wrong) == []
    assert proven == {(200, "yes")}


def test_every_row_of_the_page_is_about_some_answer() -> None:
    table = rows(HEAD)
    assert len(table) > 15

    used = {
        next(number for number, row in enumerate(table) if told([row], *place) != "nothing")
        for place in itertools.product(PROOF, STATUSES, [*BODIES, "yes"])
    }

    assert used == set(range(len(table)))
