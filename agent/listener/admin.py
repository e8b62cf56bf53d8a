"""What changes others' entries; served on the admin socket only."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.clock import Clock
from agent.listener.entries import producer
from agent.listener.looks import gone
from agent.refusal import Refusal
from storage.outbox import Outbox
from storage.states import MOVES, State

PAGE = 1000


class Admin:
    """The operators' verbs. `nudges`: makes a backend's lane try now, by backend name."""

    def __init__(
        self, outbox: Outbox, clock: Clock, nudges: Mapping[str, Callable[[], Awaitable[None]]]
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._nudges = nudges

    async def retry(self, request: Request) -> Response:
        """POST /v1/entries/{id}/retry: a dead letter waits again, a waiting entry is due now."""
        id_ = request.path_params["id"]
        shown = await self._shown(id_)
        (found,) = await self._outbox.retry([id_], now=self._clock.now(), who=_who(request))
        _check("retry", id_, found)
        # Only its own backend: a rest of another one has its reasons.
        if nudge := self._nudges.get(shown["backend"]):
            await nudge()
        return JSONResponse({"id": id_, "state": "pending"})

    async def discard(self, request: Request) -> Response:
        """POST /v1/entries/{id}/discard: deleted for good, with an audit row; its key is free."""
        id_ = request.path_params["id"]
        await self._shown(id_)
        (found,) = await self._outbox.discard([id_], now=self._clock.now(), who=_who(request))
        _check("discard", id_, found)
        return JSONResponse({"id": id_, "state": "discarded"})

    async def retry_backend(self, request: Request) -> Response:
        """POST /v1/backends/{name}/retry: all its dead letters wait again; it is tried now."""
        name = request.path_params["name"]
        if name not in self._nudges:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no backend {name!r}")
        count, after = 0, 0
        while True:
            page, more = await self._outbox.list_entries(
                backend=name, state=State.DEAD, limit=PAGE, after=after
            )
            ids = [one["id"] for one in page]
            await self._outbox.retry(ids, now=self._clock.now(), who=_who(request))
            count += len(ids)
            if more is None:
                break
            after = more
        await self._nudges[name]()
        return JSONResponse({"backend": name, "retried": count})

    async def _shown(self, id_: str) -> dict[str, Any]:
        """The entry, if the outbox holds it. Raises Refusal: 404, 409, 410."""
        return held(id_, await self._outbox.show(id_))


def held(id_: str, found: dict[str, Any] | None) -> dict[str, Any]:
    """`found` if an outbox still holds it. Raises Refusal: 404, 409 delivered, 410 discarded."""
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no entry {id_!r}")
    if told := gone(id_, found):
        raise Refusal(HTTPStatus.GONE, told)
    if found["state"] == "delivered":
        at = found["receipt"]["delivered_at"]
        raise Refusal(HTTPStatus.CONFLICT, f"entry {id_} is delivered, since {at}")
    return found


def _check(verb: str, id_: str, found: State | None) -> None:
    if found is None:  # it left between two looks
        raise Refusal(HTTPStatus.CONFLICT, f"entry {id_} has just been delivered or discarded")
    if not MOVES[verb].allows(found):
        detail = f"entry {id_} is {found.name.lower()}: {verb} is not possible now"
        raise Refusal(HTTPStatus.CONFLICT, detail)


def _who(request: Request) -> str:
    uid = producer(request).uid
    return "an operator" if uid is None else f"uid {uid}"
