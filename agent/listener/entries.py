"""POST /v1/entries: one envelope, many, or one with files. Answers only after the commit."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from agent.draft import Bounds, Draft
from agent.intake import Intake, Outcome, judge_in_thread
from agent.listener.bodies import Bodies
from agent.listener.forms import FormReader
from agent.listener.peers import Peer
from agent.refusal import FieldError, Refusal, malformed, unfit
from storage.entry import Accepted, Entry, Producer
from storage.outbox import Outbox

SMALL = 64 * 1024  # bytes that are parsed on the event loop; more goes to a thread
LINES_AT_ONCE = 1000  # lines handed to a thread together, so that others get their turn
# One transaction: about three seconds in which every other producer waits.
MAX_LINES = 100_000
BLANK = b" \t\r"

Judged = Entry | Refusal
T = TypeVar("T")


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
        self._bodies = Bodies(max_request_bytes)

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
        key = given_key(request)
        async with self._bodies.whole(request) as body:
            draft = Draft(body, None, None, producer(request), given_key=key)
            # Embedded files are brought to disk while the entry is judged.
            return await self._take_one(
                draft, in_thread=len(body) > SMALL or b"content_base64" in body
            )

    async def _post_form(self, request: Request) -> Response:
        key = given_key(request)
        reader = FormReader(self._outbox, self._bounds)
        body, files = await reader.read(request, self._max_request_bytes)
        draft = Draft(
            body, None, None, producer(request), given_key=key, files=files, all_files=True
        )
        try:
            return await self._take_one(draft, in_thread=True)
        except Exception:
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
        told = json.dumps(self._told(judged.backend, outcome), ensure_ascii=False)
        return Response(told, _status(outcome), media_type="application/json")

    async def _post_many(self, request: Request) -> Response:
        if "idempotency-key" in request.headers:
            raise unfit([FieldError("", "one Idempotency-Key cannot name many entries")])
        async with self._bodies.whole(request) as body:
            lines = await self._outbox.files.run(partial(_lines, body))
            judged = await self._judge_lines(lines, producer(request))
            good = [one for _, one in judged if isinstance(one, Entry)]
            accepted = await self._intake.accept(good)
            outcomes = dict(zip((one.id for one in good), accepted, strict=True))
            answer = ""
            for some in _slices(judged):
                answer += await self._outbox.files.run(partial(self._tell, some, outcomes))
            return Response(answer, media_type="application/x-ndjson")

    async def _judge_lines(
        self, lines: Sequence[tuple[int, bytes]], who: Producer
    ) -> list[tuple[int, Judged]]:
        judged: list[tuple[int, Judged]] = []
        for some in _slices(lines):
            drafts = [Draft(line, None, None, who) for _, line in some]
            verdicts = await judge_in_thread(self._intake, self._outbox, drafts)
            judged += [(number, one) for (number, _), one in zip(some, verdicts, strict=True)]
        return judged

    def _tell(self, some: Sequence[tuple[int, Judged]], outcomes: dict[str, Outcome]) -> str:
        return "".join(self._line(number, one, outcomes) for number, one in some)

    def _line(self, number: int, one: Judged, outcomes: dict[str, Outcome]) -> str:
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


def _lines(body: bytes) -> list[tuple[int, bytes]]:
    """The lines that are not blank, each with its number from 1. Raises Refusal."""
    if body.count(b"\n") > MAX_LINES:  # before there is an object for each
        detail = f"at most {MAX_LINES} lines travel in one request; send several"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    numbered = enumerate(body.split(b"\n"), 1)
    lines = [(number, line) for number, line in numbered if line.strip(BLANK)]
    if not lines:
        raise malformed("the body holds no line")
    return lines


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + LINES_AT_ONCE] for start in range(0, len(items), LINES_AT_ONCE))


def _status(outcome: Accepted) -> HTTPStatus:
    return HTTPStatus.ACCEPTED if outcome.state == "accepted" else HTTPStatus.OK


def given_key(request: Request) -> str | None:
    """The header Idempotency-Key. Raises Refusal when there are two, or it is not UTF-8."""
    given = set(request.headers.getlist("idempotency-key"))
    if len(given) > 1:
        raise unfit([FieldError("", "there are two different Idempotency-Key headers")])
    if not given:
        return None
    try:
        # Headers arrive as Latin-1, which any bytes are.
        return given.pop().encode("latin-1").decode("utf-8")
    except UnicodeDecodeError as exc:
        raise unfit([FieldError("", "the Idempotency-Key is not UTF-8")]) from exc


def producer(request: Request) -> Producer:
    """Who sent this request, as the kernel says."""
    peer: Peer = request.state.peer
    return Producer("socket", peer.uid, peer.pid)
