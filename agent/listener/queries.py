"""The questions: GET /v1/query/{backend}/{resource}, and what can be asked.

A long answer's progress is told to whoever accepts NDJSON: lines {"progress": {"rows", "of"}},
at least one every few seconds, and at the end one line {"answer": ...} or {"problem": ...}.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from adapters.base import BackendKind
from adapters.reading import Misasked, Question
from agent.reads.answer import Unanswerable
from agent.reads.engine import Engine
from agent.reads.manner import Manner, WrongManner, split
from agent.reads.subject import question_of
from agent.refusal import FieldError, Refusal

NDJSON = "application/x-ndjson"
BEAT_SECONDS = 2.0  # a client that hears nothing for longer may take the agent for dead

Asking = tuple[str, Question, Manner]


class QueriesDoor:
    """The endpoints. `kinds`: of the backends that can be asked."""

    def __init__(self, engine: Engine, kinds: Mapping[str, BackendKind]) -> None:
        self._engine = engine
        self._kinds = kinds

    async def menu(self, _: Request) -> Response:
        """GET /v1/query: what can be asked, by backend."""
        return JSONResponse({"backends": {name: menu_of(one) for name, one in self._kinds.items()}})

    async def query(self, request: Request) -> Response:
        """GET /v1/query/{backend}/{resource}?..."""
        asking = asking_of(request, self._kinds)
        if NDJSON in request.headers.get("accept", ""):
            backend, question, _ = asking
            with as_refusal():
                self._engine.plan(backend, question)  # before the status is sent
            return StreamingResponse(self._told_on_the_way(asking), media_type=NDJSON)
        with as_refusal():
            answer = await self._engine.query(*asking)
        return Response(await _encoded(answer.told()), media_type="application/json")

    async def _told_on_the_way(self, asking: Asking) -> AsyncIterator[bytes]:
        heard = Heard()
        asked = asyncio.create_task(self._outcome(asking, heard))
        try:
            while not asked.done():
                await heard.news(asked)
                yield json.dumps({"progress": heard.told()}).encode() + b"\n"
            yield await _encoded(asked.result()) + b"\n"
        finally:
            asked.cancel()

    async def _outcome(self, asking: Asking, heard: "Heard") -> dict[str, Any]:
        try:
            with as_refusal():
                answer = await self._engine.query(*asking, heard)
        except Refusal as refusal:
            return {"problem": refusal.problem()}
        return {"answer": answer.told()}


class Heard:
    """How far an answer is, as the engine tells it."""

    def __init__(self) -> None:
        self._rows = 0
        self._of: int | None = None
        self._event = asyncio.Event()

    def __call__(self, rows: int, of: int | None) -> None:
        """The engine has so many rows."""
        self._rows, self._of = rows, of
        self._event.set()

    async def news(self, asked: "asyncio.Task[dict[str, Any]]") -> None:
        """Comes back when there is something to tell: at the end, and at the next beat at last."""
        hearing = asyncio.create_task(self._event.wait())
        await asyncio.wait(
            {asked, hearing}, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        hearing.cancel()
        self._event.clear()

    def told(self) -> dict[str, int | None]:
        """As JSON."""
        return {"rows": self._rows, "of": self._of}


def menu_of(kind: BackendKind) -> dict[str, Any]:
    """What can be asked of a kind of backend, in words."""
    return {
        name: {
            "summary": one.summary,
            "subject": one.subject,
            "required": list(one.required),
            "parameters": dict(one.parameters),
        }
        for name, one in kind.resources.items()
    }


def asking_of(request: Request, kinds: Mapping[str, BackendKind]) -> Asking:
    """What a request asks, and how. Raises Refusal."""
    backend, resource = request.path_params["backend"], request.path_params["resource"]
    try:
        manner, rest = split(request.query_params.multi_items())
    except WrongManner as wrong:
        raise _wrong(str(wrong), wrong.parameter) from wrong
    with as_refusal():
        return backend, question_of(kinds, backend, resource, rest), manner


@contextmanager
def as_refusal() -> Iterator[None]:
    """What the engine raises, as the door's refusals."""
    try:
        yield
    except Misasked as wrong:
        raise _wrong(wrong.detail, wrong.parameter, wrong.status) from wrong
    except Unanswerable as none:
        spans = [f"{first}:{last}" for first, last in none.missing]
        errors = [FieldError("/run", f"not kept: {span}") for span in spans]
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, none.detail, errors) from none


def _wrong(
    detail: str, parameter: str | None, status: int = HTTPStatus.UNPROCESSABLE_ENTITY
) -> Refusal:
    errors = [FieldError(f"/{parameter}", detail)] if parameter else []
    return Refusal(status, detail, errors)


async def _encoded(value: Any) -> bytes:
    """As JSON, in another thread: a large answer must not hold up the producers."""
    return await asyncio.get_running_loop().run_in_executor(None, lambda: _dumped(value))


def _dumped(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")  # half of a surrogate pair, as JSON writes it
