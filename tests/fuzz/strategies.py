"""Bytes that are nearly right: whole things, cut, spliced and spelled wrong."""

import json
from typing import Any

from hypothesis import strategies as st

from agent.spool.frontmatter import KEYS
from config.settings import BackendSettings, Settings
from tests.ledgers import payload

ODD = [
    "", "\0", "\ufeff", "\u2028", "é", "測", "\U0001f52d", "\\ud800", "NaN", "1e400", "-0", "null",
    "9223372036854775808", "{", "}", "[", "]", '"', ",", ":", "\\", "//", "\r\n", "\n", " ", "---",
]  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
GOOD = {
    "elog": payload("elog", "m-00001"),
    "events": payload("events", "m-00001"),
    "dome": payload("telemetry", "m-00001"),
    "books": payload("accounting", "m-00001"),
}
ENVELOPE = ("backend", "kind", "key", "stream", "labels", "created_at", "expires_at", "attachments")
NAMES = sorted({*ENVELOPE, "payload", *(name for one in GOOD.values() for name in one)})


@st.composite
def nearly_json(draw: st.DrawFn, backend: str | None = None) -> bytes:
    """An entry with one field too many, or another value, then perhaps damaged."""
    good = GOOD[backend or draw(st.sampled_from(sorted(GOOD)))]
    body: Any = dict(good)
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=2)):
        body[name] = draw(VALUES)
    if draw(st.booleans()):
        body = {"payload": body}
        for name in draw(st.lists(st.sampled_from(ENVELOPE), max_size=3)):
            body[name] = draw(VALUES | st.sampled_from(["elog", "events", "post", "m-00001"]))
    return draw(damaged(json.dumps(body).encode()))


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` whole, cut, or with something odd in it."""
    how = draw(st.sampled_from(["whole", "whole", "cut", "splice", "flip"]))
    at = draw(st.integers(0, len(data)))
    match how:
        case "cut":
            return data[:at]
        case "splice":
            odd = draw(st.sampled_from(ODD)).encode()
            return data[:at] + odd + data[at:]
        case "flip" if at < len(data):
            return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
        case _:
            return data


@st.composite
def nearly_markdown(draw: st.DrawFn) -> bytes:
    """Front matter and text."""
    keys = st.sampled_from([*KEYS, "Run", "a key", "-", "#"])
    scalars = st.text(max_size=12) | st.sampled_from(
        [
            '"unclosed',
            '"a\\q"',
            "'",
            "12",
            "true",
            "[a, b]",
            "[",
            '"x"',
            "'it''s'",
            "current",
            "- a=b",
            "{",
            "xpptut15",
        ]
    )
    lines = [f"{draw(keys)}: {draw(scalars)}" for _ in range(draw(st.integers(0, 4)))]
    fence = draw(st.sampled_from(["---", "--- ", "----", ""]))
    text = "\n".join([fence, *lines, fence, draw(st.text(max_size=30))])
    return draw(damaged(text.encode("utf-8", "surrogatepass")))


FORM = "multipart/form-data; boundary=frontier"
FILES = st.binary(max_size=200) | nearly_json() | nearly_markdown()


@st.composite
def posted(draw: st.DrawFn) -> bytes:
    """A request without fault, whose body may have any."""
    media = draw(st.sampled_from(["application/json", "application/x-ndjson", FORM]))
    body = draw(nearly_multipart() if media == FORM else nearly_json() | st.binary(max_size=50))
    head = (
        f"POST /v1/entries HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@st.composite
def nearly_http(draw: st.DrawFn) -> bytes:
    """A request line, headers and a body, each perhaps damaged."""
    method = draw(st.sampled_from(["POST", "GET", "PUT", "HEAD", "", "post", "POST ", "X" * 40]))
    target = draw(
        st.sampled_from(
            ["/v1/entries", "/v1/entries?limit=x", "/v1/status", "/", "*", "//", "/\xff"]
        )
        | st.text(max_size=10)
    )
    media = draw(
        st.sampled_from(
            ["application/json", "application/x-ndjson", "multipart/form-data; boundary=frontier",
             "multipart/form-data", "text/plain", "application/json; charset=utf-16", ""]
        )
    )  # fmt: skip
    body = draw(
        nearly_multipart() if "multipart" in media else nearly_json() | st.binary(max_size=50)
    )
    length = draw(st.sampled_from([str(len(body))] * 4 + ["0", "-1", "9" * 30, "1x", "65"]))
    framing = draw(
        st.sampled_from(["length", "length", "length", "chunked", "both", "none", "twice"])
    )
    fields = [f"Content-Type: {media}", *_framing(framing, length)]
    fields += draw(st.lists(st.sampled_from(EXTRA), max_size=2))
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if framing == "chunked" else body
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""])
    return draw(damaged(head.encode("utf-8", "surrogatepass") + sent))


EXTRA = [
    "Expect: 100-continue",
    "Connection: keep-alive",
    "Connection: upgrade",
    "Upgrade: websocket",
    "Idempotency-Key: k",
    "Idempotency-Key: \x01",
    "Idempotency-Key: " + "k" * 300,
    "Transfer-Encoding: gzip, chunked",
    "Content-Encoding: gzip",
    " folded: line",
    "X: " + "y" * 3000,
]


def _framing(how: str, length: str) -> list[str]:
    sized, chunked = f"Content-Length: {length}", "Transfer-Encoding: chunked"
    return {
        "length": [sized],
        "chunked": [chunked],
        "both": [sized, chunked],
        "none": [],
        "twice": [sized, "Content-Length: 7"],
    }[how]


@st.composite
def nearly_multipart(draw: st.DrawFn) -> bytes:
    """Parts of a form, some of them odd."""
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        said = draw(
            st.sampled_from(
                ['name="entry"', 'name="files"; filename="a.png"', 'name="files"; filename="../x"',
                 'name="files"', 'name="other"', "", 'name="files"; filename=""']
            )
        )  # fmt: skip
        content = draw(nearly_json("elog") | st.binary(max_size=30))
        parts.append(
            f"--frontier\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode()
            + content
            + b"\r\n"
        )
    closing = draw(st.sampled_from([b"--frontier--\r\n", b"--frontier--\r\n", b"", b"--frontier"]))
    return b"".join(parts) + closing


DEFAULTS = {
    **Settings().model_dump(mode="json"),
    "backends.events": {
        name: field.default
        for name, field in BackendSettings.model_fields.items()
        if isinstance(field.default, str | int | float)
    },
}
GOOD_BACKEND = {"kind": "event_manager", "url": "http://events.lab:8001"}


@st.composite
def nearly_settings(draw: st.DrawFn) -> str:
    """TOML of good sections, a key or two of which have another value or name."""
    sections = ["agent", "limits", "retry", "receipts", "status", "backends.events"]
    chosen = draw(st.lists(st.sampled_from(sections), min_size=1, max_size=3, unique=True))
    lines = []
    for section in chosen:
        known = DEFAULTS[section]
        keys = draw(st.lists(st.sampled_from(sorted(known)), unique=True, max_size=3))
        good = {key: json.dumps(known[key]) for key in keys}
        if section.startswith("backends"):
            good = {key: json.dumps(value) for key, value in GOOD_BACKEND.items()} | good
        if draw(st.booleans()):
            key = draw(st.sampled_from([*known, *GOOD_BACKEND, "auth", "nonsense"]))
            good[key] = draw(_values_for(key))
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in good.items())]
    text = "\n".join(lines)
    if draw(st.integers(0, 3)):
        return text
    return draw(damaged(text.encode())).decode("utf-8", "surrogateescape")


def _values_for(key: str) -> st.SearchStrategy[str]:
    if key.endswith(("_dir", "socket", "_group", "url", "window")):
        return TEXTS
    return NUMBERS if key.endswith(("_seconds", "_bytes", "_days", "size")) else TOML_VALUES


TEXTS = st.sampled_from(
    [
        '"/run/x"',
        '"relative"',
        '""',
        '"\\u0000"',
        '"http://e:1"',
        '"* * * * *"',
        f'"/{"x" * 120}"',
        "1",
    ]
)
NUMBERS = st.sampled_from(["1", "0", "-1", "0.5", "inf", "nan", "9" * 30, '"1"', "true", "1e400"])
TOML_VALUES = st.sampled_from(
    [
        '"event_manager"', '"http://events.lab:8001"', '"hunter2-canary"', "1", "0", "-1", "1.5",
        "inf", "nan", "true", "[]", "{}", '["hunter2-canary"]', '{ method = "basic" }', '"0660"',
        '"/var/lib/holdfast"', '{ password_file = "hunter2-canary" }', "2026-11-23", '""',
        '"\\u0000"', '{ method = "basic", username = "\\u0000" }',
        '"* * * * *"', "99999999999999999999", '"http://u:hunter2-canary@h"',
    ]
)  # fmt: skip
ENVIRONMENTS = st.dictionaries(
    st.sampled_from(
        ["HOLDFAST_RETRY__MAX_ATTEMPTS", "HOLDFAST_AGENT__SOCKET", "HOLDFAST_BACKENDS__EVENTS__URL",
         "HOLDFAST_X", "HOLDFAST___", "HOLDFAST_AGENT__SOCKET__X", "HOLDFAST_BACKENDS"]
    ),
    st.sampled_from(["1", "hunter2-canary", "{}", "[", "null", '"x"', "/run/x.sock", '{"a": 1}']),
    max_size=2,
)  # fmt: skip
