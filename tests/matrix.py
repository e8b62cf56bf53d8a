"""What the verdict matrix is made of: every endpoint that an adapter asks, and answers to it.

A row says which answers prove something, in the backend's own words, and which answers of
others may read as a judgement all the same. Everything else must read as neither.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.auditor.comparing import BLIND_MS
from adapters.base import AuthOptions, Site, TlsOptions
from adapters.event_manager.dialect import KEPT_MS
from adapters.event_manager.wire import wire_body
from adapters.registry import KINDS
from adapters.verdict import DeliveryError
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim

JSON, TEXT, HTML, BYTES = "application/json", "text/plain", "text/html", "application/octet-stream"


@dataclass(frozen=True)
class Said:
    """An answer of a backend, or of something else."""

    status: int
    media: str | None
    body: bytes

    def response(self, **headers: str) -> httpx.Response:
        fields = {**headers, **({"content-type": self.media} if self.media else {})}
        return httpx.Response(self.status, headers=fields, content=self.body)


def said(status: int, body: Any, media: str = JSON) -> Said:
    """An answer in JSON."""
    return Said(status, media, json.dumps(body).encode())


def never(_: Said) -> bool:
    return False


PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body></body></html>"
BODIES: Mapping[str, tuple[str | None, bytes]] = {
    "empty": (None, b""),
    "empty page": (HTML, b""),
    "empty JSON": (JSON, b""),
    "cut": (JSON, b'{"success": true, "value": {"_id": "5f'),
    "page": (HTML, PAGE),
    "page that says it is JSON": (JSON, PAGE),
    "page without a label": (None, b"\n  " + PAGE),
    "another's object": (JSON, b'{"status": "ok", "id": 17, "success": 1, "_id": "other"}'),
    "FastAPI's refusal": (JSON, b'{"detail": "no"}'),
    "array": (JSON, b"[]"),
    "null": (JSON, b"null"),
    "number": (JSON, b"1"),
    "text": (TEXT, b"OK"),
    "text that says it is JSON": (JSON, b"Bad things happened"),
    "wrong label": ("image/png", b'{"success": true}'),
    "byte order mark": (JSON, b"\xef\xbb\xbf{}"),
    "garbage": (BYTES, b"\x00\xff\xfe\x1f\x8b{"),
    "deep": (JSON, b"[" * 3000),
}


@dataclass(frozen=True)
class Row:
    """One endpoint. `asks`: how its requests begin; all others are answered by `around`.

    `proofs` give receipts, `absences` (of a search) prove that nothing is there. `judges`: what
    the backend may answer when it rejects this entry; `parks`: ... its scope; `holds`: when only a
    person can say what is to become of the entry. `words`: what it says besides proofs, to be
    tried where it would not say it. `labels`: does the content type belong to what it says?
    `probes`: the answer decides nothing about the entry, what is sent afterwards does. `options`:
    settings of the backend. `apart`: another service than the backend answers, whose trouble must
    never become the backend's: all that is no proof parks. `after`: it is asked when the verdict
    is known already. `kept_ms`: how long an adapter goes by the last answer without asking again.
    """

    kind: str
    entry: str
    asks: str
    claims: Sequence[Claim]
    proofs: Sequence[Said] = ()
    absences: Callable[[Said], bool] = never
    judges: Callable[[Said], bool] = never
    parks: Callable[[Said], bool] = never
    holds: Callable[[Said], bool] = never
    words: Sequence[Said] = ()
    labels: bool = True
    around: Mapping[str, Said] = field(default_factory=dict)
    find: bool = False
    probes: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    apart: bool = False
    after: bool = False
    kept_ms: int = 0

    def __str__(self) -> str:
        aim = "find" if self.find else "deliver"
        return f"{self.kind} {aim} {self.entry} x{len(self.claims)}: {self.asks}"


class Network:
    """The network edge of httpx: answers what a test says, and counts."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.answer = Said(200, None, b"")
        self.headers: dict[str, str] = {}
        self.everywhere = False
        self.sent: list[str] = []

    async def __call__(self, _: object, request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url.path}"
        self.sent.append(asked)
        if self.everywhere or asked.startswith(self.row.asks):
            return self.answer.response(**self.headers)
        for begin, healthy in self.row.around.items():
            if asked.startswith(begin):
                return healthy.response()
        raise AssertionError(f"{self.row} does not say what {asked} gets")


