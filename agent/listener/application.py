"""The routes of both sockets, and how a Refusal becomes an answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.listener.admin import Admin
from agent.listener.connection import body_is_open
from agent.listener.entries import EntriesDoor
from agent.listener.looks import Looks
from agent.listener.pins import PinsDoor
from agent.listener.queries import QueriesDoor
from agent.listener.rework import ReworkDoor
from agent.refusal import RETRY_AFTER_SECONDS, Refusal, no_room
from storage.errors import DiskRefused

Endpoint = Callable[[Request], Awaitable[Response]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    """The endpoints, by what they are about."""

    entries: EntriesDoor
    looks: Looks
    admin: Admin
    rework: ReworkDoor
    queries: QueriesDoor
    pins: PinsDoor


def application(parts: Parts, admin_path: str) -> Starlette:
    """One application for both sockets; `admin_path` is the one that may change entries."""
    looks, admin, rework = parts.looks, parts.admin, parts.rework

    def operators_only(endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if (request.scope["server"] or ("",))[0] != admin_path:
                raise Refusal(HTTPStatus.FORBIDDEN, "this needs the admin socket")
            return await endpoint(request)

        return guarded

    made = Starlette(
        routes=[
            by_method("/v1/entries", {"GET": looks.entries, "POST": parts.entries.post}),
            by_method("/v1/entries/{id}", {"GET": looks.entry, "PUT": operators_only(rework.edit)}),
            by_method("/v1/entries/{id}/retry", {"POST": operators_only(admin.retry)}),
            by_method("/v1/entries/{id}/discard", {"POST": operators_only(admin.discard)}),
            by_method("/v1/entries/{id}/hold", {"POST": operators_only(admin.hold)}),
            by_method("/v1/entries/{id}/release", {"POST": operators_only(admin.release)}),
            *(
                by_method(f"/v1/backends/{{name}}/{verb}", {"POST": operators_only(act)})
                for verb, act in {**admin.backend_verbs(), **rework.backend_verbs()}.items()
            ),
            by_method("/v1/salvage/seen", {"POST": operators_only(admin.see_salvaged)}),
            by_method("/v1/query", {"GET": parts.queries.menu}),
            by_method("/v1/query/{backend}/{resource:path}", {"GET": parts.queries.query}),
            by_method("/v1/pins", {"GET": parts.pins.list, "POST": parts.pins.add}),
            by_method("/v1/pins/{id}", {"DELETE": parts.pins.remove}),
            by_method("/v1/receipts", {"GET": looks.receipts}),
            by_method("/v1/losses", {"GET": looks.losses}),
            by_method("/v1/status", {"GET": looks.status}),
            by_method("/metrics", {"GET": looks.metrics}),
            by_method("/healthz", {"GET": looks.health}),
        ],
        exception_handlers={
            Refusal: refuse,
            DiskRefused: refuse_for_disk,
            HTTPException: refuse_http,
            Exception: apologise,
        },
    )
    # A path with a slash too many is unknown; a redirect would lead away from the socket.
    made.router.redirect_slashes = False
    return made


def by_method(path: str, endpoints: Mapping[str, Endpoint]) -> Route:
    """One route per path, so that a 405 names all that is allowed there."""

    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return Route(path, answer, methods=list(endpoints))


async def refuse(request: Request, exc: Exception) -> Response:
    """A Refusal as problem JSON."""
    assert isinstance(exc, Refusal)
    headers = {}
    if exc.status == HTTPStatus.INSUFFICIENT_STORAGE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return problem_response(request, exc, headers)


async def refuse_for_disk(request: Request, exc: Exception) -> Response:
    """An operator's verb that the disk did not take."""
    return await refuse(request, no_room(f"the disk does not take it: {exc}; nothing was changed"))


async def refuse_http(request: Request, exc: Exception) -> Response:
    """Starlette's own 404 and 405, in the same shape as all others."""
    assert isinstance(exc, HTTPException)
    detail = f"{request.method} {request.url.path}: {HTTPStatus(exc.status_code).phrase}"
    return problem_response(request, Refusal(exc.status_code, detail), dict(exc.headers or {}))


async def apologise(request: Request, exc: Exception) -> Response:
    """A bug of ours: told, logged with its traceback, nothing stored."""
    log.error("request.failed", path=request.url.path, exc_info=exc)
    detail = f"an error inside Holdfast ({type(exc).__name__}); it is in the log"
    return problem_response(request, Refusal(500, detail), {})


def problem_response(request: Request, refusal: Refusal, headers: dict[str, str]) -> Response:
    """RFC 9457. The connection ends when the rest of a body would stand between two requests."""
    if body_is_open(request):
        headers["Connection"] = "close"
    return JSONResponse(
        refusal.problem(), refusal.status, headers, media_type="application/problem+json"
    )
