"""The daemon: makes the parts, starts them in order, stops them in order.

Start: lock, schema, reclaim, lanes, spool, sockets, READY. Stop: sockets and spool first, so
that nothing new comes in; then what is on the wire is settled within the grace period; then
the database is closed. A reload (SIGHUP) is both, in one process, with new settings; producers
that connect meanwhile wait in the kernel's queue. Raises at start what `agent.cli.run` turns
into exit codes.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from agent import wiring
from agent.clock import Clock
from agent.disk import tell, when_there_is_room
from agent.doors import Doors, Inside
from agent.duties import Duties
from agent.intake import Intake
from agent.lane import Lane
from agent.listener.server import Listener
from agent.listener.sockets import give_to_group
from agent.notify import Notifier
from agent.observing import Observer
from agent.reads.making import Reading, make_reading
from agent.reads.telling import tell as tell_of_reads
from agent.resolving import Resolver
from agent.route import Route
from agent.schedule import Recurring, Schedule
from agent.spool.scan import Spool
from agent.watch import Watch
from config.settings import Settings
from config.sources import SettingsError
from storage import crash
from storage.cache_place import cache_place
from storage.engine import sqlite_version
from storage.outbox import Outbox

LOOP_SECONDS = 5.0  # how long another thread waits for the loop
WATCH_SECONDS = 1.0
ROOM_SECONDS = 1.0  # between two looks for room at the start
log = structlog.get_logger()

LOOKUP_THREADS = 64  # a network that is unplugged is when name servers hang (facts 8)


SPOOL_MODE = 0o2770  # what producers leave belongs to the agent's group


class Daemon:
    """One agent. `run` returns when a signal, or `stop`, ends it.

    `reread` gives the settings anew for a reload; raises SettingsError when they are wrong.
    """

    def __init__(
        self,
        settings: Settings,
        config_file: Path,
        environment: Mapping[str, str],
        *,
        reread: Callable[[], Settings],
    ) -> None:
        self._settings = settings
        self._config_file = config_file
        self._environment = environment
        self._reread = reread
        self._clock = Clock()
        self._notifier = Notifier(environment)
        self._end = asyncio.Event()
        self._fresh: Settings | None = None
        self._doors = Doors(environment, self._clock)

    def stop(self) -> None:
        """Begin an orderly stop."""
        self._fresh = None
        self._end.set()

    def reload(self) -> None:
        """Begin again with the settings as they are now, if they can be used; else go on."""
        if self._end.is_set():
            return
        fresh, problems = self._judged_anew()
        if fresh is None:
            log.error("settings.refused", problems=problems)
            return
        self._fresh = fresh
        self._end.set()

    def _judged_anew(self) -> tuple[Settings | None, list[str]]:
        """The settings as they are now, or what is wrong with them."""
        try:
            fresh = self._reread()
            wiring.check_backends(fresh, self._config_file.parent, self._clock)
        except SettingsError as error:
            return None, error.problems
        fixed = [key for key, value in fresh.agent if value != getattr(self._settings.agent, key)]
        problems = [f"agent.{key}: a change needs a restart" for key in fixed]
        return (None if fixed else fresh), problems

    async def run(self) -> None:
        """Start, serve, stop; and again after a reload."""
        self._arm()
        loop = asyncio.get_running_loop()
        threads = max(LOOKUP_THREADS, 2 * len(self._settings.backends))
        loop.set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="lookup"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            await self._live()
            while self._fresh is not None:
                self._settings, self._fresh = self._fresh, None
                self._end.clear()
                log.info("settings.reloaded", backends=sorted(self._settings.backends))
                await self._live()
        finally:
            log.info("agent.stopped")

    async def _live(self) -> None:
        """One life between two settings."""
        routes = wiring.make_routes(self._settings, self._config_file.parent, self._clock)
        outbox = await when_there_is_room(self._open_outbox, self._wait_for_room)
        if outbox is None:
            return
        try:
            await self._serve(outbox, routes)
        finally:
            outbox.close()

    async def _wait_for_room(self) -> bool:
        """True: the agent is to stop."""
        # Or systemd takes the start for a failed one.
        self._notifier.send(f"EXTEND_TIMEOUT_USEC={ROOM_SECONDS * 20_000_000:.0f}")
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                await self._end.wait()
        except TimeoutError:
            return False
        return True

    def _arm(self) -> None:
        """For tests of crashes: see storage.crash."""
        if given := self._environment.get(crash.VARIABLE):
            try:
                crash.arm(given)
            except crash.UnknownStep as unknown:
                raise SettingsError([str(unknown)]) from unknown
            log.warning("crash.armed", step=given)

    def _open_outbox(self) -> Outbox:
        state_dir = self._settings.agent.state_dir
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        outbox = Outbox(state_dir, wiring.urls(self._settings), now=self._clock.now, tell=tell)
        version, race = sqlite_version()
        log.info("sqlite.version", version=version, wal_reset_race=race)
        if outbox.kept_copy is not None:
            log.info("schema.upgraded", copy=str(outbox.kept_copy))
        try:
            reclaimed, swept = outbox.recover(self._clock.now())
        except BaseException:
            outbox.close()
            raise
        if reclaimed or swept:
            log.info("outbox.recovered", in_doubt=reclaimed, orphaned_files=swept)
        return outbox

    async def _serve(self, outbox: Outbox, routes: Mapping[str, Route]) -> None:
        lanes = {
            name: Lane(route, outbox, clock=self._clock, dice=random.random)
            for name, route in routes.items()
        }
        # First this: what a damaged database knew of them comes back after the look below.
        outbox.before_deliveries(_in_loop(partial(_load_rests, outbox, lanes)))
        await _load_rests(outbox, lanes)
        for lane in lanes.values():
            await lane.look_back()
        intake = Intake(
            outbox,
            wiring.backend_kinds(self._settings),
            clock=self._clock,
            bounds=wiring.bounds(self._settings),
            wake=lambda backend: lanes[backend].wake(),
            options={name: route.options for name, route in routes.items()},
            resolve=Resolver(routes, lambda backend: lanes[backend].rests.get() is None).resolved,
        )
        spool, watch = self._make_spool(outbox, intake)
        observer = Observer(self._settings, outbox, lanes, spool, self._clock)
        reading = self._make_reading(outbox)
        inside = Inside(outbox, intake, lanes, observer, reading)
        listener = self._doors.open(self._settings, inside)
        duties = Duties(
            self._settings,
            outbox,
            lanes,
            observer,
            self._notifier,
            self._clock,
            more=[
                reading.refresher.recurring(),
                Recurring("watch:look", WATCH_SECONDS, watch.look),
            ],
        )
        await duties.clamp()
        try:
            await self._until_stopped(lanes, spool, watch, listener, duties)
        finally:
            await reading.close()

    def _make_reading(self, outbox: Outbox) -> Reading:
        return make_reading(
            self._settings,
            self._config_file.parent,
            self._clock,
            cache_place(self._settings.agent.state_dir, self._environment, Path.home()),
            waiting=outbox.looks.queued,
            tell=tell_of_reads,
        )

    def _make_spool(self, outbox: Outbox, intake: Intake) -> tuple[Spool, Watch]:
        agent, limits = self._settings.agent, self._settings.limits
        watch = Watch(agent.spool_dir, asyncio.get_running_loop())
        spool = Spool(
            agent.spool_dir,
            list(self._settings.backends),
            intake,
            settle_seconds=agent.spool_settle_seconds,
            max_request_bytes=limits.max_request_bytes,
            max_attachments=limits.max_attachments,
            ensure_watch=watch.ensure,
            checkpoint=crash.point,
            run=lambda function, *given: outbox.files.run(partial(function, *given)),
        )
        return spool, watch

    def _make_spool_root(self) -> None:
        """setgid and of the producers' group, so that folders made below are, too."""
        agent = self._settings.agent
        if not agent.spool_dir.exists():
            agent.spool_dir.mkdir(parents=True)
            give_to_group(agent.spool_dir, agent.socket_group)
            agent.spool_dir.chmod(SPOOL_MODE)

    async def _until_stopped(
        self,
        lanes: Mapping[str, Lane],
        spool: Spool,
        watch: Watch,
        listener: Listener,
        duties: Duties,
    ) -> None:
        loops = [asyncio.create_task(one.run(), name=f"lane:{n}") for n, one in lanes.items()]
        self._make_spool_root()
        await spool.prepare()
        watch.start(spool)
        spooling = asyncio.create_task(spool.drain(), name="spool")
        schedule = Schedule(duties.table(), clock=self._clock, on_step=duties.follow_clock)
        schedule.begin()
        listener.begin()
        self._notifier.send("READY=1")
        log.info("agent.started", pid=os.getpid(), backends=sorted(lanes))
        gone = asyncio.create_task(self._end.wait())
        # A loop that ends by itself is a bug; better a restart than an agent that only looks alive.
        await asyncio.wait([gone, spooling, *loops], return_when=asyncio.FIRST_COMPLETED)
        if self._fresh is None:
            self._notifier.send("STOPPING=1")
            log.info("agent.stopping")
        else:
            since_boot = round(self._clock.monotonic() * 1_000_000)
            self._notifier.send(f"RELOADING=1\nMONOTONIC_USEC={since_boot}")
        await listener.end()
        await spool.stop()
        watch.stop()
        await schedule.end()
        grace = self._settings.agent.grace_seconds
        await asyncio.gather(*(lane.stop(grace) for lane in lanes.values()))
        await asyncio.gather(spooling, *loops)


async def _load_rests(outbox: Outbox, lanes: Mapping[str, Lane]) -> None:
    """Rests and pauses of an earlier life hold in this one."""
    for rest in await outbox.looks.rests():
        if rest.backend in lanes:
            lanes[rest.backend].rests.load(rest)
    for pause in await outbox.looks.pauses():
        if pause.backend in lanes:
            lanes[pause.backend].pausing.load(pause)


def _in_loop(act: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """`act`, for another thread to call and wait for."""
    loop = asyncio.get_running_loop()

    def call() -> None:
        with suppress(TimeoutError, RuntimeError):  # the loop may be at its end
            asyncio.run_coroutine_threadsafe(act(), loop).result(LOOP_SECONDS)

    return call
