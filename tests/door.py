"""The door of an agent on real sockets: outbox, intake, application, listener; no lanes.

Runs in a thread with the daemon's own kind of event loop, so that tests may block. What is
accepted stays in the outbox, where a test can count it.
"""

import asyncio
import json
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from adapters.registry import KINDS
from agent.clock import Clock
from agent.draft import Bounds
from agent.editing import Editing
from agent.intake import Intake
from agent.listener.admin import Admin
from agent.listener.application import Parts, application
from agent.listener.entries import EntriesDoor
from agent.listener.looks import Looks
from agent.listener.peers import PATIENCE, Patience
from agent.listener.pins import PinsDoor
from agent.listener.queries import QueriesDoor
from agent.listener.rework import ReworkDoor
from agent.listener.server import Listener
from agent.listener.sockets import Place, make
from agent.pausing import Pauses, Pausing
from agent.reads.engine import Desk, Engine, Limits
from agent.reads.wary import Wary
from agent.status import Picture, build_status
from agent.verifying import Verifier
from storage.cache import Cache
from storage.entry import Claim, Receipt, Wanted
from storage.outbox import Outbox
from storage.pins import Pins
from storage.settlement import Bury, Confirm, Failure
from tests.door_client import JSON, MIB, Answer, ask
from tests.fresh import put_database
from tests.library import LIBRARY, Library, LibraryReader

T = TypeVar("T")

BACKENDS = {"events": "event_manager", "elog": "elog", "accounting": "auditor"}
URLS = {name: f"http://{name}.test" for name in BACKENDS}
NOW = 2_000_000_000_000  # epoch ms; after everything that the host's clock says


