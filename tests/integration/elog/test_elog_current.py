""" "current" is the experiment, and the run, of the time at which an entry was written.

The adapter, its sockets and the emulated server are real; only the clocks are ours.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.base import Adapter, AuthOptions
from adapters.elog import Options
from adapters.verdict import Held, Parked, Resolved, Verdict
from storage.entry import Address, Claim
from tests.builders import NOW
from tests.emulators.elog_site import (
    EXPERIMENT,
    Connect,
    connections,
    verdict_of,
)
from tests.emulators.elog_times import (
    HOUR,
    MINUTE,
    OTHER,
    Times,
    an_open,
    at_accept,
    begun,
    with_skew,
)
from tests.emulators.kit import Served

NOBODY = AuthOptions()
SKEWS = pytest.mark.parametrize("ahead", [7 * MINUTE, -7 * MINUTE, 90 * 24 * HOUR])


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
