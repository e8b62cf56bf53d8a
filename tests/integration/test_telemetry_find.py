"""A telemetry event whose answer was lost is found: among the current values, in the files."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.telemetry import KIND
from adapters.verdict import DeliveryError, Refused, Throttled, Uncertain, Unreachable
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site

SENT = datetime.fromtimestamp(NOW / 1000, UTC)
DAY_SECONDS = 86_400


def claimed(**payload: Any) -> Claim:
    return a_claim({"type": "weather", "data": {"sky": "clear"}, **payload})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path / "site", now=lambda: SENT))
    return server


MakeAdapter = Callable[[Path | None], Adapter]


@pytest.fixture
async def adapter_with(served: Served) -> AsyncIterator[MakeAdapter]:
    """Makes the adapter, with or without the server's site folder."""
    made: list[Adapter] = []

    def make(site_dir: Path | None = None) -> Adapter:
        made.append(KIND.adapter(a_site(served.url, site_dir)))
        return made[-1]

    yield make
    for adapter in made:
        await adapter.close()


async def found(adapter: Adapter, claim: Claim, sent_at: int = NOW) -> list[str]:
    """The remote ids of what is found. A receipt that is not the entry's fails here."""
    receipts = await adapter.find(Doubt(claim, sent_at, sent_at))
    assert receipts == [Receipt(claim.id, receipt.remote_id) for receipt in receipts]
    return [receipt.remote_id for receipt in receipts]


