"""The eLog emulator answers what the real server has answered, exchange by exchange.

tests/emulators/transcripts/elog.json was taken from a recording of the real server's code:
times are "<time>", ids are "{name of the exchange that made it}"; answers that the recording
cut off are compared by status and media type only.
"""

import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulators.elog import ElogEmulator
from tests.emulators.kit import Served

TRANSCRIPT = Path(__file__).parents[2] / "emulators" / "transcripts" / "elog.json"
EXPERIMENTS = ("mfxl1000123", "mfxl1000223")
RECORDED = datetime(2026, 11, 22, 11, 46, tzinfo=UTC)  # some queries name this day
BOUNDARY = "a-boundary"
REFERENCE = re.compile(r"\{([^{}\"]+)\}")


@pytest.fixture
def served() -> Iterator[Served]:
    # Entries of the same millisecond have no order: here each look at the clock is 1 ms later.
    clock = itertools.count(int(RECORDED.timestamp() * 1000)).__next__
    emulator = ElogEmulator(experiments=EXPERIMENTS, runs=(1, 2), now=clock)
    emulator.world.store.experiments["mfxl1000223"].runs.clear()
    with Served(emulator) as server:
        yield server


def test_every_recorded_exchange_is_answered_alike(served: Served) -> None:
    ids: dict[str, str] = {}
    differences: list[str] = []
    with httpx.Client(trust_env=False) as client:
        for exchange in json.loads(TRANSCRIPT.read_text()):
            answer = replayed(client, served.url, exchange["request"], ids)
            found = problems(exchange["answer"], answer, ids)
            differences += [f"{exchange['name']}: {problem}" for problem in found]

    assert differences == []


def test_a_session_cookie_outlives_the_permission_and_fits_everybody(served: Served) -> None:
    url = f"{served.url}/lgbk/mfxl1000123/ws/new_elog_entry"
    first = post(url, user="mfxopr")
    served.emulator.world.switch("mfxl1000223")
    cookie = {"Cookie": f"session={first.cookies['session']}"}

    assert [
        first.status_code,
        post(url, user="mfxopr", **cookie).status_code,
        post(url, user="mfxopr").status_code,
        post(url, user="nobody", **cookie).status_code,
    ] == [200, 200, 403, 200]


def test_the_operator_may_still_post_in_standby(served: Served) -> None:
    served.emulator.world.stand_by("MFX")

    answer = post(f"{served.url}/lgbk/mfxl1000123/ws/new_elog_entry", user="mfxopr")

    assert answer.status_code == 200


def test_an_older_server_guards_posts_by_the_lock() -> None:
    emulator = ElogEmulator(lock_guards_posts=True)
    emulator.world.lock("mfxl1000123")
    with Served(emulator) as server:
        answer = post(f"{server.url}/lgbk/mfxl1000123/ws/new_elog_entry", user="mfxopr")

    assert answer.status_code == 423


@pytest.mark.parametrize(
    ("gate", "authorization", "status"),
    [
        ("ws", None, 403),
        ("ws-auth", "Basic bWZ4b3ByOnNlY3JldA==", 200),  # mfxopr:secret
        ("ws-auth", "Basic bWZ4b3ByOndyb25n", 401),
        ("ws-auth", None, 401),
        ("ws-jwt", "Bearer token", 200),
        ("ws-jwt", "Bearer other", 401),
        ("ws-kerb", "Negotiate YII=", 200),
        ("ws-kerb", "Basic bWZ4b3ByOnNlY3JldA==", 401),
    ],
)
def test_each_gate_knows_one_kind_of_credential(
    served: Served, gate: str, authorization: str | None, status: int
) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answer = post(f"{served.url}/{gate}/lgbk/lgbk/mfxl1000123/ws/new_elog_entry", **headers)

    assert answer.status_code == status


def test_mails_and_requests_are_counted(served: Served) -> None:
    path = "/lgbk/mfxl1000123/ws/new_elog_entry"
    form = {"log_text": "x", "log_emails": "a@b.c bob"}
    httpx.post(served.url + path, data=form, headers={"Remote-User": "mfxopr"}, trust_env=False)

    (mail,) = served.emulator.mails
    (entry,) = served.emulator.ledger()
    assert mail == {
        "experiment": "mfxl1000123",
        "entry_id": entry["_id"],
        "to": ["a@b.c", "bob"],
    }
    assert served.faulty.requests[f"POST {path}"] == 1


