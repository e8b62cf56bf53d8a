"""An emulated MADSci Event Manager, 0.5.2 or 0.8.1 (event manager sheet, sections 1 to 5).

Faithful where it matters to a deliverer: a repeated id answers 200 and echoes the request
while the first event stays; alerts are mailed again for every POST; a database error and an
event that can never be stored give the same plain-text 500; the two kinds of 404 differ.

Left out: the numbers of utilization reports, backups, retention, the documentation pages but for
the types.

    python -m tests.emulators.event_manager --port 8001 --version 0.8.1
"""

import argparse
import collections
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.emulators import kit
from tests.emulators.event_manager_limits import RateLimit
from tests.emulators.event_manager_model import (
    DOCUMENT_LIMIT,
    MANAGER_ID,
    LogLevel,
    Refusal,
    is_poison,
    judged,
    types_of,
)
from tests.emulators.event_manager_reports import report
from tests.emulators.event_manager_store import QueryFailed, Store

VERSIONS = ("0.5.2", "0.8.1")
NO_BODY = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
Endpoint = Callable[[Request], Awaitable[Response]]


class DatabaseError(Exception):
    """The server's own code fails: 500, whatever the reason."""


class EventManager:
    """The emulator. Switches may be turned while it is served.

    `unique_ids=False`: the 0.8.1 in-memory store, which keeps every repeat. `rate_limit`: 50
    requests a second and 300 a minute, nobody exempt (0.8.1 only). `db_down`: every database
    call fails after `stall_seconds`, during which the whole server stalls; the next `slow_inserts`
    stall as long and are done then, though their clients have left. `posts_fail`: every
    POST /event is 500 while /health is green (section 0). `mails` counts alerts per event id.
    `silent`: paths that answer 404, as behind a proxy that lets only some through.
    `broken_sessions`: so many parts of a report of sessions are errors.
    """

    def __init__(
        self,
        version: str = "0.5.2",
        *,
        unique_ids: bool = True,
        rate_limit: bool = False,
        alert_level: int = LogLevel.ERROR,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if version not in VERSIONS:
            raise ValueError(f"no such version: {version}")
        self.version = version
        self.store = Store(unique_ids=unique_ids)
        self.rate_limit = RateLimit(clock) if rate_limit and version == "0.8.1" else None
        self.alert_level = alert_level
        self.mails: collections.Counter[str] = collections.Counter()
        self.posts_fail = False
        self.db_down = False
        self.stall_seconds = 0.0
        self.slow_inserts = 0
        self.silent: frozenset[str] = frozenset()
        self.broken_sessions = 0
        self.app = Starlette(
            routes=self._routes(),
            exception_handlers={
                HTTPException: _http_error,
                Refusal: _unprocessable,
                DatabaseError: _internal_error,
                QueryFailed: _internal_error,
            },
        )

    def ledger(self) -> list[dict[str, Any]]:
        """Every stored event as the server's document (`_id`, 7 or 11 fields), oldest first."""
        return self.store.all()

    def counts(self) -> dict[str, dict[str, int]]:
        """Documents and mails per event id."""
        stored = collections.Counter(str(one["_id"]) for one in self.ledger())
        return {id_: {"events": n, "mails": self.mails[id_]} for id_, n in stored.items()}

    def plant(self, document: dict[str, Any]) -> None:
        """Put a document into the database past the server, as another version would have."""
        self.store.insert(document)

    def _routes(self) -> list[Route]:
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/event", self._log_event),
            ("GET", "/event/{event_id}", self._get_event),
            ("GET", "/events", self._get_events),
            ("POST", "/events/query", self._query),
            ("GET", "/health", self._health),
            ("GET", "/openapi.json", self._description),
            ("GET", "/utilization/sessions", self._report),
        ]
        if self.version == "0.5.2":
            table += [("GET", "/", self._definition), ("GET", "/definition", self._definition)]
        else:
            table += [
                ("GET", "/settings", self._settings),
                ("POST", "/events/archive", self._archive),
                ("GET", "/events/archived", self._archived),
                ("DELETE", "/events/archived", self._purge),
                ("GET", "/utilization/periods", self._report),
                ("GET", "/utilization/user", self._report),
            ]
        return [self._route(*line) for line in table]

    def _route(self, method: str, path: str, endpoint: Endpoint) -> Route:
        async def limited(request: Request) -> Response:
            if path in self.silent:
                raise HTTPException(404, "Not Found")
            if self.rate_limit is None:
                return await endpoint(request)
            client = request.client.host if request.client else ""
            return await self.rate_limit.around(client, lambda: _answered(endpoint, request))

        route = Route(path, limited, methods=[method])
        route.methods = {method}  # FastAPI, unlike Starlette, answers HEAD with 405
        return route

    async def _log_event(self, request: Request) -> Response:
        body = await self._body(request)
        if self.posts_fail:
            raise DatabaseError
        try:
            document = judged(body, self.version)
        except ValueError as exc:  # a lone surrogate cannot be encoded
            raise DatabaseError from exc
        self._touch_database()
        if is_poison(document) or len(json.dumps(document)) > DOCUMENT_LIMIT:
            raise DatabaseError
        self._linger()
        self.store.insert(dict(document))
        if document["alert"] or document["log_level"] >= self.alert_level:
            self.mails[document["_id"]] += 1  # also for a repeat (section 5)
        return JSONResponse(document)

    async def _get_event(self, request: Request) -> Response:
        self._touch_database()
        event_id = request.path_params["event_id"]
        document = self.store.get(event_id)
        if document is None:
            raise HTTPException(404, f"Event with ID {event_id} not found")
        return JSONResponse(document)

    async def _get_events(self, request: Request) -> Response:
        asked = request.query_params
        number, level = _number(asked, "number", 100), _level(asked.get("level", "0"))
        newest = [d for d in self._sorted() if d["log_level"] >= level]
        if self.version == "0.8.1":
            newest = [d for d in newest if _is_asked_for(d, asked)][_number(asked, "offset", 0) :]
        return self._shown(newest[: abs(number) or None])

    def _shown(self, documents: list[dict[str, Any]]) -> Response:
        try:
            # Unlike the other reads, a list judges every document again.
            shown = [judged(document, self.version) for document in documents]
        except Refusal as exc:
            raise DatabaseError from exc
        return JSONResponse({document["_id"]: document for document in shown})

    async def _query(self, request: Request) -> Response:
        wanted = await self._body(request)
        self._touch_database()
        return JSONResponse({d["_id"]: d for d in self.store.find(wanted)})

    async def _health(self, _: Request) -> Response:
        down = self._stalled()
        text = "Database connection failed: closed" if down else "Event Manager is running normally"
        told = {"healthy": not down, "description": text}
        if self.version == "0.8.1":
            told["version"] = self.version
        told |= {"db_connected": not down, "total_events": None if down else len(self.store.all())}
        if self.version == "0.8.1":
            told |= dict.fromkeys(("otel_enabled", "otel_exporter_type", "otel_endpoint"))
        return JSONResponse(told)

    async def _definition(self, _: Request) -> Response:
        told = {"name": "Default EventManager", "description": None, "manager_id": MANAGER_ID}
        return JSONResponse({**told, "manager_type": "event_manager"})

    async def _description(self, _: Request) -> Response:
        types = {"type": "string", "title": "EventType", "enum": types_of(self.version)}
        info = {"title": "EventManager", "version": "0.1.0"}  # never the server's own version
        told = {"openapi": "3.1.0", "info": info, "components": {"schemas": {"EventType": types}}}
        return JSONResponse(told)

    async def _settings(self, _: Request) -> Response:
        told = {"manager_id": MANAGER_ID, "manager_type": "event_manager"}
        limited = {"rate_limit_enabled": self.rate_limit is not None}
        return JSONResponse({"settings": {**told, **limited, "document_db_url": "***REDACTED***"}})

    async def _archive(self, request: Request) -> Response:
        body = await self._body(request)
        ids = body.get("event_ids") if isinstance(body, dict) else None
        if ids is None:
            text = "Value error, Either event_ids or before_date must be provided"
            error = {"type": "value_error", "loc": ["body"], "msg": text, "input": body}
            raise Refusal([{**error, "ctx": {"error": {}}}])
        self._touch_database()
        count = self.store.archive(ids, datetime.now(UTC).replace(tzinfo=None).isoformat())
        message = f"Successfully archived {count} events"
        return JSONResponse({"archived_count": count, "message": message})

    async def _archived(self, request: Request) -> Response:
        """The last one archived first; judged again like the other list."""
        self._touch_database()
        asked = request.query_params
        number, offset = _number(asked, "number", 100), _number(asked, "offset", 0)
        found = [d for d in self.store.all() if d["archived"]]
        found.sort(key=lambda d: str(d["archived_at"] or ""), reverse=True)
        return self._shown(found[offset:][: abs(number) or None])

    async def _report(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        lost = self._stalled()
        return report(name, request.query_params, lost=lost, broken=self.broken_sessions)

    async def _purge(self, request: Request) -> Response:
        """Everything archived counts as old enough: the emulator does not age."""
        self._touch_database()
        days, count = _number(request.query_params, "older_than_days", 365), self.store.purge()
        message = f"Permanently deleted {count} archived events older than {days} days"
        return JSONResponse({"deleted_count": count, "message": message})

    async def _body(self, request: Request) -> Any:
        """The parsed body, as the FastAPI of this version parses it. Raises Refusal."""
        raw = await request.body()
        if not raw:
            raise Refusal([NO_BODY])
        label = request.headers.get("content-type", "").partition(";")[0]
        if label != "application/json" and (label or self.version == "0.8.1"):
            return raw.decode("utf-8", "replace")
        try:
            return json.loads(raw)
        except json.JSONDecodeError as exc:
            wrong = {"type": "json_invalid", "loc": ["body", exc.pos], "msg": "JSON decode error"}
            raise Refusal([{**wrong, "input": {}, "ctx": {"error": exc.msg}}]) from exc
        except (UnicodeDecodeError, RecursionError) as exc:
            raise HTTPException(400, "There was an error parsing the body") from exc

    def _sorted(self) -> list[dict[str, Any]]:
        """Newest first, by the text of the timestamp as MongoDB does."""
        self._touch_database()
        return sorted(self.store.all(), key=lambda d: str(d["event_timestamp"]), reverse=True)

    def _touch_database(self) -> None:
        if self._stalled():
            raise DatabaseError

    def _linger(self) -> None:
        if self.slow_inserts:
            self.slow_inserts -= 1
            time.sleep(self.stall_seconds)

    def _stalled(self) -> bool:
        if self.db_down and self.stall_seconds > 0:
            # Blocks the server's only thread, as its database driver does (section 3).
            time.sleep(self.stall_seconds)
        return self.db_down


def _number(asked: Any, name: str, default: int) -> int:
    raw = asked.get(name, str(default))
    try:
        return int(raw)
    except ValueError as exc:
        text = "Input should be a valid integer, unable to parse string as an integer"
        wrong = {"type": "int_parsing", "loc": ["query", name], "msg": text, "input": raw}
        raise Refusal([wrong]) from exc


def _level(raw: str) -> int:
    """A level's number, or its name in any case; what is neither is left out of our emulation."""
    return int(raw) if raw.lstrip("-").isdigit() else LogLevel[raw.upper()]


def _is_asked_for(document: dict[str, Any], asked: Any) -> bool:
    """0.8.1 only: archived events are hidden, times are compared as text."""
    at = str(document["event_timestamp"])
    hidden = document["archived"] and asked.get("include_archived", "false") != "true"
    # "~" sorts behind every character of a timestamp.
    return not hidden and asked.get("start_time", "") <= at <= asked.get("end_time", "~")


async def _answered(endpoint: Endpoint, request: Request) -> Response:
    """Also a refusal is an answer that says how much is left; what crashes says nothing."""
    try:
        return await endpoint(request)
    except HTTPException as exc:
        return await _http_error(request, exc)
    except Refusal as exc:
        return await _unprocessable(request, exc)


async def _http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"detail": exc.detail}, exc.status_code, exc.headers)


async def _unprocessable(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    return JSONResponse({"detail": exc.detail}, 422)


async def _internal_error(_: Request, __: Exception) -> Response:
    return PlainTextResponse("Internal Server Error", 500)


def make(arguments: argparse.Namespace) -> EventManager:
    emulator = EventManager(
        arguments.version,
        unique_ids=not arguments.repeated_ids,
        rate_limit=arguments.rate_limit,
    )
    emulator.db_down, emulator.posts_fail = arguments.db_down, arguments.posts_fail
    emulator.stall_seconds = arguments.stall_seconds
    return emulator


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="An emulated MADSci Event Manager.")
    parser.add_argument("--version", choices=VERSIONS, default="0.5.2")
    parser.add_argument("--repeated-ids", action="store_true", help="store every repeat of an id")
    parser.add_argument("--rate-limit", action="store_true", help="50/s, 300/min (0.8.1 only)")
    parser.add_argument("--db-down", action="store_true", help="every database call fails")
    parser.add_argument("--stall-seconds", type=float, default=0, help="and takes so long")
    parser.add_argument("--posts-fail", action="store_true", help="POST is 500, health is green")
    return parser


if __name__ == "__main__":
    kit.main(make, options())
