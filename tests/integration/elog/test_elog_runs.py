"""A run that is not there: it may be about to begin, or it never will."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.elog import KIND, Options
from adapters.verdict import Parked, Refused, Rejected, Uncertain, Verdict
from storage.entry import Claim, Receipt
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import (
    EXPERIMENT,
    Connect,
    a_post,
    connections,
    some_params,
    verdict_of,
)
from tests.emulators.kit import Served

WEEK_MS = 7 * 24 * 3600 * 1000
THEN = 1_600_000_000_000  # before any Date that a server says today
BLANK = "mfxl1000223"  # an experiment without runs


@pytest.fixture
def served(server: Served) -> Served:
    emulator = ElogEmulator(runs=(1, 2, 5))
    emulator.world.add_experiment(BLANK, ())
    server.serve(emulator)
    return server


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with connections() as maker:
        yield lambda served, **changes: maker(served, **{"now": lambda: THEN, **changes})


def of_run(kind: str, run: int, waited_ms: int = 0, experiment: str = EXPERIMENT) -> Claim:
    """An entry for a run, accepted so long ago."""
    if kind == "post":
        claim = a_post(run=run, experiment=experiment)
    else:
        claim = some_params({"a": 1}, run=run, experiment=experiment)
    return replace(claim, accepted_at=THEN - waited_ms)


both = pytest.mark.parametrize("kind", ["post", "run_params"])


@both
@pytest.mark.parametrize("run", [6, 7, 999])
async def test_a_run_above_the_highest_waits_alone(adapter: Adapter, kind: str, run: int) -> None:
    verdict = await verdict_of(adapter, of_run(kind, run))

    assert isinstance(verdict, Parked)
    assert (verdict.scope, verdict.unknown) == (f"{EXPERIMENT}/{run}", False)
    assert f"run {run} of {EXPERIMENT} has not begun" in verdict.detail


@both
async def test_a_run_that_begins_is_written_to(served: Served, adapter: Adapter, kind: str) -> None:
    claim = of_run(kind, 6)
    assert isinstance(await verdict_of(adapter, claim), Parked)

    served.emulator.world.begin_run(EXPERIMENT, 6)

    assert isinstance(await verdict_of(adapter, claim), Receipt)


@both
@pytest.mark.parametrize("run", [0, 3, 4])
async def test_a_run_below_the_highest_that_is_not_there_never_begins(
    served: Served, adapter: Adapter, kind: str, run: int
) -> None:
    verdict = await verdict_of(adapter, of_run(kind, run))

    assert isinstance(verdict, Rejected)
    assert f"no run {run} and never will: its runs go up to 5" in verdict.detail
    assert served.emulator.ledger() == []


async def test_an_experiment_without_runs_may_begin_with_any(
    served: Served, connect: Connect
) -> None:
    served.emulator.world.switch(BLANK)

    verdicts = [
        await verdict_of(connect(served), of_run(kind, 1, experiment=BLANK))
        for kind in ("post", "run_params")
    ]

    assert [type(one) for one in verdicts] == [Parked, Parked]


@both
@pytest.mark.parametrize(
    ("wait_seconds", "waited_ms", "verdict"),
    [
        (None, WEEK_MS - 1, Parked),
        (None, WEEK_MS, Rejected),
        (60, 59_999, Parked),
        (60, 60_000, Rejected),
        (0, 100 * WEEK_MS, Parked),
    ],
)
async def test_nothing_waits_longer_for_a_run_than_the_settings_say(
    served: Served,
    connect: Connect,
    kind: str,
    wait_seconds: float | None,
    waited_ms: int,
    verdict: type[Verdict],
) -> None:
    said = {} if wait_seconds is None else {"run_wait_seconds": wait_seconds}
    adapter = connect(served, options=Options(instrument="mfx", **said))

    judged = await verdict_of(adapter, of_run(kind, 6, waited_ms))

    assert type(judged) is verdict
    if verdict is Rejected:
        assert "run_wait_seconds" in judged.detail


async def test_a_clock_that_was_set_forward_ends_no_waiting(
    served: Served, connect: Connect
) -> None:
    today = time.time_ns() // 1_000_000
    claim = a_post(run=6, known={"accepted_at": today})

    verdict = await verdict_of(connect(served, now=lambda: today + 100 * WEEK_MS), claim)

    assert isinstance(verdict, Parked)


# A server that does not tell which runs there are

UNTOLD: list[dict[str, Any]] = [
    {"mode": "status", "status": 403},
    {"mode": "status", "status": 502},
    {"mode": "html"},
    {"mode": "drop_before"},
]


@pytest.mark.parametrize("fault", UNTOLD, ids=str)
async def test_a_post_waits_also_if_nobody_tells_which_runs_there_are(
    served: Served, adapter: Adapter, fault: dict[str, Any]
) -> None:
    served.fault(**fault, path="/ws/runs")

    # The server itself has said that there is no such run.
    assert isinstance(await verdict_of(adapter, of_run("post", 3)), Parked)


@pytest.mark.parametrize("fault", UNTOLD, ids=str)
async def test_run_parameters_stay_in_doubt_if_nobody_tells_which_runs_there_are(
    served: Served, adapter: Adapter, fault: dict[str, Any]
) -> None:
    served.fault(**fault, path="/ws/runs")

    verdict = await verdict_of(adapter, of_run("run_params", 3))

    assert type(verdict) is Uncertain
    assert "answered 500" in verdict.detail


async def test_a_crash_over_a_run_that_is_there_is_a_crash(
    served: Served, adapter: Adapter
) -> None:
    served.emulator.crashes = 1

    verdict = await verdict_of(adapter, of_run("run_params", 2))

    assert type(verdict) is Uncertain
    assert isinstance(await verdict_of(adapter, of_run("run_params", 2)), Receipt)


async def test_a_gateways_page_is_not_taken_for_a_missing_run(
    served: Served, adapter: Adapter
) -> None:
    served.fault("status", status=500, path="add_run_params")

    assert type(await verdict_of(adapter, of_run("run_params", 999))) is Uncertain
    assert not [path for path in served.faulty.requests if path.endswith("/ws/runs")]


async def test_only_the_refusal_of_a_run_leads_to_the_question_for_runs(
    served: Served, adapter: Adapter
) -> None:
    served.fault("html", path="add_run_params")

    verdict = await verdict_of(adapter, of_run("run_params", 2))

    assert isinstance(verdict, Refused)
    assert len(served.faulty.requests) == 1


def test_a_week_is_waited_unless_the_settings_say_otherwise() -> None:
    assert KIND.options().run_wait_seconds * 1000 == WEEK_MS
