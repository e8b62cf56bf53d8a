"""What the daemon knows about itself: status, health, and how each backend is just now."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from agent.clock import Clock
from agent.lane import Lane
from agent.spool.scan import Spool
from agent.status import LaneReport, Picture, build_status
from config.settings import Settings
from storage.outbox import Outbox

STILL_SECONDS = 60.0  # the slowest loop, the idle spool, goes round every 30 s


class Observer:
    """Looks at the running parts; changes nothing."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        lanes: Mapping[str, Lane],
        spool: Spool,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._lanes = lanes
        self._spool = spool
        self._clock = clock
        self._since = clock.now()

    async def status(self) -> dict[str, Any]:
        """`status` as the contract shapes it."""
        now = self._clock.now()
        counts = await self._outbox.looks.census(now=now)
        rests = await self._outbox.looks.rests()
        scopes = [(rest.backend, rest.scope) for rest in rests if rest.scope]
        due = {name: await self._outbox.next_due(name) for name in self._lanes}
        picture = Picture(
            now=now,
            kinds={name: one.kind for name, one in self._settings.backends.items()},
            counts=counts,
            rests=rests,
            pauses=[pause for lane in self._lanes.values() if (pause := lane.pausing.get())],
            waiting=await self._outbox.looks.waiting_in(scopes),
            rates=await self._outbox.looks.rates(now=now),
            salvaged=await self._outbox.looks.salvaged(),
            spool=self._spool.counts(),
            version=version("holdfast"),
            pid=os.getpid(),
            since=self._since,
            lanes={name: self._report(name, due[name], now) for name in self._lanes},
        )
        return build_status(picture)

    def backend_state(self, name: str) -> str:
        """How a backend is just now, for the producer's answer."""
        if self._lanes[name].pausing.get():
            return "paused"
        rest = self._lanes[name].rests.get()
        return rest.state if rest else "flowing"

    def stopped_loop(self) -> str | None:
        """The name of a loop that has not gone round for too long; None when all is well."""
        now = self._clock.monotonic()
        beats = {f"lane {name}": lane.beat for name, lane in self._lanes.items()}
        beats["spool"] = self._spool.beat
        late = [name for name, beat in beats.items() if now - beat > STILL_SECONDS]
        return late[0] if late else None

    def _report(self, name: str, due: int | None, now: int) -> LaneReport:
        lane = self._lanes[name]
        closed = not lane.route.open_at(now)
        quiet_since = max(lane.progress.last_outcome, lane.pausing.ended())
        waits = closed or lane.pausing.get() is not None
        return LaneReport(
            silent_seconds=self._clock.monotonic() - quiet_since,
            due=due is not None and due <= now and not waits,
            next_attempt_at=max(due, now) if due is not None else None,
            note="outside its window" if closed else None,
        )
