"""Requests as the real client sends them, for the tests of the auditor emulator."""

import http.client
import json
from pathlib import Path
from typing import Any

from tests.emulators.kit import Served

RECORDING = json.loads((Path(__file__).parent / "transcripts" / "auditor.json").read_text())
Reply = tuple[int, str | None, bytes]  # status, content type without parameters, body


def a_record(record_id: str = "r1", **fields: Any) -> dict[str, Any]:
    base = {"record_id": record_id, "components": [], "start_time": "2024-01-01T00:00:00Z"}
    return base | fields


def ask(
    served: Served,
    method: str,
    path: str,
    body: Any = None,
    *,
    content_type: str | None = "application/json",
) -> Reply:
    """One request; objects are sent as JSON, bytes as they are. Paths go out untouched."""
    headers = dict(RECORDING["client_headers"])
    if body is not None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if content_type is not None:
            headers["content-type"] = content_type
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        media_type = reply.headers.get("content-type")
        return reply.status, media_type and media_type.partition(";")[0], reply.read()
    finally:
        connection.close()


def objects(body: bytes) -> list[dict[str, Any]]:
    """Concatenated JSON objects, with nothing between them."""
    text, found = body.decode(), []
    while text:
        one, end = json.JSONDecoder().raw_decode(text)
        found.append(one)
        text = text[end:]
    return found


def ids(served: Served, query: str = "") -> list[str]:
    status, _, body = ask(served, "GET", f"/records{query}")
    assert status == 200, body
    return [one["record_id"] for one in objects(body)]
