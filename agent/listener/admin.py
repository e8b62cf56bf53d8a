"""What changes others' entries; served on the admin socket only."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.clock import Clock
from agent.listener.entries import producer
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
        (found,) = await self._outbox.retry([id_], now=self._clock.now(), who=_who(request))
        _check("retry", id_, found)
        for nudge in self._nudges.values():
            await nudge()
        return JSONResponse({"id": id_, "state": "pending"})

    async def discard(self, request: Request) -> Response:
        """POST /v1/entries/{id}/discard: deleted for good, with an audit row; its key is free."""
        id_ = request.path_params["id"]
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


def _check(verb: str, id_: str, found: State | None) -> None:
    if found is None:
        detail = f"the outbox holds no entry {id_}; it may have been delivered or discarded"
        raise Refusal(HTTPStatus.NOT_FOUND, detail)
    if not MOVES[verb].allows(found):
        detail = f"entry {id_} is {found.name.lower()}: {verb} is not possible now"
        raise Refusal(HTTPStatus.CONFLICT, detail)


def _who(request: Request) -> str:
    uid = producer(request).uid
    return "an operator" if uid is None else f"uid {uid}"
