"""A spool on a real disk with the real intake and outbox behind it; only the clock is fake."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.elog import KIND as ELOG
from adapters.event_manager import KIND as EVENT_MANAGER
from agent.clock import Clock
from agent.draft import Bounds
from agent.intake import Intake
from agent.spool.scan import Spool
from storage.entry import Entry
from storage.outbox import Outbox

BACKENDS = {"elog": ELOG, "events": EVENT_MANAGER}
URLS = {"elog": "http://elog.test", "events": "http://events.test"}


class PowerCut(BaseException):
    """Ends everything at once: no code of ours catches it."""


class World:
    """Folders, intake and outbox of one host, and the spool that is running now."""

    def __init__(self, folder: Path, outbox: Outbox, bounds: Bounds) -> None:
        self.root = folder / "spool"
        self.outbox = outbox
        self.time = 1000.0
        self.settings: dict[str, Any] = {"monotonic": lambda: self.time}
        self.backends: Sequence[str] = tuple(BACKENDS)
        self.intake = Intake(
            outbox, BACKENDS, clock=Clock(), bounds=bounds, wake=lambda _backend: None
        )
        self.spool = self.start()

    def start(self, **settings: Any) -> Spool:
        """A spool as after a restart: it knows nothing but the folders."""
        self.settings |= settings
        intake = self.settings.pop("intake", self.intake)
        self.spool = Spool(self.root, self.backends, intake, **self.settings)
        return self.spool

    async def settle(self, seconds: float = 5.0) -> float:
        """Two looks, the settle time apart."""
        await self.spool.step()
        self.time += seconds
        return await self.spool.step()

    def drop(self, path: str, content: str | bytes = b"") -> Path:
        """Write a file into the spool, as a program that knows no better."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    async def arrive(self, path: str, content: str | bytes = b"") -> Path:
        """The file is renamed in, and one pass follows."""
        target = self.drop(path, content)
        self.spool.note_moved("", str(target))
        await self.spool.step()
        return target

    async def entries(self) -> list[dict[str, Any]]:
        """All that the outbox holds, in order, with payloads and attachments."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page, after = await self.outbox.looks.list_entries(after=after)
            shown = [await self.outbox.looks.show(one["id"]) for one in page]
            found += [one for one in shown if one is not None]
        return found

    async def payloads(self) -> list[Any]:
        """The payloads of `entries`."""
        return [one["payload"] for one in await self.entries()]

    def left(self) -> list[str]:
        """What lies in the folders of the backends, below the spool."""
        return sorted(
            str(path.relative_to(self.root))
            for backend in self.backends
            for path in (self.root / backend).rglob("*")
        )

    def aside(self) -> list[str]:
        """What was moved aside, reason files left out."""
        place = self.root / ".rejected"
        return sorted(
            str(path.relative_to(place))
            for path in place.rglob("*")
            if path.is_symlink() or (path.is_file() and not path.name.endswith(".reason.json"))
        )

    def reason(self, path: str) -> dict[str, Any]:
        """Why this one was moved aside."""
        told = json.loads((self.root / ".rejected" / f"{path}.reason.json").read_text())
        assert isinstance(told, dict)
        return told


@asynccontextmanager
async def a_world(folder: Path, **bounds: Any) -> AsyncIterator[World]:
    """A host with an empty spool; the first pass has made its folders."""
    (folder / "state").mkdir(exist_ok=True)
    outbox = await asyncio.to_thread(Outbox, folder / "state", URLS)
    outbox.recover(0)
    try:
        world = World(folder, outbox, Bounds(**bounds))
        await world.spool.step()
        yield world
    finally:
        outbox.close()


class Troubled:
    """The intake, with a fault in front of `accept`."""

    def __init__(self, intake: Intake, accept: Callable[..., Any]) -> None:
        self._intake = intake
        self._accept = accept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._intake, name)

    async def accept(self, entries: Sequence[Entry]) -> Any:
        """Do what the test wants before the real thing."""
        return await self._accept(self._intake, entries)


def event(number: int, **envelope: Any) -> str:
    """The text of a bare payload, or of an envelope, for the events backend."""
    payload = {"event_type": "test", "event_data": {"n": number}}
    return json.dumps({**envelope, "payload": payload} if envelope else payload)
