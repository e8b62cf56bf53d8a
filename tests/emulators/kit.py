"""What all emulators share: a server that can be unplugged, faults that can be switched, a ledger.

An emulator is a Starlette application that behaves as its sheet says, wrapped in `Faulty`.
Control, also from outside:

    GET  /_emulator/ledger                what the backend holds, as JSON
    POST /_emulator/faults {"mode": ...}  switch a fault on (see Fault); {} switches all off
    GET  /_emulator/requests              counts per "METHOD path"
    GET  /_emulator/counts                what it held and did per key, where it counts that
    POST /_emulator/OTHER {...}           for the emulator's own `control`, if it has one
"""

import argparse
import asyncio
import collections
import email.utils
import json
import logging
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Being unplugged is what they are for; uvicorn would complain about every request that it cuts.
logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())

BAD_GATEWAY = b"<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
CAPTIVE_PORTAL = b"<!doctype html><html><body>Please log in to the guest network</body></html>"


@dataclass
class Fault:
    """One way to misbehave, for requests whose path contains `path`.

    Modes: `status` (answer `status` with an HTML page, the application not asked);
    `status_after` (the same, but the application did its work first); `html` (200 with a login
    page); `empty` (200 with nothing); `retry_after` (503 with Retry-After: `seconds`);
    `redirect` (302); `drop_before` (reset, nothing done); `drop_after` (done, then reset);
    `truncate` (done, half of the answer, then reset); `hang` (nothing for `seconds`, then reset);
    `delay` (done after `seconds`, answered normally); `hang_after` (done, answer never comes).
    `times`: how many requests are struck (None: all); `probability`: how likely each is.
    """

    mode: str
    path: str = ""
    method: str = ""
    status: int = 503
    seconds: float = 30.0
    times: int | None = None
    probability: float = 1.0


class Emulator(Protocol):
    """What an emulator module offers: its application, and what it holds."""

    @property
    def app(self) -> Starlette: ...

    def ledger(self) -> list[dict[str, Any]]:
        """Everything that the backend holds, in order of arrival, one object per thing."""
        ...


