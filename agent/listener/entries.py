"""POST /v1/entries: one envelope, many, or one with files. Answers only after the commit."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.draft import Bounds, Draft
from agent.intake import Intake, Outcome, judge_in_thread
from agent.listener.bodies import FormReader, whole
from agent.listener.connection import Peer
from agent.refusal import FieldError, Refusal, unfit
from storage.entry import Accepted, Entry, Producer
from storage.outbox import Outbox

SMALL = 64 * 1024  # bytes that are parsed on the event loop; more goes to a thread
LINES_AT_ONCE = 1000  # lines handed to a thread together, so that others get their turn


class EntriesDoor:
    """The door for new entries. `states` says how a backend is, for the answer."""

    def __init__(
        self,
        intake: Intake,
        outbox: Outbox,
        *,
        bounds: Bounds,
        max_request_bytes: int,
        states: Callable[[str], str],
    ) -> None:
        self._intake = intake
        self._outbox = outbox
        self._bounds = bounds
        self._max_request_bytes = max_request_bytes
        self._states = states

    async def post(self, request: Request) -> Response:
        """Take what the content type announces. Raises Refusal."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        match media_type:
            case "application/json":
                return await self._post_one(request)
            case "application/x-ndjson":
                return await self._post_many(request)
            case "multipart/form-data":
                return await self._post_form(request)
            case _:
                known = "application/json, application/x-ndjson or multipart/form-data"
                detail = f"the Content-Type must be {known}, not {media_type or 'absent'}"
                raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)

    async def _post_one(self, request: Request) -> Response:
        body = await whole(request, self._max_request_bytes)
        draft = Draft(
            body, None, None, producer(request), given_key=request.headers.get("idempotency-key")
        )
        return await self._take_one(draft, in_thread=len(body) > SMALL)

    async def _post_form(self, request: Request) -> Response:
        body, files = await FormReader(self._outbox, self._bounds).read(
            request, self._max_request_bytes
        )
        draft = Draft(
            body,
            None,
            None,
            producer(request),
            given_key=request.headers.get("idempotency-key"),
            files=files,
            all_files=True,
        )
        try:
            return await self._take_one(draft, in_thread=True)
        except Refusal:
            await self._intake.drop(files.values())
            raise

    async def _take_one(self, draft: Draft, *, in_thread: bool) -> Response:
        if in_thread:
            (judged,) = await judge_in_thread(self._intake, self._outbox, [draft])
            if isinstance(judged, Refusal):
                raise judged
        else:
            judged = self._intake.judge(draft)
        (outcome,) = await self._intake.accept([judged])
        if isinstance(outcome, Refusal):
            raise outcome
        return JSONResponse(self._told(judged.backend, outcome), _status(outcome))

    async def _post_many(self, request: Request) -> Response:
        if "idempotency-key" in request.headers:
            raise unfit([FieldError("", "one Idempotency-Key cannot name many entries")])
        lines = await self._lines(request)
        judged: list[Entry | Refusal] = []
        for start in range(0, len(lines), LINES_AT_ONCE):
            drafts = [
                Draft(line, None, None, producer(request))
                for _, line in lines[start : start + LINES_AT_ONCE]
            ]
            judged += await judge_in_thread(self._intake, self._outbox, drafts)
        good = [one for one in judged if isinstance(one, Entry)]
        outcomes = dict(zip([g.id for g in good], await self._intake.accept(good), strict=True))
        answer = [
            self._line(number, one, outcomes)
            for (number, _), one in zip(lines, judged, strict=True)
        ]
        return Response("".join(answer), media_type="application/x-ndjson")

    async def _lines(self, request: Request) -> list[tuple[int, bytes]]:
        """The lines that are not blank, each with its number from 1."""
        body = await whole(request, self._max_request_bytes)
        lines = enumerate(body.split(b"\n"), 1)
        return [(number, line) for number, line in lines if line.strip()]

    def _line(self, number: int, one: Entry | Refusal, outcomes: dict[str, Outcome]) -> str:
        outcome = one if isinstance(one, Refusal) else outcomes[one.id]
        if isinstance(one, Entry) and isinstance(outcome, Accepted):
            told = {"status": int(_status(outcome)), **self._told(one.backend, outcome)}
        else:
            assert isinstance(outcome, Refusal)
            told = outcome.problem()
        return json.dumps({"line": number, **told}, ensure_ascii=False) + "\n"

    def _told(self, backend: str, outcome: Accepted) -> dict[str, Any]:
        queue = {"backend_state": self._states(backend), "position": self._intake.waiting(backend)}
        return {"id": outcome.id, "key": outcome.key, "state": outcome.state, "queue": queue}


def _status(outcome: Accepted) -> HTTPStatus:
    return HTTPStatus.ACCEPTED if outcome.state == "accepted" else HTTPStatus.OK


def producer(request: Request) -> Producer:
    """Who sent this request, as the kernel says."""
    peer: Peer = request.state.peer
    return Producer("socket", peer.uid, peer.pid)
