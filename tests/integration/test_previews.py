"""What `put --dry-run` shows is what a delivery sends: for every kind of entry of every backend."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from adapters.base import Adapter, AuthOptions
from adapters.preview import File, Preview
from adapters.registry import KINDS
from storage.entry import Claim, Receipt
from tests.builders import a_claim
from tests.emulators import auditor_lane, elog_site, event_manager_lane, telemetry_site
from tests.emulators.auditor import Auditor
from tests.emulators.elog import ElogEmulator
from tests.emulators.event_manager import EventManager
from tests.emulators.kit import Emulator, Served, read_all, replay
from tests.emulators.telemetry import TelemetryEmulator

SECRET = "c2VjcmV0"  # what the operator's password is a part of, in base64


@dataclass
class Recorded:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Recorder:
    """An emulator that remembers what it was sent."""

    emulator: Emulator
    sent: list[Recorded] = field(default_factory=list)

    @property
    def app(self) -> Any:
        return self

    def ledger(self) -> list[dict[str, Any]]:
        return self.emulator.ledger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_all(receive) or b""
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        headers = {name.decode().title(): said.decode() for name, said in scope["headers"]}
        target = scope["raw_path"].decode() + query
        self.sent.append(Recorded(scope["method"], target, headers, body))
        await self.emulator.app(scope, replay(body), send)


def an_elog(url: str) -> Adapter:
    return KINDS["elog"].adapter(elog_site.a_site(url))


def an_auditor(url: str) -> Adapter:
    return KINDS["auditor"].adapter(auditor_lane.site_of(url))


def an_event_manager(url: str) -> Adapter:
    return KINDS["event_manager"].adapter(event_manager_lane.site_for(url))


def a_telemetry(url: str) -> Adapter:
    return KINDS["telemetry"].adapter(telemetry_site.a_site(url))


POST = elog_site.a_post("two\nlines & \u00b5", title="T", tags=["a"], run=1)
START = a_claim({"run_id": "night"}, kind="run_start")
CASES: dict[tuple[str, str], tuple[Any, Any, list[Claim]]] = {
    ("elog", "post"): (ElogEmulator, an_elog, [POST]),
    ("elog", "run_params"): (ElogEmulator, an_elog, [elog_site.some_params({"a b": 1})]),
    ("auditor", "record"): (Auditor, an_auditor, [auditor_lane.add()]),
    ("auditor", "record_update"): (
        Auditor, an_auditor, [auditor_lane.add(), auditor_lane.update()]
    ),
    ("event_manager", "event"): (
        EventManager, an_event_manager, [a_claim({"event_type": "test", "event_data": "\u00b5"})]
    ),
    ("telemetry", "event"): (
        TelemetryEmulator, a_telemetry, [a_claim({"type": "w", "data": 1, "meta": {"run_id": "r"}})]
    ),
    ("telemetry", "run_start"): (TelemetryEmulator, a_telemetry, [START]),
    ("telemetry", "run_stop"): (
        TelemetryEmulator, a_telemetry, [START, a_claim({}, kind="run_stop")]
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


async def last_sent(
    server: Served, recorder: Recorder, adapter: Adapter, claims: list[Claim]
) -> tuple[Recorded, Any]:
    server.serve(recorder)
    try:
        for claim in claims:
            (verdict,) = await adapter.deliver([claim])
            assert isinstance(verdict, Receipt), verdict
        return recorder.sent[-1], adapter.preview(claims[-1])
    finally:
        await adapter.close()


def compare(server: Served, sent: Recorded, preview: Preview) -> None:
    assert (preview.method, preview.url) == (sent.method, server.url + sent.target)
    shown = {name.title(): said for name, said in preview.headers.items()}
    proof = shown.pop("Authorization", None)
    assert (proof is not None) == (sent.headers.pop("Authorization", None) is not None)
    if preview.files:
        shown["Content-Type"] = sent.headers["Content-Type"]
        shown["Content-Length"] = sent.headers["Content-Length"]
    assert shown == sent.headers


@pytest.mark.parametrize(("backend", "kind"), CASES, ids="-".join)
async def test_what_is_shown_is_what_is_sent(server: Served, backend: str, kind: str) -> None:
    emulator, connect, claims = CASES[backend, kind]

    sent, preview = await last_sent(
        server, Recorder(emulator()), connect(server.url), claims
    )  # fmt: skip

    (only,) = preview
    compare(server, sent, only)
    assert (only.body or "").encode() == sent.body


def test_every_kind_of_entry_is_compared_or_says_that_it_cannot_be_shown() -> None:
    """A kind that is new here shows nothing until somebody writes its preview, and its case."""
    for backend, one in KINDS.items():
        for kind in one.kinds:
            if (backend, kind) in CASES:
                continue
            adapter = CASES[backend, one.main_kind][1]("http://127.0.0.1:9")
            assert list(adapter.preview(a_claim({}, kind=kind))) == []


async def test_a_post_with_files_shows_its_parts(server: Served, tmp_path: Path) -> None:
    files = (elog_site.a_file(tmp_path, 'a"b/plot.png', b"12345"),)
    claim = elog_site.a_post("text", files, title="T")

    sent, (preview,) = await last_sent(
        server, Recorder(ElogEmulator()), an_elog(server.url), [claim]
    )

    compare(server, sent, preview)
    message = b"Content-Type: " + sent.headers["Content-Type"].encode() + b"\r\n\r\n" + sent.body
    parts = BytesParser().parsebytes(message).get_payload()
    assert preview.fields == {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in parts
        if part.get_filename() is None
    }
    (file,) = [part for part in parts if part.get_filename() is not None]
    assert preview.files == (
        File("files", file.get_filename(), file.get_content_type(), len(file.get_payload())),
    )


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({"method": "basic", "username": "{instrument}opr", "password_file": "password"}, "mfxopr"),
        ({"method": "bearer", "token_file": "token"}, "the token in token"),
        ({"method": "bearer", "token_command": ("print-it",)}, "token_command"),
    ],
)
def test_no_secret_is_read_to_show_a_request(auth: dict[str, Any], words: str) -> None:
    site = elog_site.a_site("http://127.0.0.1:9", auth=AuthOptions(**auth), read_secret=None)

    (preview,) = KINDS["elog"].adapter(site).preview(POST)

    assert words in preview.headers["Authorization"]
    assert SECRET not in preview.headers["Authorization"]
