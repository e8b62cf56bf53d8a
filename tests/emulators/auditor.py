"""An AUDITOR of our own: what the sheet says it answers, section 1, oddities included.

Switches: `ignore_record_exists_error` (repeats get 200 and a warning), `db_down` (PostgreSQL is
away; writes wait `pool_timeout_seconds` first), `role` (as under RBAC: "write", "read",
"monitoring", or None for no RBAC), `body_limit`, `breaks_after` (PostgreSQL breaks off after so
many records of an answer, which ends as if there were no more). `archive()` is the server's own
cron: closed records leave the table and their ids are forgotten.

    python -m tests.emulators.auditor --port 8000 [--ignore-record-exists-error] [--role write]
"""

import argparse
import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.emulators.auditor_query import BadQuery, QueryAborted, parse_query
from tests.emulators.auditor_records import (
    Record,
    Unreadable,
    graphemes,
    read_add,
    read_adds,
    read_update,
)
from tests.emulators.kit import main

BODY_LIMIT = 2_097_152
ROLES = {
    "write": {"POST /record", "PUT /record", "POST /records"},
    "read": {"GET /records", "GET /record/"},
    "monitoring": {"GET /metrics"},
}
WARNING = "Record already exists, but the error was ignored due to AUDITOR configuration."
WARNING_OF_MANY = (
    "One or more records already exist, but the error was ignored due to AUDITOR configuration."
)
NOT_FOUND = "The requested resource was not found. 404 Not Found"
NO_RECORD = "A database error was encountered while trying to get a record from the database"
POOL_TIMED_OUT = "pool timed out while waiting for an open connection"


