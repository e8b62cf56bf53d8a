"""What each answer of a telemetry server, or of a stranger in its place, means for an event."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.base import Adapter
from adapters.telemetry import KIND
from adapters.verdict import (
    DeliveryError,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Claim, Receipt
from tests.builders import a_claim
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site

WITHOUT_DATA = {"type": "weather"}  # intake would have refused it


def claimed(payload: dict[str, Any] | None = None, **changes: Any) -> Claim:
    """Not the newest of its type, so that POST /event is the only request."""
    fields = {"newest_of_slot": False, **changes}
    return a_claim(payload or {"type": "weather", "data": None}, **fields)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path))
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[Adapter]:
    made = KIND.adapter(a_site(served.url))
    yield made
    await made.close()


async def verdict(adapter: Adapter, claim: Claim) -> Receipt | DeliveryError:
    (only,) = await adapter.deliver([claim])
    return only


def expected_for(status: int) -> tuple[type[DeliveryError], bool, bool]:
    """The class of the verdict, `landed`, `credentials`."""
    if status == 408 or status >= 500:
        return Uncertain, False, False
    judged = {413: Rejected, 429: Throttled}.get(status, Refused)
    return judged, status < 300, status in (401, 407)


# The fault sends a page also where HTTP allows none, and that spoils the connection.
STATUSES = [status for status in range(200, 600) if status not in (204, 304)]


async def test_a_stranger_with_any_status_proves_nothing(served: Served, adapter: Adapter) -> None:
    fault, wrong = served.fault("status", path="/event"), {}
    for fault.status in STATUSES:
        found = await verdict(adapter, claimed())
        landed, credentials = getattr(found, "landed", False), getattr(found, "credentials", False)
        if (type(found), landed, credentials) != expected_for(fault.status):
            wrong[fault.status] = found

    assert wrong == {}


@pytest.mark.parametrize("status", [100, 101, 102, 199])
async def test_an_interim_answer_leaves_the_event_in_doubt(served: Served, status: int) -> None:
    served.fault("status", path="/event", status=status)
    adapter = KIND.adapter(a_site(served.url, attempt_timeout_seconds=0.5))
    found = await verdict(adapter, claimed())
    await adapter.close()

    assert type(found) is Uncertain or (isinstance(found, Refused) and found.landed)


@pytest.mark.parametrize(
    ("mode", "error", "landed"),
    [
        ("html", Refused, True),
        ("empty", Refused, True),
        ("redirect", Refused, False),
        ("retry_after", Throttled, False),
        ("drop_before", Uncertain, False),
        ("drop_after", Uncertain, False),
        ("truncate", Uncertain, False),
        ("hang", Uncertain, False),
        ("hang_after", Uncertain, False),
    ],
)
async def test_a_fault_on_the_way_has_its_verdict(
    served: Served, mode: str, error: type[DeliveryError], landed: bool
) -> None:
    served.fault(mode, path="/event", seconds=1.2)
    # Only what hangs may run into it: a busy machine takes its time for an answer, too.
    limit = 0.8 if mode.startswith("hang") else 20.0
    adapter = KIND.adapter(a_site(served.url, attempt_timeout_seconds=limit))
    found = await verdict(adapter, claimed())
    await adapter.close()

    assert type(found) is error
    assert getattr(found, "landed", False) is landed


async def test_a_server_that_is_away_is_unreachable(served: Served, adapter: Adapter) -> None:
    served.unplug()

    assert type(await verdict(adapter, claimed(newest_of_slot=True))) is Unreachable
    assert type(await verdict(adapter, claimed(newest_of_slot=False))) is Unreachable


async def test_the_judgement_of_the_server_is_kept_in_its_words(adapter: Adapter) -> None:
    found = await verdict(adapter, claimed(WITHOUT_DATA))

    assert type(found) is Rejected
    assert found.status == 422
    assert "Field required" in found.detail
    assert '"loc":["body","data"]' in str(found.excerpt)


async def test_a_server_that_cannot_write_leaves_the_event_in_doubt(
    served: Served, adapter: Adapter
) -> None:
    served.emulator.store.failing_writes = 1

    assert type(await verdict(adapter, claimed())) is Uncertain
    assert isinstance(await verdict(adapter, claimed()), Receipt)


class Stranger:
    """Whatever is asked of it, it answers the same."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.body, self.status = body, status
        methods = ["GET", "POST"]
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])

    def ledger(self) -> list[dict[str, Any]]:
        return []

    async def _answer(self, _: Request) -> Response:
        return Response(self.body, self.status, media_type="application/json")


ECHO = {"seq": 1, "ts": "", "type": "weather", "data": None, "meta": {"event_id": "A1"}}


async def answered(server: Served, body: bytes, status: int = 200) -> Receipt | DeliveryError:
    """The verdict on an event A1 when the server answers so."""
    server.serve(Stranger(body, status))
    adapter = KIND.adapter(a_site(server.url))
    claim = claimed({"type": "weather", "data": 1, "meta": {"event_id": "A1"}}, id="E1")
    found = await verdict(adapter, claim)
    await adapter.close()
    return found


async def test_the_echo_of_the_event_is_the_proof(server: Served) -> None:
    assert await answered(server, json.dumps(ECHO).encode()) == Receipt("E1", "A1")


@pytest.mark.parametrize(
    "body",
    [
        {**ECHO, "seq": None},
        {**ECHO, "seq": True},
        {**ECHO, "seq": "1"},
        {**ECHO, "type": "other"},
        {**ECHO, "meta": {"event_id": "A2"}},
        {**ECHO, "meta": {"event_id": 1}},
        {**ECHO, "meta": {}},
        {**ECHO, "meta": None},
        {name: value for name, value in ECHO.items() if name != "meta"},
        {"ok": True},
        {},
        [ECHO],
        "stored",
        None,
        5,
    ],
)
async def test_a_200_that_does_not_echo_the_event_is_no_proof(server: Served, body: Any) -> None:
    found = await answered(server, json.dumps(body).encode())

    assert type(found) is Refused
    assert found.landed


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 100_000, b'{"seq":1', b"NaN"])
async def test_a_body_that_is_no_json_is_no_proof(server: Served, body: bytes) -> None:
    found = await answered(server, body)

    assert type(found) is Refused
    assert found.landed


async def test_an_echo_counts_with_200_only(server: Served) -> None:
    found = await answered(server, json.dumps(ECHO).encode(), 201)

    assert type(found) is Refused
    assert found.landed


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"detail":"There was an error parsing the body"}', Rejected),
        (422, b'{"detail":[]}', Rejected),
        (400, b'{"error":"no such route"}', Refused),
        (422, b"<html>", Refused),
        (404, b'{"detail":"Not Found"}', Refused),
        (405, b'{"detail":"Method Not Allowed"}', Refused),
        (409, b'{"detail":"Run stream is unavailable because no run is active"}', Refused),
    ],
)
async def test_only_the_server_itself_can_judge_an_event(
    server: Served, status: int, body: bytes, error: type[DeliveryError]
) -> None:
    assert type(await answered(server, body, status)) is error
