"""The pins: GET and POST /v1/pins, DELETE /v1/pins/{id}. Answers that are kept at hand."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapters.base import BackendKind
from agent.listener.queries import as_refusal
from agent.listener.wishes import Wish, read_wish
from agent.reads.engine import Engine
from agent.reads.pinned import pin_told, pin_with_answer, pinned
from agent.reads.subject import question_of
from agent.refusal import Refusal
from storage.pins import Pins

MAX_PIN_BYTES = 64 * 1024

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]  # name and value


class PinWish(Wish):
    """A question to keep at hand."""

    backend: str = ""
    resource: str = ""
    parameters: Annotated[list[Pair], Field(max_length=200)] = Field(default_factory=list)


class PinsDoor:
    """The endpoints."""

    def __init__(
        self,
        engine: Engine,
        kinds: Mapping[str, BackendKind],
        pins: Pins,
    ) -> None:
        self._engine = engine
        self._kinds = kinds
        self._pins = pins

    async def list(self, _: Request) -> Response:
        """GET /v1/pins: each with how its kept answer is."""
        pins = await asyncio.to_thread(self._pins.list)
        return JSONResponse({"pins": [await pin_with_answer(self._engine, pin) for pin in pins]})

    async def add(self, request: Request) -> Response:
        """POST /v1/pins {"backend", "resource", "parameters"?}: 201 pinned, 200 it was already."""
        wish = await read_wish(request, PinWish, limit=MAX_PIN_BYTES)
        given = [(name, value) for name, value in wish.parameters]
        with as_refusal():
            question = question_of(self._kinds, wish.backend, wish.resource, given)
            pin, new = await pinned(self._engine, self._pins, wish.backend, question)
        status = HTTPStatus.CREATED if new else HTTPStatus.OK
        return JSONResponse(await pin_with_answer(self._engine, pin), status)

    async def remove(self, request: Request) -> Response:
        """DELETE /v1/pins/{id}"""
        id_ = request.path_params["id"]
        for pin in await asyncio.to_thread(self._pins.list):
            if pin.id == id_:
                await asyncio.to_thread(self._pins.remove, pin)
                return JSONResponse(pin_told(pin))
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no pin {id_!r}")