class Auditor:
    """The server and its table."""

    def __init__(
        self,
        *,
        ignore_record_exists_error: bool = False,
        db_down: bool = False,
        pool_timeout_seconds: float = 2.0,
        role: str | None = None,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self.ignore_record_exists_error = ignore_record_exists_error
        self.db_down = db_down
        self.pool_timeout_seconds = pool_timeout_seconds
        self.role = role
        self.body_limit = body_limit
        self.breaks_after: int | None = None
        self.table: dict[str, Record] = {}
        self.archived: list[Record] = []
        self.app = Starlette(
            routes=[
                Route("/health_check", self.health_check, methods=["GET"]),
                Route("/metrics", self.metrics, methods=["GET"]),
                Route("/record", self.record, methods=["POST", "PUT"]),
                Route("/records", self.records, methods=["POST", "GET"]),
                Route("/record/{record_id:path}", self.one_record, methods=["GET"]),
            ],
            exception_handlers={404: not_found, 405: wrong_method},
        )
        self.app.router.redirect_slashes = False

    def ledger(self) -> list[dict[str, Any]]:
        """Each stored copy: what GET answers for it, and whether it is `archived`.

        An id that was sent again after its archival is there twice.
        """
        kept = [(one, True) for one in tuple(self.archived)]
        kept += [(one, False) for one in tuple(self.table.values())]
        return [{**one.as_object(), "archived": archived} for one, archived in kept]

    def archive(self) -> None:
        """Move what has a stop time out of the table."""
        closed = [one for one in self.table.values() if one.stop_time is not None]
        self.archived += closed
        for one in closed:
            del self.table[one.record_id]

    async def health_check(self, _request: Request) -> Response:
        if self.role is not None:  # its policy names /healthcheck: 403 for everybody
            return Response("Insufficient permissions", 403)
        if self.db_down:
            await asyncio.sleep(self.pool_timeout_seconds)
            return Response(status_code=500)
        return Response(status_code=200)

    async def metrics(self, _request: Request) -> Response:
        if self.forbids("GET /metrics"):
            return Response("Insufficient permissions", 403)
        text = f"# TYPE num_records_database gauge\nnum_records_database {len(self.table)}\n"
        return Response(text, media_type="text/plain")

    async def record(self, request: Request) -> Response:
        if self.forbids(f"{request.method} /record"):
            return Response("Insufficient permissions", 403)
        if request.method == "PUT":
            return await self.judged(request, read_update, self.update)
        return await self.judged(request, read_add, self.add)

    async def records(self, request: Request) -> Response:
        if self.forbids(f"{request.method} /records"):
            return Response("Insufficient permissions", 403)
        if request.method == "POST":
            return await self.judged(request, read_adds, self.add_all)
        return await self.query(request)

    async def judged(
        self,
        request: Request,
        read: Callable[[bytes], Any],
        store: Callable[[Any], Response],
    ) -> Response:
        """The checks of every body, in actix's order, then the table."""
        essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if essence != "application/json" and not essence.endswith("+json"):
            return plain(400, "Content type error")
        told = request.headers.get("content-length")
        if told is not None and int(told) > self.body_limit:
            words = f"JSON payload ({told} bytes) is larger than allowed"
            return plain(413, f"{words} (limit: {self.body_limit} bytes).")
        body = await request.body()
        if len(body) > self.body_limit:
            return plain(413, f"JSON payload has exceeded limit ({self.body_limit} bytes).")
        try:
            wanted = read(body)
        except Unreadable as exc:
            return plain(400, str(exc))
        if self.db_down:
            await asyncio.sleep(self.pool_timeout_seconds)
            if request.method == "PUT":
                return plain(500, POOL_TIMED_OUT)
            return Response("UNEXPECTED_ERROR", 500)
        return store(wanted)

    def add(self, record: Record) -> Response:
        return self.insert([record], WARNING)

    def add_all(self, records: list[Record]) -> Response:
        return self.insert(records, WARNING_OF_MANY)

    def insert(self, records: list[Record], warning: str) -> Response:
        """All or nothing. Only the id makes a repeat."""
        if any(one.poison for one in records):
            return Response("UNEXPECTED_ERROR", 500)
        wanted = {one.record_id: one for one in records}
        if len(wanted) < len(records) or wanted.keys() & self.table.keys():
            if self.ignore_record_exists_error:
                return JSONResponse({"warning": warning})
            return Response("RECORD_EXISTS", 500)
        self.table.update(wanted)
        return Response(status_code=200)

    def update(self, update: Record) -> Response:
        """Only the stop time, and with it the runtime, changes."""
        if "\0" in update.record_id:
            return plain(500, 'error returned from database: invalid byte sequence for "UTF8"')
        held = self.table.get(update.record_id)
        if held is None:
            return plain(404, f"Updating unknown record {update.record_id} not possible.")
        changed = dataclasses.replace(held, stop_time=update.stop_time)
        self.table[update.record_id] = changed
        return Response(status_code=200)

    async def query(self, request: Request) -> Response:
        try:
            query = parse_query(request.scope["query_string"].decode("latin-1"))
        except BadQuery as exc:
            return JSONResponse({"error": str(exc)}, 400)
        chosen: list[Record] = []
        if self.db_down:
            await asyncio.sleep(self.pool_timeout_seconds)
        else:
            try:
                chosen = query.apply(self.table.values())
            except QueryAborted:
                chosen = []
        return Streamed(chosen[: self.breaks_after])

    async def one_record(self, request: Request) -> Response:
        if self.forbids("GET /record/"):
            return Response("Insufficient permissions", 403)
        # The decoded path has lost the difference between a slash and %2F.
        segment = request.scope["raw_path"].decode("latin-1").removeprefix("/record/")
        if "/" in segment or not segment:
            return await not_found(request, None)
        record_id = unquote(segment)
        if not record_id.strip() or graphemes(record_id) > 256:
            return JSONResponse(None)
        if self.db_down:
            await asyncio.sleep(self.pool_timeout_seconds)
        held = None if self.db_down else self.table.get(record_id)
        if held is None:
            return JSONResponse({"error": NO_RECORD}, 500)
        return Response(held.as_json(), media_type="application/json")

    def forbids(self, what: str) -> bool:
        return self.role is not None and what not in ROLES[self.role]


class Streamed(Response):
    """One object after the other, chunked: no brackets, no commas, no newlines.

    Starlette's own streaming waits for a disconnect meanwhile, of which a replayed request
    (kit.py) knows nothing.
    """

    media_type = "application/json"

    def __init__(self, records: list[Record]) -> None:
        super().__init__()
        self.records = records
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        for one in self.records:
            part = {"type": "http.response.body", "body": one.as_json().encode()}
            await send({**part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def plain(status: int, text: str) -> Response:
    return Response(text, status, media_type="text/plain")


async def not_found(_request: Request, _error: Exception | None) -> Response:
    return Response(NOT_FOUND, 404)


async def wrong_method(_request: Request, _error: Exception) -> Response:
    return Response(status_code=405)


def make(arguments: argparse.Namespace) -> Auditor:
    return Auditor(
        ignore_record_exists_error=arguments.ignore_record_exists_error,
        db_down=arguments.db_down,
        role=arguments.role,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="an AUDITOR that keeps its records in memory")
    parser.add_argument("--ignore-record-exists-error", action="store_true")
    parser.add_argument("--db-down", action="store_true")
    parser.add_argument("--role", choices=sorted(ROLES))
    main(make, parser)
