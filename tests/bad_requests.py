"""Files that do not match, forms that are cut, and what is hardly HTTP."""

import base64
from collections.abc import Iterator
from typing import Any

from tests.bad_cases import MULTIPART, Bad, body, request
from tests.door_client import MIB, event, form, post


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
