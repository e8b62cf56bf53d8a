"""The emulated telemetry server answers as the real one was recorded to, and as its sheet says."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator

RECORDING = Path(__file__).parents[1] / "emulators" / "transcripts" / "telemetry.json"
NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LOCAL = timezone(timedelta(hours=-10))  # an observatory's: its noon is far from that of UTC


class LocalClock:
    """The server's clock; tests move it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 11, 59, 59, tzinfo=LOCAL)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> LocalClock:
    return LocalClock()


@pytest.fixture
def server(tmp_path: Path, clock: LocalClock) -> Iterator[Served]:
    emulator = TelemetryEmulator(tmp_path / "site", now=clock, on_shutdown=lambda: None)
    with Served(emulator) as served:
        yield served


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as made:
        yield made


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def send(client: httpx.Client, exchange: dict[str, Any], no_folder: Path) -> httpx.Response:
    raw = exchange.get("body", "").replace("<no folder>", str(no_folder)).encode()
    if "body_hex" in exchange:
        raw = bytes.fromhex(exchange["body_hex"])
    media_type = exchange.get("content_type", "application/json" if raw else None)
    headers = {"Content-Type": media_type} if media_type else {}
    return client.request(exchange["method"], exchange["path"], content=raw, headers=headers)


def differences(expected: Any, found: Any, site: str, where: str = "") -> list[str]:
    """Where `found` is not what was recorded; also the order of keys counts."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(expected) != list(found):
            return [f"{where}: {list(expected)} but {list(found)}"]
        pairs = [(name, expected[name], found[name]) for name in expected]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [
            (str(index), *both) for index, both in enumerate(zip(expected, found, strict=True))
        ]
    else:
        return [] if same(expected, found, site) else [f"{where}: {expected!r} but {found!r}"]
    return [line for name, *both in pairs for line in differences(*both, site, f"{where}/{name}")]


def same(expected: Any, found: Any, site: str) -> bool:
    match expected:
        case "<now>":
            return isinstance(found, str) and NOW.fullmatch(found) is not None
        case "<all>":
            return isinstance(found, dict) and len(found) > 0
        case str():
            return expected.replace("<site>", site) == found
        case _:
            return type(expected) is type(found) and expected == found


def recorded(exchange: dict[str, Any], url: str) -> dict[str, Any]:
    """What is to be compared of a recorded answer."""
    names = ("status", "media_type", "allow", "text", "json")
    parts = {name: exchange[name] for name in names if name in exchange}
    if "location" in exchange:
        parts["location"] = exchange["location"].replace("<url>", url)
    return parts


def observed(answer: httpx.Response, wanted: dict[str, Any]) -> dict[str, Any]:
    """The same parts of the emulator's answer."""
    parts = {
        "status": lambda: answer.status_code,
        "media_type": lambda: answer.headers["content-type"],
        "allow": lambda: answer.headers["allow"],
        "text": lambda: answer.text,
        "json": answer.json,
        "location": lambda: answer.headers["location"],
    }
    return {name: parts[name]() for name in wanted}