class Asking:
    """One adapter of a row's kind, asked again and again."""

    def __init__(self, row: Row) -> None:
        kind = KINDS[row.kind]
        self.row = row
        self.network = Network(row)
        self.now = NOW
        self.adapter = kind.adapter(
            Site(
                name="b",
                url="http://b.test",
                timeout_seconds=5,
                attempt_timeout_seconds=10,
                concurrency=1,
                auth=AuthOptions(),
                tls=TlsOptions(),
                options=kind.options(**row.options),
                read_secret=lambda _: "",
                now=lambda: self.now,
            )
        )

    async def outcome(self, answer: Said, **headers: str) -> Receipt | DeliveryError | None:
        """What becomes of the claims, all the same; None: not there."""
        self.network.answer, self.network.headers = answer, headers
        self.now += self.row.kept_ms
        self.network.sent.clear()
        try:
            if self.row.find:
                found = await self.adapter.find(Doubt(self.row.claims[0], NOW, NOW))
                return found[0] if found else None
            verdicts = await self.adapter.deliver(self.row.claims)
        except DeliveryError as error:
            return error
        assert len(verdicts) == len(self.row.claims)
        assert len({type(one) for one in verdicts}) == 1
        first = verdicts[0]
        assert isinstance(first, Receipt | DeliveryError)
        return first


def is_413(answer: Said) -> bool:
    return answer.status == 413


def fields_of(answer: Said) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


# --- AUDITOR (AUDITOR sheet, sections 1.2 and 3a) ---


def a_record(name: str, **fields: str) -> dict[str, Any]:
    return {"record_id": name, "components": [], "start_time": "2024-01-01T00:00:00Z", **fields}


STORED = [Said(200, media, b"") for media in (None, TEXT, BYTES)]
REPEATED = [
    Said(500, None, b"RECORD_EXISTS"),
    Said(500, TEXT, b"RECORD_EXISTS"),
    said(200, {"warning": "Record already exists, but the error was ignored"}),
]
RECORDS = [a_claim(a_record(name), kind="record", id=name) for name in ("r1", "r2")]
UPDATES = [
    a_claim(a_record(name, stop_time="2024-01-01T00:00:00Z"), kind="record_update", id=name)
    for name in ("r1", "r2")
]
GONE = Said(404, TEXT, b"Updating unknown record r1 not possible.")


def auditor_judges(answer: Said) -> bool:
    """Its 400 is a text about the body; 413 may be a proxy's, and then the entry is too large."""
    text = answer.status == 400 and answer.media in (None, TEXT) and answer.body.strip() != b""
    return is_413(answer) or (text and not answer.body.lstrip().startswith(b"<"))


AUDITOR = [
    Row(
        "auditor",
        "record",
        "POST /record",
        RECORDS[:1],
        [*STORED, *REPEATED],
        judges=auditor_judges,
        around={"GET /record/r1": said(200, {**a_record("r1"), "stop_time": None})},
    ),
    # What is there of a duplicate decides only how its receipt is told.
    Row(
        "auditor",
        "record",
        "GET /record/r1",
        RECORDS[:1],
        around={"POST /record": REPEATED[0]},
        probes=True,
        after=True,
        kept_ms=BLIND_MS,
    ),
    Row("auditor", "record", "POST /records", RECORDS, STORED, judges=auditor_judges),
    Row(
        "auditor",
        "record_update",
        "PUT /record",
        UPDATES[:1],
        STORED,
        judges=auditor_judges,
        parks=lambda answer: answer == GONE,
        words=[GONE],
    ),
    Row(
        "auditor",
        "record",
        "GET /record/r1",
        RECORDS[:1],
        [said(200, {**a_record("r1"), "runtime": None})],
        find=True,
    ),
]