@pytest.mark.parametrize(
    ("mode", "landed"),
    [("drop_before", False), ("drop_after", True), ("truncate", True), ("status_after", True)],
)
@pytest.mark.parametrize("make_current", [True, False])
async def test_after_a_lost_answer_the_event_is_found_exactly_when_it_landed(
    served: Served, adapter_with: MakeAdapter, mode: str, landed: bool, make_current: bool
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed(make_current=make_current)
    served.fault(mode, path="/event", times=1)

    (verdict,) = await adapter.deliver([claim])

    assert type(verdict) is Uncertain
    assert await found(adapter, claim) == ([claim.id] if landed else [])


async def test_without_the_files_an_event_is_found_only_while_it_is_current(
    adapter_with: MakeAdapter,
) -> None:
    adapter, claim, later = adapter_with(None), claimed(), claimed(ts="2100-01-01T00:00:00Z")
    await adapter.deliver([claim])
    assert await found(adapter, claim) == [claim.id]

    await adapter.deliver([later])
    assert await found(adapter, claim) == []


@pytest.mark.parametrize("event_type", ["a/b", "", "..", "x" * 3000, "a b?c#é", "\u2028"])
async def test_any_type_is_found_among_the_current_values(
    adapter_with: MakeAdapter, event_type: str
) -> None:
    adapter, claim = adapter_with(None), claimed(type=event_type)
    await adapter.deliver([claim])

    assert await found(adapter, claim) == [claim.id]


async def test_an_event_is_found_in_its_file_after_a_restart_of_the_server(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed()
    await adapter.deliver([claim])
    served.emulator.restart()

    assert await found(adapter, claim) == [claim.id]


@pytest.mark.parametrize("run_dir", [None, "deeper/down", "outside"])
async def test_an_event_of_a_run_is_found_in_the_file_of_the_run(
    served: Served, adapter_with: MakeAdapter, tmp_path: Path, run_dir: str | None
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed(make_current=False)
    folder = str(tmp_path / "elsewhere") if run_dir == "outside" else run_dir
    served.emulator.store.start_run("007", folder, {})
    await adapter.deliver([claim])
    if run_dir != "outside":  # out there it is found as long as the run is active
        served.emulator.store.stop_run()

    assert await found(adapter, claim) == [claim.id]


async def test_an_event_on_a_line_that_begins_torn_is_found(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed(make_current=False)
    served.emulator.store.torn_writes = 1
    await adapter.deliver([claimed(data="torn")])
    await adapter.deliver([claim])

    assert await found(adapter, claim) == [claim.id]


async def test_an_event_that_is_only_quoted_by_another_is_not_found(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed()
    quoted = {"seq": 1, "type": "weather", "data": 1, "meta": {"event_id": claim.id}}
    await adapter.deliver([claimed(type="log", data=quoted)])

    assert await found(adapter, claim) == []


async def test_an_event_of_another_type_with_the_same_id_is_not_found(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter = adapter_with(served.emulator.site_dir)
    await adapter.deliver([claimed(type="other", meta={"event_id": "A1"})])

    assert await found(adapter, claimed(meta={"event_id": "A1"})) == []


async def test_an_event_for_memory_only_is_not_searched_in_the_files(
    adapter_with: MakeAdapter, tmp_path: Path
) -> None:
    adapter = adapter_with(tmp_path / "missing")

    assert await found(adapter, claimed(store_permanently=False)) == []


async def test_files_last_written_long_before_the_event_was_sent_are_passed_over(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed(make_current=False)
    await adapter.deliver([claim])
    (file,) = served.emulator.site_dir.glob("*.ndjson")

    os.utime(file, (0, NOW / 1000 - DAY_SECONDS + 1))
    assert await found(adapter, claim) == [claim.id]
    os.utime(file, (0, NOW / 1000 - DAY_SECONDS - 1))
    assert await found(adapter, claim) == []


async def test_a_clock_that_was_ahead_when_the_event_was_sent_hides_no_file(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed(make_current=False)
    await adapter.deliver([claim])
    (file,) = served.emulator.site_dir.glob("*.ndjson")
    os.utime(file, (0, NOW / 1000))

    assert await found(adapter, claim, sent_at=NOW + 10 * DAY_SECONDS * 1000) == [claim.id]


async def test_a_pipe_among_the_files_does_not_stop_the_search(
    served: Served, adapter_with: MakeAdapter
) -> None:
    os.mkfifo(served.emulator.site_dir / "site_pipe.ndjson")

    assert await found(adapter_with(served.emulator.site_dir), claimed()) == []


async def test_a_site_folder_that_is_not_there_is_said_and_proves_nothing(
    adapter_with: MakeAdapter, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"backends\.telemetry\.site_dir cannot be searched"):
        await found(adapter_with(tmp_path / "missing"), claimed())


async def test_a_poisoned_value_does_not_stop_the_search(
    served: Served, adapter_with: MakeAdapter
) -> None:
    adapter, claim = adapter_with(served.emulator.site_dir), claimed(make_current=False)
    await adapter.deliver([claim])
    poison = {"type": "weather", "data": "\ud800", "meta": {}}
    served.emulator.store.append(poison, None, make_current=True, permanently=True)

    assert await found(adapter, claim) == [claim.id]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"mode": "drop_before"}, Uncertain),
        ({"mode": "status", "status": 502}, Uncertain),
        ({"mode": "status", "status": 500}, Uncertain),
        ({"mode": "status", "status": 404}, Refused),
        ({"mode": "status", "status": 403}, Refused),
        ({"mode": "html"}, Refused),
        ({"mode": "empty"}, Refused),
        ({"mode": "redirect"}, Refused),
        ({"mode": "retry_after"}, Throttled),
    ],
)
async def test_who_cannot_look_does_not_say_that_nothing_is_there(
    served: Served, adapter_with: MakeAdapter, fault: dict[str, Any], error: type[DeliveryError]
) -> None:
    served.fault(**fault)

    with pytest.raises(error):
        await found(adapter_with(None), claimed())


async def test_a_server_that_is_away_cannot_be_asked(
    served: Served, adapter_with: MakeAdapter
) -> None:
    served.unplug()

    with pytest.raises(Unreachable):
        await found(adapter_with(served.emulator.site_dir), claimed())
