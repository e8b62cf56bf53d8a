"""Every answer that HTTP can carry, to every request of every adapter: only its own word counts.

Statuses 100 to 199 are not here: no final answer can have one (test_http_errors.py shows what
becomes of them).
"""

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus

import httpx
import pytest

from adapters.registry import KINDS
from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Held,
    Parked,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Receipt
from tests.matrix import BODIES, HTML, ROWS, TEXT, Asking, Row, Said

WITHOUT_BODY = (204, 205, 304)
KNOWN = {*map(int, HTTPStatus), *range(520, 531)} & set(range(200, 600))
LOCATIONS = ({}, {"location": "http://elsewhere.test/"}, {"location": "/login"}, {"location": "::"})


@pytest.fixture(params=ROWS, ids=str)
async def asking(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Asking]:
    asking = Asking(request.param)
    network = asking.network

    async def answer(transport: object, sent: httpx.Request) -> httpx.Response:
        return await network(transport, sent)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    yield asking
    await asking.adapter.close()


def answers(row: Row) -> Iterator[Said]:
    """All bodies with each status that has a name, one of them in turn with each that has none.

    What the backend itself says comes with every status, and as a web page and a text, too.
    """
    said = [*row.proofs, *row.words]
    own = dict.fromkeys((one.media, one.body) for one in said)
    foreign = list(BODIES.values())
    for status in [*range(200, 600), 600, 999]:
        turn = foreign[status % len(foreign)]
        chosen = foreign if status in KNOWN else [turn]
        for media, body in [*chosen, *own]:
            yield Said(status, media, b"" if status in WITHOUT_BODY else body)
    for one in said if row.labels else ():
        yield Said(one.status, HTML, one.body)
        yield Said(one.status, TEXT, one.body)


def test_every_kind_of_entry_of_every_backend_has_a_row() -> None:
    delivered = {(row.kind, row.entry) for row in ROWS if not row.find and not row.probes}
    sought = {(row.kind, row.entry) for row in ROWS if row.find}

    for name, kind in KINDS.items():
        for entry, what in kind.kinds.items():
            assert (name, entry) in delivered
            assert (name, entry) in sought or what.in_doubt == "resend"


async def test_the_backends_own_proof_is_a_receipt(asking: Asking) -> None:
    for proof in asking.row.proofs:
        assert isinstance(await asking.outcome(proof), Receipt), proof


async def test_nothing_else_proves_or_judges_anything(asking: Asking) -> None:
    row = asking.row
    seen: set[str] = set()
    for number, answer in enumerate(answers(row)):
        headers = LOCATIONS[number % len(LOCATIONS)] if 300 <= answer.status < 400 else {}
        outcome = await asking.outcome(answer, **headers)
        seen.add(type(outcome).__name__)
        check(row, answer, outcome)
    assert row.probes or not row.proofs or "Receipt" in seen, "the row's own proof is among them"


def check(row: Row, answer: Said, outcome: Receipt | DeliveryError | None) -> None:
    told = f"{row}: {answer} -> {outcome!r}"
    assert not row.apart or isinstance(outcome, Receipt | Parked), told
    match outcome:
        case Receipt():
            assert answer in row.proofs or row.probes, told
        case None:
            assert row.absences(answer), told
        case Rejected() | BatchRefused():
            assert row.judges(answer), told
        case Parked():
            assert row.parks(answer), told
        case Held():
            assert row.holds(answer), told
        case Unreachable():
            assert row.probes, told  # something else was sent, and answered
        case Throttled():
            assert answer.status == 429, told
        case Refused():
            assert answer.status < 500 or answer.status > 599, told
            assert outcome.credentials == (answer.status in (401, 407)), told
            # What took the request without being the backend may have passed it on.
            sent = not row.find and not row.probes
            assert outcome.landed or answer.status >= 300 or not sent, told
        case Uncertain():
            refuses_us = answer.status in (401, 403, 407, 429) or 300 <= answer.status < 400
            assert not refuses_us or row.asks.endswith("/runs"), told
        case _:
            pytest.fail(f"no verdict at all: {told}")


async def test_a_wait_that_is_asked_for_is_obeyed_whatever_the_page(asking: Asking) -> None:
    if asking.row.after or asking.row.asks.endswith("/runs"):
        return
    for status in (429, 503):
        for media, body in BODIES.values():
            outcome = await asking.outcome(Said(status, media, body), **{"retry-after": "7"})
            expected = Parked if asking.row.apart else Throttled
            assert isinstance(outcome, expected), (status, body)
            assert outcome.retry_after == 7


@pytest.mark.parametrize("status", [401, 407])
async def test_a_refused_secret_is_not_shown_a_second_time(asking: Asking, status: int) -> None:
    asking.network.everywhere = True

    outcome = await asking.outcome(Said(status, None, b""))

    if asking.row.apart:
        assert isinstance(outcome, Parked)
        assert outcome.side == "credentials"
    else:
        assert isinstance(outcome, Refused)
        assert outcome.credentials
    assert len(asking.network.sent) == 1