# --- the eLog (elog sheet, sections 2 and 6) ---

POST = a_claim({"experiment": "e", "text": "t"}, kind="post", scope="e", stream="e")
POST_OF_RUN = a_claim({"experiment": "e", "text": "t", "run": 7}, kind="post", scope="e")
POST_OF_CURRENT = a_claim(
    {"experiment": "e", "text": "t", "run": "current"}, kind="post", scope="e/current"
)
PARAMS = a_claim({"experiment": "e", "run": 7, "params": {"x": 1}}, kind="run_params", scope="e")
REMOTE_ID = "5f" * 12
NO_RUN = said(200, {"success": False, "errormsg": "Cannot find run with specified run number"})
NOTHING_FOUND = said(200, {"success": True, "value": []})
CRASHED = Said(500, JSON, PAGE)
NEW, RUN_PARAMS = "POST /ws/lgbk/lgbk/e/ws/new_elog_entry", "POST /ws/lgbk/run_control/e/ws"
SEARCH, RUNS = "GET /ws/lgbk/lgbk/e/ws/search_elog", "GET /ws/lgbk/lgbk/e/ws/runs"
CURRENT_RUN = "GET /ws/lgbk/lgbk/e/ws/current_run"
NO_RUNS = said(200, {"success": False, "value": None})
A_RUN = said(200, {"success": True, "value": {"num": 7, "begin_time": "2020-01-01T00:00:00+00:00"}})
FOUND = {"_id": REMOTE_ID, "jira_ticket": POST.id, "insert_time": "2026-01-01T00:00:00Z"}


def elog_judges(answer: Said) -> bool:
    """Its refusals are pages and texts of its framework, and 500s in plain text labelled JSON."""
    plain = answer.media == JSON and fields_of(answer) is None
    is_text = plain and answer.body[:1] not in (b"", b"{", b"[", b"<")
    return answer.status in (400, 413, 415, 422) or (answer.status == 500 and is_text)


def elog_parks(answer: Said) -> bool:
    return answer.status in (403, 423) or (answer.status == 404 and answer.media == JSON)


def elog(entry: str, asks: str, claim: Claim, *proofs: Said, **more: Any) -> Row:
    # It labels whatever it says as JSON, and its sheet warns of believing that.
    more = {"parks": elog_parks, **more}
    return Row("elog", entry, asks, [claim], proofs, labels=False, **more)


WORKFLOW = a_claim(
    {"experiment": "e", "name": "w", "executable": "x", "parameters": "p"}, kind="workflow"
)
DEFINED = {
    "_id": REMOTE_ID,
    "name": "w",
    "executable": "x",
    "parameters": "p",
    "trigger": "END_OF_RUN",
    "location": "S3DF",
    "run_as_user": "pi1",
}
DEFINITION = said(200, {"success": True, "errormsg": "", "value": DEFINED})
DEFINITIONS = said(200, {"success": True, "value": [DEFINED]})
DEFINE = "POST /ws/lgbk/lgbk/e/ws/create_update_workflow_def"
LIST = "GET /ws/lgbk/lgbk/e/ws/workflow_definitions"
TAKEN = said(
    200, {"success": False, "errormsg": "There already exists a workflow definition for w"}
)
FOR_PEOPLE = said(
    200, {"success": False, "errormsg": "Cannot create a workflow definition for the user mfxopr"}
)
INVALID = said(200, {"success": False, "errormsg": "Invalid location X in create/update workflow"})


def defining_judges(answer: Said) -> bool:
    return elog_judges(answer) or answer == INVALID


def defining_parks(answer: Said) -> bool:
    return elog_parks(answer) or answer in (TAKEN, FOR_PEOPLE)