@dataclass
class Faulty:
    """The application with its faults and its control paths in front."""

    emulator: Emulator
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    faults: list[Fault] = field(default_factory=list)
    requests: collections.Counter[str] = field(default_factory=collections.Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.emulator.app(scope, receive, send)
            return
        send = dated(send, getattr(self.emulator, "now", wall_clock))
        body = await read_all(receive)
        if body is None:
            return
        if scope["path"].startswith("/_emulator/"):
            await answer(send, 200, json.dumps(self._control(scope, body)).encode())
            return
        self.requests[f"{scope['method']} {scope['path']}"] += 1
        fault = self._strike(scope)
        if fault is None:
            await self.emulator.app(scope, replay(body), send)
        else:
            await self._misbehave(fault, scope, body, send)

    def _control(self, scope: Scope, body: bytes) -> Any:
        match scope["path"]:
            case "/_emulator/ledger":
                return self.emulator.ledger()
            case "/_emulator/requests":
                return dict(self.requests)
            case "/_emulator/counts":
                return getattr(self.emulator, "counts", dict)()
            case path if path != "/_emulator/faults" and hasattr(self.emulator, "control"):
                what = path.removeprefix("/_emulator/")
                return self.emulator.control(what, json.loads(body or b"{}"))
            case _:
                wanted = json.loads(body or b"{}")
                self.faults = [Fault(**wanted)] if wanted else []
                return [asdict(fault) for fault in self.faults]

    def _strike(self, scope: Scope) -> Fault | None:
        for fault in self.faults:
            if fault.path not in scope["path"] or fault.method not in ("", scope["method"]):
                continue
            if fault.times == 0 or self.dice.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    async def _misbehave(self, fault: Fault, scope: Scope, body: bytes, send: Send) -> None:
        reset = scope["state"]["transport"].abort
        match fault.mode:
            case "status":
                await answer(send, fault.status, BAD_GATEWAY, "text/html")
            case "status_after":
                await self._work(scope, body)
                await answer(send, fault.status, BAD_GATEWAY, "text/html")
            case "html":
                await answer(send, 200, CAPTIVE_PORTAL, "text/html")
            case "empty":
                await answer(send, 200, b"")
            case "retry_after":
                header = {"retry-after": f"{fault.seconds:.0f}"}
                await answer(send, 503, BAD_GATEWAY, "text/html", header)
            case "redirect":
                await answer(send, 302, b"", headers={"location": "https://login.example/"})
            case "drop_before":
                reset()
            case "drop_after":
                await self._work(scope, body)
                reset()
            case "truncate":
                whole = await self._work(scope, body)
                await cut_short(send, whole, reset)
            case "hang":
                await asyncio.sleep(fault.seconds)
                reset()
            case "hang_after":
                await self._work(scope, body)
                await asyncio.sleep(fault.seconds)
                reset()
            case "delay":
                await asyncio.sleep(fault.seconds)
                await self.emulator.app(scope, replay(body), send)
            case unknown:
                raise ValueError(f"no such fault mode: {unknown}")

    async def _work(self, scope: Scope, body: bytes) -> list[Message]:
        """Let the application do its work and keep its answer back."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.emulator.app(scope, replay(body), keep)
        return kept


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


def dated(send: Send, now: Callable[[], int]) -> Send:
    """`send` with a Date by the emulator's own clock (epoch ms), if it has one."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            date = email.utils.formatdate(now() // 1000, usegmt=True)
            message = {**message, "headers": [*message["headers"], (b"date", date.encode())]}
        await send(message)

    return sending


async def read_all(receive: Receive) -> bytes | None:
    """The whole body; None when the client went away before its end, as every server notices."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


def replay(body: bytes) -> Receive:
    """Hand the body over once; whoever asks again waits, as for a peer that stays connected."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def answer(
    send: Send,
    status: int,
    body: bytes,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> None:
    fields = {"content-type": media_type, "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def cut_short(send: Send, whole: list[Message], reset: Callable[[], None]) -> None:
    body = b"".join(part.get("body", b"") for part in whole)
    headers = [(name, value) for name, value in whole[0]["headers"] if name != b"content-length"]
    headers.append((b"content-length", str(len(body) + 1).encode()))
    await send({**whole[0], "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    reset()


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, showing its transport to the application so that it can reset it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Served:
    """An emulator served on a loopback port by a thread of its own; it can be unplugged.

    The port stays the same while it is unplugged, so `plug` brings the same address back.
    """

    def __init__(self, emulator: Emulator, *, port: int = 0) -> None:
        self.emulator = emulator
        self.faulty = Faulty(emulator)
        self.port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.plug()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plug(self) -> None:
        """Listen (again) on the port."""
        listener = bound(self.port)
        self.port = listener.getsockname()[1]
        self._server = make_server(self.faulty)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=_serve, args=(self._server, listener, ready), name=f"emulator-{self.port}"
        )
        self._thread.start()
        ready.wait()

    def plug_in(self) -> None:
        """Plug it in if it is not."""
        if self._server is None:
            self.plug()

    def unplug(self) -> None:
        """Refuse connections and cut the open ones, as a pulled cable or a dead host does."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            self._thread.join()
            self._server = self._thread = None

    def serve(self, emulator: Emulator) -> None:
        """Another emulator from now on, at the same address; faults and counts start afresh.

        Much faster than another server: tests of one module may share theirs.
        """
        self.emulator = self.faulty.emulator = emulator
        self.faulty.requests.clear()
        self.heal()
        if self._server is None:
            self.plug()

    def fault(self, mode: str, **settings: Any) -> Fault:
        """Switch one more fault on; returned so that a test can watch its `times`."""
        fault = Fault(mode, **settings)
        self.faulty.faults.append(fault)
        return fault

    def heal(self) -> None:
        self.faulty.faults.clear()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()


def bound(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that say TCP: without it every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def make_server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,  # see `dated`
        timeout_keep_alive=5,
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    return server


def _serve(server: uvicorn.Server, listener: socket.socket, ready: threading.Event) -> None:
    async def run() -> None:
        ready.set()  # the kernel already queues connections
        await server.serve(sockets=[listener])

    asyncio.run(run())
    listener.close()


def main(make: Callable[[argparse.Namespace], Emulator], parser: argparse.ArgumentParser) -> None:
    """Run one emulator until SIGTERM or SIGINT; prints `READY URL` once it listens."""
    parser.add_argument("--port", type=int, default=0, help="loopback port (default: a free one)")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Served(make(arguments), port=arguments.port) as served:
        print(f"READY {served.url}", flush=True)
        stop.wait()
