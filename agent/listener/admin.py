"""What changes others' entries; served on the admin socket only."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.clock import Clock
from agent.listener.entries import producer
from agent.listener.looks import gone
from agent.listener.wishes import PauseWish, Wish, read_wish
from agent.pausing import Pauses
from agent.refusal import Refusal
from storage.lists import iso
from storage.outbox import Outbox
from storage.states import MOVES, State

PAGE = 1000

Move = Callable[[Sequence[str]], Awaitable[Sequence[State | None]]]


class Admin:
    """The operators' verbs.

    `nudges`: makes a backend's lane try now, by backend name. `wake`: tells it that something
    may be due, which ends no rest.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        nudges: Mapping[str, Callable[[], Awaitable[None]]],
        pauses: Pauses,
        wake: Callable[[str], None],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._nudges = nudges
        self._pauses = pauses
        self._wake = wake

    async def retry(self, request: Request) -> Response:
        """POST /v1/entries/{id}/retry: a dead letter waits again, a waiting entry is due now."""
        id_ = request.path_params["id"]
        shown = await self._shown(id_)
        (found,) = await self._outbox.retry([id_], now=self._clock.now(), who=operator(request))
        _check("retry", id_, found)
        # Only its own backend: a rest of another one has its reasons.
        if nudge := self._nudges.get(shown["backend"]):
            await nudge()
        return JSONResponse({"id": id_, "state": "pending"})

    async def discard(self, request: Request) -> Response:
        """POST /v1/entries/{id}/discard: deleted for good, with an audit row; its key is free."""
        id_ = request.path_params["id"]
        await self._shown(id_)
        (found,) = await self._outbox.discard([id_], now=self._clock.now(), who=operator(request))
        _check("discard", id_, found)
        return JSONResponse({"id": id_, "state": "discarded"})

    async def hold(self, request: Request) -> Response:
        """POST /v1/entries/{id}/hold: a waiting entry waits for an operator."""
        return await self._hold_or_release(request, "hold", "held")

    async def release(self, request: Request) -> Response:
        """POST /v1/entries/{id}/release: a held entry waits for delivery again."""
        return await self._hold_or_release(request, "release", "pending")

    async def _hold_or_release(self, request: Request, verb: str, state: str) -> Response:
        id_ = request.path_params["id"]
        wish = await read_wish(request, Wish)
        shown = await self._shown(id_)
        move = self._moves(request, wish)[verb]
        (found,) = await move([id_])
        _check(verb, id_, found)
        if shown["backend"] in self._nudges:
            self._wake(shown["backend"])
        return JSONResponse({"id": id_, "state": state})

    async def retry_backend(self, request: Request) -> Response:
        """POST /v1/backends/{name}/retry: all its dead letters wait again; it is tried now."""
        name = self._backend(request)
        count = await self._sweep(name, "retry", self._moves(request, Wish())["retry"])
        await self._nudges[name]()
        return JSONResponse({"backend": name, "retried": count})

    async def hold_backend(self, request: Request) -> Response:
        """POST /v1/backends/{name}/hold: all that waits for it waits for an operator."""
        name, wish = self._backend(request), await read_wish(request, Wish)
        count = await self._sweep(name, "hold", self._moves(request, wish)["hold"])
        return JSONResponse({"backend": name, "held": count})

    async def release_backend(self, request: Request) -> Response:
        """POST /v1/backends/{name}/release: all of it that was held waits for delivery again."""
        name, wish = self._backend(request), await read_wish(request, Wish)
        count = await self._sweep(name, "release", self._moves(request, wish)["release"])
        self._wake(name)
        return JSONResponse({"backend": name, "released": count})

    async def pause(self, request: Request) -> Response:
        """POST /v1/backends/{name}/pause: nothing leaves for it, for so long or until resumed."""
        name, wish = self._backend(request), await read_wish(request, PauseWish)
        made = await self._pauses.begin(
            name, seconds=wish.for_seconds, who=operator(request), reason=wish.reason
        )
        return JSONResponse({"backend": name, "state": "paused", "until": iso(made.until)})

    async def resume(self, request: Request) -> Response:
        """POST /v1/backends/{name}/resume: it goes on, and is tried now however it rested."""
        name, wish = self._backend(request), await read_wish(request, Wish)
        was_paused = await self._pauses.end(name, who=operator(request), reason=wish.reason)
        return JSONResponse({"backend": name, "state": "resumed", "was_paused": was_paused})

    async def see_salvaged(self, _: Request) -> Response:
        """POST /v1/salvage/seen: an operator knows of the damage; status is content again."""
        count = await self._outbox.see_salvaged(now=self._clock.now())
        return JSONResponse({"seen": count})

    def backend_verbs(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        """What is done to a whole backend, by the last word of its path."""
        return {
            "retry": self.retry_backend,
            "hold": self.hold_backend,
            "release": self.release_backend,
            "pause": self.pause,
            "resume": self.resume,
        }

    def _backend(self, request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in self._nudges:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no backend {name!r}")
        return name

    def _moves(self, request: Request, wish: Wish) -> dict[str, Move]:
        """The moves of the outbox, as this operator makes them."""
        said: dict[str, Any] = {"now": self._clock.now(), "who": operator(request)}
        return {
            "retry": partial(self._outbox.retry, **said),
            "hold": partial(self._outbox.hold, **said, reason=wish.reason),
            "release": partial(self._outbox.release, **said, reason=wish.reason),
        }

    async def _sweep(self, backend: str, verb: str, move: Move) -> int:
        """Make a move of all entries of a backend in the state that it is for; how many."""
        state = MOVES[verb].sources[0]
        count, after = 0, 0
        while True:
            page, more = await self._outbox.looks.list_entries(
                backend=backend, state=state, limit=PAGE, after=after
            )
            found = await move([one["id"] for one in page])
            count += found.count(state)
            if more is None:
                return count
            after = more

    async def _shown(self, id_: str) -> dict[str, Any]:
        """The entry, if the outbox holds it. Raises Refusal: 404, 409, 410."""
        return held(id_, await self._outbox.looks.show(id_))


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
        hint = "; release it first" if verb == "retry" and found is State.HELD else ""
        detail = f"entry {id_} is {found.name.lower()}: {verb} is not possible now{hint}"
        raise Refusal(HTTPStatus.CONFLICT, detail)


def operator(request: Request) -> str:
    """Who asks, for the audit trail."""
    uid = producer(request).uid
    return "an operator" if uid is None else f"uid {uid}"
