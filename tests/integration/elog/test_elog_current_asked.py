"""What "current" is told at accept, and what a question may come to.

The adapter, its sockets and the emulated server are real; only the clocks are ours.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.verdict import (
    Held,
    Parked,
    Refused,
    Resolved,
    Throttled,
    Unreachable,
    Verdict,
)
from storage.entry import Claim, Doubt
from tests.builders import NOW
from tests.emulators.elog_site import (
    EXPERIMENT,
    JSON,
    Connect,
    as_json,
    connections,
    page,
    verdict_of,
)
from tests.emulators.elog_times import HOUR, MINUTE, OTHER, Times, an_open, at_accept, begun
from tests.emulators.kit import Served


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def served(server: Served, times: Times) -> Served:
    return begun(server, times)


@pytest.fixture
async def connect(times: Times) -> AsyncIterator[Connect]:
    async with connections() as maker:
        yield lambda served, **changes: maker(served, **{"now": times.ours, **changes})


# At accept it is what is current now


@pytest.mark.parametrize("kind", ["post", "run_params"])
@pytest.mark.parametrize("ahead", [0, 7 * MINUTE, -7 * MINUTE])
async def test_at_accept_it_is_what_is_current_now(
    served: Served, adapter: Adapter, times: Times, kind: str, ahead: int
) -> None:
    times.ahead = ahead
    served.emulator.world.switch(OTHER)
    served.emulator.world.begin_run(OTHER, 9)
    served.emulator.world.end_run(OTHER, 9)

    verdict = await at_accept(adapter, an_open(kind))

    assert isinstance(verdict, Resolved)
    assert verdict.resolution.values == {"experiment": OTHER, "run": 9}
    assert verdict.resolution.address.labels == {"experiment": OTHER, "run": "9"}
    assert not verdict.resolution.address.open


async def test_what_was_written_long_before_it_is_accepted_is_not_of_now(
    served: Served, adapter: Adapter
) -> None:
    served.emulator.world.switch(OTHER)

    verdict = await at_accept(adapter, an_open(written=NOW - MINUTE))

    assert isinstance(verdict, Held)


async def test_a_producer_whose_clock_is_ahead_means_now(adapter: Adapter) -> None:
    verdict = await at_accept(adapter, an_open(written=NOW + HOUR))

    assert isinstance(verdict, Resolved)


async def test_at_accept_the_experiment_is_kept_also_if_the_run_cannot_be_told(
    served: Served, adapter: Adapter
) -> None:
    served.fault("status", path="current_run", status=502)

    verdict = await at_accept(adapter, an_open())

    assert isinstance(verdict, Resolved)
    assert verdict.resolution.values == {"experiment": EXPERIMENT}
    assert verdict.resolution.address.scope == f"{EXPERIMENT}/current"
    assert verdict.resolution.address.open


# What else a server may answer, and what may happen on the way


@pytest.mark.parametrize("claim", [an_open(), an_open(experiment=EXPERIMENT)], ids=["exp", "run"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"mode": "drop_before"}, Parked),
        ({"mode": "truncate"}, Parked),
        ({"mode": "empty"}, Parked),
        ({"mode": "status", "status": 400}, Parked),
        ({"mode": "status", "status": 500}, Parked),
        ({"mode": "status", "status": 502}, Parked),
        ({"mode": "html"}, Refused),
        ({"mode": "status", "status": 401}, Refused),
        ({"mode": "status", "status": 404}, Refused),
        ({"mode": "retry_after"}, Throttled),
    ],
    ids=lambda value: str(value.get("status", value["mode"])) if isinstance(value, dict) else None,
)
async def test_a_question_that_fails_is_no_answer_and_no_judgement(
    served: Served, adapter: Adapter, claim: Claim, fault: dict[str, Any], error: type[Verdict]
) -> None:
    served.fault(**fault)

    verdict = await verdict_of(adapter, claim)

    assert type(verdict) is error
    if isinstance(verdict, Parked):
        assert (verdict.scope, verdict.unknown) == (claim.scope, False)
    assert not getattr(verdict, "landed", False), "nothing was sent"


async def test_a_dead_server_is_unreachable(served: Served, adapter: Adapter) -> None:
    served.unplug()

    assert type(await verdict_of(adapter, an_open())) is Unreachable


HERE = {"name": EXPERIMENT, "instrument": "MFX", "station": 0}
OLD = "2020-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "verdict", "told"),
    [
        ([HERE | {"switch_time": OLD}], Resolved, ""),
        ([HERE | {"switch_time": "2020-01-01T00:00:00"}], Held, "does not tell since when"),
        ([HERE | {"switch_time": None}], Held, "does not tell since when"),
        ([HERE], Held, "does not tell since when"),
        ([HERE | {"switch_time": OLD, "name": "mfx/../x"}], Parked, "cannot be one"),
        ([HERE | {"switch_time": OLD, "name": None}, None, 7], Parked, "no experiment is active"),
        ([HERE | {"switch_time": OLD, "is_standby": True}], Parked, "no experiment is active"),
        ([HERE | {"switch_time": OLD, "station": "0"}], Parked, "no experiment is active"),
        ([], Parked, "no experiment is active"),
        ({}, Parked, "does not answer as an eLog"),
    ],
    ids=str,
)
async def test_only_a_time_proves_that_nothing_has_changed(
    stranger: Served, connect: Connect, value: Any, verdict: type[Verdict], told: str
) -> None:
    stranger.emulator.says(200, as_json({"success": True, "value": value}), JSON)

    judged = await verdict_of(connect(stranger), an_open())

    assert type(judged) is verdict
    assert told in getattr(judged, "detail", "")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ({"num": 7, "begin_time": OLD, "end_time": None}, Resolved),
        ({"num": 7, "begin_time": OLD}, Resolved),
        ({"num": 7, "begin_time": None}, Held),
        ({"num": -7, "begin_time": OLD}, Parked),
        ({"num": "7", "begin_time": OLD}, Parked),
        (None, Parked),
    ],
    ids=str,
)
async def test_only_a_time_proves_which_run_it_was(
    stranger: Served, connect: Connect, value: Any, verdict: type[Verdict]
) -> None:
    stranger.emulator.says(200, as_json({"success": True, "value": value}), JSON)

    judged = await verdict_of(connect(stranger), an_open(experiment=EXPERIMENT))

    assert type(judged) is verdict


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"success": False, "value": None}, Held),
        ({"success": False, "value": None, "errormsg": ""}, Held),
        ({"success": False, "value": None, "errormsg": "Not today"}, Parked),
        ({"success": False}, Parked),
    ],
    ids=str,
)
async def test_only_a_refusal_without_a_reason_means_that_there_are_no_runs(
    stranger: Served, connect: Connect, body: dict[str, Any], verdict: type[Verdict]
) -> None:
    stranger.emulator.says(200, as_json(body), JSON)

    judged = await verdict_of(connect(stranger), an_open(experiment=EXPERIMENT))

    assert type(judged) is verdict


async def test_a_plain_refusal_of_the_question_buries_nothing(
    stranger: Served, connect: Connect
) -> None:
    adapter = connect(stranger)
    for status, body in ((500, b"No way"), (404, page("404 Not Found")), (200, b'{"success": 0}')):
        stranger.emulator.says(status, body, JSON)
        for verdict in (await verdict_of(adapter, an_open()), await at_accept(adapter, an_open())):
            assert isinstance(verdict, Parked | Refused)
            assert not getattr(verdict, "unknown", False)


async def test_nothing_is_looked_for_that_was_never_sent(served: Served, adapter: Adapter) -> None:
    assert await adapter.find(Doubt(an_open(), NOW, NOW)) == []
    assert not served.faulty.requests
