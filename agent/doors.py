"""The doors of an agent: its sockets, which outlive its settings, and what answers at them.

Promises: the sockets of the first life stay open until the end, so that callers can always queue
in the kernel while the settings are read again.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from agent import wiring
from agent.clock import Clock
from agent.editing import Editing
from agent.intake import Intake
from agent.lane import Lane
from agent.listener import sockets
from agent.listener.admin import Admin
from agent.listener.application import Parts, application
from agent.listener.entries import EntriesDoor
from agent.listener.looks import Looks
from agent.listener.pins import PinsDoor
from agent.listener.queries import QueriesDoor
from agent.listener.rework import ReworkDoor
from agent.listener.server import Listener
from agent.observing import Observer
from agent.pausing import Pauses
from agent.reads.making import Reading
from agent.verifying import Verifier
from config.settings import AgentSettings, Settings
from storage.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Inside:
    """The running parts that the doors lead to."""

    outbox: Outbox
    intake: Intake
    lanes: Mapping[str, Lane]
    observer: Observer
    reading: Reading


class Doors:
    """Opens the doors of each life of an agent."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._sockets: dict[str, socket.socket] = {}

    def open(self, settings: Settings, inside: Inside) -> Listener:
        """A listener at both sockets, not begun."""
        opened = self._open_sockets(settings.agent)
        return Listener(
            application(self._parts(settings, inside), str(opened["admin"].getsockname())),
            list(opened.values()),
            max_connections_per_uid=settings.limits.max_connections_per_uid,
        )

    def _parts(self, settings: Settings, inside: Inside) -> Parts:
        outbox, lanes, bounds = inside.outbox, inside.lanes, wiring.bounds(settings)
        nudges = {name: lane.retry_now for name, lane in lanes.items()}
        pausing = {name: lane.pausing for name, lane in lanes.items()}

        def wake(backend: str) -> None:
            lanes[backend].wake()

        return Parts(
            entries=EntriesDoor(
                inside.intake,
                outbox,
                bounds=bounds,
                max_request_bytes=settings.limits.max_request_bytes,
                states=inside.observer.backend_state,
            ),
            looks=Looks(
                outbox, status=inside.observer.status, healthy=inside.observer.stopped_loop
            ),
            admin=Admin(
                outbox, self._clock, nudges, Pauses(outbox, pausing, nudges, self._clock), wake
            ),
            rework=ReworkDoor(
                outbox,
                self._clock,
                editing=Editing(outbox, inside.intake, self._clock, wake),
                verifier=Verifier(outbox, lanes, self._clock),
                bounds=bounds,
                wake=wake,
            ),
            queries=QueriesDoor(inside.reading.engine, inside.reading.kinds),
            pins=PinsDoor(inside.reading.engine, inside.reading.kinds, inside.reading.pins),
        )

    def _open_sockets(self, agent: AgentSettings) -> dict[str, socket.socket]:
        """The sockets for one life: copies of those that stay open."""
        places = {
            "producer": (agent.socket, agent.socket_mode, agent.socket_group),
            "admin": (agent.admin_socket, agent.admin_socket_mode, agent.admin_socket_group),
        }
        if not self._sockets:
            self._sockets = sockets.inherited(self._environment, os.getpid())
        for name, (path, mode, group) in places.items():
            if name not in self._sockets:
                self._sockets[name] = sockets.make(sockets.Place(path, int(mode, 8), group))
        return {name: one.dup() for name, one in self._sockets.items()}
