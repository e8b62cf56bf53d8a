"""What proves that the eLog holds an entry: the echo of it (elog sheet, sections 3.5 and 3.6).

Promises: pure; each function returns what the answer proves, or raises the verdict of an
answer that proves nothing.
"""

import re
from typing import Any

from adapters.answer import Answer
from adapters.elog import files
from adapters.elog.payloads import RunParams, escaped
from adapters.elog.verdicts import Asked, blind, foreign, value_of
from adapters.verdict import DeliveryError, Uncertain
from storage.entry import Claim

REMOTE_ID = re.compile(r"[0-9a-f]{24}")


def stored_post(answer: Answer, asked: Asked, claim: Claim) -> str:
    """The id of the entry that a post made, with every file that was sent."""
    stored = value_of(answer, asked)
    if not isinstance(stored, dict) or not REMOTE_ID.fullmatch(str(stored.get("_id"))):
        raise foreign(answer, asked)
    files.check_echo(claim.attachments, stored)
    return str(stored["_id"])


def stored_params(answer: Answer, asked: Asked, entry: RunParams) -> str:
    """The id of the run that shows all of our parameters."""
    run = value_of(answer, asked)
    if not _is_run(run, entry.run):
        raise foreign(answer, asked)
    for name, value in escaped(entry.params).items():
        if name not in run["params"] or run["params"][name] != value:
            detail = f"run {entry.run} of {entry.experiment} does not show {name!r} as it was sent"
            raise Uncertain(detail, status=answer.status, excerpt=answer.text)
    return str(run["_id"])


def found_entries(answer: Answer, asked: Asked) -> list[Any]:
    """The entries that a search found."""
    try:
        found = value_of(answer, asked)
        if not isinstance(found, list):
            raise foreign(answer, asked)
    except DeliveryError as refused:
        raise blind(refused, asked) from refused
    return found


def run_numbers(answer: Answer, asked: Asked) -> list[int]:
    """The numbers of the experiment's runs."""
    match value_of(answer, asked):
        case [*runs] if all(isinstance(run, dict) and type(run.get("num")) is int for run in runs):
            return [run["num"] for run in runs]
    raise foreign(answer, asked)


def _is_run(value: Any, number: int | str) -> bool:
    """Is this the document of that run? Without its run_num the server takes the latest run."""
    match value:
        case {"_id": str(), "num": int(found), "params": dict()}:
            return found == number
        case _:
            return False
