"""JSON that is no entry: envelopes, names, times, labels, payloads, keys."""

import json
from collections.abc import Iterator
from typing import Any

from tests.bad_cases import PAYLOAD, Bad, body, in_payload, request
from tests.door_client import MIB, NDJSON, event, post


def wrong_envelopes() -> Iterator[Bad]:
    for name, text in {
        "a list": b"[]",
        "a string": b'"x"',
        "null": b"null",
        "true": b"true",
    }.items():
        yield body(f"{name} and no object", 422, text, "")
    yield body("an empty object", 422, b"{}", "/payload")
    yield body("a bare payload", 422, json.dumps(PAYLOAD).encode(), "/payload")
    yield body("no payload", 422, b'{"backend": "events"}', "/payload")
    yield body("no backend", 422, json.dumps({"payload": PAYLOAD}).encode(), "/backend")
    yield body("an unknown name", 422, event(priority=1), "/priority")
    yield body("a name in capitals", 422, event(Key="a"), "/Key")
    yield body("an internal name", 422, event(content=""), "/content")
    for field in ("backend", "kind", "key", "stream", "created_at", "expires_at"):
        for wrong in (1, True, 1.5, [], {}, ["a"]):
            yield body(f"{field} is {wrong!r}", 422, event(**{field: wrong}), f"/{field}")
    for wrong in (None, 1, "x", [], True):
        yield body(f"payload is {wrong!r}", 422, event(payload=wrong), "/payload")
    for wrong in (1, "x", {}, True):
        yield body(f"attachments is {wrong!r}", 422, post(attachments=wrong), "/attachments")
    yield body("an unknown backend", 404, event(backend="nowhere"), "/backend")
    yield body("a backend in capitals", 404, event(backend="Events"), "/backend")
    yield body("an empty backend", 404, event(backend=""), "/backend")
    yield body("a backend of a megabyte", 404, event(backend="x" * MIB), "/backend")
    yield body("a backend with NUL", 404, event(backend="events\x00"), "/backend")
    yield body("an unknown kind", 422, event(kind="poem"), "/kind")
    yield body("an empty kind", 422, event(kind=""), "/kind")
    yield body("a kind of another backend", 422, event(kind="post"), "/kind")


def wrong_names_and_times() -> Iterator[Bad]:
    for field in ("key", "stream"):
        for name, wrong in {
            "empty": "",
            "201 characters": "x" * 201,
            "a line end": "a\nb",
            "a tab": "a\tb",
            "NUL": "a\x00",
            "an escape sequence": "\x1b[31m",
            "a direction override": "a\u202eb",
        }.items():
            yield body(f"{field}: {name}", 422, event(**{field: wrong}), f"/{field}")
    for name, wrong in {
        "no time": "yesterday",
        "empty": "",
        "no zone": "2026-11-23T10:00:00",
        "a date": "2026-11-23",
        "digits": "1790000000",
        "a 30th of February": "2026-02-30T10:00:00Z",
        "an hour 24": "2026-02-20T24:00:01Z",
        "before the year 1": "0001-01-01T00:00:00+14:00",
        "after the year 9999": "9999-12-31T23:59:59-14:00",
    }.items():
        yield body(f"created_at: {name}", 422, event(created_at=wrong), "/created_at")
        yield body(f"expires_at: {name}", 422, event(expires_at=wrong), "/expires_at")
    yield body("expires_at is past", 422, event(expires_at="2020-01-01T00:00:00Z"), "/expires_at")


def wrong_labels() -> Iterator[Bad]:
    for name, labels in {
        "are a list": [],
        "are null": None,
        "are a text": "run=1",
        "33 of them": {f"n{number}": "x" for number in range(33)},
        "an empty name": {"": "x"},
        "a name of 65 characters": {"x" * 65: "x"},
        "a name with a space": {"run number": "x"},
        "a name with =": {"a=b": "x"},
        "a name with a line end": {"run\n": "x"},
        "a name beyond ASCII": {"größe": "x"},
        "a value of 257 characters": {"run": "x" * 257},
        "a value with NUL": {"run": "a\x00"},
    }.items():
        yield body(f"labels: {name}", 422, event(labels=labels), "/labels")
    for wrong in (1, None, True, ["x"], {}):
        yield body(f"a label is {wrong!r}", 422, event(labels={"run": wrong}), "/labels/run")


def wrong_payloads() -> Iterator[Bad]:
    def payload(**fields: Any) -> bytes:
        return event(payload={**PAYLOAD, **fields})

    yield body("an unknown field", 422, payload(urgency=1), "/payload/urgency")
    yield body("a wrong enum", 422, payload(event_type="party"), "/payload/event_type")
    yield body("a wrong level", 422, payload(log_level=11), "/payload/log_level")
    yield body("a level that is true", 422, payload(log_level=True), "/payload/log_level")
    yield body("alert as text", 422, payload(alert="true"), "/payload/alert")
    yield body("an unknown source", 422, payload(source={"lab": "x"}), "/payload/source/lab")
    wrong = {"experiment": "../../etc", "text": "x"}
    yield body("a path as experiment", 422, post(payload=wrong), "/payload/experiment")
    yield body("a blank text", 422, post(payload={"experiment": "a", "text": " "}), "/payload/text")
    yield body("no text", 422, post(payload={"experiment": "a"}), "/payload/text")
    wrong = {"experiment": "a", "text": "x", "tags": ["a", 1]}
    yield body("a tag that is a number", 422, post(payload=wrong), "/payload/tags/1")
    record = {"record_id": "r", "start_time": "2024-01-31T12:00:00Z"}
    yield body(
        "two million wrong components",
        422,
        event(backend="accounting", payload={**record, "components": [1] * 1_300_000}),
        "/payload/components/0",
    )
    large = event(payload={**PAYLOAD, "event_data": "x" * (4 * MIB)})
    yield body("a payload above 4 MiB", 413, large, "/payload")
    yield body("a payload of 8 MiB", 413, event(payload={"event_data": "x" * (8 * MIB)}))
    head, tail = in_payload("[*1]").split(b"*")
    lists = [b"[]," * MIB] * 20
    length = len(head) + len(tail) + 20 * 3 * MIB
    yield Bad("20 million lists", 413, (request(head, length=length), *lists, tail))
    yield Bad("a body above 64 MiB", 413, (request(b"", length=64 * MIB + 1), *[b"x" * MIB] * 64))


def wrong_keys() -> Iterator[Bad]:
    yield body("two different keys", 422, event(key="a"), "/key", Idempotency_Key="b")
    yield body("an empty key header", 422, event(), "", Idempotency_Key="")
    yield body("a key header of 201", 422, event(), "", Idempotency_Key="x" * 201)
    yield body("a key header in Latin-1", 422, event(), "", Idempotency_Key="Stra\xdfe")
    yield body("a key header for many", 422, event(), "", media_type=NDJSON, Idempotency_Key="a")
    twice = request(event(), Idempotency_Key="a").replace(
        b"Key: a\r\n", b"Key: a\r\nIdempotency-Key: b\r\n"
    )
    yield Bad("two key headers", 422, (twice,), "")
