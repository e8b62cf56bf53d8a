"""The telemetry adapter and its reader against the real server 0.5.3: the emulator is right."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.base import Adapter
from adapters.telemetry import KIND, Options, wire
from adapters.telemetry.reads import TelemetryReader
from adapters.verdict import (
    DeliveryError,
    Parked,
    Refused,
    Rejected,
    Uncertain,
    Unreachable,
)
from storage.entry import Claim, Doubt, Receipt
from tests.builders import a_claim
from tests.emulators.telemetry_site import a_site
from tests.questioner import Questioner
from tests.real.cached_env import Unavailable
from tests.real.telemetry import RealTelemetry

pytestmark = pytest.mark.real

OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealTelemetry]:
    with RealTelemetry(tmp_path) as server:
        try:
            server.start()
        except Unavailable as exc:
            pytest.skip(f"the real telemetry server cannot be had: {exc.reason}")
        yield server


@pytest.fixture
async def adapter(real: RealTelemetry) -> AsyncIterator[Adapter]:
    made = KIND.adapter(a_site(real.url, real.site_dir, now=now))
    yield made
    await made.close()


def claimed(event_type: str = "weather", data: Any = "clear", **fields: Any) -> Claim:
    payload = {"type": event_type, "data": data, **fields}
    return a_claim(payload, created_at=now(), first_sent_at=now(), last_sent_at=now())


async def verdict(adapter: Adapter, claim: Claim) -> Receipt | DeliveryError:
    (only,) = await adapter.deliver([claim])
    return only


async def found(adapter: Adapter, claim: Claim) -> list[str]:
    receipts = await adapter.find(Doubt(claim, now() - 1000, now()))
    return [receipt.remote_id for receipt in receipts]


def current(real: RealTelemetry, event_type: str = "weather") -> Any:
    values = httpx.get(f"{real.url}/current", trust_env=False).json()["current"]
    return values[event_type]["data"]


def run_meta(real: RealTelemetry) -> Any:
    return httpx.get(f"{real.url}/run", trust_env=False).json()["meta"]


def posted_past_us(real: RealTelemetry, claim: Claim) -> None:
    httpx.post(f"{real.url}/event", json=wire.outgoing(claim), trust_env=False)


def current_types(real: RealTelemetry) -> set[str]:
    return set(httpx.get(f"{real.url}/current", trust_env=False).json()["current"])


def start_run(real: RealTelemetry, run_id: str) -> None:
    answer = httpx.post(f"{real.url}/run/start", json={"run_id": run_id}, trust_env=False)
    assert answer.status_code == 200


def stored(real: RealTelemetry) -> list[dict[str, Any]]:
    (day,) = real.site_dir.glob("site_*.ndjson")
    return [json.loads(line) for line in day.read_text().splitlines()]


async def test_an_event_arrives_once_with_its_time_and_its_id(
    real: RealTelemetry, adapter: Adapter
) -> None:
    claim = claimed(data={"sky": "é", "n": [1.5, None]}, ts=OLD, meta={"run_id": "X"})

    assert await verdict(adapter, claim) == Receipt(claim.id, claim.id)
    (record,) = stored(real)
    assert (record["ts"], record["data"]) == (OLD, {"sky": "é", "n": [1.5, None]})
    assert record["meta"] == {"run_id": "X", "origin_run_id": "X", "event_id": claim.id}


async def test_an_event_is_found_by_its_file_and_by_the_current_value(
    real: RealTelemetry, adapter: Adapter
) -> None:
    shown, hidden, never_sent = claimed(), claimed(make_current=False), claimed()
    blind = KIND.adapter(a_site(real.url))
    await verdict(adapter, shown)
    await verdict(adapter, hidden)

    assert [await found(adapter, claim) for claim in (shown, hidden, never_sent)] == [
        [shown.id],
        [hidden.id],
        [],
    ]
    assert [await found(blind, claim) for claim in (shown, hidden)] == [[shown.id], []]
    await blind.close()


async def test_an_event_of_a_run_is_found_in_the_file_of_the_run(
    real: RealTelemetry, adapter: Adapter
) -> None:
    start_run(real, "Y")
    claim = claimed(make_current=False)
    await verdict(adapter, claim)

    assert await found(adapter, claim) == [claim.id]


@pytest.mark.parametrize("event_type", ["weather", "a/b", "", "a b?c#é"])
async def test_a_late_event_never_replaces_a_newer_value(
    real: RealTelemetry, adapter: Adapter, event_type: str
) -> None:
    await verdict(adapter, claimed(event_type, "older", ts=OLD))
    await verdict(adapter, claimed(event_type, "newer", ts=NEW))
    assert current(real, event_type) == "newer"
    await verdict(adapter, claimed(event_type, "late", ts=OLD))

    assert current(real, event_type) == "newer"
    assert [record["data"] for record in stored(real)] == ["older", "newer", "late"]


async def test_an_event_that_the_server_judges_is_rejected_in_its_words(
    adapter: Adapter,
) -> None:
    judged = await verdict(adapter, a_claim({"type": "weather"}))

    assert type(judged) is Rejected
    assert "Field required" in judged.detail


async def test_a_server_that_stores_and_then_fails_leaves_the_event_in_doubt_and_it_is_found(
    real: RealTelemetry, adapter: Adapter
) -> None:
    claim = claimed(data="\ud800")  # intake refuses it; here it stands for any late 500
    # It closes the connection a moment after a 500, so that one is not used again here.
    later = KIND.adapter(a_site(real.url, real.site_dir, now=now))

    assert type(await verdict(adapter, claim)) is Uncertain
    assert await found(later, claim) == [claim.id]
    await later.close()


async def test_a_value_that_the_server_cannot_show_is_healed_by_the_next_event(
    real: RealTelemetry, adapter: Adapter
) -> None:
    poison, healing = claimed(data="\ud800"), claimed(data="fine")
    other = KIND.adapter(a_site(real.url))
    await verdict(other, poison)
    await other.close()

    assert await verdict(adapter, healing) == Receipt(healing.id, healing.id)
    assert current(real) == "fine"


async def test_a_killed_server_is_unreachable_and_takes_the_event_when_it_is_back(
    real: RealTelemetry, adapter: Adapter
) -> None:
    before, after = claimed(), claimed(data="later")
    await verdict(adapter, before)
    real.kill()

    assert type(await verdict(adapter, after)) is Unreachable
    with pytest.raises(Unreachable):
        await found(adapter, before)

    real.start()
    assert await found(adapter, before) == [before.id]
    assert await verdict(adapter, after) == Receipt(after.id, after.id)
    assert [record["data"] for record in stored(real)] == ["clear", "later"]


# Runs, and the count


def a_run(kind: str, **payload: Any) -> Claim:
    return a_claim(payload, kind=kind, created_at=now(), accepted_at=now())


async def test_a_run_is_started_and_stopped_once_and_looked_for_by_our_id(
    real: RealTelemetry, adapter: Adapter
) -> None:
    start, stop = a_run("run_start", run_id="X", meta={"k": 1}), a_run("run_stop", run_id="X")
    inside = claimed(make_current=False)

    verdicts = await adapter.deliver([start, inside])
    shown = run_meta(real)
    again, other = await verdict(adapter, start), await verdict(adapter, a_run("run_start"))
    looked = await found(adapter, start), await found(adapter, stop)
    ended = [await verdict(adapter, stop), await verdict(adapter, stop)]

    assert verdicts == [Receipt(start.id, start.id), Receipt(inside.id, inside.id)]
    assert (shown["holdfast_id"], shown["k"], shown["run_id"]) == (start.id, 1, "X")
    assert again == Receipt(start.id, start.id, duplicate=True)
    assert type(other) is Rejected
    assert looked == ([start.id], [])
    assert ended == [Receipt(stop.id, stop.id, duplicate=twice) for twice in (False, True)]
    (record,) = (real.site_dir / "X" / "telemetry.ndjson").read_text().splitlines()
    assert json.loads(record)["meta"]["event_id"] == inside.id


async def test_a_start_waits_for_the_run_of_somebody_else_and_its_stop_is_by_the_servers_clock(
    real: RealTelemetry, adapter: Adapter
) -> None:
    start_run(real, "theirs")
    long_ago = now() - 3_600_000
    late = a_claim({}, kind="run_stop", created_at=long_ago, accepted_at=long_ago)

    assert type(await verdict(adapter, a_run("run_start"))) is Refused
    assert await verdict(adapter, late) == Receipt(late.id, late.id, duplicate=True)
    meant = a_run("run_stop")
    assert await verdict(adapter, meant) == Receipt(meant.id, meant.id)


async def test_an_event_of_another_run_waits_until_that_one_is_over(real: RealTelemetry) -> None:
    options = Options(site_dir=real.site_dir, ended_runs="wait")
    adapter = KIND.adapter(a_site(real.url, now=now, options=options))
    start_run(real, "Y")
    late, own = claimed(meta={"run_id": "X"}), claimed(meta={"run_id": "Y"})

    parked = await verdict(adapter, late)
    assert isinstance(parked, Parked)
    assert parked.scope == "run/X"
    assert await verdict(adapter, own) == Receipt(own.id, own.id)
    await verdict(adapter, a_run("run_stop"))
    assert await verdict(adapter, late) == Receipt(late.id, late.id)
    await adapter.close()

    (record,) = stored(real)
    assert record["meta"] == {"run_id": "X", "origin_run_id": "X", "event_id": late.id}


async def test_a_probe_is_counted_and_seen_nowhere(real: RealTelemetry) -> None:
    adapter = KIND.adapter(a_site(real.url, now=now, options=Options(sole_writer=True)))
    first, second = claimed(make_current=False), claimed(make_current=False)
    await verdict(adapter, first)
    # As if the answer had been lost: the server has counted what the adapter does not know of.
    await adapter._count.open(second.id)
    before = await found(adapter, second)
    posted_past_us(real, second)
    after = await found(adapter, second)
    await adapter.close()

    assert (before, after) == ([], [second.id])
    assert [record["meta"]["event_id"] for record in stored(real)] == [first.id, second.id]
    assert current_types(real) == set()


# Questions


async def test_every_question_is_answered_as_the_emulator_answers_it(
    real: RealTelemetry, adapter: Adapter
) -> None:
    reader = TelemetryReader(a_site(real.url))
    asked = Questioner(reader)
    odd = "a b?c#é%2F"
    nothing = [await asked.live(one) for one in ("current", "current/weather", "run")]
    for event_type in ("weather", "a/b", "", odd):
        await verdict(adapter, claimed(event_type, {"n": [1, 1.0]}, ts=NEW))
    start_run(real, "007")

    everything = (await asked.live("current")).data
    ones = [(await asked.live("current", type=one)).data for one in everything]
    run, ready, health = [(await asked.live(one)).data for one in ("run", "ready", "health")]

    assert [one.data for one in nothing] == [{}, None, None]
    assert set(everything) == {"weather", "a/b", "", odd}
    assert ones == list(everything.values())
    assert (everything["weather"]["ts"], everything["weather"]["data"]) == (NEW, {"n": [1, 1.0]})
    assert (run["run_id"], ready["run_active"], health) == ("007", True, {"ok": True})
    other = KIND.adapter(a_site(real.url))
    assert type(await verdict(other, claimed("poison", "\ud800"))) is Uncertain
    await other.close()
    with pytest.raises(Refused, match="one type alone"):
        await asked.live("current")
    with pytest.raises(Refused, match="this value that it cannot show"):
        await asked.live("current/poison")
    assert (await asked.live("current/weather")).data == everything["weather"]
    await reader.close()
