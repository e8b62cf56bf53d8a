"""What a producer may send that must not be taken: one table, with the answer each deserves.

A case is raw bytes, because half of them are things that no HTTP client would send.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.door import JSON, MIB, NDJSON, event, form, post

MULTIPART = "multipart/form-data; boundary=frontier"
PAYLOAD = {"event_type": "test", "event_data": {"n": 1}}


@dataclass(frozen=True)
class Bad:
    """`pieces` are sent one after the other; then, if so, the sending side is closed."""

    name: str
    status: int
    pieces: tuple[bytes, ...]
    pointer: str | None = None
    half_close: bool = False


def request(
    body: bytes,
    media_type: str | None = JSON,
    *,
    method: str = "POST",
    target: str = "/v1/entries",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """A whole request. `length`: what it says of itself, else the truth."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    if media_type is not None:
        lines.append(f"Content-Type: {media_type}")
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    # Latin-1 as HTTP has it: a test may put any bytes into a header.
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def body(name: str, status: int, content: bytes, pointer: str | None = None, **more: Any) -> Bad:
    return Bad(name, status, (request(content, **more),), pointer)


def in_payload(text: str) -> bytes:
    """An envelope whose payload's event_data is `text`, verbatim."""
    return b'{"backend":"events","payload":{"event_data":%s}}' % text.encode()


def not_json() -> Iterator[Bad]:
    good = event()
    texts = {
        "an empty body": b"",
        "half an object": good[:-1],
        "two objects": good + good,
        "a trailing comma": good[:-1] + b",}",
        "single quotes": b"{'backend': 'events'}",
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "Latin-1": in_payload('"x"').replace(b"x", b"\xe9"),
        "an overlong encoding": in_payload('"x"').replace(b"x", b"\xc0\xaf"),
        "a raw surrogate": in_payload('"x"').replace(b"x", b"\xed\xa0\x80"),
        "NaN": in_payload("NaN"),
        "Infinity": in_payload("Infinity"),
        "-Infinity": in_payload("[1, -Infinity]"),
        "a comment": in_payload("1 /* one */"),
        "a hexadecimal number": in_payload("0x10"),
        "a leading zero": in_payload("007"),
        "a raw control character": in_payload('"a\nb"'),
        "a duplicate name outside": good[:-1] + b', "backend": "events"}',
        "a duplicate name inside": in_payload('{"a": 1, "a": 1}'),
        "a duplicate name deep inside": in_payload('[[{"b": [{"a": 1, "b": 2, "a": 3}]}]]'),
        "a duplicate name by escape": in_payload('{"a": 1, "\\u0061": 1}'),
        "just text": b"the beam is back",
        "HTML": b"<html></html>",
    }
    for name, text in texts.items():
        yield body(name, 400, text)
    for depth in (99, 101, 200, 999, 1001, 10_000, 100_000):
        yield body(f"lists {depth} deep", 400, in_payload("[" * depth + "]" * depth))
        deep = '{"a":' * depth + "1" + "}" * depth
        yield body(f"objects {depth} deep", 400, in_payload(deep))
    yield body("an unclosed list 100,000 deep", 400, in_payload("[" * 100_000))