class Door:
    """The served door. A context manager."""

    def __init__(
        self,
        *,
        bounds: Bounds | None = None,
        patience: Patience = PATIENCE,
        max_connections_per_uid: int = 64,
        max_request_bytes: int = 64 * MIB,
    ) -> None:
        # Not below pytest's tmp_path: a Unix socket's path ends at 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="hf-"))
        self.socket = self.home / "agent.sock"
        self.admin = self.home / "admin.sock"
        self.woken: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.nudged: list[str] = []
        self.stopped_loop: str | None = None
        self.outbox: Outbox
        self.listener: Listener
        self._bounds = bounds or Bounds()
        self._patience = patience
        self._limits = (max_connections_per_uid, max_request_bytes)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="door")

    def __enter__(self) -> "Door":
        self._thread.start()
        self._ready.result(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the door's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def ask(self, method: str, target: str, *, admin: bool = False, said: Any = None) -> Answer:
        """`said`: a JSON body."""
        place = self.admin if admin else self.socket
        if said is None:
            return ask(place, method, target)
        return ask(place, method, target, json.dumps(said), {"Content-Type": JSON})

    def hand_in(
        self, body: Any, headers: Mapping[str, str] | None = None, *, media_type: str = JSON
    ) -> Answer:
        """POST /v1/entries."""
        return ask(
            self.socket,
            "POST",
            "/v1/entries",
            body,
            {"Content-Type": media_type, **(headers or {})},
        )

    def claimed(self, backend: str = "events") -> Claim:
        """The head of `backend`, as if a lane had sent it."""
        (claim,) = self.run(self._claim(backend))
        return claim

    def bury(self, backend: str = "events") -> str:
        """Make a dead letter of the head of `backend`; its id."""
        claim = self.claimed(backend)
        self._settle(backend, Bury(claim, Failure("Rejected", "entry", "no such thing")))
        return claim.id

    def confirm(self, backend: str = "events", *, keep: bool = False) -> str:
        """Deliver the head of `backend`; its id. `keep`: its payload stays."""
        claim = self.claimed(backend)
        self._settle(backend, Confirm(claim, Receipt(claim.id, f"remote-{claim.id}"), keep))
        return claim.id

    def _settle(self, backend: str, settlement: Bury | Confirm) -> None:
        async def settle() -> None:
            assert list(await self.outbox.settle(backend, [settlement], now=NOW)) == [True]

        self.run(settle())

    async def _claim(self, backend: str) -> list[Claim]:
        return await self.outbox.claim(backend, Wanted(), now=NOW)

    def rows(self, query: str = "SELECT count(*) FROM entry", *given: Any) -> list[Any]:
        """What the database holds, asked behind the agent's back."""
        connection = sqlite3.connect(f"file:{self.home}/state/outbox.db?mode=ro", uri=True)
        try:
            return connection.execute(query, given).fetchall()
        finally:
            connection.close()

    def holdings(self) -> tuple[int, int, int, list[str]]:
        """Entries, bodies, audit rows, and every file below `attachments`."""
        ((entries,),) = self.rows()
        ((bodies,),) = self.rows("SELECT count(*) FROM body")
        ((audits,),) = self.rows("SELECT count(*) FROM audit")
        root = self.home / "state" / "attachments"
        files = sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())
        return entries, bodies, audits, files

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            (self.home / "state").mkdir()
            put_database(self.home / "state")
            self.outbox = Outbox(self.home / "state", URLS)
            self.outbox.recover(0)
            self._make_engine()
            self.listener = self._listener()
            self.listener.begin()
        except BaseException as exc:
            self._ready.set_exception(exc)
            raise
        self._ready.set_result(None)
        await self._stop.wait()
        await self.listener.end()
        await self.engine.close()
        await self.cache.close()
        self.outbox.close()

    def _make_engine(self) -> None:
        """The engine, with a library behind it (tests/library.py)."""
        clock = Clock()
        self.library = Library({"DUNE": "sand"})
        self.pins = Pins(self.home / "state" / "pins.json")
        self.cache = Cache(
            self.home / "state" / "cache.db",
            max_bytes=10**7,
            now=clock.now,
            tell=lambda event, **about: self.told.append((event, about)),
        )
        shelf = self.cache.shelf(["http://library.test"])
        wary = Wary(str, clock.monotonic, seconds=1)
        self.engine = Engine(
            {"library": Desk(LibraryReader(self.library), shelf, wary)},
            clock=clock,
            limits=Limits(),
            waiting=self.outbox.looks.queued,
        )

    def _listener(self) -> Listener:
        connections, request_bytes = self._limits
        backends = {name: KINDS[kind] for name, kind in BACKENDS.items()}
        clock = Clock()
        intake = Intake(
            self.outbox, backends, clock=clock, bounds=self._bounds, wake=self.woken.append
        )
        door = EntriesDoor(
            intake,
            self.outbox,
            bounds=self._bounds,
            max_request_bytes=request_bytes,
            states=lambda _: "flowing",
        )
        looks = Looks(self.outbox, status=self._status, healthy=lambda: self.stopped_loop)
        nudges = {name: self._nudge(name) for name in BACKENDS}
        self.pausing = {
            name: Pausing(now=clock.now, monotonic=clock.monotonic) for name in BACKENDS
        }
        pauses = Pauses(self.outbox, self.pausing, nudges, clock)
        admin = Admin(self.outbox, clock, nudges, pauses, self.woken.append)
        rework = ReworkDoor(
            self.outbox,
            clock,
            editing=Editing(self.outbox, intake, clock, self.woken.append),
            verifier=Verifier(self.outbox, {}, clock),
            bounds=self._bounds,
            wake=self.woken.append,
        )
        parts = Parts(
            entries=door,
            looks=looks,
            admin=admin,
            rework=rework,
            queries=QueriesDoor(self.engine, LIBRARY),
            pins=PinsDoor(self.engine, LIBRARY, self.pins),
        )
        app = application(parts, str(self.admin))
        places = [Place(path, 0o600, "no-such-group") for path in (self.socket, self.admin)]
        return Listener(
            app,
            [make(place) for place in places],
            max_connections_per_uid=connections,
            patience=self._patience,
        )

    def _nudge(self, name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def nudge() -> None:
            self.nudged.append(name)

        return nudge

    async def _status(self) -> dict[str, Any]:
        counts = await self.outbox.looks.census(now=0)
        pauses = [pause for one in self.pausing.values() if (pause := one.get())]
        spool = {"waiting": 0, "blocked": 0, "rejected": 0}
        return build_status(
            Picture(
                now=0,
                kinds=BACKENDS,
                counts=counts,
                rests=[],
                rates={},
                spool=spool,
                version="1",
                pauses=pauses,
            )
        )
