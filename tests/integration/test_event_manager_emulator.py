"""The emulated Event Manager answers as the recorded real ones did, and as the sheet says."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulators import kit
from tests.emulators.event_manager import VERSIONS, EventManager
from tests.emulators.event_manager_model import MANAGER_ID

RECORDINGS = Path(kit.__file__).with_name("transcripts")
PLACEHOLDERS = {
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?",
    "<id>": r"[0-9A-HJKMNP-TV-Z]{26}",
    "<manager>": MANAGER_ID,
}
ULID = "01JJ4S0WNGEF5FQAZG5KDGJRBV"


def recorded(version: str) -> list[dict[str, Any]]:
    text = (RECORDINGS / f"event_manager_{version}.json").read_text(encoding="utf-8")
    exchanges: list[dict[str, Any]] = json.loads(text)["exchanges"]
    return exchanges


@cache
def replayed(version: str) -> list[httpx.Response]:
    """The emulator's answers to all recorded requests, in order: later ones need earlier ones."""
    with kit.Served(EventManager(version)) as served, httpx.Client(base_url=served.url) as client:
        return [client.send(request_of(client, exchange)) for exchange in recorded(version)]


def request_of(client: httpx.Client, exchange: dict[str, Any]) -> httpx.Request:
    label = exchange.get("content_type", "application/json" if "body" in exchange else "")
    headers = {"content-type": label} if label else {}
    return client.build_request(
        exchange["method"], exchange["path"], content=exchange.get("body"), headers=headers
    )


def like(expected: Any, actual: Any) -> bool:
    """Are they equal, with placeholders standing for what differs from run to run?"""
    match expected:
        case str() if expected in PLACEHOLDERS:
            pattern = PLACEHOLDERS[expected]
            return isinstance(actual, str) and re.fullmatch(pattern, actual) is not None
        case dict():
            return list(expected) == list(actual) and all(
                like(part, actual[name]) for name, part in expected.items()
            )
        case list():
            return len(expected) == len(actual) and all(map(like, expected, actual))
        case _:
            return type(expected) is type(actual) and bool(expected == actual)


@pytest.mark.parametrize(
    ("version", "position"),
    [
        pytest.param(version, position, id=f"{version}: {exchange['name']}")
        for version in VERSIONS
        for position, exchange in enumerate(recorded(version))
    ],
)
def test_answers_as_recorded(version: str, position: int) -> None:
    expected, answer = recorded(version)[position], replayed(version)[position]

    assert answer.status_code == expected["status"]
    if "json" in expected:
        assert answer.headers["content-type"] == "application/json"
        assert like(expected["json"], answer.json()), answer.text
    if "text" in expected:
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == expected["text"]
    assert answer.text.startswith(expected.get("text_begins", ""))


@pytest.fixture(params=VERSIONS)
def emulator(request: pytest.FixtureRequest) -> EventManager:
    return EventManager(request.param)


@pytest.fixture
def client(emulator: EventManager) -> Iterator[httpx.Client]:
    with kit.Served(emulator) as served, httpx.Client(base_url=served.url) as client:
        yield client


def test_a_repeated_id_echoes_the_request_and_keeps_the_first_event(
    client: httpx.Client, emulator: EventManager
) -> None:
    client.post("/event", json={"event_id": "a", "event_data": 1})
    echo = client.post("/event", json={"event_id": "a", "event_data": 2})

    assert (echo.status_code, echo.json()["event_data"]) == (200, 2)
    assert client.get("/event/a").json()["event_data"] == 1
    assert [event["event_data"] for event in emulator.ledger()] == [1]


@pytest.mark.parametrize("emulator", [EventManager("0.8.1", unique_ids=False)])
def test_the_in_memory_store_keeps_repeats(client: httpx.Client) -> None:
    for number in (1, 2):
        client.post("/event", json={"event_id": "a", "event_data": number})

    assert client.get("/event/a").json()["event_data"] == 1
    assert client.post("/events/query", json={}).json()["a"]["event_data"] == 2
    assert client.get("/health").json()["total_events"] == 2


def test_every_post_of_an_alert_is_mailed(client: httpx.Client, emulator: EventManager) -> None:
    loud = {"event_id": "loud", "log_level": 40}
    asked = {"event_id": "asked", "alert": True}
    for body in (loud, loud, asked, {"event_id": "quiet", "log_level": 30}):
        client.post("/event", json=body)

    assert emulator.mails == {"loud": 2, "asked": 1}


@pytest.mark.parametrize("data", ["9223372036854775808", '{"a\\u0000b": 1}', '["\\ud800"]'])
def test_poison_is_the_same_500_as_a_lost_database(
    client: httpx.Client, emulator: EventManager, data: str
) -> None:
    body = f'{{"event_id": "p", "event_data": {data}}}'

    answer = client.post("/event", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert emulator.ledger() == []


def test_a_lost_database_is_a_plain_500_and_an_unhealthy_200(
    client: httpx.Client, emulator: EventManager
) -> None:
    emulator.db_down = True

    assert client.post("/event", json={"event_id": "a"}).text == "Internal Server Error"
    assert client.get("/event/a").status_code == 500
    health = client.get("/health")
    assert (health.status_code, health.json()["healthy"]) == (200, False)
    assert health.json()["total_events"] is None
    assert emulator.ledger() == []


def test_green_health_does_not_prove_that_posts_work(
    client: httpx.Client, emulator: EventManager
) -> None:
    emulator.posts_fail = True

    assert client.post("/event", json={}).status_code == 500
    assert client.get("/health").json()["healthy"] is True


def test_one_foreign_document_breaks_the_list_for_everybody(
    client: httpx.Client, emulator: EventManager
) -> None:
    client.post("/event", json={"event_id": "good"})
    emulator.plant({**emulator.ledger()[0], "_id": "bad", "event_type": "of_the_future"})

    assert client.get("/events").status_code == 500
    assert client.get("/event/bad").json()["event_type"] == "of_the_future"
    assert set(client.post("/events/query", json={}).json()) == {"good", "bad"}


@pytest.mark.parametrize(
    "emulator", [EventManager("0.8.1", rate_limit=True, clock=count(100, 0.001).__next__)]
)
def test_the_51st_request_of_a_second_is_refused(client: httpx.Client) -> None:
    statuses = [client.get("/event/x").status_code for _ in range(50)]
    refused = client.post("/event", json={})

    assert set(statuses) == {404}
    assert refused.status_code == 429
    assert refused.json() == {
        "detail": "Rate limit exceeded: 50 requests per 1 seconds (burst limit)"
    }
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-limit"] == "300"
    assert refused.headers["x-ratelimit-burst-remaining"] == "0"


def test_a_purged_id_is_free_again() -> None:
    emulator = EventManager("0.8.1")
    with kit.Served(emulator) as served, httpx.Client(base_url=served.url) as client:
        client.post("/event", json={"event_id": ULID})
        client.post("/events/archive", json={"event_ids": [ULID]})
        still_taken = client.post("/event", json={"event_id": ULID, "event_data": 2})
        stored_then = emulator.ledger()
        client.delete("/events/archived?older_than_days=0")
        client.post("/event", json={"event_id": ULID, "event_data": 3})

    assert still_taken.status_code == 200
    assert [event["event_data"] for event in stored_then] == [{}]
    assert [event["event_data"] for event in emulator.ledger()] == [3]


def test_the_trailing_slash_redirects(client: httpx.Client) -> None:
    answer = client.post("/event/", json={})

    assert answer.status_code == 307
    assert answer.headers["location"].endswith("/event")
