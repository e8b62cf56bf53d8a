"""The AUDITOR emulator answers as the sheet says: the recorded requests of the real client
first, then the oddities one by one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.auditor import BODY_LIMIT, Auditor
from tests.emulators.auditor_wire import RECORDING, Reply, a_record, ask, ids, objects
from tests.emulators.kit import Served

KEYS = ["record_id", "meta", "components", "start_time", "stop_time", "runtime"]
NO_RECORD = (
    b'{"error":"A database error was encountered while trying to get a record from the database"}'
)
WARNING = (
    b'{"warning":"Record already exists, but the error was ignored due to AUDITOR configuration."}'
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor() -> Auditor:
    return Auditor(pool_timeout_seconds=0)


@pytest.fixture
def served(server: Served, auditor: Auditor) -> Served:
    server.faulty.emulator = auditor
    return server


def test_every_recorded_request_gets_the_answer_of_the_sheet(served: Served) -> None:
    for exchange in RECORDING["exchanges"]:
        sent = exchange["body"].encode() if "body" in exchange else None
        status, media_type, body = ask(served, exchange["method"], exchange["path"], sent)

        wanted = exchange["answer"]
        assert status == wanted["status"], exchange["name"]
        assert media_type == wanted.get("media_type"), exchange["name"]
        if "records" in wanted:
            found = objects(body)
            assert [one["record_id"] for one in found] == wanted["records"]
            assert all(list(one) == KEYS for one in found)
        elif "text_starts" in wanted:
            assert body.decode().startswith(wanted["text_starts"])
        else:
            assert body.decode() == wanted["text"], exchange["name"]


def test_a_record_reads_back_with_its_runtime_and_times_in_utc(served: Served) -> None:
    parts = [{"name": "cpu", "amount": 4, "scores": [{"name": "hs23", "value": 9}]}]
    times = {"start_time": "2024-01-01T02:00:00.5+02:00", "stop_time": "2024-01-01T00:00:10.25Z"}
    ask(served, "POST", "/record", a_record("a b", meta={"k": ["v"]}, components=parts, **times))

    assert ask(served, "GET", "/record/a%20b")[2] == (
        b'{"record_id":"a b","meta":{"k":["v"]},"components":[{"name":"cpu","amount":4,'
        b'"scores":[{"name":"hs23","value":9.0}]}],"start_time":"2024-01-01T00:00:00.500Z",'
        b'"stop_time":"2024-01-01T00:00:10.250Z","runtime":9}'
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "/record/none", None, (500, "application/json", NO_RECORD)),
        ("GET", "/record/%20", None, (200, "application/json", b"null")),
        ("GET", "/record/" + 257 * "a", None, (200, "application/json", b"null")),
        ("DELETE", "/record", None, (405, None, b"")),
        ("PUT", "/records", [], (405, None, b"")),
        (
            "POST",
            "/nowhere",
            {},
            (404, None, b"The requested resource was not found. 404 Not Found"),
        ),
        (
            "PUT",
            "/record",
            a_record("none", stop_time="2024-01-01T00:00:00Z"),
            (404, "text/plain", b"Updating unknown record none not possible."),
        ),
    ],
)
def test_odd_requests_get_the_odd_answers(
    served: Served, method: str, path: str, body: Any, answer: Reply
) -> None:
    assert ask(served, method, path, body) == answer


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF while parsing a value"),
        (b"{", "EOF while parsing a value"),
        (b"nonsense", "expected value"),
        (b"\xff", "expected value"),
        (b"[" * 100_000, "expected value"),
        ({}, "missing field `record_id`"),
        (3, "invalid type: integer `3`, expected struct RecordAdd"),
        ({"record_id": "r"}, "missing field `components`"),
        ({"record_id": "r", "components": []}, "missing field `start_time`"),
        (b'{"record_id":"r","record_id":"s"}', "duplicate field `record_id`"),
        (a_record(" "), "Parsing ' ' failed."),
        (a_record("a" * 257), f"Parsing '{'a' * 257}' failed."),
        (a_record(components=None), "invalid type: null, expected a sequence"),
        (a_record(components={}), "invalid type: map, expected a sequence"),
        (a_record(components=[{"name": "c", "amount": 1}]), "missing field `scores`"),
        (a_record(components=[{"name": "c", "amount": -1, "scores": []}]), "Parsing '-1' failed."),
        (
            a_record(components=[{"name": "c", "amount": 4.0, "scores": []}]),
            "invalid type: floating point `4.0`, expected i64",
        ),
        (
            a_record(components=[{"name": "c", "amount": 2**63, "scores": []}]),
            "invalid value: integer `9223372036854775808`, expected i64",
        ),
        (a_record(meta=[]), "invalid type: sequence, expected a map"),
        (a_record(meta={"k": "v"}), 'invalid type: string "v", expected a sequence'),
        (a_record(meta={"": []}), "Parsing '' failed."),
        (a_record(start_time="2024-01-01T00:00:00"), "input contains invalid characters"),
        (a_record(start_time="2024-02-30T00:00:00Z"), "input is out of range"),
        (a_record(start_time=None), "invalid type: null, expected an RFC 3339"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_serdes_words(
    served: Served, auditor: Auditor, body: Any, text: str
) -> None:
    status, media_type, told = ask(served, "POST", "/record", body)

    assert (status, media_type) == (400, "text/plain")
    assert told.decode().startswith(f"Json deserialize error: {text}")
    assert " at line 1 column " in told.decode()
    assert auditor.ledger() == []


@pytest.mark.parametrize("label", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_labelled_json_is_refused(served: Served, label: str | None) -> None:
    reply = ask(served, "POST", "/record", a_record(), content_type=label)

    assert reply == (400, "text/plain", b"Content type error")


@pytest.mark.parametrize("label", ["application/json; charset=utf-8", "application/x+json"])
def test_any_json_label_will_do(served: Served, label: str) -> None:
    assert ask(served, "POST", "/record", a_record(), content_type=label)[0] == 200


def test_a_body_of_two_mebibytes_is_the_largest(served: Served) -> None:
    room = BODY_LIMIT - len(json.dumps(a_record(), separators=(",", ":"))) - len(',"x":""')
    fits = json.dumps(a_record(x="y" * room), separators=(",", ":")).encode()

    assert len(fits) == BODY_LIMIT
    assert ask(served, "POST", "/record", fits)[0] == 200
    assert ask(served, "POST", "/record", fits + b" ") == (
        413,
        "text/plain",
        b"JSON payload (2097153 bytes) is larger than allowed (limit: 2097152 bytes).",
    )


def test_a_batch_with_one_repeat_stores_nothing(served: Served, auditor: Auditor) -> None:
    ask(served, "POST", "/record", a_record("old"))

    for batch in ([a_record("new"), a_record("old")], [a_record("new"), a_record("new")]):
        assert ask(served, "POST", "/records", batch) == (500, None, b"RECORD_EXISTS")
    assert ids(served) == ["old"]

    auditor.ignore_record_exists_error = True
    status, media_type, body = ask(served, "POST", "/records", [a_record("new"), a_record("old")])
    assert (status, media_type, list(json.loads(body))) == (200, "application/json", ["warning"])
    assert ids(served) == ["old"]


def test_an_ignored_repeat_gets_a_warning_and_changes_nothing(
    served: Served, auditor: Auditor
) -> None:
    auditor.ignore_record_exists_error = True
    ask(served, "POST", "/record", a_record(meta={"first": []}))

    reply = ask(served, "POST", "/record", a_record(meta={"second": []}))

    assert reply == (200, "application/json", WARNING)
    assert auditor.ledger()[0]["meta"] == {"first": []}


def test_an_update_changes_the_stop_time_and_nothing_else(served: Served, auditor: Auditor) -> None:
    ask(served, "POST", "/record", a_record(meta={"k": []}))
    update = a_record(start_time="2020-01-01T00:00:00Z", stop_time="2023-12-31T23:59:58.5Z")

    assert ask(served, "PUT", "/record", update) == (200, None, b"")
    assert ask(served, "PUT", "/record", update) == (200, None, b"")
    [held] = auditor.ledger()
    assert held["meta"] == {"k": []}
    assert held["start_time"] == "2024-01-01T00:00:00Z"
    assert (held["stop_time"], held["runtime"]) == ("2023-12-31T23:59:58.500Z", -1)


@pytest.mark.parametrize("record_id", ["a\0b", "\u0301" * 2000 + "a"])
def test_poison_passes_the_rules_and_fails_for_ever(served: Served, record_id: str) -> None:
    for _ in range(2):
        reply = ask(served, "POST", "/record", a_record(record_id))
        assert reply == (500, None, b"UNEXPECTED_ERROR")


def test_without_its_database_it_answers_as_the_sheet_says(
    served: Served, auditor: Auditor
) -> None:
    auditor.db_down = True

    assert ask(served, "GET", "/health_check") == (500, None, b"")
    assert ask(served, "POST", "/record", a_record()) == (500, None, b"UNEXPECTED_ERROR")
    assert ask(served, "POST", "/records", [a_record()]) == (500, None, b"UNEXPECTED_ERROR")
    update = a_record(stop_time="2024-01-01T00:00:00Z")
    assert ask(served, "PUT", "/record", update)[::2] == (
        500,
        b"pool timed out while waiting for an open connection",
    )
    assert ask(served, "GET", "/records") == (200, "application/json", b"")
    assert ask(served, "GET", "/record/r1")[0] == 500


def test_an_archived_id_is_forgotten_and_taken_again(served: Served, auditor: Auditor) -> None:
    closed = a_record("closed", stop_time="2024-01-02T00:00:00Z")
    ask(served, "POST", "/records", [closed, a_record("open")])

    auditor.archive()

    assert ids(served) == ["open"]
    assert ask(served, "PUT", "/record", closed)[0] == 404
    assert ask(served, "POST", "/record", closed)[0] == 200
    copies = [(one["record_id"], one["archived"]) for one in auditor.ledger()]
    assert copies == [("closed", True), ("open", False), ("closed", False)]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("write", {"POST /record", "POST /records", "PUT /record"}),
        ("read", {"GET /records", "GET /record/r1"}),
        ("monitoring", {"GET /metrics"}),
    ],
)
def test_a_role_may_do_its_part_and_nobody_may_check_health(
    served: Served, auditor: Auditor, role: str, allowed: set[str]
) -> None:
    auditor.role = role
    asked = {
        "GET /health_check": None,
        "POST /record": a_record(),
        "POST /records": [],
        "PUT /record": a_record(stop_time="2024-01-01T00:00:00Z"),
        "GET /records": None,
        "GET /record/r1": None,
        "GET /metrics": None,
    }
    refused = set()
    for request, body in asked.items():
        method, _, path = request.partition(" ")
        status, _, text = ask(served, method, path, body)
        if (status, text) == (403, b"Insufficient permissions"):
            refused.add(request)

    assert refused == set(asked) - allowed
