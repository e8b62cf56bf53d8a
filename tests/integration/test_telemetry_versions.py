"""Telemetry servers of other versions: an event's own time survives on each of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.telemetry import KIND
from adapters.verdict import DeliveryError, Uncertain, Unreachable
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site

MADE = "2026-01-01T00:00:00.123Z"
NEWER = "2026-01-01T00:00:01.000Z"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture
async def adapter(server: Served, tmp_path: Path) -> AsyncIterator[Adapter]:
    server.serve(TelemetryEmulator(tmp_path))
    made = KIND.adapter(a_site(server.url, tmp_path))
    yield made
    await made.close()


def an_event(ts: str = MADE, **fields: Any) -> Claim:
    return a_claim({"type": "weather", "data": 1, "ts": ts, **fields})


async def verdict(adapter: Adapter, claim: Claim) -> Receipt | DeliveryError:
    (only,) = await adapter.deliver([claim])
    return only  # type: ignore[return-value]


def origins(server: Served) -> list[str | None]:
    return [one["meta"].get("origin_ts") for one in server.emulator.ledger()]


def asked(server: Served) -> int:
    return int(server.faulty.requests["GET /ready"])


@pytest.mark.parametrize(
    ("version", "kept", "origin"),
    [("0.3.3", False, MADE), ("0.3.5", False, MADE), ("0.3.7", True, None), ("0.5.3", True, None)],
)
async def test_where_the_time_is_not_kept_it_is_told_in_meta(
    server: Served, adapter: Adapter, version: str, *, kept: bool, origin: str | None
) -> None:
    server.emulator.version = version

    assert isinstance(await verdict(adapter, an_event()), Receipt)
    (stored,) = server.emulator.ledger()
    assert (stored["ts"] == MADE) is kept
    assert stored["meta"].get("origin_ts") == origin


async def test_a_word_of_the_producer_is_left_alone(server: Served, adapter: Adapter) -> None:
    server.emulator.version = "0.3.3"
    await verdict(adapter, an_event(meta={"origin_ts": "theirs"}))

    assert origins(server) == ["theirs"]


async def test_the_version_is_asked_once(server: Served, adapter: Adapter) -> None:
    server.emulator.version = "0.3.5"
    for _ in range(3):
        await verdict(adapter, an_event())

    assert (asked(server), origins(server)) == (1, [MADE] * 3)


@pytest.mark.parametrize("found", [False, True], ids=["sending", "looking"])
async def test_a_server_that_was_away_may_come_back_as_another(
    server: Served, adapter: Adapter, found: bool
) -> None:
    await verdict(adapter, an_event())
    server.fault("drop_before", times=1)
    if found:
        with pytest.raises(Uncertain):
            await adapter.find(Doubt(an_event(), NOW, NOW))
    else:
        assert isinstance(await verdict(adapter, an_event()), Unreachable)
    server.emulator.version = "0.3.3"
    await verdict(adapter, an_event())

    assert origins(server) == [None, MADE]


@pytest.mark.parametrize("status", [404, 405, 500])
async def test_where_no_version_is_told_the_echo_shows_it(
    server: Served, adapter: Adapter, status: int
) -> None:
    server.fault("status", path="/ready", status=status)
    for _ in range(2):
        await verdict(adapter, an_event())

    assert origins(server) == [MADE, None]


async def test_what_the_echo_shows_counts_more_than_a_version(
    server: Served, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.emulator.version = "0.3.3"
    monkeypatch.setattr("adapters.telemetry.versions.TIMES_SINCE", (0, 3, 0))
    for _ in range(2):
        await verdict(adapter, an_event())

    assert origins(server) == [None, MADE]


async def test_nothing_is_sent_before_the_version_is_known(
    server: Served, adapter: Adapter
) -> None:
    server.fault("drop_before", path="/ready", times=1)

    assert isinstance(await verdict(adapter, an_event()), Unreachable)
    assert server.faulty.requests["POST /event"] == 0


@pytest.mark.parametrize(("ts", "shown"), [(NEWER, NEWER), (MADE, MADE), ("junk", "junk")])
async def test_an_old_server_shows_the_newest_by_the_time_it_was_made(
    server: Served, adapter: Adapter, ts: str, shown: str
) -> None:
    """The times of arrival that it shows itself are all later than these."""
    server.emulator.version = "0.3.3"
    await verdict(adapter, an_event())
    await verdict(adapter, an_event(ts))
    await verdict(adapter, an_event("2025-12-31T00:00:00Z"))

    current = server.emulator.store.snapshot()["weather"]["meta"]["origin_ts"]
    assert current == shown


async def test_an_event_that_an_old_server_stamped_is_found(
    server: Served, adapter: Adapter
) -> None:
    server.emulator.version = "0.3.3"
    claim = an_event(make_current=False)
    await verdict(adapter, claim)

    assert [one.remote_id for one in await adapter.find(Doubt(claim, NOW, NOW))] == [claim.id]
