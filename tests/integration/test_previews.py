"""What `put --dry-run` shows is what a delivery sends: for every kind of entry of every backend."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from adapters.base import Adapter, AuthOptions
from adapters.elog import Options
from adapters.preview import File, Preview
from adapters.registry import KINDS
from storage.entry import Claim, Receipt
from tests.builders import a_claim
from tests.emulators import auditor_lane, elog_site, event_manager_lane, telemetry_site
from tests.emulators.auditor import Auditor
from tests.emulators.elog import ElogEmulator
from tests.emulators.event_manager import EventManager
from tests.emulators.jid import JidEmulator
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


def a_person_at(url: str) -> Adapter:
    """The eLog by the token of a person, and the job service at the same address."""
    options = Options(instrument="mfx", run_status_urls=(f"{url}/arp",))
    auth = AuthOptions(method="bearer", token_file="token")
    return KINDS["elog"].adapter(elog_site.a_site(url, auth=auth, options=options))


def an_auditor(url: str) -> Adapter:
    return KINDS["auditor"].adapter(auditor_lane.site_of(url))


def an_event_manager(url: str) -> Adapter:
    return KINDS["event_manager"].adapter(event_manager_lane.site_for(url))


def a_telemetry(url: str) -> Adapter:
    return KINDS["telemetry"].adapter(telemetry_site.a_site(url))


POST = elog_site.a_post("two\nlines & \u00b5", title="T", tags=["a"], run=1)
START = a_claim({"run_id": "night"}, kind="run_start")
PARAMS = elog_site.some_params({"a b": 1})
EVENT = a_claim({"event_type": "test", "event_data": "\u00b5"})
READING = a_claim({"type": "w", "data": 1, "meta": {"run_id": "r"}})
STOP = a_claim({}, kind="run_stop")
RECORD, UPDATE = auditor_lane.add(), auditor_lane.update()

WORKFLOW = a_claim(
    {
        "experiment": elog_site.EXPERIMENT,
        "name": "peaks",
        "executable": "/bin/run",
        "parameters": {"a": 1},
    },
    kind="workflow",
)


def a_status(url: str) -> list[Claim]:
    where = f"{url}/arp/jid/ws/replace_counters/{elog_site.EXPERIMENT}/7"
    payload = {"counters": {"events": 5, "<b>": "x"}, "update_url": where}
    return [a_claim(payload, kind="run_status")]


Make = Callable[[str], Any]  # of the server's address
CASES: dict[tuple[str, str], tuple[Callable[[], Emulator], Make, Make]] = {
    ("elog", "post"): (ElogEmulator, an_elog, lambda _: [POST]),
    ("elog", "run_params"): (ElogEmulator, an_elog, lambda _: [PARAMS]),
    ("elog", "run_status"): (JidEmulator, a_person_at, a_status),
    ("elog", "workflow"): (ElogEmulator, a_person_at, lambda _: [WORKFLOW]),
    ("auditor", "record"): (Auditor, an_auditor, lambda _: [RECORD]),
    ("auditor", "record_update"): (Auditor, an_auditor, lambda _: [RECORD, UPDATE]),
    ("event_manager", "event"): (EventManager, an_event_manager, lambda _: [EVENT]),
    ("telemetry", "event"): (TelemetryEmulator, a_telemetry, lambda _: [READING]),
    ("telemetry", "run_start"): (TelemetryEmulator, a_telemetry, lambda _: [START]),
    ("telemetry", "run_stop"): (TelemetryEmulator, a_telemetry, lambda _: [START, STOP]),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


async def sent_and_shown(
    server: Served, emulator: Emulator, adapter: Adapter, claims: list[Claim]
) -> tuple[Recorded, Preview]:
    """What the last claim's delivery sent to where its preview says, and the preview."""
    recorder = Recorder(emulator)
    server.serve(recorder)
    try:
        for claim in claims:
            (verdict,) = await adapter.deliver([claim])
            assert isinstance(verdict, Receipt), verdict
        (preview,) = adapter.preview(claims[-1])
    finally:
        await adapter.close()
    there = (preview.method, preview.url)
    sent = [one for one in recorder.sent if (one.method, server.url + one.target) == there]
    assert sent, (there, recorder.sent)
    return sent[-1], preview


def compare(sent: Recorded, preview: Preview) -> None:
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

    sent, preview = await sent_and_shown(
        server, emulator(), connect(server.url), claims(server.url)
    )

    compare(sent, preview)
    assert (preview.body or "").encode() == sent.body


def test_every_kind_of_entry_is_compared() -> None:
    assert set(CASES) == {(backend, kind) for backend, one in KINDS.items() for kind in one.kinds}


async def test_a_post_with_files_shows_its_parts(server: Served, tmp_path: Path) -> None:
    files = (elog_site.a_file(tmp_path, 'a"b/plot.png', b"12345"),)
    claim = elog_site.a_post("text", files, title="T")

    sent, preview = await sent_and_shown(server, ElogEmulator(), an_elog(server.url), [claim])

    compare(sent, preview)
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


AUTO = AuthOptions.model_validate(
    {
        "method": "auto",
        "operator": {"username": "mfxopr", "password_file": "password"},
        "kerberos": {"principal": "me@X"},
    }
)


def test_with_two_accounts_it_is_said_which_is_asked_when() -> None:
    site = elog_site.a_site("http://127.0.0.1:9", auth=AUTO, read_secret=None)
    adapter = KINDS["elog"].adapter(site)

    (post,), (workflow,) = adapter.preview(POST), adapter.preview(WORKFLOW)

    assert "/ws-auth/" in post.url
    assert post.remarks == (
        f"as me@X, by /ws-kerb/, where {elog_site.EXPERIMENT} is not the active experiment",
    )
    assert "/ws-kerb/" in workflow.url


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({"method": "basic", "username": "{instrument}opr", "password_file": "password"}, "mfxopr"),
        ({"method": "bearer", "token_file": "token"}, "the token in token"),
        ({"method": "bearer", "token_command": ("print-it",)}, "token_command"),
        ({"method": "kerberos", "principal": "me@X"}, "Negotiate <a ticket of me@X>"),
        ({"method": "oidc", "client_id": "us"}, "<a token for us from https://auth.cern.ch/"),
        ({"method": "oidc", "flow": "device"}, "of who said `holdfast login"),
    ],
)
def test_no_secret_is_read_to_show_a_request(auth: dict[str, Any], words: str) -> None:
    site = elog_site.a_site("http://127.0.0.1:9", auth=AuthOptions(**auth), read_secret=None)

    (preview,) = KINDS["elog"].adapter(site).preview(POST)

    assert words in preview.headers["Authorization"]
    assert SECRET not in preview.headers["Authorization"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"cookie_file": "cookies"}, "<the cookies of cookies>"),
        ({"cookie_command": ("sso", "{file}")}, "<the cookies of cookie_command>"),
    ],
)
def test_no_login_is_made_to_show_a_request(keys: dict[str, Any], words: str) -> None:
    auth = AuthOptions(method="cookie", **keys)
    site = elog_site.a_site("http://127.0.0.1:9", auth=auth, read_secret=None)
    site = replace(site, options=site.options.model_copy(update={"gate": "ws-sso"}))

    (preview,) = KINDS["elog"].adapter(site).preview(POST)

    assert preview.headers["Cookie"] == words