def test_every_recorded_exchange_is_answered_alike(
    server: Served, client: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    site, wrong = str(server.emulator.site_dir), []
    for exchange in json.loads(RECORDING.read_text())["exchanges"]:
        expected = recorded(exchange, server.url)
        answer = send(client, exchange, no_folder=tmp_path / "file" / "below")
        found = differences(expected, observed(answer, expected), site)
        wrong += [f"{exchange['name']}: {line}" for line in found]

    assert wrong == []


def test_a_line_in_the_file_is_compact_escaped_and_names_its_stream(
    server: Served, client: httpx.Client
) -> None:
    event = {"type": "weather", "data": {"sky": "é"}, "meta": {"event_id": "A1"}, "ts": "any text"}
    client.post("/event", json=event)

    assert (server.emulator.site_dir / "site_20260228.ndjson").read_bytes() == (
        b'{"seq":1,"ts":"any text","stream":"site","type":"weather",'
        b'"data":{"sky":"\\u00e9"},"meta":{"event_id":"A1"}}\n'
    )


def test_a_day_begins_at_local_noon(
    server: Served, client: httpx.Client, clock: LocalClock
) -> None:
    client.post("/event", json={"type": "t", "data": 1})
    clock.time += timedelta(seconds=1)
    client.post("/event", json={"type": "t", "data": 2, "ts": "2020-01-01T00:00:00.000Z"})

    site = server.emulator.site_dir
    assert [json.loads(line)["data"] for line in lines_of(site / "site_20260228.ndjson")] == [1]
    assert [json.loads(line)["data"] for line in lines_of(site / "site_20260301.ndjson")] == [2]


def test_a_restart_forgets_seq_current_and_run_and_keeps_the_files(
    server: Served, client: httpx.Client
) -> None:
    client.post("/run/start")
    client.post("/event", json={"type": "t", "data": 1})
    server.emulator.restart()

    assert client.get("/run").status_code == 404
    assert client.get("/current").json() == {"current": {}}
    assert client.post("/event", json={"type": "t", "data": 2}).json()["seq"] == 1
    assert len(lines_of(server.emulator.site_dir / "001" / "telemetry.ndjson")) == 1
    assert [item["data"] for item in server.emulator.ledger()] == [1, 2]


def test_an_event_in_memory_only_uses_up_a_seq_and_leaves_no_line(
    server: Served, client: httpx.Client
) -> None:
    client.post("/event", json={"type": "t", "data": 1, "store_permanently": False})

    assert client.post("/event", json={"type": "t", "data": 2}).json()["seq"] == 2
    assert len(lines_of(server.emulator.site_dir / "site_20260228.ndjson")) == 1
    assert [item["permanent"] for item in server.emulator.ledger()] == [False, True]


def test_a_failed_write_stores_nothing_and_uses_up_no_seq(
    server: Served, client: httpx.Client
) -> None:
    server.emulator.store.failing_writes = 1

    failed = client.post("/event", json={"type": "t", "data": 1})

    assert (failed.status_code, failed.text) == (500, "Internal Server Error")
    assert client.get("/current/t").status_code == 404
    assert client.post("/event", json={"type": "t", "data": 2}).json()["seq"] == 1
    assert [item["data"] for item in server.emulator.ledger()] == [2]


def test_the_connection_of_a_500_can_be_closed_unannounced(tmp_path: Path) -> None:
    emulator = TelemetryEmulator(tmp_path, hang_up_after_500=True)
    emulator.store.failing_writes = 1
    with Served(emulator) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/event", b'{"type":"t","data":1}', headers)
        answer = connection.getresponse()
        answer.read()

        assert (answer.status, answer.getheader("connection")) == (500, None)
        assert connection.sock.recv(1) == b""
        connection.close()


def test_the_event_after_a_torn_one_is_glued_to_it(server: Served, client: httpx.Client) -> None:
    server.emulator.store.torn_writes = 1
    assert client.post("/event", json={"type": "t", "data": "torn"}).status_code == 500
    assert client.post("/event", json={"type": "t", "data": "whole"}).status_code == 200

    (line,) = lines_of(server.emulator.site_dir / "site_20260228.ndjson")
    assert line.count('{"seq":1,') == 2


def test_a_stored_nan_makes_a_line_that_is_not_strict_json(
    server: Served, client: httpx.Client
) -> None:
    body = b'{"type":"n","data":{"v":NaN}}'
    client.post("/event", content=body, headers={"Content-Type": "application/json"})

    assert '"data":{"v":NaN}' in lines_of(server.emulator.site_dir / "site_20260228.ndjson")[0]


def test_an_old_server_stamps_its_own_time_and_writes_everything(tmp_path: Path) -> None:
    emulator = TelemetryEmulator(tmp_path, version="0.3.3")
    event = {"type": "t", "data": 1, "ts": "2020-01-01T00:00:00.000Z", "store_permanently": False}
    with Served(emulator) as served:
        answer = httpx.post(f"{served.url}/event", json=event, trust_env=False).json()
        ready = httpx.get(f"{served.url}/ready", trust_env=False).json()

    assert NOW.fullmatch(answer["ts"])
    assert not answer["ts"].startswith("2020")
    assert ready["version"] == "0.3.3"
    assert len(list(tmp_path.glob("site_*.ndjson"))) == 1


@pytest.mark.parametrize("path", ["/health", "/current", "/run"])
def test_head_is_not_allowed(client: httpx.Client, path: str) -> None:
    assert client.head(path).status_code == 405


@pytest.mark.parametrize(
    "media_type", ["Application/JSON", "application/vnd.x+json; charset=utf-8"]
)
def test_json_is_taken_under_any_of_its_names(client: httpx.Client, media_type: str) -> None:
    body = b'{"type":"t","data":1}'
    answer = client.post("/event", content=body, headers={"Content-Type": media_type})

    assert answer.status_code == 200


def test_only_this_host_may_shut_it_down(tmp_path: Path) -> None:
    asked: list[str] = []
    with Served(TelemetryEmulator(tmp_path, on_shutdown=lambda: asked.append("now"))) as served:
        path = f"{served.url}/shutdown"
        proxied = httpx.post(path, headers={"X-Forwarded-For": "192.0.2.7"}, trust_env=False)
        direct = httpx.post(path, trust_env=False)

    assert (proxied.status_code, direct.status_code) == (403, 200)
    assert proxied.json() == {"detail": "Server shutdown is restricted to loopback clients"}
    assert direct.json() == {"shutting_down": True}


def test_it_runs_as_a_program_until_it_is_told_to_shut_down(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.emulators.telemetry", "--site-dir", str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as program:
        url = program.stdout.readline().split()[1]
        httpx.post(f"{url}/event", json={"type": "t", "data": 1}, trust_env=False)
        ledger = httpx.get(f"{url}/_emulator/ledger", trust_env=False).json()
        httpx.post(f"{url}/shutdown", trust_env=False)
        assert program.wait(timeout=20) == 0

    assert [item["data"] for item in ledger] == [1]
