""" "current" is the experiment, and the run, of the time at which an entry was written.

The adapter, its sockets and the emulated server are real; only the clocks are ours.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.base import (
    Adapter,
    AuthOptions,
    DeliveryError,
    Held,
    Parked,
    Refused,
    Resolved,
    Throttled,
    Unreachable,
    Verdict,
)
from adapters.elog import KIND, Elog, Options
from storage.entry import Address, Claim, Doubt
from tests.builders import NOW, a_claim
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import (
    EXPERIMENT,
    JSON,
    Connect,
    Stranger,
    as_json,
    connections,
    page,
    verdict_of,
)
from tests.emulators.kit import Served

OTHER = "mfxl1000223"
MINUTE, HOUR = 60_000, 3_600_000  # ms
NOBODY = AuthOptions()
SKEWS = pytest.mark.parametrize("ahead", [0, 7 * MINUTE, -7 * MINUTE, 90 * 24 * HOUR])


class Times:
    """Our clock, and the server's, which is `ahead` of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.ahead = 0

    def ours(self) -> int:
        return self.now

    def theirs(self) -> int:
        return self.now + self.ahead


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


@pytest.fixture
def served(server: Served, times: Times) -> Served:
    """Two experiments; the first is active, and its second run going on, for an hour."""
    times.now -= HOUR
    server.serve(ElogEmulator(experiments=(EXPERIMENT, OTHER), now=times.theirs))
    times.now += HOUR
    return server


@pytest.fixture(scope="module")
def stranger() -> Iterator[Served]:
    with Served(Stranger()) as made:
        yield made


@pytest.fixture
async def connect(times: Times) -> AsyncIterator[Connect]:
    async with connections() as maker:
        yield lambda served, **changes: maker(served, **{"now": times.ours, **changes})


@pytest.fixture
async def adapter(served: Served, connect: Connect) -> Adapter:
    return connect(served)


def with_skew(served: Served, times: Times, ahead: int) -> None:
    """The server's clock has always been so far ahead of ours."""
    times.ahead = ahead
    times.now -= HOUR
    served.emulator.world.switch(EXPERIMENT)
    for number in (1, 2):
        served.emulator.world.begin_run(EXPERIMENT, number)
    times.now += HOUR


def an_open(kind: str = "post", written: int = NOW, **more: Any) -> Claim:
    """An entry that leaves both open, as the lane brings it."""
    content = {"post": {"text": "x"}, "run_params": {"params": {"a": 1}}}[kind]
    payload = {"experiment": "current", "run": "current", **content, **more}
    place = "current" if payload["experiment"] == "current" else f"{payload['experiment']}/current"
    return a_claim(
        payload, kind=kind, stream=place, scope=place, created_at=written, accepted_at=written
    )


async def found(adapter: Adapter, claim: Claim) -> dict[str, Any]:
    """What is found out step by step, each of them stored before the next."""
    while isinstance(verdict := await verdict_of(adapter, claim), Resolved):
        known = verdict.resolution
        claim = replace(claim, resolved=known.values, scope=known.address.scope)
        if not known.address.open:
            return dict(known.values)
    raise AssertionError(verdict)


async def held(adapter: Adapter, claim: Claim) -> Held:
    verdict = await verdict_of(adapter, claim)
    assert type(verdict) is Held, verdict
    return verdict


both = pytest.mark.parametrize("kind", ["post", "run_params"])


@both
@SKEWS
async def test_what_has_not_changed_is_found_however_late(
    served: Served, adapter: Adapter, times: Times, kind: str, ahead: int
) -> None:
    with_skew(served, times, ahead)
    claim = an_open(kind)
    times.now += 100 * HOUR

    assert await found(adapter, claim) == {"experiment": EXPERIMENT, "run": 2}
    assert served.emulator.ledger() == []


async def test_each_step_says_where_the_entry_belongs_by_then(adapter: Adapter) -> None:
    claim = an_open("run_params")

    first = await verdict_of(adapter, claim)
    assert isinstance(first, Resolved)
    second = await verdict_of(adapter, replace(claim, resolved=first.resolution.values))
    assert isinstance(second, Resolved)

    place, labels = f"{EXPERIMENT}/current", {"experiment": EXPERIMENT}
    assert first.resolution.values == {"experiment": EXPERIMENT}
    assert first.resolution.address == Address(stream=place, scope=place, labels=labels, open=True)
    place = f"{EXPERIMENT}/2"
    assert second.resolution.values == {"experiment": EXPERIMENT, "run": 2}
    assert second.resolution.address == Address(
        stream=place, scope=place, labels={**labels, "run": "2"}
    )


