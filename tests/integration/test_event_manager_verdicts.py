"""Every answer to the event_manager adapter has a verdict, whoever gives it."""

from collections.abc import Iterator

import pytest

from adapters.verdict import (
    DeliveryError,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Verdict,
)
from tests.builders import a_claim
from tests.emulators.event_manager_lane import Canned, adapter_for, found, verdict
from tests.emulators.kit import Served


@pytest.fixture(scope="module")
def canned_served() -> Iterator[Served]:
    # Shared: it holds nothing, and starting one for each answer would take most of the time.
    with Served(Canned()) as served:
        yield served


async def verdict_of(canned: Canned, served: Served, *, limit: float = 10) -> Verdict:
    """The verdict of posting an event with the id "mine" when this is the answer."""
    assert isinstance(served.emulator, Canned)
    served.emulator.become(canned)
    async with adapter_for(served.url, limit=limit) as adapter:
        return await verdict(adapter, a_claim({}, id="mine"))


def expected_of(status: int) -> type[DeliveryError]:
    """The verdict of a status with a proxy's page as its body."""
    match status:
        case 413:
            return Rejected
        case 429:
            return Throttled
        case 408:
            return Uncertain
        case _:
            return Uncertain if status >= 500 else Refused


async def test_every_status_with_a_foreign_page_has_a_home(canned_served: Served) -> None:
    canned = canned_served.emulator
    assert isinstance(canned, Canned)
    async with adapter_for(canned_served.url) as adapter:
        for status in range(200, 600):
            page = "" if status in (204, 304) else "<html>Bad Gateway</html>"
            canned.become(Canned(status, page, "text/html"))
            outcome = await verdict(adapter, a_claim({}))
            looked_up = await found(adapter, a_claim({}))

            expected = expected_of(status)
            assert type(outcome) is expected, status
            assert getattr(outcome, "landed", False) is (status < 300), status
            # A look-up that is too large for a proxy says nothing about the event.
            assert type(looked_up) is (Refused if status == 413 else expected), status


@pytest.mark.parametrize("status", [100, 101, 103, 199])
async def test_an_answer_that_only_announces_another_is_never_a_receipt(
    canned_served: Served, status: int
) -> None:
    outcome = await verdict_of(Canned(status, "x"), canned_served, limit=0.5)

    assert isinstance(outcome, (Uncertain, Refused))


ENUM_422 = '{"detail":[{"type":"enum","loc":["body","log_level"],"msg":"Input should be 0"}]}'


@pytest.mark.parametrize(
    ("canned", "expected"),
    [
        pytest.param(Canned(body='{"_id":"other"}'), Refused, id="200 with another id"),
        pytest.param(Canned(body='{"event_id":"mine"}'), Refused, id="200, our request echoed"),
        pytest.param(Canned(body='{"ok":true}'), Refused, id="200 with foreign JSON"),
        pytest.param(Canned(body='["mine"]'), Refused, id="200 with a list"),
        pytest.param(Canned(body="null"), Refused, id="200 with null"),
        pytest.param(Canned(body="[" * 100_000), Refused, id="200 with a bottomless list"),
        pytest.param(Canned(201, '{"_id":"mine"}'), Refused, id="201 with our id"),
        pytest.param(Canned(422, ENUM_422), Rejected, id="422 in FastAPI's words"),
        pytest.param(Canned(400, '{"detail":"parsing"}'), Rejected, id="400 in FastAPI's words"),
        pytest.param(Canned(422, '{"detail":[null,3]}'), Rejected, id="422 with an odd detail"),
        pytest.param(Canned(422, '{"error":"x"}'), Refused, id="422 in other words"),
        pytest.param(Canned(413, "too large"), Rejected, id="413"),
        pytest.param(Canned(404, '{"detail":"Not Found"}'), Refused, id="404 of the router"),
        pytest.param(Canned(405, '{"detail":"Method Not Allowed"}'), Refused, id="405"),
        pytest.param(Canned(415, '{"detail":"x"}'), Refused, id="415"),
        pytest.param(Canned(500, "Internal Server Error", "text/plain"), Uncertain, id="500"),
        pytest.param(Canned(503), Uncertain, id="503 without Retry-After"),
        pytest.param(
            Canned(503, headers={"retry-after": "7"}), Throttled, id="503 with Retry-After"
        ),
        pytest.param(Canned(429), Throttled, id="429 without Retry-After"),
        pytest.param(
            Canned(307, headers={"location": "http://elsewhere.example/event"}), Refused, id="307"
        ),
    ],
)
async def test_each_answer_to_a_post_has_its_verdict(
    canned_served: Served, canned: Canned, expected: type[DeliveryError]
) -> None:
    outcome = await verdict_of(canned, canned_served)

    assert type(outcome) is expected
    assert getattr(outcome, "landed", False) is (canned.status < 300)


ABSENT = '{"detail":"Event with ID mine not found"}'


@pytest.mark.parametrize(
    ("canned", "expected"),
    [
        pytest.param(Canned(404, ABSENT), None, id="404 about our event"),
        pytest.param(Canned(404, '{"detail":"Not Found"}'), Refused, id="404 of the router"),
        pytest.param(Canned(404, ABSENT.replace("mine", "x")), Refused, id="404 about another"),
        pytest.param(Canned(404, "<html>", "text/html"), Refused, id="404 of a proxy"),
        pytest.param(Canned(500, ABSENT), Uncertain, id="500 in the words of an absence"),
        pytest.param(Canned(body='{"_id":"other"}'), Refused, id="200 with another id"),
        pytest.param(Canned(body='{"_id":"mine"}'), Rejected, id="200, our id, no event at all"),
        pytest.param(Canned(body="null"), Refused, id="200 with null, as an emptied cache says"),
        pytest.param(Canned(422, ENUM_422), Refused, id="422"),
        pytest.param(Canned(500, "Internal Server Error", "text/plain"), Uncertain, id="500"),
        pytest.param(Canned(401), Refused, id="401"),
        pytest.param(Canned(403), Refused, id="403"),
    ],
)
async def test_each_answer_to_a_look_up_has_its_verdict(
    canned_served: Served, canned: Canned, expected: type[DeliveryError] | None
) -> None:
    assert isinstance(canned_served.emulator, Canned)
    canned_served.emulator.become(canned)
    async with adapter_for(canned_served.url) as adapter:
        outcome = await found(adapter, a_claim({"event_id": "mine"}))

    assert outcome == [] if expected is None else type(outcome) is expected


async def test_a_secret_that_is_not_accepted_is_not_tried_again_at_once(
    canned_served: Served,
) -> None:
    outcome = await verdict_of(Canned(401), canned_served)

    assert isinstance(outcome, Refused)
    assert outcome.credentials
