"""A run that the eLog does not have: will it begin, or was it never meant to be?

Promises: pure. Runs are numbered upwards: one above the highest may be about to begin, so the
entry waits for it, though not for ever; one below that does not exist never will.
"""

from collections.abc import Collection
from datetime import timedelta

from adapters.answer import Answer
from adapters.elog.payloads import run_scope
from adapters.verdict import Parked, Rejected

WAIT_SECONDS = 7 * 24 * 3600.0


def verdict(
    experiment: str,
    run: int,
    *,
    existing: Collection[int] | None,
    waited_seconds: float,
    wait_seconds: float,
    answer: Answer,
) -> Parked | Rejected:
    """What becomes of an entry for a missing run.

    `existing`: the experiment's runs; None when nobody could tell. `wait_seconds`: how long the
    entry may wait since it was accepted; 0: for ever. `answer`: the one that refused the entry.
    """
    status, excerpt = answer.status, answer.text
    highest = max(existing or (), default=None)
    if existing and run not in existing and highest is not None and run <= highest:
        return Rejected(
            f"{experiment} has no run {run} and never will: its runs go up to {highest} already."
            " Hand the entry in again for the run that was meant, and discard this one",
            status=status,
            excerpt=excerpt,
        )
    if wait_seconds and waited_seconds >= wait_seconds:
        return Rejected(
            f"run {run} of {experiment} has not begun within {timedelta(seconds=wait_seconds)}"
            " (run_wait_seconds). If it begins after all, retry the entry",
            status=status,
            excerpt=excerpt,
        )
    return Parked(
        f"run {run} of {experiment} has not begun yet: its entries wait for it",
        scope=run_scope(experiment, run),
        status=status,
        excerpt=excerpt,
    )
