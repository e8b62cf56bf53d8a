"""What the eLog's answers mean to a question (elog sheet, section 2). Pure.

Promises: a value is told only where the eLog says that it is one; a refusal of the question is
Misasked with the server's own words; what says nothing about the question stays a DeliveryError,
in words about reading. What JSON has no number for becomes null, and is counted.
"""

import json
import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from adapters.answer import Answer
from adapters.elog.accounts import GOES_ON
from adapters.elog.payloads import CURRENT
from adapters.elog.verdicts import Asked, is_crash, value_of
from adapters.reading import UNKNOWN, Misasked
from adapters.verdict import DeliveryError, Parked, Refused, Rejected, Uncertain

NULLS = "not_numbers"  # of an answer's meta: how many values became null
NO_NUMBER = re.compile(rb"NaN|Infinity|[0-9][eE]\+?[0-9]{3}")
GATE = re.compile(r"/([A-Za-z0-9_-]+)/lgbk/")


def value(answer: Answer, asked: Asked) -> tuple[Any, dict[str, Any]]:
    """The value of a successful answer, and what has to be said of it.

    Raises Misasked or the DeliveryError of every other answer.
    """
    try:
        return finite(value_of(answer, asked), answer)
    except DeliveryError as error:
        raise judged(answer, asked, error) from error


def finite(found: Any, answer: Answer) -> tuple[Any, dict[str, Any]]:
    """The value without NaN and infinities, which the eLog writes and JSON does not have."""
    if not NO_NUMBER.search(answer.body):
        return found, {}
    met: list[str] = []

    def null(text: str) -> float | None:
        met.append(text)
        return None

    def number(text: str) -> float | None:
        said = float(text)
        return said if math.isfinite(said) else null(text)

    told = json.loads(answer.body, parse_constant=null, parse_float=number)
    return told.get("value"), {NULLS: len(met)} if met else {}


def notes_of(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """What a person should know of the data."""
    count = meta.get(NULLS)
    if not count:
        return ()
    return (f"{count} value(s) that are NaN or infinite in the eLog are null here",)


def judged(answer: Answer, asked: Asked, error: DeliveryError) -> DeliveryError | Misasked:
    """What the verdict of an answer means where nothing was written, only asked."""
    match error:
        case Rejected():
            return Misasked(error.detail)
        case Parked(unknown=True):
            return Misasked(error.detail, parameter="experiment", status=UNKNOWN)
        case Parked(status=HTTPStatus.FORBIDDEN):
            return Refused(not_allowed(asked), status=error.status, excerpt=error.excerpt)
        case Parked():
            said = f"{asked.url} answered {answer.status}: {asked.experiment} is locked"
            return Refused(said, status=error.status, excerpt=error.excerpt)
        case Refused(landed=True):
            error.landed = False  # nothing was sent but a question
        case Uncertain() if answer.status != HTTPStatus.OK:
            said = f"{asked.url} answered {answer.status}{_failure(answer)}"
            return Uncertain(said, status=answer.status, excerpt=error.excerpt)
    return error


def _failure(answer: Answer) -> str:
    if is_crash(answer):
        crash = "the eLog does so over what it does not know, and over faults of its own"
        return f" with the page of a crash: {crash}"
    return ": it failed over the question"


def without_account(parked: Parked) -> Refused:
    """Who would ask has no credential now: nothing was asked, and nothing waits for it."""
    detail = parked.detail.removesuffix(f". {GOES_ON}")
    return Refused(detail, status=parked.status, excerpt=parked.excerpt)


def not_allowed(asked: Asked) -> str:
    """Who may not read what, and what would help."""
    gate = GATE.search(asked.url)
    through = f" through the gate {gate[1]}" if gate else ""
    if asked.experiment == CURRENT:
        return (
            f"{asked.account} may not ask this{through} (403): it is for whoever has an account of"
            " the eLog. Set auth of this backend"
        )
    return (
        f"{asked.account} may not read {asked.experiment}{through} (403): that needs the privilege"
        " read there, which the role Reader has. An operator account has it while the experiment"
        " is active"
    )
