"""The door to HTTP: what goes out and what comes back. What breaks off: test_http_errors.py."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.answer import Answer, refusal_of_us
from adapters.base import AuthOptions, Site, TlsOptions
from adapters.http import HttpClient
from adapters.verdict import Refused, Throttled, Uncertain, Unreachable
from tests.emulators.kit import Served


class Mirror:
    """Answers with what it was sent, and tries to leave a cookie behind."""

    def __init__(self) -> None:
        self.app = Starlette(routes=[Route("/{any:path}", self._show, methods=["GET", "POST"])])

    def ledger(self) -> list[dict[str, Any]]:
        return []

    async def _show(self, request: Request) -> Response:
        shown = {
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
            "query": dict(request.query_params),
        }
        return JSONResponse(shown, headers={"Set-Cookie": "session=another-user"})


@pytest.fixture(scope="module")
def mirror() -> Iterator[Served]:
    with Served(Mirror()) as served:
        yield served


@pytest.fixture(autouse=True)
def healthy(mirror: Served) -> None:
    mirror.heal()


def a_site(url: str, *, auth: AuthOptions | None = None, **changes: Any) -> Site:
    fields: dict[str, Any] = {
        "name": "mirror",
        "url": url,
        "timeout_seconds": 2,
        "attempt_timeout_seconds": 4,
        "concurrency": 1,
        "auth": auth or AuthOptions(),
        "tls": TlsOptions(),
        "options": None,
        "read_secret": lambda name: Path(name).read_text(),
        "now": lambda: 0,
    }
    return Site(**{**fields, **changes})


async def asked(site: Site, path: str = "/x", **request: Any) -> Answer:
    client = HttpClient(site)
    try:
        return await client.request(request.pop("method", "GET"), path, **request)
    finally:
        await client.close()


async def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening: refuses
        port = taken.getsockname()[1]

        with pytest.raises(Unreachable, match=f"cannot reach http://127.0.0.1:{port}/x"):
            await asked(a_site(f"http://127.0.0.1:{port}"))


async def test_plain_http_where_tls_is_expected_is_unreachable(mirror: Served) -> None:
    with pytest.raises(Unreachable):
        await asked(a_site(mirror.url.replace("http://", "https://")))


@pytest.mark.parametrize("mode", ["drop_before", "drop_after", "truncate"])
async def test_an_answer_lost_on_the_way_is_uncertain(mirror: Served, mode: str) -> None:
    mirror.fault(mode)

    with pytest.raises(Uncertain):
        await asked(a_site(mirror.url), method="POST", json_text="{}")


async def test_silence_is_uncertain_after_the_attempts_time(mirror: Served) -> None:
    mirror.fault("hang", seconds=1.2)

    with pytest.raises(Uncertain, match=r"within 0\.8 s"):
        await asked(a_site(mirror.url, attempt_timeout_seconds=0.8))


async def test_redirects_are_not_followed(mirror: Served) -> None:
    mirror.fault("redirect")

    answer = await asked(a_site(mirror.url))

    assert answer.status == 302
    assert isinstance(refusal_of_us(answer, "x"), Refused)


async def test_no_cookie_is_kept(mirror: Served) -> None:
    client = HttpClient(a_site(mirror.url))
    await client.request("GET", "/x")
    second = await client.request("GET", "/x")
    await client.close()

    assert "cookie" not in (second.json() or {})["headers"]


async def test_proxies_of_the_environment_are_not_used(
    mirror: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert (await asked(a_site(mirror.url))).status == 200


async def test_json_goes_out_byte_for_byte(mirror: Served) -> None:
    text = '{"b": 1.0, "a": "µ"}'

    seen = (await asked(a_site(mirror.url), method="POST", json_text=text)).json() or {}

    assert seen["body"] == text
    assert seen["headers"]["content-type"] == "application/json"


async def test_basic_credentials_are_read_when_they_are_needed(
    mirror: Served, tmp_path: Path
) -> None:
    secret = tmp_path / "p"
    auth = AuthOptions(method="basic", username="opr", password_file=str(secret))
    secret.write_text("first\n")
    first = (await asked(a_site(mirror.url, auth=auth))).json() or {}
    secret.write_text("second\n")
    second = (await asked(a_site(mirror.url, auth=auth))).json() or {}

    assert first["headers"]["authorization"] == "Basic b3ByOmZpcnN0"
    assert second["headers"]["authorization"] == "Basic b3ByOnNlY29uZA=="


async def test_a_bearer_token_comes_from_a_file_or_a_command(
    mirror: Served, tmp_path: Path
) -> None:
    (tmp_path / "t").write_text("from-file\n")
    by_file = AuthOptions(method="bearer", token_file=str(tmp_path / "t"))
    command = (sys.executable, "-c", "print('from-command')")
    by_command = AuthOptions(method="bearer", token_command=command)

    seen = [
        ((await asked(a_site(mirror.url, auth=auth))).json() or {})["headers"]["authorization"]
        for auth in (by_file, by_command)
    ]

    assert seen == ["Bearer from-file", "Bearer from-command"]


@pytest.mark.parametrize(
    "auth",
    [
        {"method": "basic", "username": "u", "password_file": "/nowhere/p"},
        {"method": "bearer", "token_file": "/dev/null"},
        {"method": "bearer", "token_command": ("/nowhere/command",)},
        {"method": "bearer", "token_command": (sys.executable, "-c", "raise SystemExit(3)")},
        {"method": "bearer", "token_command": (sys.executable, "-c", "")},
    ],
)
async def test_credentials_that_cannot_be_had_are_our_trouble_and_nothing_is_sent(
    mirror: Served, auth: dict[str, Any]
) -> None:
    before = mirror.faulty.requests.total()

    with pytest.raises(Refused, match=r"backends\.mirror\.auth") as refused:
        await asked(a_site(mirror.url, auth=AuthOptions.model_validate(auth)))

    assert refused.value.credentials
    assert mirror.faulty.requests.total() == before


async def test_certificates_that_cannot_be_read_are_named() -> None:
    tls = TlsOptions(ca_file=Path("/nowhere/ca.pem"))

    with pytest.raises(Refused, match=r"backends\.mirror\.tls"):
        await asked(a_site("https://127.0.0.1:9", tls=tls))


def an_answer(status: int, **headers: str) -> Answer:
    return Answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, b"x")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (an_answer(401), Refused),
        (an_answer(403), Refused),
        (an_answer(407), Refused),
        (an_answer(301, location="http://elsewhere"), Refused),
        (an_answer(429), Throttled),
        (an_answer(503, retry_after="7"), Throttled),
        (an_answer(503), type(None)),
        (an_answer(200), type(None)),
        (an_answer(404), type(None)),
    ],
)
def test_answers_that_mean_the_same_everywhere(answer: Answer, verdict: type) -> None:
    assert type(refusal_of_us(answer, "http://x")) is verdict


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("\u00b2", None),
        ("9" * 400, 999999999.0),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(
    raw: str, seconds: float | None
) -> None:
    answer = an_answer(503, retry_after=raw, date="Sun, 22 Nov 2026 12:00:00 GMT")

    assert answer.retry_after == seconds


class Bucket:
    """Takes bodies of 200 until it has enough."""

    def __init__(self, enough: int) -> None:
        self.held = b""
        self.enough = enough

    def opened(self, head: Answer) -> bool:
        return head.status == 200 and head.body == b""

    def part(self, part: bytes) -> bool:
        self.held += part
        return len(self.held) < self.enough


async def test_a_body_goes_where_it_is_wanted_and_no_further(
    mirror: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.http.LARGEST_ANSWER", 10)
    http = HttpClient(a_site(mirror.url))
    whole, little = Bucket(sys.maxsize), Bucket(1)

    answer = await http.request("GET", "/any", sink=whole)
    with_little = await http.request(
        "POST", "/any", json_text='"' + "a" * 500_000 + '"', sink=little
    )
    mirror.fault("status", status=502)
    with pytest.raises(Uncertain, match="larger than 10 bytes"):
        await http.request("GET", "/any", sink=whole)

    assert (answer.status, answer.body) == (200, b"")
    assert b'"headers"' in whole.held
    assert (with_little.status, with_little.body) == (200, b"")
    assert 0 < len(little.held) < 500_000
    await http.close()
