"""The table of answers to questions in docs/backends/elog.md says what the code does."""

import itertools

from adapters.answer import Answer
from adapters.elog.reads.judging import value
from adapters.elog.verdicts import Asked
from adapters.reading import Misasked
from adapters.verdict import DeliveryError
from tests.elog_table import BODIES, JSON, STATUSES, covers, in_cell, rows, said

HEAD = "| status | body | to a question |"
ASKED = Asked("http://elog/ws-auth/lgbk/x", "mfxl1000123", "mfxopr")
# Whatever shape a value has: that is judged by what was asked.
YES = [(said([]), JSON), (said(None), JSON)]


def told(table: list[list[str]], status: int, body: str) -> str:
    """What the page says about an answer: the first row that fits."""
    for statuses, bodies, becomes in table:
        if covers(statuses, status) and in_cell(bodies, body):
            return becomes.partition(":")[0].removesuffix(" with the eLog's words")
    return "nothing"


def judged(answer: Answer) -> str:
    """What the code says about it."""
    try:
        value(answer, ASKED)
    except Misasked as refused:
        return "refused (404)" if refused.status == 404 else "refused"
    except DeliveryError:
        return "no answer"
    return "an answer"


def test_every_answer_to_a_question_is_what_the_page_tells() -> None:
    table = rows(HEAD)
    bodies = {name: found for name, found in BODIES.items() if name != "another yes"}
    wrong = set()
    for status, (name, examples) in itertools.product(STATUSES, {**bodies, "yes": YES}.items()):
        expected = told(table, status, name)
        for body, label in examples:
            found = judged(Answer(status, {"content-type": label}, body))
            if found != expected:
                wrong.add(f"{status} {name} {body[:20]!r}: {found}, and the page says {expected}")

    assert sorted(wrong) == []
