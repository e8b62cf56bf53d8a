"""What the reader wants to know of kept answers and of runs, in one place.

Promises: what is not known to be settled is not; where nothing is known of a question's runs,
nothing is looked up for it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from adapters.oms.query import Query
from adapters.oms.resources import resource_of
from adapters.reading import Plan, Recalled, Shelf, recall_exactly
from storage.cached import Fact, Kept

RUN_FIELDS = ("run_number", "end_time", "last_update", "last_lumisection_number")
MOST_RUNS = 10_000  # between the first and the last run of an answer; more are not looked at

Row = dict[str, Any]


class Tail(Protocol):
    """What of a kept answer has to be asked again. `query`: how."""

    @property
    def query(self) -> Query:
        """The question to ask instead."""
        ...

    @property
    def whole_at(self) -> int:
        """When the oldest of the rows that stay was fetched (epoch ms)."""
        ...

    def joined(self, rows: Sequence[Row]) -> list[Row] | None:
        """All rows; None: everything has to be asked again."""
        ...


async def recall(plan: Plan, shelf: Shelf, *, partial: bool, grace_ms: int) -> Recalled:  # noqa: ARG001
    """Say it from kept answers. Raises NotKept."""
    return await recall_exactly(plan, shelf)


def runs_of(query: Query, rows: Sequence[Row]) -> Collection[int] | None:
    """The runs that rows belong to; None when they do not tell, or belong to none."""
    name = resource_of(query.resource).run
    runs = {_attributes(row).get(name) for row in rows} if name is not None else {None}
    whole = {run for run in runs if isinstance(run, int)}
    return whole if len(whole) == len(runs) else None


def looked_at(query: Query, runs: Collection[int] | None) -> tuple[int, int] | None:
    """The first and the last run whose state decides whether an answer is settled; None: none."""
    if not runs or query.limit is not None or max(runs) - min(runs) > MOST_RUNS:
        return None
    return min(runs), max(runs)


def name_of(run: int) -> str:
    """The name of the fact about a run."""
    return f"run:{run}"


def names_of(runs: Collection[int] | None, query: Query) -> list[str]:  # noqa: ARG001
    """The names of the facts that `is_settled` wants to see."""
    return [name_of(run) for run in sorted(runs or ())]


def facts_of(rows: Sequence[Row], known: Mapping[str, Fact]) -> dict[str, Any]:  # noqa: ARG001
    """What rows of `runs` tell, to be remembered by name. `known`: what is remembered already."""
    told = [_attributes(row) for row in rows]
    return {
        name_of(one["run_number"]): [one[name] for name in RUN_FIELDS[1:]]
        for one in told
        if all(name in one for name in RUN_FIELDS)
    }


def is_settled(
    query: Query,  # noqa: ARG001
    runs: Collection[int] | None,  # noqa: ARG001
    facts: Mapping[str, Fact],  # noqa: ARG001
    fetched_at: int,  # noqa: ARG001
    grace_ms: int,  # noqa: ARG001
    *,
    rows: Sequence[Row],  # noqa: ARG001
) -> bool:
    """Will an answer that was fetched at `fetched_at` (epoch ms) stay as it is?"""
    return False


def tail_of(query: Query, kept: Kept, now: int, run: Fact | None) -> Tail | None:  # noqa: ARG001
    """What of a kept answer need not be asked again at `now` (epoch ms); None: ask for all."""
    return None


def _attributes(row: Row) -> Mapping[str, Any]:
    attributes = row.get("attributes")
    return attributes if isinstance(attributes, Mapping) else {}