# The experiment has changed, or may have


@both
@SKEWS
@pytest.mark.parametrize("back", [False, True], ids=["to another", "and back"])
async def test_a_switch_since_then_is_a_matter_for_a_person(
    served: Served, adapter: Adapter, times: Times, kind: str, ahead: int, back: bool
) -> None:
    with_skew(served, times, ahead)
    claim = an_open(kind)
    times.now += MINUTE
    served.emulator.world.switch(OTHER)
    times.now += 10 * MINUTE
    if back:
        served.emulator.world.switch(EXPERIMENT)
    times.now += HOUR

    verdict = await held(adapter, claim)

    assert verdict.proposal is None
    name = EXPERIMENT if back else OTHER
    for told in ("may have been active on MFX/0", f"{name} is active there since 20", "UTC"):
        assert told in verdict.detail
    assert "with the experiment that is meant" in verdict.detail


@pytest.mark.parametrize(
    ("before_ms", "verdict"),
    [(0, Held), (2_000, Held), (7_000, Resolved), (-1, Held), (-MINUTE, Held)],
)
async def test_what_is_too_close_to_a_switch_to_tell_is_held(
    served: Served, adapter: Adapter, times: Times, before_ms: int, verdict: type[Verdict]
) -> None:
    times.now -= before_ms
    served.emulator.world.switch(OTHER)
    times.now = max(NOW, times.now)

    assert type(await verdict_of(adapter, an_open())) is verdict


async def test_nothing_is_written_after_it_was_accepted(
    served: Served, adapter: Adapter, times: Times
) -> None:
    """Its producer's clock is an hour ahead; meanwhile there was a switch."""
    claim = replace(an_open(), created_at=NOW + HOUR)
    times.now += MINUTE
    served.emulator.world.switch(OTHER)
    times.now += 2 * HOUR

    await held(adapter, claim)


async def test_a_time_that_is_still_to_come_proves_nothing(adapter: Adapter, times: Times) -> None:
    claim = an_open()
    times.now -= 20 * MINUTE  # set back since

    assert "clock was set back" in (await held(adapter, claim)).detail


async def test_in_standby_the_current_experiment_is_waited_for(
    served: Served, adapter: Adapter, times: Times
) -> None:
    served.emulator.world.stand_by("mfx")

    verdict = await verdict_of(adapter, an_open())

    assert isinstance(verdict, Parked)
    assert (verdict.scope, verdict.unknown) == ("current", False)
    assert "no experiment is active on MFX/0" in verdict.detail
    times.now += MINUTE
    served.emulator.world.switch(OTHER)
    assert f"{OTHER} is active there since" in (await held(adapter, an_open())).detail


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"instrument": "MFX"}, EXPERIMENT),
        ({"instrument": "mfx", "station": 1}, OTHER),
        ({"instrument": "mfx", "station": 2}, None),
        ({"instrument": "cxi"}, None),
    ],
)
async def test_the_settings_say_which_station_is_ours(
    served: Served, connect: Connect, times: Times, options: dict[str, Any], name: str | None
) -> None:
    times.now -= HOUR
    served.emulator.world.switch(OTHER, station=1)
    times.now += HOUR
    auth = AuthOptions(method="bearer", token_file="token")
    adapter = connect(served, options=Options(**options), auth=auth)
    claim = an_open(run=7)

    for verdict in (await verdict_of(adapter, claim), await at_accept(adapter, claim)):
        if name is None:
            assert isinstance(verdict, Parked)
        else:
            assert isinstance(verdict, Resolved)
            assert verdict.resolution.values == {"experiment": name}


async def test_settings_that_have_lost_the_instrument_keep_the_entry(
    served: Served, connect: Connect
) -> None:
    auth = AuthOptions(method="bearer", token_file="token")
    adapter = connect(served, options=Options(), auth=auth)

    verdict = await verdict_of(adapter, an_open())

    assert isinstance(verdict, Parked)
    assert "no instrument" in verdict.detail
    assert not served.faulty.requests


# Without an account nobody may ask what has changed


@pytest.mark.parametrize(("age", "verdict"), [(0, Resolved), (60_000, Resolved), (60_001, Held)])
async def test_without_an_account_only_what_is_fresh_is_told(
    served: Served, connect: Connect, times: Times, age: int, verdict: type[Verdict]
) -> None:
    adapter = connect(served, auth=NOBODY)
    claim = an_open(run=7)
    times.now += age

    judged = await verdict_of(adapter, claim)

    assert type(judged) is verdict
    if isinstance(judged, Held):
        assert "nobody (auth.method is none) may not ask" in judged.detail
        assert judged.proposal is None
    times.now = NOW
    served.emulator.world.stand_by("mfx")
    assert isinstance(await verdict_of(adapter, claim), Parked)