def not_storable() -> Iterator[Bad]:
    place = "/payload/event_data"
    for name, text in {
        "a lone high surrogate": '"\\ud800"',
        "a lone low surrogate": '"x\\udfffx"',
        "surrogates the wrong way round": '"\\udc00\\ud800"',
        "2^63": "9223372036854775808",
        "-2^63 - 1": "-9223372036854775809",
        "5,000 digits": "1" * 5000,
        "5,000 digits below zero": "-" + "1" * 5000,
        "1e400": "1e400",
        "-1e400": "-1e400",
        "400 digits and a fraction": "9" * 400 + ".5",
    }.items():
        yield body(name, 422, in_payload(text), place)
        yield body(f"{name} in a list", 422, in_payload(f"[0, [{text}]]"), f"{place}/1/0")
    yield body("a surrogate in a name", 422, in_payload('{"a\\ud800": 1}'), f"{place}/a\\ud800")
    yield body(
        "a fault below a surrogate", 422, in_payload('{"\\ud800": 1e400}'), f"{place}/\\ud800"
    )
    yield body("NUL in a name", 422, in_payload('{"a\\u0000b": 1}'), f"{place}/a\x00b")
    yield body("a pointer with escapes", 422, in_payload('{"a/b~c": 1e400}'), f"{place}/a~1b~0c")
    yield body("NUL in an envelope's name", 422, event(**{"a\x00": 1}), "/a\x00")
    yield body("a name of a megabyte", 422, in_payload('{"%s": 1e400}' % ("x" * MIB)), place)
    yield body("a million faults", 422, in_payload("[" + "1e400," * 600_000 + "1]"), f"{place}/0")


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


def wrong_attachments() -> Iterator[Bad]:
    content = base64.b64encode(b"hello").decode()

    def embedded(*parts: Any) -> bytes:
        return post(attachments=list(parts))

    one = {"name": "a.txt", "content_base64": content}
    first = "/attachments/0"
    yield body("a listed file that is missing", 422, embedded({"name": "a.txt"}), first)
    yield body("the same name twice", 422, embedded(one, one), "/attachments/1")
    for name in ("", ".", "..", "../../x", "/etc/passwd", "a/b", "a\x00b", "x" * 256):
        wrong = {**one, "name": name}
        yield body(f"a file called {name[:12]!r}", 422, embedded(wrong), f"{first}/name")
    yield body("a file without a name", 422, embedded({"content_base64": content}), f"{first}/name")
    yield body("a name that is a number", 422, embedded({**one, "name": 1}), f"{first}/name")
    yield body("an unknown field of a file", 422, embedded({**one, "size": 5}), f"{first}/size")
    yield body("a file that is a text", 422, embedded("a.txt"), first)
    for said in ("png", "image/", "image/png\r\nX: y", "image/p ng"):
        wrong = {**one, "media_type": said}
        yield body(f"the media type {said!r}", 422, embedded(wrong), f"{first}/media_type")
    for name, text in {
        "no base64": "####",
        "half a quartet": content[:-3],
        "no padding": content.rstrip("="),
        "padding in the middle": "aGVsbG8=" * 2,
        "line ends": "aGVs\nbG8=",
        "URL-safe": "-_-_",
        "Unicode": "aGVsbG8\u2260",
        "a number": 12,
        "null": None,
    }.items():
        wrong = {**one, "content_base64": text}
        yield body(f"content: {name}", 422, embedded(wrong), f"{first}/content_base64")
    yield body("a file for an event", 422, event(attachments=[one]), "/attachments")
    many = [{"name": f"{number}.txt", "content_base64": content} for number in range(101)]
    yield body("101 files", 422, embedded(*many), "/attachments")
    large = base64.b64encode(bytes(7 * MIB)).decode()
    yield body(
        "a file above the eLog's limit", 413, embedded({**one, "content_base64": large}), first
    )


