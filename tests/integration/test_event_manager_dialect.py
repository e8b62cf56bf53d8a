"""Types of the other version, late alerts and local times against the emulated server."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from adapters.event_manager import EventManagerAdapter
from adapters.verdict import Rejected, Throttled, Uncertain, Unreachable
from storage.entry import Receipt
from tests.builders import NOW, a_claim
from tests.emulators.event_manager import VERSIONS, EventManager
from tests.emulators.event_manager_lane import adapter_for, found, verdict
from tests.emulators.kit import Served

SOURCES = ["/openapi.json", "/health", "/definition"]
# What a server of each version makes of the types that only the other one has.
MAPPED = [
    ("0.5.2", "manager_start", "unknown"),
    ("0.5.2", "experiment_cancelled", "experiment_stop"),
    ("0.8.1", "experiment_stop", "experiment_cancelled"),
]
HOURS = 3_600_000


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(EventManager()) as made:
        yield made


@pytest.fixture(params=VERSIONS)
def served(server: Served, request: pytest.FixtureRequest) -> Served:
    server.serve(EventManager(request.param))
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[EventManagerAdapter]:
    async with adapter_for(served.url) as adapter:
        yield adapter


def version(server: Served, name: str, *silent: str) -> EventManager:
    emulator = EventManager(name)
    emulator.silent = frozenset(silent)
    server.serve(emulator)
    server.faulty.requests.clear()
    return emulator


def only_event(server: Served) -> dict[str, Any]:
    (stored,) = server.emulator.ledger()
    return stored


@pytest.mark.parametrize("silent", [0, 1, 2, 3], ids=lambda n: f"{n} sources closed")
@pytest.mark.parametrize(("name", "event_type", "told"), MAPPED)
async def test_a_type_of_the_other_version_arrives_and_is_recognised(
    server: Served, name: str, event_type: str, told: str, silent: int
) -> None:
    version(server, name, *SOURCES[:silent])
    claim = a_claim({"event_type": event_type, "event_data": {"k": 1}})
    async with adapter_for(server.url) as adapter:
        assert isinstance(await verdict(adapter, claim), Receipt)
        found_again = await found(adapter, claim)

    stored = only_event(server)
    note = {"holdfast": {"event_type": event_type}} if told == "unknown" else {}
    assert (stored["event_type"], stored["event_data"]) == (told, {"k": 1, **note})
    assert isinstance(found_again, list)
    assert found_again, "it is recognised as ours"
    # Where nobody could be asked, the refusal has told, and the same attempt has succeeded.
    untold = silent == 3 or (silent == 2 and name == "0.8.1")
    assert server.faulty.requests["POST /event"] == (2 if untold else 1)


async def test_nothing_is_asked_for_what_every_version_knows(
    served: Served, adapter: EventManagerAdapter
) -> None:
    served.faulty.requests.clear()
    await verdict(adapter, a_claim({"event_type": "workflow_start"}))

    assert served.faulty.requests.total() == 1


async def test_it_is_asked_once_for_many_events(
    served: Served, adapter: EventManagerAdapter
) -> None:
    served.faulty.requests.clear()
    for _ in range(3):
        await verdict(adapter, a_claim({"event_type": "manager_stop"}))

    assert served.faulty.requests["GET /openapi.json"] == 1
    assert len(served.emulator.ledger()) == 3


@pytest.mark.parametrize("noticed", ["by its absence", "by a refusal", "after ten minutes"])
async def test_a_server_that_was_upgraded_gets_its_own_types(server: Served, noticed: str) -> None:
    clock = {"now": NOW}
    version(server, "0.5.2")
    async with adapter_for(server.url, now=lambda: clock["now"]) as adapter:
        await verdict(adapter, a_claim({"event_type": "manager_start"}))
        version(server, "0.8.1")
        if noticed == "by its absence":
            server.unplug()
            assert isinstance(await verdict(adapter, a_claim({})), Unreachable)
            server.plug()
        elif noticed == "by a refusal":
            await verdict(adapter, a_claim({"event_type": "experiment_cancelled"}))
            server.emulator.store.purge()  # type: ignore[attr-defined]
        else:
            clock["now"] += 10 * 60_000
        claim = a_claim({"event_type": "manager_start"})
        await verdict(adapter, claim)

    assert server.emulator.ledger()[-1]["event_type"] == "manager_start"


async def test_an_event_in_doubt_is_recognised_after_an_upgrade(server: Served) -> None:
    emulator = version(server, "0.5.2")
    claim = a_claim({"event_type": "manager_start", "event_data": "text", "alert": True})
    async with adapter_for(server.url) as adapter:
        server.fault("drop_after", method="POST")
        assert isinstance(await verdict(adapter, claim), Uncertain)
        server.heal()
        upgraded = version(server, "0.8.1")
        for document in emulator.ledger():
            upgraded.plant(document)

        outcome = await found(adapter, claim)

    assert isinstance(outcome, list)
    assert [one.duplicate for one in outcome] == [True]


async def test_a_server_that_is_away_when_it_is_asked_was_sent_nothing(server: Served) -> None:
    version(server, "0.8.1")
    async with adapter_for(server.url) as adapter:
        server.unplug()
        outcome = await verdict(adapter, a_claim({"event_type": "manager_start"}))
        server.plug()

    assert isinstance(outcome, Unreachable)
    assert server.faulty.requests.total() == 0


@pytest.mark.parametrize("mode", ["drop_before", "status", "html", "redirect"])
async def test_trouble_with_the_question_is_no_trouble_of_the_event(
    server: Served, mode: str
) -> None:
    version(server, "0.5.2")
    server.fault(mode, method="GET")
    async with adapter_for(server.url) as adapter:
        outcome = await verdict(adapter, a_claim({"event_type": "manager_start"}))

    server.heal()
    assert isinstance(outcome, Receipt)
    assert only_event(server)["event_type"] == "unknown"


async def test_who_asks_us_to_wait_is_waited_for_and_sent_nothing(server: Served) -> None:
    version(server, "0.5.2")
    server.fault("retry_after", method="GET", seconds=7)
    async with adapter_for(server.url) as adapter:
        outcome = await verdict(adapter, a_claim({"event_type": "manager_start"}))

    assert isinstance(outcome, Throttled)
    assert outcome.retry_after == 7
    assert server.faulty.requests["POST /event"] == 0


async def test_what_else_is_wrong_is_still_rejected_and_sent_no_third_time(server: Served) -> None:
    version(server, "0.5.2", *SOURCES)
    async with adapter_for(server.url) as adapter:
        outcome = await verdict(adapter, a_claim({"event_type": "manager_start", "log_level": 15}))

    assert isinstance(outcome, Rejected)
    assert "body/log_level" in outcome.detail
    assert server.faulty.requests["POST /event"] == 2


@pytest.mark.parametrize("age_hours", [0, 5])
async def test_a_late_error_is_told_without_a_mail_and_found_again(
    served: Served, age_hours: int
) -> None:
    claim = a_claim({"log_level": "error"}, created_at=NOW - age_hours * HOURS)
    async with adapter_for(served.url, alert_late="suppress") as adapter:
        served.fault("drop_after", method="POST", times=1)
        assert isinstance(await verdict(adapter, claim), Uncertain)
        assert isinstance(await found(adapter, claim), list)
        again = a_claim({"log_level": "error"}, **_in_doubt_since(claim.created_at, claim.id))
        await verdict(adapter, again)  # what a lane would never do: it was found

    stored = only_event(served)
    assert isinstance(served.emulator, EventManager)
    assert stored["log_level"] == (30 if age_hours else 40)
    assert served.emulator.mails[claim.id] == (0 if age_hours else 2)


def _in_doubt_since(created_at: int, id_: str) -> dict[str, Any]:
    """Tried for the first time at NOW, and again a day later."""
    last = NOW + round(timedelta(days=1).total_seconds() * 1000)
    return {"created_at": created_at, "id": id_, "in_doubt": True, "last_sent_at": last}


async def test_a_local_time_is_stored_with_its_offset(served: Served) -> None:
    claim = a_claim({"event_timestamp": "2026-07-15 12:00"})
    async with adapter_for(served.url, zone=ZoneInfo("Asia/Tokyo")) as adapter:
        await verdict(adapter, claim)
    async with adapter_for(served.url, zone=ZoneInfo("America/Lima")) as moved:
        outcome = await found(moved, claim)

    assert only_event(served)["event_timestamp"] == "2026-07-15T12:00:00+09:00"
    assert isinstance(outcome, list)
    assert outcome


async def test_what_goes_out_is_the_same_at_each_attempt(server: Served) -> None:
    payload = {"event_type": "manager_start", "event_data": [1], "alert": True}
    bodies = []
    for _ in range(2):
        version(server, "0.5.2")
        claim = a_claim(payload, id="same", created_at=NOW - HOURS)
        async with adapter_for(server.url, alert_late="suppress") as adapter:
            await verdict(adapter, claim)
        bodies.append(json.dumps(only_event(server)))

    assert bodies[0] == bodies[1]
