"""What each backend's answers say of what it once confirmed, and what no answer ever says."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.base import Adapter, AuthOptions, Site, TlsOptions
from adapters.registry import KINDS
from adapters.verdict import DeliveryError, Parked, Uncertain
from storage.entry import Delivered
from tests.builders import NOW
from tests.matrix import BODIES, JSON, Said, said

Answers = Mapping[str, Said]  # by how a request begins

ID = "01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T"
POST_ID = "5f0000000000000000000001"
LOGBOOK = "/ws/lgbk/lgbk/mfxl1000123/ws"
UNKNOWN = "A database error was encountered while trying to get a record from the database"
CRASH = Said(500, JSON, b"<!doctype html><html><body>Internal Server Error</body></html>")


def delivered(kind: str, remote_id: str, payload: Any = None, url: str | None = None) -> Delivered:
    text = None if payload is None else json.dumps(payload)
    return Delivered(ID, kind, "k", remote_id, url, NOW, kept=text is not None, payload=text)


EVENT = delivered("event", ID)
POST = delivered("post", POST_ID, url=f"http://b.test{LOGBOOK}/search_elog?_id={POST_ID}")
PARAMS = {"experiment": "mfxl1000123", "run": 7, "params": {"a.b": 1}}
RUN = delivered("run_params", f"run/{ID}", PARAMS)
RECORD = delivered("record", "r/1")
STOP = {"record_id": "r/1", "stop_time": "2026-11-24T10:00:00Z"}
UPDATE = delivered("record_update", "r/1@x", STOP)

FIND = "GET " + LOGBOOK + "/search_elog"
RUNS, RUN_7 = f"GET {LOGBOOK}/runs?", f"GET {LOGBOOK}/runs/7"
SHOWS_RECORD, HEALTH = "GET /record/", "GET /health_check"
NO_RECORD = said(500, {"error": UNKNOWN})
WELL = Said(200, None, b"")


def value(found: Any) -> Said:
    return said(200, {"success": True, "value": found})


CASES: list[tuple[str, Delivered, Answers, bool | None]] = [
    ("event_manager", EVENT, {"GET /event/": said(200, {"_id": ID, "archived": True})}, True),
    (
        "event_manager",
        EVENT,
        {"GET /event/": said(404, {"detail": f"Event with ID {ID} not found"})},
        False,
    ),
    ("elog", POST, {FIND: value([{"_id": "other"}, {"_id": POST_ID, "deleted_by": "x"}])}, True),
    ("elog", POST, {FIND: value([])}, False),
    ("elog", delivered("post", POST_ID), {}, None),
    ("elog", RUN, {RUN_7: value({"num": 7, "params": {"a_b": 0, "a.b": 0, "a\uff0eb": 0}})}, True),
    ("elog", RUN, {RUN_7: value({"num": 7, "params": {"c": 1}})}, False),
    ("elog", RUN, {RUN_7: CRASH, RUNS: value([{"num": 1}])}, False),
    ("elog", delivered("run_params", f"run/{ID}"), {}, None),
    ("elog", delivered("workflow", "w"), {}, None),
    ("auditor", RECORD, {SHOWS_RECORD: said(200, {"record_id": "r/1"})}, True),
    ("auditor", RECORD, {SHOWS_RECORD: NO_RECORD, HEALTH: WELL}, False),
    (
        "auditor",
        UPDATE,
        {SHOWS_RECORD: said(200, {"record_id": "r/1", "stop_time": "2026-11-24T11:00:00+01:00"})},
        True,
    ),
    ("auditor", UPDATE, {SHOWS_RECORD: said(200, {"record_id": "r/1", "stop_time": None})}, None),
    ("auditor", UPDATE, {SHOWS_RECORD: NO_RECORD, HEALTH: WELL}, False),
    ("auditor", delivered("record_update", "r/1@x"), {}, None),
    ("telemetry", EVENT, {}, None),
]

Ask = Callable[..., Any]


@pytest.fixture
def adapter_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Adapter]:
    """An adapter whose requests get these answers."""

    def made(kind: str, answers: Answers, **options: Any) -> Adapter:
        async def answer(_: object, request: httpx.Request) -> httpx.Response:
            asked = f"{request.method} {request.url.path}?{request.url.query.decode()}"
            for begin, one in answers.items():
                if asked.startswith(begin):
                    return one.response()
            raise AssertionError(f"{asked} was not to be asked")

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
        return KINDS[kind].adapter(
            Site(
                name="b",
                url="http://b.test",
                timeout_seconds=5,
                attempt_timeout_seconds=5,
                concurrency=1,
                auth=AuthOptions(),
                tls=TlsOptions(),
                options=KINDS[kind].options(**options),
                read_secret=str,
                now=lambda: NOW,
            )
        )

    return made


@pytest.mark.parametrize(("kind", "receipt", "answers", "expected"), CASES)
async def test_a_backends_own_word_tells(
    adapter_of: Ask, kind: str, receipt: Delivered, answers: Answers, expected: bool | None
) -> None:
    assert await adapter_of(kind, answers).holds(receipt) is expected


@pytest.mark.parametrize(
    ("kind", "receipt", "asked"),
    [
        ("event_manager", EVENT, "GET /event/"),
        ("elog", POST, FIND),
        ("elog", RUN, f"GET {LOGBOOK}/runs"),
        ("auditor", RECORD, "GET /"),
        ("auditor", UPDATE, "GET /"),
    ],
)
async def test_nothing_that_is_not_the_backends_own_word_tells(
    adapter_of: Ask, kind: str, receipt: Delivered, asked: str
) -> None:
    answers: dict[str, Said] = {}
    adapter = adapter_of(kind, answers)
    for status in (200, 201, 204, 302, 400, 401, 403, 404, 422, 429, 500, 502, 503):
        for media, body in BODIES.values():
            answers[asked] = Said(status, media, b"" if status in (204, 302) else body)
            with pytest.raises(DeliveryError):
                await adapter.holds(receipt)


@pytest.mark.parametrize(("status", "error"), [(403, Parked), (500, Uncertain), (502, Uncertain)])
async def test_a_record_is_missing_only_while_its_database_is_well(
    adapter_of: Ask, status: int, error: type[DeliveryError]
) -> None:
    answers = {SHOWS_RECORD: NO_RECORD, HEALTH: Said(status, None, b"")}

    with pytest.raises(error, match="well"):
        await adapter_of("auditor", answers).holds(RECORD)


@pytest.mark.parametrize(
    ("payload", "written", "expected"),
    [
        ({"type": "t", "data": {}}, ID, True),
        ({"type": "t", "data": {}}, "other", False),
        ({"type": "t", "data": {}, "store_permanently": False}, ID, None),
        (None, ID, None),
    ],
)
async def test_a_telemetry_event_is_looked_for_in_the_files(
    adapter_of: Ask, tmp_path: Path, payload: Any, written: str, expected: bool | None
) -> None:
    line = {"seq": 1, "type": "t", "data": {}, "meta": {"event_id": written}}
    (tmp_path / "site_20991231.ndjson").write_text(json.dumps(line) + "\n")
    answers = {"GET /run": said(404, {"detail": "No run is active"})}
    adapter = adapter_of("telemetry", answers, site_dir=tmp_path)

    # The files of this test are of today, whatever day the receipt is of.
    receipt = Delivered(ID, "event", "k", ID, None, 0, payload=payload and json.dumps(payload))
    assert await adapter.holds(receipt) is expected