def test_posts_and_mails_are_counted_per_key_as_people_see_them(served: Served) -> None:
    url = f"{served.url}/lgbk/mfxl1000123/ws/new_elog_entry"
    form = {"log_text": "x", "jira_ticket": "k", "log_tags": "T", "post_to_elog_MFX_Lasers": "on"}
    for more in ({"log_emails": "a@b.c"}, {}, {"log_emails": "a@b.c", "command_followup": "1"}):
        headers = {"Remote-User": "mfxopr"}
        httpx.post(url, data=form | more, headers=headers, trust_env=False)
    entry_id = served.emulator.ledger()[0]["_id"]
    served.emulator.world.edit("mfxl1000123", entry_id, "y", "T")

    counts = httpx.get(f"{served.url}/_emulator/counts", trust_env=False).json()

    assert counts == {
        "jira_ticket": {"k": {"posts": 3, "mails": 1}},
        "tag": {"T": {"posts": 3, "mails": 1}},
        "content": {"x": {"posts": 2, "mails": 0}, "y": {"posts": 1, "mails": 1}},
    }


def test_subscribers_get_a_mail_for_every_post(served: Served) -> None:
    served.emulator.subscribers = ["group@lab"]

    post(f"{served.url}/lgbk/mfxl1000123/ws/new_elog_entry", user="mfxopr")

    assert [mail["to"] for mail in served.emulator.mails] == [["group@lab"]]


def post(url: str, user: str | None = None, **headers: str) -> httpx.Response:
    named = {"Remote-User": user} if user else {}
    return httpx.post(url, data={"log_text": "x"}, headers={**named, **headers}, trust_env=False)


def replayed(
    client: httpx.Client, url: str, request: dict[str, Any], ids: dict[str, str]
) -> httpx.Response:
    """Send a recorded request, with the ids of this server in place of the recorded ones."""
    headers = {"Remote-User": request["user"]} if "user" in request else {}
    content = with_ids(request.get("body", ""), ids).encode()
    if "parts" in request:
        content = multipart(request["parts"])
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    elif "media_type" in request:
        headers["Content-Type"] = request["media_type"]
    client.cookies.clear()
    url += with_ids(request["path"], ids)  # httpx would take "//run_control" for a host
    return client.request(request["method"], url, content=content, headers=headers)


def with_ids(text: str, ids: dict[str, str]) -> str:
    return REFERENCE.sub(lambda found: ids.get(found[1], found[0]), text)


def multipart(parts: list[dict[str, Any]]) -> bytes:
    """A form as it was recorded; httpx would correct the odd file names."""
    body = b""
    for part in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part["name"]}"'
        if "filename" in part:
            head += f'; filename="{part["filename"]}"'
        if "media_type" in part:
            head += f"\r\nContent-Type: {part['media_type']}"
        body += head.encode() + b"\r\n\r\n" + content_of(part) + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def content_of(part: dict[str, Any]) -> bytes:
    if "size" in part:
        return b"x" * int(part["size"])
    return bytes.fromhex(part["hex"]) if "hex" in part else str(part["text"]).encode()


def problems(
    recorded: dict[str, Any], answer: httpx.Response, ids: dict[str, str]
) -> Iterator[str]:
    """What differs from the recording; binds the ids that appear for the first time."""
    if answer.status_code != recorded["status"]:
        yield f"status {answer.status_code}, not {recorded['status']}"
    if answer.headers["content-type"] != recorded["media_type"]:
        yield f"media type {answer.headers['content-type']}, not {recorded['media_type']}"
    match recorded:
        case {"json": body}:
            if not alike(body, json.loads(answer.text), ids):
                yield f"{answer.text[:500]}, not {json.dumps(body)[:500]}"
        case {"page": title}:
            if not answer.text.startswith("<!doctype") or f"<title>{title}<" not in answer.text:
                yield f"another page: {answer.text[:100]}"
        case {"text": text}:
            if answer.text != with_ids(text, ids):
                yield f"{answer.text[:100]!r}, not {text!r}"
        case {"hex": content}:
            if answer.content.hex() != content:
                yield "other bytes"


def alike(recorded: Any, found: Any, ids: dict[str, str]) -> bool:
    match recorded, found:
        case dict(), dict():
            return recorded.keys() == found.keys() and all(
                alike(recorded[key], found[key], ids) for key in recorded
            )
        case [str(), *_], list():  # tags: the server promises no order
            return sorted(recorded) == sorted(found)
        case list(), list():
            return len(recorded) == len(found) and all(
                alike(one, other, ids) for one, other in zip(recorded, found, strict=True)
            )
        case "<time>", str():
            return datetime.fromisoformat(found).utcoffset() is not None
        case "<nan>", float():
            return found != found  # noqa: PLR0124 - this is what makes a NaN
        case "<inf>", float():
            return found == float("inf")
        case "mongo://<id>", str():
            return re.fullmatch(r"mongo://[0-9a-f]{24}", found) is not None
        case str(), str() if REFERENCE.fullmatch(recorded):
            return ids.setdefault(recorded[1:-1], found) == found
        case _:
            return type(recorded) is type(found) and recorded == found
