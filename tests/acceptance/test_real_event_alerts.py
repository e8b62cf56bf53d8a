"""Each alert once, and no faster than allowed: real Event Managers before a real mail server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.base import Limit
from adapters.event_manager import KIND, EventManagerAdapter
from adapters.verdict import Throttled, Verdict
from storage.entry import Doubt, Receipt
from tests.adapter_lane import adapter_lane, drained, lived
from tests.builders import NOW, a_claim, an_entry
from tests.emulators.event_manager_lane import adapter_for, site_for, verdict
from tests.emulators.gateway import Fate, gateway
from tests.real.event_manager import RealEventManager

pytestmark = pytest.mark.real
FATES: list[Fate] = ["answer lost", "answer lost", "answer lost", "request lost"]


@pytest.fixture
async def adapter(server: RealEventManager) -> AsyncIterator[EventManagerAdapter]:
    async with adapter_for(server.url) as adapter:
        yield adapter


def stored_of(server: RealEventManager, ids: list[str]) -> list[str]:
    """Those of the ids that are stored, as often as they are."""
    wanted = {"_id": {"$in": ids}}
    return list(httpx.post(f"{server.url}/events/query", json=wanted).raise_for_status().json())


def event_of(server: RealEventManager, event_id: str) -> dict[str, Any]:
    event: dict[str, Any] = httpx.get(f"{server.url}/event/{event_id}").raise_for_status().json()
    return event


async def test_after_lost_answers_each_event_is_stored_once_and_mailed_once(
    server: RealEventManager, tmp_path: Path
) -> None:
    entries = [
        an_entry(payload=payload, urgency=40)
        for payload in ({"log_level": 40}, {"alert": True, "event_type": "manager_error"}, {})
    ]
    # Stored and mailed, and the answer never comes; then not even the request does.
    async with (
        gateway(server.url, FATES) as url,
        adapter_lane(tmp_path, KIND, lambda now: site_for(url, now=now)) as world,
    ):
        await world.accept(*entries)
        await drained(world)

    ids = [one.id for one in entries]
    assert {one: server.mail.counts()[one] for one in ids} == {ids[0]: 1, ids[1]: 1, ids[2]: 0}
    assert sorted(stored_of(server, ids)) == sorted(ids)


async def test_a_mail_server_that_refuses_costs_the_mail_and_not_the_event(
    server: RealEventManager, adapter: EventManagerAdapter
) -> None:
    claim = a_claim({"alert": True})
    server.mail.behave("refuse")
    try:
        (receipt,) = await adapter.deliver([claim])
    finally:
        server.mail.behave("take")

    assert isinstance(receipt, Receipt)
    assert server.mail.refused
    assert server.mail.counts()[claim.id] == 0, "and nobody but the server knows"
    assert event_of(server, claim.id)["alert"] is True


async def test_a_mail_server_that_hangs_delays_an_event_and_mails_it_once(
    server: RealEventManager, tmp_path: Path
) -> None:
    entry = an_entry(payload={"log_level": 50})
    server.mail.behave("hang")
    try:
        async with adapter_lane(
            tmp_path, KIND, lambda now: site_for(server.url, limit=1.0, now=now)
        ) as world:
            await world.accept(entry)
            await lived(world)
            shown = await world.shown(entry.key)
            server.mail.behave("take")
            await drained(world)
    finally:
        server.mail.behave("take")

    assert (shown["state"], shown["in_doubt"]) == ("pending", True)
    assert server.mail.counts()[entry.id] == 1
    assert stored_of(server, [entry.id]) == [entry.id]


async def test_a_late_error_is_stored_without_a_mail_if_that_is_wished(
    server: RealEventManager,
) -> None:
    an_hour = 3_600_000
    old, fresh = (a_claim({"log_level": "error"}, created_at=NOW - age) for age in (an_hour, 0))
    async with adapter_for(server.url, alert_late="suppress") as adapter:
        for claim in (old, fresh):
            await adapter.deliver([claim])
            assert len(await adapter.find(Doubt(claim, NOW, NOW))) == 1

    event = event_of(server, old.id)
    assert (event["log_level"], event["event_data"]) == (30, {"holdfast": {"log_level": 40}})
    assert (server.mail.counts()[old.id], server.mail.counts()[fresh.id]) == (0, 1)


async def test_a_rate_limit_is_learnt_and_never_costs_an_event(server: RealEventManager) -> None:
    limited = server.version != "0.5.2"
    outcomes: list[Verdict] = []
    async with gateway(server.url) as url, adapter_for(url) as adapter:
        # However slow this machine is: the last one is beyond 300 in a minute.
        while len(outcomes) < (301 if limited else 60):
            outcomes.append(await verdict(adapter, a_claim({"log_level": 0})))
            if len(outcomes) == 1:
                known = KIND.limits(adapter)
            if not isinstance(outcomes[-1], Receipt):
                break

    assert known == ([Limit(50, 1), Limit(300, 60)] if limited else [])
    if limited:
        refused = outcomes.pop()
        assert isinstance(refused, Throttled)
        assert refused.retry_after
    assert all(isinstance(one, Receipt) for one in outcomes)
    assert len(outcomes) >= 50