async def test_the_current_run_is_told_to_anybody(
    served: Served, connect: Connect, times: Times
) -> None:
    adapter = connect(served, auth=NOBODY)
    claim = an_open(experiment=EXPERIMENT)
    times.now += HOUR
    assert await found(adapter, claim) == {"run": 2}

    served.emulator.world.begin_run(EXPERIMENT, 3)
    times.now += HOUR

    verdict = await held(adapter, claim)
    assert verdict.proposal is None
    assert "may not see those before it" in verdict.detail


# The run has changed, or may have


@both
@SKEWS
@pytest.mark.parametrize("gone_by", [1, 5])
async def test_a_run_that_began_since_then_is_not_the_one_and_that_of_then_is_proposed(
    served: Served, adapter: Adapter, times: Times, kind: str, ahead: int, gone_by: int
) -> None:
    with_skew(served, times, ahead)
    claim = replace(an_open(kind), resolved={"experiment": EXPERIMENT})
    for number in range(3, 3 + gone_by):
        times.now += MINUTE
        served.emulator.world.end_run(EXPERIMENT, number - 1)
        served.emulator.world.begin_run(EXPERIMENT, number)
    times.now += HOUR

    verdict = await held(adapter, claim)

    assert verdict.proposal is not None
    assert verdict.proposal.values == {"experiment": EXPERIMENT, "run": 2}
    assert verdict.proposal.address.labels == {"experiment": EXPERIMENT, "run": "2"}
    assert f"run {2 + gone_by} of {EXPERIMENT} began only 20" in verdict.detail
    assert "Release it if run 2 is meant" in verdict.detail


async def test_a_run_that_had_ended_is_proposed(
    served: Served, adapter: Adapter, times: Times
) -> None:
    served.emulator.world.end_run(EXPERIMENT, 2)
    times.now += MINUTE
    claim = an_open(experiment=EXPERIMENT, written=times.now)
    times.now += HOUR

    verdict = await held(adapter, claim)

    assert verdict.proposal is not None
    assert verdict.proposal.values == {"run": 2}
    assert "run 2 of mfxl1000123 had ended before" in verdict.detail


async def test_a_run_that_has_ended_since_is_still_the_one(
    served: Served, adapter: Adapter, times: Times
) -> None:
    times.now += MINUTE
    served.emulator.world.end_run(EXPERIMENT, 2)
    times.now += HOUR

    assert await found(adapter, an_open(experiment=EXPERIMENT)) == {"run": 2}


@pytest.mark.parametrize("after_ms", [1_000, 4_000])
async def test_what_is_too_close_to_the_begin_of_a_run_is_agreed_upon(
    served: Served, adapter: Adapter, times: Times, after_ms: int
) -> None:
    served.emulator.world.begin_run(EXPERIMENT, 3)
    times.now += after_ms
    claim = an_open(experiment=EXPERIMENT, written=times.now)
    times.now += HOUR

    verdict = await held(adapter, claim)

    assert "too close to tell" in verdict.detail
    assert verdict.proposal is not None
    assert verdict.proposal.values == {"run": 3}


async def test_without_a_run_none_is_current(
    served: Served, adapter: Adapter, times: Times
) -> None:
    runs = served.emulator.store.experiments[EXPERIMENT].runs
    runs.clear()
    claim = an_open(experiment=EXPERIMENT)

    assert "has no runs" in (await held(adapter, claim)).detail

    times.now += HOUR
    served.emulator.world.begin_run(EXPERIMENT, 1)
    verdict = await held(adapter, claim)
    assert (verdict.proposal, "none before it" in verdict.detail) == (None, True)


async def test_an_unknown_experiment_has_no_current_run(adapter: Adapter) -> None:
    verdict = await verdict_of(adapter, an_open(experiment="mfxl1000l23"))

    assert isinstance(verdict, Parked)
    assert (verdict.scope, verdict.unknown) == ("mfxl1000l23", True)


# At accept it is what is current now


async def at_accept(adapter: Adapter, claim: Claim) -> Verdict:
    """What is found out while the producer waits, as a verdict."""
    assert isinstance(adapter, Elog)
    assert KIND.resolve is not None
    payload = json.loads(claim.payload)
    try:
        resolution = await KIND.resolve(adapter, claim.kind, payload, claim.created_at)
    except DeliveryError as error:
        return error
    assert resolution is not None
    return Resolved(resolution)


@both
@SKEWS
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
