"""docs/adding-a-backend.md, walked through: its code is taken from the page and delivers."""

import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from adapters.registry import KINDS
from agent import wiring
from agent.clock import Clock
from agent.draft import Bounds, Draft
from agent.intake import Intake
from agent.lane import Lane
from agent.refusal import Refusal
from config.settings import Settings
from storage.entry import Producer
from storage.outbox import Outbox
from tests.builders import NOW, repository
from tests.emulators.kit import Served

PAGE = repository() / "docs" / "adding-a-backend.md"


class NotebookServer:
    """The server that the page supposes."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.app = Starlette(
            routes=[
                Route("/notes", self._add, methods=["POST"]),
                Route("/notes/{id}", self._get),
            ]
        )

    def ledger(self) -> list[dict[str, Any]]:
        return [{"id": id_, "text": text} for id_, text in self.notes.items()]

    async def _add(self, request: Request) -> JSONResponse:
        note = await request.json()
        if note["id"] in self.notes:
            return JSONResponse({"id": note["id"]}, 409)
        if note["text"] == "bad":
            return JSONResponse({"error": "no"}, 400)
        self.notes[note["id"]] = note["text"]
        return JSONResponse({"id": note["id"]}, 201)

    async def _get(self, request: Request) -> JSONResponse:
        id_ = request.path_params["id"]
        if id_ in self.notes:
            return JSONResponse({"id": id_, "text": self.notes[id_]})
        return JSONResponse({"error": "no such note"}, 404)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's file as a module, and the page's line."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    module = ModuleType("adapters.notebook")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code[1], str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(KINDS, "notebook", module.KIND)
    return module


@pytest.fixture
def server() -> Iterator[Served]:
    with Served(NotebookServer()) as served:
        yield served


class House:
    """One lane and one intake over a real outbox."""

    def __init__(self, state_dir: Path, url: str) -> None:
        settings = Settings.model_validate(
            {"backends": {"shift_notes": {"kind": "notebook", "url": url}}}
        )
        clock = Clock()
        route = wiring.make_routes(settings, state_dir, clock)["shift_notes"]
        self.outbox = Outbox(state_dir, wiring.urls(settings))
        self.outbox.recover(NOW)
        self.lane = Lane(route, self.outbox, clock=clock, dice=random.random)
        self.intake = Intake(
            self.outbox,
            wiring.backend_kinds(settings),
            clock=clock,
            bounds=Bounds(),
            wake=lambda _: self.lane.wake(),
        )

    async def accept(self, payload: str) -> str:
        draft = Draft(payload.encode(), "shift_notes", None, Producer("test"))
        (outcome,) = await self.intake.accept([self.intake.judge(draft)])
        assert not isinstance(outcome, Refusal)
        return outcome.id

    async def drain(self) -> None:
        await self.lane.step()
        await self.lane.settled()


@pytest.mark.usefixtures("notebook")
async def test_the_backend_of_the_page_delivers(tmp_path: Path, server: Served) -> None:
    house = House(tmp_path, server.url)

    id_ = await house.accept('{"book": "shift", "text": "beam is back"}')
    await house.drain()

    assert server.emulator.ledger() == [{"id": id_, "text": "beam is back"}]
    shown = await house.outbox.looks.show(id_)
    assert shown is not None
    assert (shown["state"], shown["labels"]) == ("delivered", {"book": "shift"})
    await house.lane.stop(1)
    house.outbox.close()


@pytest.mark.usefixtures("notebook")
async def test_the_backend_of_the_page_refuses_and_buries(tmp_path: Path, server: Served) -> None:
    house = House(tmp_path, server.url)

    with pytest.raises(Refusal) as refused:
        await house.accept('{"book": "shift", "text": ""}')
    id_ = await house.accept('{"book": "shift", "text": "bad"}')
    await house.drain()

    assert [error.pointer for error in refused.value.errors] == ["/text"]
    shown = await house.outbox.looks.show(id_)
    assert shown is not None
    assert (shown["state"], shown["last_error"]["class"]) == ("dead", "Rejected")
    await house.lane.stop(1)
    house.outbox.close()