STATUS = a_claim(
    {"counters": {"k": "v"}, "update_url": "http://jid.test/jid/ws/replace_counters/e/7"},
    kind="run_status",
)
COUNTERS = said(200, {"value": [{"key": "other", "value": 1}, {"key": "k", "value": "v"}]})
NO_COUNTERS = said(200, {"success": True, "value": []})
SHOW, REPLACE = "POST /jid/ws/e/get_counters", "POST /jid/ws/replace_counters/e/7"


ELOG = [
    elog(
        "workflow",
        DEFINE,
        WORKFLOW,
        DEFINITION,
        judges=defining_judges,
        parks=defining_parks,
        words=[TAKEN, FOR_PEOPLE, INVALID],
        around={LIST: NOTHING_FOUND},
    ),
    elog(
        "workflow",
        LIST,
        WORKFLOW,
        DEFINITIONS,
        absences=lambda answer: answer == NOTHING_FOUND,
        words=[NOTHING_FOUND],
        find=True,
    ),
    # What is shown is the proof; what is answered to the writing proves nothing.
    Row(
        "elog",
        "run_status",
        SHOW,
        [STATUS],
        [COUNTERS],
        parks=lambda _: True,
        words=[NO_COUNTERS, said(200, {"success": False, "value": []})],
        labels=False,
        around={REPLACE: said(200, {"success": True})},
        options={"run_status_urls": ["http://jid.test"]},
        apart=True,
    ),
    elog(
        "post",
        NEW,
        POST,
        said(200, {"success": True, "value": {"_id": REMOTE_ID}}),
        judges=elog_judges,
    ),
    elog(
        "run_params",
        RUN_PARAMS,
        PARAMS,
        said(200, {"success": True, "value": {"_id": REMOTE_ID, "num": 7, "params": {"x": 1}}}),
        judges=elog_judges,
        around={RUNS: said(403, {})},
    ),
    elog(
        "post",
        SEARCH,
        POST,
        said(200, {"success": True, "value": [FOUND]}),
        absences=lambda answer: answer == NOTHING_FOUND,
        holds=lambda answer: answer.status == 403,
        words=[NOTHING_FOUND],
        find=True,
    ),
    # Which runs there are decides only how a refusal that is already known is told.
    Row("elog", "post", RUNS, [POST_OF_RUN], parks=lambda _: True, around={NEW: NO_RUN}),
    Row("elog", "run_params", RUNS, [PARAMS], around={RUN_PARAMS: CRASHED}),
    # Which run is current is asked before anything is sent; without a Date nobody can tell.
    Row(
        "elog",
        "post",
        CURRENT_RUN,
        [POST_OF_CURRENT],
        parks=lambda _: True,
        holds=lambda answer: answer in (NO_RUNS, A_RUN),
        words=[NO_RUNS, A_RUN],
        labels=False,
        probes=True,
    ),
]


# --- the Event Manager (event manager sheet, sections 2, 3 and 5) ---

EVENT = a_claim({"event_data": {"x": 1}}, kind="event")
NO_EVENT = said(404, {"detail": f"Event with ID {EVENT.id} not found"})
DOCUMENT = {**wire_body(EVENT), "_id": EVENT.id}
STARTED = a_claim({"event_type": "manager_start"}, kind="event", id=EVENT.id)


def fastapi_judges(answer: Said) -> bool:
    fields = fields_of(answer)
    own = answer.status in (400, 422) and isinstance(fields, dict) and "detail" in fields
    return own or is_413(answer)


EVENT_MANAGER = [
    Row(
        "event_manager",
        "event",
        "POST /event",
        [EVENT],
        [said(200, DOCUMENT)],
        judges=fastapi_judges,
    ),
    Row(
        "event_manager",
        "event",
        "GET /event/",
        [EVENT],
        [said(200, DOCUMENT)],
        absences=lambda answer: answer == NO_EVENT,
        words=[NO_EVENT],
        find=True,
    ),
    # Which types it knows decides only how an event is told.
    Row(
        "event_manager",
        "event",
        "GET /openapi.json",
        [STARTED],
        around={
            "POST /event": said(200, DOCUMENT),
            "GET /health": said(200, {"healthy": True}),
            "GET /definition": said(404, {"detail": "Not Found"}),
        },
        probes=True,
        kept_ms=KEPT_MS,
    ),
]


