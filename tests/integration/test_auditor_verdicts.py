"""What the auditor adapter makes of every answer, per endpoint: only AUDITOR's own is proof."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.auditor import AuditorAdapter
from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Parked,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Verdict,
)
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.auditor_lane import site_of
from tests.emulators.kit import Served

ADD = {"record_id": "r1", "components": [], "start_time": "2024-01-01T00:00:00Z"}
UPDATE = {"record_id": "r1", "components": [], "stop_time": "2024-01-01T00:00:00Z"}
RECORD = a_claim(ADD, kind="record")
CLAIMS = {
    "record": [RECORD],
    "batch": [RECORD, a_claim({**ADD, "record_id": "r2"}, kind="record")],
    "update": [a_claim(UPDATE, kind="record_update")],
}
WARNING = '{"warning":"Record already exists, but the error was ignored."}'
UNKNOWN = "Updating unknown record r1 not possible."
ROUTER = "The requested resource was not found. 404 Not Found"
PAGE = "<!doctype html><title>Sign in</title>"
HTML, TEXT, JSON = "text/html", "text/plain; charset=utf-8", "application/json"


class Canned:
    """A server with one answer to everything."""

    def __init__(self) -> None:
        self.reply = Response()
        self.body = b""
        self.app = Starlette(
            routes=[Route("/{path:path}", self.answer, methods=["GET", "POST", "PUT"])]
        )

    async def answer(self, request: Request) -> Response:
        self.body = await request.body()
        return self.reply

    def ledger(self) -> list[dict[str, Any]]:
        return []


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Canned()) as server:
        yield server


@pytest.fixture
async def adapter(server: Served) -> AsyncIterator[AuditorAdapter]:
    server.heal()
    adapter = AuditorAdapter(site_of(server.url))
    yield adapter
    await adapter.close()


async def verdicts_of(adapter: AuditorAdapter, claims: list[Claim]) -> Verdict:
    """The one verdict of all the claims."""
    given = await adapter.deliver(claims)
    assert len(given) == len(claims)
    assert len({type(one) for one in given}) == 1
    return given[0]


def reply(server: Served, status: int, media: str | None, body: str, **headers: str) -> None:
    assert isinstance(server.emulator, Canned)
    server.emulator.reply = Response(body, status, headers)
    if media is not None:
        server.emulator.reply.headers["content-type"] = media


# status, content type, body -> record, batch, update
TABLE = [
    (200, None, "", Receipt, Receipt, Receipt),
    (200, HTML, "", Refused, Refused, Refused),
    (200, JSON, "", Refused, Refused, Refused),
    (200, None, " ", Refused, Refused, Refused),
    (200, None, "\r\n", Refused, Refused, Refused),
    (200, HTML, PAGE, Refused, Refused, Refused),
    (200, JSON, "null", Refused, Refused, Refused),
    (200, JSON, "{}", Refused, Refused, Refused),
    (200, JSON, "[]", Refused, Refused, Refused),
    (200, JSON, '{"success":true}', Refused, Refused, Refused),
    (200, JSON, '{"warning":"disk nearly full"}', Refused, Refused, Refused),
    (200, JSON, '{"warning":null}', Refused, Refused, Refused),
    (200, JSON, "[" * 100_000, Refused, Refused, Refused),
    (200, TEXT, "RECORD_EXISTS", Refused, Refused, Refused),
    (200, JSON, WARNING, Receipt, BatchRefused, Refused),
    (201, None, "", Refused, Refused, Refused),
    (202, JSON, '{"id":1}', Refused, Refused, Refused),
    (301, None, "", Refused, Refused, Refused),
    (400, TEXT, "Json deserialize error: x at line 1", Rejected, BatchRefused, Rejected),
    (400, None, "Json deserialize error: x at line 1", Rejected, BatchRefused, Rejected),
    (400, TEXT, "Content type error", Refused, Refused, Refused),
    (400, None, "", Refused, Refused, Refused),
    (400, HTML, PAGE, Refused, Refused, Refused),
    (400, TEXT, PAGE, Refused, Refused, Refused),
    (400, JSON, '{"detail":"no"}', Refused, Refused, Refused),
    (401, None, "", Refused, Refused, Refused),
    (403, TEXT, "Insufficient permissions", Refused, Refused, Refused),
    (404, None, ROUTER, Refused, Refused, Refused),
    (404, HTML, PAGE, Refused, Refused, Refused),
    (404, TEXT, UNKNOWN, Refused, Refused, Parked),
    (405, None, "", Refused, Refused, Refused),
    (408, None, "", Uncertain, Uncertain, Uncertain),
    (409, JSON, "{}", Refused, Refused, Refused),
    (413, TEXT, "JSON payload has exceeded limit", Rejected, BatchRefused, Rejected),
    (413, HTML, PAGE, Rejected, BatchRefused, Rejected),
    (422, JSON, '{"detail":[]}', Refused, Refused, Refused),
    (429, None, "", Throttled, Throttled, Throttled),
    (500, None, "RECORD_EXISTS", Receipt, BatchRefused, Uncertain),
    (500, None, "RECORD_EXISTS\n", Uncertain, Uncertain, Uncertain),
    (500, JSON, '"RECORD_EXISTS"', Uncertain, Uncertain, Uncertain),
    (500, None, "UNEXPECTED_ERROR", Uncertain, Uncertain, Uncertain),
    (500, None, "", Uncertain, Uncertain, Uncertain),
    (500, HTML, PAGE, Uncertain, Uncertain, Uncertain),
    (502, HTML, PAGE, Uncertain, Uncertain, Uncertain),
    (503, HTML, PAGE, Uncertain, Uncertain, Uncertain),
    (504, HTML, PAGE, Uncertain, Uncertain, Uncertain),
]


async def test_what_goes_out_is_the_producers_own_text(
    server: Served, adapter: AuditorAdapter
) -> None:
    text = '{ "start_time":"2024-01-01T00:00:00Z", "record_id" : "ü%s","components":[ ]}'
    claims = [dataclasses.replace(RECORD, payload=text % n) for n in "12"]
    reply(server, 200, None, "")

    for sent, body in ((claims[:1], claims[0].payload), (claims, f"[{text % 1},{text % 2}]")):
        await verdicts_of(adapter, sent)
        assert isinstance(server.emulator, Canned)
        assert server.emulator.body == body.encode()


@pytest.mark.parametrize(("status", "media", "body", "record", "batch", "update"), TABLE)
async def test_each_answer_has_its_verdict(
    server: Served,
    adapter: AuditorAdapter,
    status: int,
    media: str | None,
    body: str,
    record: type,
    batch: type,
    update: type,
) -> None:
    reply(server, status, media, body)

    given = {name: type(await verdicts_of(adapter, claims)) for name, claims in CLAIMS.items()}

    assert given == {"record": record, "batch": batch, "update": update}


@pytest.mark.parametrize("status", [100, 101, 103, 199])
async def test_a_status_that_announces_another_is_a_lost_answer(
    server: Served, status: int
) -> None:
    adapter = AuditorAdapter(site_of(server.url, timeout_seconds=0.1))
    server.heal()
    server.fault("status", status=status)

    assert isinstance(await verdicts_of(adapter, CLAIMS["record"]), Uncertain)
    await adapter.close()


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_no_status_without_a_body_but_200_is_proof(
    server: Served, adapter: AuditorAdapter, status: int
) -> None:
    reply(server, status, None, "")

    for claims in CLAIMS.values():
        assert isinstance(await verdicts_of(adapter, claims), Refused)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("drop_before", Uncertain),
        ("drop_after", Uncertain),
        ("html", Refused),
        ("empty", Refused),
        ("redirect", Refused),
        ("retry_after", Throttled),
        ("status_after", Uncertain),
    ],
)
@pytest.mark.parametrize("name", CLAIMS)
async def test_each_trouble_on_the_way_has_its_verdict(
    server: Served, adapter: AuditorAdapter, mode: str, expected: type, name: str
) -> None:
    reply(server, 200, None, "")
    server.fault(mode)

    assert type(await verdicts_of(adapter, CLAIMS[name])) is expected


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_cut_answer_proves_nothing(
    server: Served, adapter: AuditorAdapter, name: str
) -> None:
    reply(server, 500, None, "RECORD_EXISTS")
    server.fault("truncate")

    assert type(await verdicts_of(adapter, CLAIMS[name])) is Uncertain


@pytest.mark.parametrize(
    ("status", "body", "landed"), [(200, PAGE, True), (201, "", True), (404, PAGE, False)]
)
async def test_a_foreign_success_may_have_landed_and_a_foreign_refusal_not(
    server: Served, adapter: AuditorAdapter, status: int, body: str, *, landed: bool
) -> None:
    reply(server, status, HTML, body)

    refused = await verdicts_of(adapter, CLAIMS["record"])

    assert isinstance(refused, Refused)
    assert refused.landed is landed
    assert server.url in refused.detail


async def test_the_wait_that_the_server_asks_for_is_passed_on(
    server: Served, adapter: AuditorAdapter
) -> None:
    reply(server, 429, None, "", **{"retry-after": "17"})

    throttled = await verdicts_of(adapter, CLAIMS["batch"])

    assert isinstance(throttled, Throttled)
    assert throttled.retry_after == 17


async def test_wrong_credentials_are_told_apart(server: Served, adapter: AuditorAdapter) -> None:
    for status, expected in ((401, True), (407, True), (403, False), (405, False)):
        reply(server, status, None, "")
        refused = await verdicts_of(adapter, CLAIMS["record"])
        assert isinstance(refused, Refused)
        assert refused.credentials is expected


@pytest.mark.parametrize(
    ("status", "media", "body", "expected"),
    [
        (200, JSON, '{"record_id":"other"}', Uncertain),
        (200, JSON, '["r1"]', Uncertain),
        (200, JSON, "null", Uncertain),
        (200, None, "", Uncertain),
        (200, HTML, PAGE, Uncertain),
        (404, None, ROUTER, Uncertain),
        (500, JSON, '{"record_id":"r1"}', Uncertain),
        (401, None, "", Refused),
        (403, None, "Insufficient permissions", Refused),
        (429, None, "", Throttled),
    ],
)
async def test_a_search_believes_only_the_record_itself(
    server: Served,
    adapter: AuditorAdapter,
    status: int,
    media: str | None,
    body: str,
    expected: type[DeliveryError],
) -> None:
    reply(server, status, media, body)

    with pytest.raises(expected):
        await adapter.find(Doubt(RECORD, NOW, NOW))
