"""`auto`: the operator account on the active experiment, a person elsewhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter, AuthOptions
from adapters.elog import Options
from adapters.elog.logbook import Logbook
from adapters.verdict import Parked, Refused, Uncertain, Unreachable
from storage.entry import Doubt, Receipt
from tests.builders import NOW
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import (
    EXPERIMENT,
    Connect,
    a_post,
    a_site,
    verdict_of,
)
from tests.emulators.kit import Served

OTHER = "mfxl1000223"
ASKING = "GET /ws/lgbk/lgbk/ws/activeexperiment_for_instrument_station"
AUTO = AuthOptions.model_validate(
    {
        "method": "auto",
        "operator": {"username": "{instrument}opr", "password_file": "password"},
        "bearer": {"token_file": "token"},
    }
)


class Clock:
    now_ms = NOW

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(ElogEmulator(experiments=(EXPERIMENT, OTHER)))
    return server


@pytest.fixture
def adapter(served: Served, connect: Connect, clock: Clock) -> Adapter:
    return connect(served, auth=AUTO, now=clock)


def asked(served: Served) -> list[str]:
    """Through which gates what was sent, in order of the first of each kind, with how many."""
    return [
        f"{request.split('/')[1]} {request.rpartition('/')[2]} {count}"
        for request, count in served.faulty.requests.items()
    ]


def authors(served: Served) -> list[tuple[str, str]]:
    return [(entry["experiment"], entry["author"]) for entry in served.emulator.ledger()]


async def test_the_active_experiment_is_the_operators_and_others_are_the_persons(
    served: Served, adapter: Adapter
) -> None:
    for experiment in (EXPERIMENT, OTHER, EXPERIMENT):
        assert isinstance(await verdict_of(adapter, a_post(experiment=experiment)), Receipt)

    assert authors(served) == [(EXPERIMENT, "mfxopr"), (OTHER, "pi1"), (EXPERIMENT, "mfxopr")]
    assert served.faulty.requests[ASKING] == 1
    assert served.emulator.cookies_received == 0


@pytest.mark.parametrize(("later_ms", "questions"), [(59_999, 1), (60_000, 2), (-1, 2)])
async def test_what_is_active_is_asked_again_after_a_minute_or_when_our_clock_was_set(
    served: Served, adapter: Adapter, clock: Clock, later_ms: int, questions: int
) -> None:
    await verdict_of(adapter, a_post())
    clock.now_ms += later_ms
    await verdict_of(adapter, a_post())

    assert served.faulty.requests[ASKING] == questions


async def test_a_switch_that_nobody_told_us_of_costs_one_403(
    served: Served, adapter: Adapter
) -> None:
    await verdict_of(adapter, a_post())
    served.emulator.world.switch(OTHER)
    served.faulty.requests.clear()

    as_person = await verdict_of(adapter, a_post())
    as_operator = await verdict_of(adapter, a_post(experiment=OTHER))

    assert isinstance(as_person, Receipt)
    assert isinstance(as_operator, Receipt)
    assert authors(served)[1:] == [(EXPERIMENT, "pi1"), (OTHER, "mfxopr")]
    assert asked(served) == [
        "ws-auth new_elog_entry 1",
        "ws-jwt new_elog_entry 1",
        "ws activeexperiment_for_instrument_station 1",
        "ws-auth new_elog_entry 1",  # of the other experiment
    ]


async def test_standby_is_no_error_and_a_person_posts(served: Served, adapter: Adapter) -> None:
    served.emulator.world.stand_by("mfx")

    assert isinstance(await verdict_of(adapter, a_post()), Receipt)
    assert authors(served) == [(EXPERIMENT, "pi1")]


async def test_in_standby_the_operator_may_still_where_the_person_may_not(
    served: Served, adapter: Adapter
) -> None:
    served.emulator.world.stand_by("mfx")
    served.emulator.people.grants[EXPERIMENT].pop("pi1")

    assert isinstance(await verdict_of(adapter, a_post()), Receipt)
    assert authors(served) == [(EXPERIMENT, "mfxopr")]


@pytest.mark.parametrize("options", [{"instrument": "xyz"}, {"instrument": "mfx", "station": 1}])
async def test_an_instrument_or_station_without_an_experiment_is_a_matter_for_the_person(
    served: Served, connect: Connect, options: dict[str, Any]
) -> None:
    adapter = connect(served, auth=AUTO, options=Options(**options))

    assert isinstance(await verdict_of(adapter, a_post()), Receipt)
    assert authors(served) == [(EXPERIMENT, "pi1")]


async def test_another_station_has_another_active_experiment(
    served: Served, connect: Connect
) -> None:
    served.emulator.world.switch(OTHER, station=1)
    adapter = connect(served, auth=AUTO, options=Options(instrument="mfx", station=1))

    await verdict_of(adapter, a_post(experiment=OTHER))

    assert authors(served) == [(OTHER, "mfxopr")]


async def test_what_both_may_not_do_is_tried_once_by_each(served: Served, adapter: Adapter) -> None:
    served.emulator.people.grants[OTHER].pop("pi1")

    verdict = await verdict_of(adapter, a_post(experiment=OTHER))

    assert isinstance(verdict, Parked)
    assert (verdict.scope, verdict.status) == (OTHER, 403)
    assert "mfxopr (and before that the account of our token) may not" in verdict.detail
    assert asked(served) == [
        "ws activeexperiment_for_instrument_station 1",
        "ws-jwt new_elog_entry 1",
        "ws-auth new_elog_entry 1",
    ]


async def test_a_lost_answer_to_the_second_account_is_in_doubt(
    served: Served, adapter: Adapter
) -> None:
    served.emulator.world.stand_by("mfx")
    served.emulator.people.grants[EXPERIMENT].pop("pi1")
    served.fault("drop_after", path="/ws-auth/")
    claim = replace(a_post(), first_sent_at=NOW, last_sent_at=NOW)

    assert isinstance(await verdict_of(adapter, claim), Uncertain)
    served.heal()
    (found,) = await adapter.find(Doubt(claim, NOW - 60_000, NOW))

    assert found.remote_id == served.emulator.ledger()[0]["_id"]


@pytest.mark.parametrize(
    ("fault", "verdict", "told"),
    [
        ({"mode": "status", "status": 502}, Unreachable, "which experiment is active"),
        ({"mode": "status", "status": 500}, Unreachable, "which experiment is active"),
        ({"mode": "empty"}, Unreachable, "which experiment is active"),
        ({"mode": "html"}, Refused, "not as an eLog does"),
        ({"mode": "status", "status": 404}, Refused, "is the url of the backend right?"),
    ],
)
async def test_nothing_is_sent_while_the_elog_does_not_tell_what_is_active(
    served: Served, adapter: Adapter, fault: dict[str, Any], verdict: type, told: str
) -> None:
    served.fault(path="activeexperiment", **fault)

    said = await verdict_of(adapter, a_post())

    assert type(said) is verdict
    assert told in said.detail
    assert not getattr(said, "landed", False)
    assert [request for request in served.faulty.requests if "new_elog_entry" in request] == []


async def test_a_person_without_a_credential_holds_up_no_entry_of_the_operator(
    served: Served, connect: Connect
) -> None:
    def read_secret(name: str) -> str:
        if name == "token":
            raise FileNotFoundError(2, "No such file or directory")
        return "secret"

    adapter = connect(served, auth=AUTO, read_secret=read_secret)

    waits = await verdict_of(adapter, a_post(experiment=OTHER))
    goes_on = await verdict_of(adapter, a_post())
    served.emulator.people.grants[EXPERIMENT].pop("mfxopr")
    neither = await verdict_of(adapter, a_post())

    assert isinstance(waits, Parked)
    assert waits.scope == OTHER
    assert "'token' cannot be read" in waits.detail
    assert isinstance(goes_on, Receipt)
    assert isinstance(neither, Parked)
    assert "mfxopr (as the account of our token it cannot be tried" in neither.detail


async def test_a_persons_token_that_the_proxy_refuses_holds_up_no_entry_of_the_operator(
    served: Served, connect: Connect
) -> None:
    secrets = {"password": "secret", "token": "stale"}
    adapter = connect(served, auth=AUTO, read_secret=secrets.__getitem__)

    waits = await verdict_of(adapter, a_post(experiment=OTHER))
    goes_on = await verdict_of(adapter, a_post())

    assert isinstance(waits, Parked)
    assert (waits.scope, waits.status) == (OTHER, 401)
    assert "the account of our token are not accepted" in waits.detail
    assert isinstance(goes_on, Receipt)


async def test_an_operators_password_that_is_wrong_is_shown_to_nobody_twice(
    served: Served, connect: Connect
) -> None:
    secrets = {"password": "wrong", "token": "token"}
    adapter = connect(served, auth=AUTO, read_secret=secrets.__getitem__)

    verdict = await verdict_of(adapter, a_post())

    assert isinstance(verdict, Refused)
    assert verdict.credentials
    assert "mfxopr" in verdict.detail
    assert served.faulty.requests.total() == 2


async def test_which_experiment_is_the_current_one_is_asked_as_the_operator(
    served: Served,
) -> None:
    logbook = Logbook(a_site(served.url, auth=AUTO))

    answer, who = await logbook.ask("GET", "/lgbk/ws/activeexperiments", "current")
    await logbook.close()

    assert (answer.status, who.account) == (200, "mfxopr")
    assert asked(served) == ["ws-auth activeexperiments 1"]


@pytest.mark.parametrize("may", [True, False], ids=["may", "may not"])
async def test_what_only_people_may_do_is_never_tried_as_the_operator(
    served: Served, *, may: bool
) -> None:
    logbook = Logbook(a_site(served.url, auth=AUTO))
    if not may:
        served.emulator.people.grants[EXPERIMENT].pop("pi1")
    path = f"/lgbk/{EXPERIMENT}/ws/info"

    answer, who = await logbook.ask("GET", path, EXPERIMENT, as_person=True)
    await logbook.close()

    assert answer.status == (200 if may else 403)
    assert who.account == "the account of our token"
    assert asked(served) == ["ws-jwt info 1"]


@pytest.mark.parametrize(
    "auth",
    [
        AuthOptions(method="basic", username="{instrument}opr", password_file="password"),
        AuthOptions(method="kerberos", principal="mfxopr@TEST.LAB"),
    ],
)
async def test_an_operator_by_any_method_is_no_person(served: Served, auth: AuthOptions) -> None:
    logbook = Logbook(a_site(served.url, auth=auth, find_secret=Path))

    with pytest.raises(Parked, match="an operator account") as parked:
        await logbook.ask("GET", "/x", EXPERIMENT, as_person=True)
    await logbook.close()

    assert parked.value.scope == f"{EXPERIMENT}/as a person"
    assert not served.faulty.requests