# --- telemetry (telemetry sheet, sections 3, 4 and 8) ---

VALUE = a_claim({"type": "t", "data": {"x": 1}}, kind="event", stream="telemetry")
ENVELOPE = {"seq": 3, "type": "t", "data": {"x": 1}, "ts": "x", "meta": {"event_id": VALUE.id}}
READY = said(200, {"ready": True, "run_active": False, "version": "0.5.3"})
NO_CURRENT = said(404, {"detail": "No current event for type: t"})


def telemetry_shows_none(answer: Said) -> bool:
    """Its own words; its failure to show a value; and what dislikes this one address.

    Looking at the current value is a chance to find the event, no proof that it is not there.
    """
    broken = answer.status == 500 and answer.body.strip() == b"Internal Server Error"
    return answer == NO_CURRENT or broken or answer.status in range(400, 500)


START = a_claim({"run_id": "r"}, kind="run_start", stream="telemetry")
STOP = a_claim({"run_id": "r"}, kind="run_stop", stream="telemetry")
OURS = {"run_id": "r", "run_dir": "/d/r", "meta": {"holdfast_id": START.id}}
RUNNING = {"run_id": "r", "run_dir": "/d/r", "meta": {}}
ANOTHER = {"run_id": "x", "run_dir": "/d/x", "meta": {}}
NONE_ACTIVE = said(404, {"detail": "No run is active"})
ONE_ACTIVE = said(409, {"detail": "A run is already active"})


TELEMETRY = [
    Row(
        "telemetry",
        "event",
        "POST /event",
        [VALUE],
        [said(200, ENVELOPE)],
        judges=fastapi_judges,
        around={"GET /ready": READY, "GET /current/t": NO_CURRENT},
    ),
    Row(
        "telemetry",
        "event",
        "GET /ready",
        [VALUE],
        around={"GET /current/t": NO_CURRENT, "POST /event": said(200, ENVELOPE)},
        probes=True,
    ),
    Row(
        "telemetry",
        "event",
        "GET /current/t",
        [VALUE],
        around={"GET /ready": READY, "POST /event": said(200, ENVELOPE)},
        probes=True,
    ),
    Row(
        "telemetry",
        "event",
        "GET /current/t",
        [VALUE],
        [said(200, ENVELOPE)],
        absences=telemetry_shows_none,
        words=[NO_CURRENT],
        find=True,
    ),
    Row(
        "telemetry",
        "run_start",
        "POST /run/start",
        [START],
        [said(200, OURS)],
        judges=fastapi_judges,
        around={"GET /run": said(200, ANOTHER)},
    ),
    Row(
        "telemetry",
        "run_start",
        "GET /run",
        [START],
        [said(200, OURS)],
        around={"POST /run/start": ONE_ACTIVE},
        probes=True,
    ),
    Row("telemetry", "run_start", "GET /run", [START], [said(200, OURS)], find=True),
    Row(
        "telemetry",
        "run_stop",
        "POST /run/stop",
        [STOP],
        [said(200, RUNNING), NONE_ACTIVE],
        judges=fastapi_judges,
        around={"GET /run": said(200, RUNNING)},
    ),
    Row(
        "telemetry",
        "run_stop",
        "GET /run",
        [STOP],
        around={"POST /run/stop": said(200, RUNNING)},
        probes=True,
    ),
    Row("telemetry", "run_stop", "GET /run", [STOP], [NONE_ACTIVE], find=True),
]

ROWS = [*AUDITOR, *ELOG, *EVENT_MANAGER, *TELEMETRY]