def wrong_forms() -> Iterator[Bad]:
    def sent(name: str, status: int, content: bytes, pointer: str | None = None) -> Bad:
        return body(name, status, content, pointer, media_type=MULTIPART)

    whole, _ = form(post(), ("a.png", b"123456"))
    listed = post(attachments=[{"name": "b.png"}])
    for name, place in {
        "inside the first boundary": whole.index(b"tier"),
        "inside a header": whole.index(b"Disposition") + 5,
        "behind the headers": whole.index(b"{"),
        "inside the entry": whole.index(b"Beam"),
        "before a file": whole.index(b"filename"),
        "inside a file": whole.index(b"456"),
        "behind a file": whole.index(b"456") + 5,
        "before the last dashes": len(whole) - 4,
    }.items():
        yield sent(f"a form cut {name}", 400, whole[:place])
    yield sent("an empty form", 400, b"")
    yield sent("a form that is JSON", 400, post())
    yield sent("a form with another boundary", 400, form(post(), boundary="else")[0])
    yield body("a form without boundary", 400, whole, media_type="multipart/form-data")
    yield body("an empty boundary", 400, whole, media_type="multipart/form-data; boundary=")
    long = f"multipart/form-data; boundary={'x' * 300}"
    yield body("a boundary of 300", 400, whole, media_type=long)
    yield sent("no part", 422, b"--frontier--\r\n", "")
    yield sent("no part `entry`", 422, form(None, ("a.png", b"1"))[0], "")
    two = form(post())[0].replace(b"--frontier--\r\n", b"") + whole
    yield sent("two parts `entry`", 422, two, "")
    yield sent("an unknown part", 422, whole.replace(b'name="files"', b'name="file"'), "")
    yield sent("a part without a name", 422, whole.replace(b'; name="files"', b""), "")
    yield sent(
        "a file part without a name", 422, whole.replace(b'; filename="a.png"', b""), "/attachments"
    )
    for name in (b"", b"..", b"../../x", b"/etc/passwd", b"a\x00b", b"x" * 256, b"\xff.png"):
        wrong = whole.replace(b"a.png", name)
        yield sent(f"a file called {name[:12]!r}", 422, wrong, "/attachments")
    yield sent(
        "the same file twice", 422, form(post(), ("a", b"1"), ("a", b"2"))[0], "/attachments"
    )
    yield sent(
        "a file that is not listed", 422, form(post(attachments=[]), ("a", b"1"))[0], "/attachments"
    )
    yield sent(
        "a listed file that did not come", 422, form(listed, ("a.png", b"1"))[0], "/attachments/0"
    )
    embedded = post(attachments=[{"name": "a.png", "content_base64": "MQ=="}])
    yield sent("a file both ways", 422, form(embedded, ("a.png", b"1"))[0], "/attachments/0")
    yield sent("a file part for an event", 422, form(event(), ("a.png", b"1"))[0], "/attachments")
    many = [(f"{number}.txt", b"x") for number in range(101)]
    yield sent("a form of 101 files", 422, form(post(), *many)[0], "/attachments")
    large = form(post(), ("a.bin", bytes(7 * MIB)))[0]
    yield sent("a form with a file above the eLog's limit", 413, large, "/attachments/0")
    yield sent("a part `entry` of 5 MiB", 413, form(b" " * (5 * MIB), ("a.png", b"1"))[0])
    yield sent("a bad entry with a good file", 422, form(b"{}", ("a.png", b"1"))[0], "/payload")
    encoded = whole.replace(b"\r\n\r\n123", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n123")
    yield sent("a part in base64", 422, encoded, "")
    typed = whole.replace(b"\r\n\r\n123", b"\r\nContent-Type: \x01\r\n\r\n123")
    yield sent("a file of a wrong type", 422, typed, "/attachments")
    endless = whole.replace(b"\r\n\r\n123", b"\r\nX-Pad: " + b"x" * 100_000 + b"\r\n\r\n123")
    yield sent("a part with large headers", 400, endless)


def wrong_http() -> Iterator[Bad]:
    good = event()
    for said in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ""):
        yield body(f"the type {said!r}", 415, good, media_type=said)
    yield body("no type", 415, good, media_type=None)
    yield body("gzip", 415, good, Content_Encoding="gzip")
    bare = b"POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n"
    yield Bad("no length", 411, (bare,))
    yield Bad("a length beyond all limits", 413, (request(b"", length=2**30),))
    for said in ("-1", "1.5", "x", "0x10", "9" * 30, "1, 2"):
        wrong = bare.replace(b"\r\n\r\n", f"\r\nContent-Length: {said}\r\n\r\n".encode())
        yield Bad(f"the length {said!r}", 400, (wrong,))
    both = bare.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
    yield Bad("a length and chunks", 400, (both + b"0\r\n\r\n",))
    chunked = bare.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    yield Bad("a chunk without length", 400, (chunked + b"x\r\n\r\n",))
    yield Bad("a chunk that is longer", 400, (chunked + b"1\r\n{}\r\n0\r\n\r\n",))
    yield Bad("chunks that break off", 400, (chunked + b"ff\r\n{",), half_close=True)
    yield Bad("a chunk's length without end", 431, (chunked, *[b"0" * 65_536] * 16))
    trailers = [b"X-Y: zzz\r\n" * 10_000] * 10
    yield Bad("trailers without end", 431, (chunked + b"1\r\n{\r\n0\r\n", *trailers))
    yield Bad(
        "a body that breaks off", 400, (request(good, length=len(good) + 1),), half_close=True
    )
    yield Bad("headers that break off", 400, (bare[:-10],), half_close=True)
    for line in ("GARBAGE", "POST", "POST /v1/entries HTTP/9.9", "\x16\x03\x01"):
        yield Bad(f"the line {line!r}", 400, (line.encode() + b"\r\n\r\n",))
    yield Bad("a header without colon", 400, (bare.replace(b"Host: x", b"Host x"),))
    yield Bad("a path beyond ASCII", 400, (bare.replace(b"entries", b"entr\xef\xbb\xbfies"),))
    yield Bad("HTTP/0.9", 415, (b"POST /v1/entries\r\n\r\n",))
    yield Bad("an asterisk", 404, (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",))
    line = bare.replace(b"Host: x", b"X-Pad: " + b"x" * 40_000)
    yield Bad("a header of 40,000", 431, (line,))
    lines = bare.replace(b"Host: x", b"\r\n".join(b"X-%d: y" % number for number in range(5000)))
    yield Bad("5,000 headers", 431, (lines,))
    yield Bad("headers without end", 431, (bare[:-4], *[b"\r\nX-Pad: " + b"x" * 8000] * 200))
    yield Bad(
        "a path of 40,000", 431, (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",)
    )
    for target in ("/", "/v2/entries", "/v1/entries/", "/v1", "//v1/entries", "/metrics/x"):
        yield body(f"the path {target}", 404, good, target=target)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        yield body(f"{method} entries", 405, good, method=method)
    yield body("POST status", 405, b"", target="/v1/status", method="POST")
    for verb in ("retry", "discard"):
        yield body(f"{verb} by a producer", 403, b"", target=f"/v1/entries/x/{verb}")
    yield body("retry a backend by a producer", 403, b"", target="/v1/backends/events/retry")


def wrong_questions() -> Iterator[Bad]:
    for query in (
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=0",
        "limit=1.5",
        "limit=99999999999999999999",
        "limit=" + "9" * 5000,
        "limit=%D9%A3",
        "after=-1",
        "after=9223372036854775808",
        "after=x",
        "state=asleep",
        "state=",
        "label=run",
        "label=",
        "label=a=1&label=a=2",
        "&".join(f"label=n{number}=x" for number in range(33)),
        "backend=a&backend=b",
        "colour=red",
        "limit=1&limit=2",
    ):
        target = f"/v1/entries?{query}"
        yield body(f"GET ?{query[:32]}", 422, b"", "", method="GET", target=target)
    receipts = "/v1/receipts?after=9223372036854775808"
    yield body("GET receipts far away", 422, b"", "", method="GET", target=receipts)
    for id_ in (
        "x",
        "%00",
        "%ff",
        "..%2f..%2fetc",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "'; DROP TABLE entry",
    ):
        target = f"/v1/entries/{id_.replace(' ', '%20')}"
        yield body(f"GET the id {id_}", 404, b"", method="GET", target=target)


def all_bad() -> list[Bad]:
    """Every case; names are unique."""
    tables = (
        not_json,
        not_storable,
        wrong_envelopes,
        wrong_names_and_times,
        wrong_labels,
        wrong_payloads,
        wrong_keys,
        wrong_attachments,
        wrong_forms,
        wrong_http,
        wrong_questions,
    )
    found = [one for table in tables for one in table()]
    assert len({one.name for one in found}) == len(found)
    return found
