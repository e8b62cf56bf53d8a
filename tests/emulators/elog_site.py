"""Sites and claims for the tests of the eLog adapter, and a server that answers one thing only."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.base import Adapter, AuthOptions, Site, TlsOptions
from adapters.elog import KIND, Options
from adapters.verdict import Verdict
from storage.entry import Attachment, Claim
from tests.builders import NOW, a_claim
from tests.emulators.kit import Served

EXPERIMENT = "mfxl1000123"
AN_ID = "6b02d5fd77e06dbaf0b4893d"
JSON = "application/json; charset=utf-8"
METHODS = ["GET", "POST"]

Connect = Callable[..., Adapter]


class Stranger:
    """Answers every request with the same, whatever was asked; `says` changes what.

    `otherwise`: the JSON that it answers to all whose path does not end in `only`.
    """

    def __init__(self) -> None:
        self._answer = Response()
        self.only, self.otherwise = "", b""
        self.app = Starlette(routes=[Route("/{path:path}", self._reply, methods=METHODS)])

    def says(self, status: int, body: bytes, media_type: str) -> None:
        self.only = ""
        self._answer = Response(body, status, {"content-type": media_type})

    def ledger(self) -> list[dict[str, Any]]:
        return []

    async def _reply(self, request: Request) -> Response:
        if request.url.path.endswith(self.only):
            return self._answer
        return Response(self.otherwise, 200, {"content-type": JSON})


def a_site(url: str, **changes: Any) -> Site:
    """A site with the operator's password (as the emulator knows it); changes by keyword."""
    operator = AuthOptions(method="basic", username="{instrument}opr", password_file="password")
    fields: dict[str, Any] = {
        "name": "elog",
        "url": url,
        "timeout_seconds": 5.0,
        "attempt_timeout_seconds": 5.0,
        "concurrency": 2,
        "auth": operator,
        "tls": TlsOptions(),
        "options": Options(instrument="mfx"),
        "read_secret": {"password": "secret\n", "token": "token\n"}.__getitem__,
        "now": lambda: NOW,
    }
    return Site(**{**fields, **changes})


@asynccontextmanager
async def connections() -> AsyncIterator[Connect]:
    """Gives a maker of adapters, `(served, **changes of the site)`; closes them in the end."""
    async with AsyncExitStack() as stack:

        def connect(served: Served, **changes: Any) -> Adapter:
            adapter = KIND.adapter(a_site(**{"url": served.url, **changes}))
            stack.push_async_callback(adapter.close)
            return adapter

        yield connect


async def verdict_of(adapter: Adapter, claim: Claim) -> Verdict:
    (only,) = await adapter.deliver([claim])
    return only


def a_post(
    text: str = "beam is back",
    attachments: tuple[Attachment, ...] = (),
    known: dict[str, Any] | None = None,
    **more: Any,
) -> Claim:
    """A post; `known` is what the claim says beside the payload."""
    payload = {"experiment": EXPERIMENT, "text": text, **more}
    scope = payload["experiment"]
    fields = {"kind": "post", "stream": scope, "scope": scope, "attachments": attachments}
    return a_claim(payload, **fields, **(known or {}))


def some_params(params: dict[str, Any], run: int = 1, experiment: str = EXPERIMENT) -> Claim:
    payload = {"experiment": experiment, "run": run, "params": params}
    place = f"{experiment}/{run}"
    return a_claim(payload, kind="run_params", stream=place, scope=place)


def a_file(
    folder: Path, name: str, content: bytes = b"data", media_type: str | None = None
) -> Attachment:
    """An attachment called `name`, whose bytes lie in `folder` under a name of the outbox."""
    path = folder / f"part-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return Attachment(name, media_type, None, len(content), "", path)


def page(title: str) -> bytes:
    return f"<!doctype html>\n<title>{title}</title>\n".encode()


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
