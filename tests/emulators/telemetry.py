"""An emulator of the PANOPTES telemetry server (`protocols/telemetry.md` is its sheet).

Everything of the sheet's sections 2 to 8 that a client can see: the endpoints with their answers
and error texts, the two streams, runs, and files that are really written below `site_dir`.

    python -m tests.emulators.telemetry --port 6562 --site-dir DIR [--version 0.3.3]

A ledger item is one stored event, in order of arrival:
    {"event_id": meta.event_id or null, "seq", "ts", "stream": "site"|"run", "type", "data",
     "meta", "permanent": false when the event is in memory only}

Poison is as poisonous as it really is: a lone surrogate or deep nesting is stored, answered with
500, and breaks GET /current while it is current. One difference: a body nested more than about
1000 levels is answered 400 here (Python 3.11), more than about 1500 there.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic_core
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.emulators.kit import main
from tests.emulators.telemetry_model import BadBody, EventBody, OldEventBody, RunBody, read_body
from tests.emulators.telemetry_store import NoRun, RunIsActive, Store

VERSIONS = ("0.5.3", "0.3.7", "0.3.5", "0.3.3")
KEEPING_TIMES = VERSIONS[:2]
SHUTDOWN_SECONDS = 0.08  # the port stays open so long after /shutdown was answered
TRACEBACK_SECONDS = 0.01
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def server_time() -> datetime:
    return datetime.now(UTC).astimezone()


class TelemetryEmulator:
    """The server. `store` has the switches for failing writes; `restart` forgets what memory held.

    `version` 0.3.3 ignores `ts` and `store_permanently`, 0.3.5 only `ts`. `now` is the server's
    local clock. Without `on_shutdown`, POST /shutdown answers 409, as the real one does when it is
    embedded. The real one closes the connection a moment after a 500, unannounced; here only with
    `hang_up_after_500`, for a client that goes on at once then meets it or not, as chance will
    have it.
    """

    def __init__(
        self,
        site_dir: Path | None = None,
        *,
        version: str = "0.5.3",
        now: Callable[[], datetime] = server_time,
        on_shutdown: Callable[[], None] | None = None,
        hang_up_after_500: bool = False,
    ) -> None:
        self.version = version
        self.store = Store(site_dir or folder_of(self), now)
        self._on_shutdown = on_shutdown
        self.app = Starlette(
            routes=[
                route("/health", self._health, "GET"),
                route("/ready", self._ready, "GET"),
                route("/run", self._run, "GET"),
                route("/run/start", self._start, "POST"),
                route("/run/stop", self._stop, "POST"),
                route("/event", self._event, "POST"),
                route("/current", self._current, "GET"),
                route("/current/{event_type}", self._current_of_type, "GET"),
                route("/shutdown", self._shutdown, "POST"),
            ],
            exception_handlers={HTTPException: refusal, BadBody: bad_body},
        )
        self.app.state.hang_up_after_500 = hang_up_after_500

    @property
    def site_dir(self) -> Path:
        return self.store.site_dir

    def ledger(self) -> list[dict[str, Any]]:
        """Every stored event; see the top of this module."""
        with self.store.lock:
            return list(self.store.stored)

    def counts(self) -> dict[str, Any]:
        """Events per id, and what became of runs: (`start` or `stop`, run id) in order."""
        return {
            "events": Counter(str(one["event_id"]) for one in self.ledger()),
            "runs": [(what, run["run_id"]) for what, run in self.store.runs],
        }

    def restart(self) -> None:
        """As after a crash: seq starts again, nothing is current, no run; files stay."""
        self.store.restart()

    async def _health(self, request: Request) -> Response:
        return shown(request, {"ok": True})

    async def _ready(self, request: Request) -> Response:
        active = self.store.run is not None
        return shown(request, {"ready": True, "run_active": active, "version": self.version})

    async def _event(self, request: Request) -> Response:
        old = self.version == "0.3.3"
        body = await body_of(request, OldEventBody if old else EventBody)
        try:
            envelope = self.store.append(
                {"type": body.type, "data": body.data, "meta": body.meta},
                body.ts if self.version in KEEPING_TIMES else None,
                make_current=body.make_current,
                permanently=old or body.store_permanently,
            )
        except OSError:
            return crashed(request)
        return shown(request, envelope)

    async def _current(self, request: Request) -> Response:
        return shown(request, {"current": self.store.snapshot()})

    async def _current_of_type(self, request: Request) -> Response:
        event_type = request.path_params["event_type"]
        envelope = self.store.snapshot().get(event_type)
        if envelope is None:
            raise HTTPException(404, f"No current event for type {event_type!r}")
        return shown(request, envelope)

    async def _run(self, request: Request) -> Response:
        with no_run_is_404():
            return shown(request, self.store.active_run())

    async def _start(self, request: Request) -> Response:
        body = await body_of(request, RunBody, optional=True) or RunBody()
        try:
            return shown(request, self.store.start_run(body.run_id, body.run_dir, body.meta))
        except RunIsActive as exc:
            raise HTTPException(409, "A run is already active") from exc
        except OSError:
            return crashed(request)

    async def _stop(self, request: Request) -> Response:
        with no_run_is_404():
            return shown(request, self.store.stop_run())

    async def _shutdown(self, request: Request) -> Response:
        if self._on_shutdown is None:
            raise HTTPException(409, "Server shutdown not available")
        # uvicorn has put the X-Forwarded-For of a loopback proxy in the place of its address.
        if request.client is None or request.client.host not in LOOPBACK:
            raise HTTPException(403, "Server shutdown is restricted to loopback clients")
        leave = BackgroundTask(self._leave, self._on_shutdown)
        return shown(request, {"shutting_down": True}, leave)

    async def _leave(self, on_shutdown: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, on_shutdown)


def folder_of(emulator: TelemetryEmulator) -> Path:
    """A temporary folder that goes when the emulator goes."""
    folder = tempfile.mkdtemp(prefix="telemetry-")
    weakref.finalize(emulator, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def route(path: str, endpoint: Any, method: str) -> Route:
    made = Route(path, endpoint, methods=[method])
    made.methods = {method}  # Starlette adds HEAD to GET; FastAPI, and so the server, does not
    return made


async def body_of(request: Request, model: Any, *, optional: bool = False) -> Any:
    media_type = request.headers.get("content-type", "")
    return read_body(await request.body(), media_type, model, optional=optional)


@contextlib.contextmanager
def no_run_is_404() -> Any:
    try:
        yield
    except NoRun as exc:
        raise HTTPException(404, "No run is active") from exc


def shown(request: Request, value: Any, background: BackgroundTask | None = None) -> Response:
    """The value as JSON, written by what the real server writes it with; 500 where that fails."""
    try:
        # NaN is stored as it is and shown as null.
        text = pydantic_core.to_json(value, inf_nan_mode="null")
    except pydantic_core.PydanticSerializationError:
        return crashed(request)
    return Response(text, media_type="application/json", background=background)


def crashed(request: Request) -> Response:
    """The answer to an exception that nobody caught."""
    close = BackgroundTask(hang_up, request.scope["state"]["transport"])
    return PlainTextResponse(
        "Internal Server Error",
        500,
        background=close if request.app.state.hang_up_after_500 else None,
    )


async def hang_up(transport: asyncio.Transport) -> None:
    write_traceback()
    transport.close()


def write_traceback() -> None:
    """Hold the loop up as logging does there: a request that comes meanwhile is never read."""
    time.sleep(TRACEBACK_SECONDS)


async def refusal(request: Request, exc: Any) -> Response:
    answer = shown(request, {"detail": exc.detail})
    answer.status_code = exc.status_code
    answer.headers.update(exc.headers or {})
    return answer


async def bad_body(request: Request, exc: Any) -> Response:
    answer = shown(request, {"detail": exc.detail})
    answer.status_code = exc.status
    return answer


def made_from(arguments: argparse.Namespace) -> TelemetryEmulator:
    return TelemetryEmulator(
        arguments.site_dir,
        version=arguments.version,
        on_shutdown=lambda: os.kill(os.getpid(), signal.SIGTERM),
        hang_up_after_500=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Emulator of the PANOPTES telemetry server")
    parser.add_argument("--site-dir", type=Path, help="folder of its files (default: a temporary)")
    parser.add_argument("--version", choices=VERSIONS, default=VERSIONS[0])
    main(made_from, parser)
