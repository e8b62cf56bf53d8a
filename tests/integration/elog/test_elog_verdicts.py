"""What every answer of an eLog means, save the one that is a proof.

Real sockets and the emulated server; a server that answers one thing only stands in where an
answer is needed that the real one does not give by itself.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter, AuthOptions
from adapters.verdict import (
    DeliveryError,
    Parked,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
    Verdict,
)
from storage.entry import Claim
from tests.emulators.elog_site import (
    AN_ID,
    EXPERIMENT,
    JSON,
    Connect,
    a_file,
    a_post,
    as_json,
    page,
    some_params,
    verdict_of,
)
from tests.emulators.kit import Served

HTML = "text/html; charset=utf-8"
Answered = Callable[..., Awaitable[Verdict]]


@pytest.fixture
async def answered(stranger: Served, connect: Connect) -> Answered:
    """The verdict of a claim when the server gives this answer and no other."""

    async def give(claim: Claim, status: int, body: bytes, media_type: str = JSON) -> Verdict:
        stranger.emulator.says(status, body, media_type)
        return await verdict_of(connect(stranger), claim)

    return give


# What the server refuses


@pytest.mark.parametrize(
    ("claim", "verdict", "told"),
    [
        (a_post(run=999), Parked, "has not begun"),
        (a_post(reply_to="0" * 24), Rejected, "Cannot find parent entry"),
        (a_post(author="ghost"), Uncertain, "500"),
        (a_post(experiment="MFXL1000123"), Parked, "case-sensitive"),
        (some_params({"a": 1}, experiment="nope"), Parked, "no experiment nope"),
        (some_params({"a": 1}, run=999), Parked, "has not begun"),
    ],
)
async def test_what_the_server_says_of_an_entry(
    served: Served, adapter: Adapter, claim: Claim, verdict: type[DeliveryError], told: str
) -> None:
    refused = await verdict_of(adapter, claim)

    assert type(refused) is verdict
    assert told in refused.detail
    assert served.emulator.ledger() == []


# Everything that can go wrong on the way


@pytest.mark.parametrize("claim", [a_post(), some_params({"a": 1})], ids=["post", "run_params"])
@pytest.mark.parametrize(
    ("fault", "verdict", "landed"),
    [
        ({"mode": "drop_before"}, Uncertain, False),
        ({"mode": "drop_after"}, Uncertain, True),
        ({"mode": "truncate"}, Uncertain, True),
        ({"mode": "hang_after", "seconds": 30.0}, Uncertain, True),
        ({"mode": "status_after", "status": 500}, Uncertain, True),
        ({"mode": "status_after", "status": 502}, Uncertain, True),
        ({"mode": "status_after", "status": 504}, Uncertain, True),
        ({"mode": "status", "status": 503}, Uncertain, False),
        ({"mode": "retry_after", "seconds": 7.0}, Throttled, False),
        ({"mode": "redirect"}, Refused, False),
        ({"mode": "html"}, Refused, False),
        ({"mode": "empty"}, Uncertain, False),
        ({"mode": "status", "status": 404}, Refused, False),
        ({"mode": "status", "status": 405}, Refused, False),
    ],
    ids=lambda value: str(value.get("mode")) if isinstance(value, dict) else None,
)
async def test_each_fault_has_its_verdict(
    served: Served,
    connect: Connect,
    claim: Claim,
    fault: dict[str, Any],
    verdict: type[DeliveryError],
    landed: bool,
) -> None:
    # Only what hangs may run into it: a busy machine takes its time for an answer, too.
    limit = 0.5 if fault["mode"] == "hang_after" else 20.0
    adapter = connect(served, attempt_timeout_seconds=limit)
    served.fault(**fault)

    struck = await verdict_of(adapter, claim)

    assert type(struck) is verdict
    assert bool(served.emulator.ledger()) is landed


async def test_a_dead_host_is_unreachable(served: Served, adapter: Adapter) -> None:
    served.unplug()

    assert type(await verdict_of(adapter, a_post())) is Unreachable


def expected_of_a_gateway(status: int) -> type[DeliveryError]:
    """What an HTML page of something in front of the eLog means, by its status."""
    match status:
        case 403 | 423:
            return Parked
        case 400 | 413 | 415 | 422:
            return Rejected
        case 429:
            return Throttled
        case 408 | 425:
            return Uncertain
    return Uncertain if status >= 500 else Refused


@pytest.mark.parametrize("claim", [a_post(), some_params({"a": 1})], ids=["post", "run_params"])
async def test_every_status_has_a_home_and_none_is_a_success(
    served: Served, connect: Connect, claim: Claim
) -> None:
    adapter = connect(served)
    fault = served.fault("status")
    seen = {}
    for status in range(200, 600):
        fault.status = status
        seen[status] = type(await verdict_of(adapter, claim))
        if status in (204, 304):  # the page they must not have spoils the connection
            await adapter.close()

    assert seen == {status: expected_of_a_gateway(status) for status in range(200, 600)}


@pytest.mark.parametrize("status", [100, 101, 103, 199])
async def test_an_informational_status_is_never_a_success(
    served: Served, connect: Connect, status: int
) -> None:
    adapter = connect(served, attempt_timeout_seconds=0.2)
    served.fault("status", status=status)

    assert isinstance(await verdict_of(adapter, a_post()), DeliveryError)


SOFT = {"success": False, "errormsg": "Not today", "value": None}
ENTRY = {"_id": AN_ID, "content": "x"}


@pytest.mark.parametrize("claim", [a_post(), some_params({"a": 1})], ids=["post", "run_params"])
@pytest.mark.parametrize(
    ("status", "body", "media_type", "verdict"),
    [
        (200, as_json(SOFT), JSON, Rejected),
        (200, as_json({"success": False}), JSON, Rejected),
        (200, as_json({"success": True}), JSON, Refused),
        (200, as_json({"success": True, "value": None}), JSON, Refused),
        (200, as_json({"success": True, "value": {"_id": 7}}), JSON, Refused),
        (200, as_json({"success": True, "value": {"_id": "zz"}}), JSON, Refused),
        (200, as_json({"success": "yes", "value": ENTRY}), JSON, Refused),
        (200, as_json({"status": "ok"}), JSON, Refused),
        (200, as_json([]), JSON, Refused),
        (200, b"null", JSON, Refused),
        (200, b"OK", "text/plain", Refused),
        (200, b'{"success": true, "value": {"_id"', JSON, Uncertain),
        (200, b"", JSON, Uncertain),
        (200, b"[" * 100_000, JSON, Refused),
        (200, page("Log in"), JSON, Refused),
        (200, as_json({"success": True, "value": ENTRY}), HTML, Refused),
        (201, as_json({"success": True, "value": ENTRY}), JSON, Refused),
        (400, page("400 Bad Request"), JSON, Rejected),
        (401, page("401 Unauthorized"), HTML, Refused),
        (403, page("403 Forbidden"), JSON, Parked),
        (404, page("404 Not Found"), JSON, Parked),
        (404, page("404 Not Found"), HTML, Refused),
        (405, page("405 Method Not Allowed"), HTML, Refused),
        (413, page("413 Request Entity Too Large"), HTML, Rejected),
        (415, page("415 Unsupported Media Type"), JSON, Rejected),
        (423, page("423 Locked"), JSON, Parked),
        (500, b"Cannot post empty message", JSON, Rejected),
        (500, b"upstream failed", "text/plain", Uncertain),
        (500, b"", JSON, Uncertain),
        (500, as_json({"error": "x"}), JSON, Uncertain),
        (500, page("500 Internal Server Error"), JSON, Uncertain),
    ],
)
async def test_each_answer_has_its_verdict(
    answered: Answered,
    claim: Claim,
    status: int,
    body: bytes,
    media_type: str,
    verdict: type[DeliveryError],
) -> None:
    judged = await answered(claim, status, body, media_type)

    assert type(judged) is verdict
    assert judged.status == status
    if status in (200, 201) and isinstance(judged, Refused):
        assert judged.landed, "a foreign success may have landed: look before sending again"


@pytest.mark.parametrize("claim", [a_post(), some_params({"a": 1})], ids=["post", "run_params"])
async def test_an_unknown_experiment_is_told_from_one_that_cannot_now(
    answered: Answered, claim: Claim
) -> None:
    verdicts = [await answered(claim, status, page("no")) for status in (403, 404, 423)]

    assert [(one.scope, one.unknown) for one in verdicts if isinstance(one, Parked)] == [
        (EXPERIMENT, False),
        (EXPERIMENT, True),
        (EXPERIMENT, False),
    ]


@pytest.mark.parametrize(
    ("auth", "account"),
    [
        (
            AuthOptions(method="basic", username="{instrument}opr", password_file="password"),
            "mfxopr",
        ),
        (AuthOptions(method="bearer", token_file="token"), "our token"),
        (AuthOptions(), "auth.method is none"),
    ],
)
async def test_a_403_names_the_account_and_what_helps(
    stranger: Served, connect: Connect, auth: AuthOptions, account: str
) -> None:
    stranger.emulator.says(403, page("403 Forbidden"), JSON)

    verdict = await verdict_of(connect(stranger, auth=auth), a_post())

    assert isinstance(verdict, Parked)
    for told in (account, EXPERIMENT, "active", "role Writer", "403"):
        assert told in verdict.detail


async def test_the_servers_reason_reaches_the_person_who_reads_it(answered: Answered) -> None:
    verdict = await answered(a_post(), 200, as_json(SOFT))

    assert isinstance(verdict, Rejected)
    assert "Not today" in verdict.detail
    assert json.loads(str(verdict.excerpt)) == SOFT


async def test_an_entry_that_lost_its_file_on_the_way_is_not_confirmed(
    answered: Answered, tmp_path: Path
) -> None:
    echo = as_json({"success": True, "value": {"_id": AN_ID, "attachments": [{"name": "other"}]}})
    claim = a_post(attachments=(a_file(tmp_path, "plot.png"),))

    verdict = await answered(claim, 200, echo)

    assert isinstance(verdict, Rejected)
    assert "plot.png" in verdict.detail
    assert AN_ID in verdict.detail


@pytest.mark.parametrize(
    "run",
    [
        {"_id": AN_ID, "num": 2, "params": {"a": 1}},
        {"_id": AN_ID, "num": 1, "params": None},
        {"num": 1, "params": {"a": 1}},
        "run 1",
    ],
    ids=["another run", "no params", "no id", "a string"],
)
async def test_another_run_is_no_proof(answered: Answered, run: Any) -> None:
    body = as_json({"success": True, "value": run})

    verdict = await answered(some_params({"a": 1}), 200, body)

    assert isinstance(verdict, Refused)
    assert verdict.landed


@pytest.mark.parametrize("echoed", [{}, {"a": 2}, {"b": 1}])
async def test_a_run_without_our_values_is_no_proof(
    answered: Answered, echoed: dict[str, Any]
) -> None:
    run = {"_id": AN_ID, "num": 1, "params": echoed}

    body = as_json({"success": True, "value": run})

    verdict = await answered(some_params({"a": 1}), 200, body)

    assert isinstance(verdict, Uncertain)
