"""Requests to the emulator of OMS as they go over the wire, for its tests."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.emulators.kit import Served
from tests.emulators.oms import ROOT


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def call(
    served: Served,
    method: str,
    path: str,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request; the path goes out untouched."""
    body = None if form is None else urlencode(form)
    sent = {"content-type": "application/x-www-form-urlencoded"} if form is not None else {}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request(method, path, body, {**sent, **(headers or {})})
        reply = connection.getresponse()
        return Reply(reply.status, dict(reply.headers), reply.read())
    finally:
        connection.close()


def ask(served: Served, path: str) -> Any:
    """The JSON of a question that is answered."""
    reply = call(served, "GET", ROOT + path)
    assert reply.status == 200, reply.body
    return reply.json()


def refusal(served: Served, path: str) -> tuple[int, str, str]:
    """Status, title and detail of a question that is not."""
    reply = call(served, "GET", ROOT + path)
    (error,) = reply.json()["errors"]
    assert error["status"] == str(reply.status)
    return reply.status, error["title"], error["detail"]


def column(answer: Any, name: str) -> list[Any]:
    return [row["attributes"][name] for row in answer["data"]]


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["data"]]
