"""The routes of both sockets, and how a Refusal becomes an answer."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.listener.admin import Admin
from agent.listener.entries import EntriesDoor
from agent.listener.looks import Looks
from agent.refusal import RETRY_AFTER_SECONDS, Refusal

Endpoint = Callable[[Request], Awaitable[Response]]
log = structlog.get_logger()


def application(door: EntriesDoor, looks: Looks, admin: Admin, *, admin_path: str) -> Starlette:
    """One application for both sockets; `admin_path` is the one that may change entries."""

    def operators_only(endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if request.scope["server"][0] != admin_path:
                raise Refusal(HTTPStatus.FORBIDDEN, "this needs the admin socket")
            return await endpoint(request)

        return guarded

    def answering(endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            check_connection(request)
            return await endpoint(request)

        return answer

    def route(path: str, endpoint: Endpoint, method: str) -> Route:
        return Route(path, answering(endpoint), methods=[method])

    routes = [
        route("/v1/entries", door.post, "POST"),
        route("/v1/entries", looks.entries, "GET"),
        route("/v1/entries/{id}", looks.entry, "GET"),
        route("/v1/entries/{id}/retry", operators_only(admin.retry), "POST"),
        route("/v1/entries/{id}/discard", operators_only(admin.discard), "POST"),
        route("/v1/backends/{name}/retry", operators_only(admin.retry_backend), "POST"),
        route("/v1/receipts", looks.receipts, "GET"),
        route("/v1/status", looks.status, "GET"),
        route("/metrics", looks.metrics, "GET"),
        route("/healthz", looks.health, "GET"),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={Refusal: refuse, HTTPException: refuse_http, Exception: apologise},
    )


def check_connection(request: Request) -> None:
    """What the connection found out before there was a request to refuse."""
    if request.state.oversized_headers:
        raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large")
    if request.state.peer.excess:
        detail = "too many connections of one user are open; close some, or wait"
        raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, detail)


async def refuse(_: Request, exc: Exception) -> Response:
    """A Refusal as problem JSON. The connection ends: a body may be left unread."""
    assert isinstance(exc, Refusal)
    headers = {"Connection": "close"}
    if exc.status in (HTTPStatus.INSUFFICIENT_STORAGE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return problem_response(exc, headers)


async def refuse_http(request: Request, exc: Exception) -> Response:
    """Starlette's own 404 and 405, in the same shape as all others."""
    assert isinstance(exc, HTTPException)
    detail = f"{request.method} {request.url.path}: {HTTPStatus(exc.status_code).phrase}"
    headers = {**(exc.headers or {}), "Connection": "close"}
    return problem_response(Refusal(exc.status_code, detail), headers)


async def apologise(request: Request, exc: Exception) -> Response:
    """A bug of ours: told, logged with its traceback, nothing stored."""
    log.error("request.failed", path=request.url.path, exc_info=exc)
    detail = f"an error inside Holdfast ({type(exc).__name__}); it is in the log"
    return problem_response(Refusal(500, detail), {"Connection": "close"})


def problem_response(refusal: Refusal, headers: dict[str, str]) -> Response:
    """RFC 9457."""
    return JSONResponse(
        refusal.problem(), refusal.status, headers, media_type="application/problem+json"
    )
