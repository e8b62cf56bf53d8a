"""From settings to an engine: the readers, their shelves, the pins. Sends nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.base import BackendKind, Site
from adapters.reading import Plan
from adapters.registry import KINDS
from agent import wiring
from agent.clock import Clock
from agent.reads.engine import Desk, Engine, Limits, Waiting
from agent.reads.refresher import Of, Refresher, open_question
from agent.reads.wary import Wary
from config.settings import Settings
from storage.cache import Cache
from storage.cache_place import CachePlace
from storage.pins import Pins

ALIASES = "aliases"  # an option of kinds whose servers move: their former urls


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that answers questions. `kinds`: of the backends that can be asked."""

    engine: Engine
    kinds: Mapping[str, BackendKind]
    pins: Pins
    cache: Cache
    refresher: Refresher

    async def close(self) -> None:
        """Stop asking, close everything."""
        await self.refresher.end()
        await self.engine.close()
        await self.cache.close()


def make_reading(
    settings: Settings,
    folder: Path,
    clock: Clock,
    place: CachePlace,
    *,
    waiting: Waiting | None,
    tell: Callable[..., None],
) -> Reading:
    """The parts for these settings. `tell` hears what there is to log of cache and pins."""
    sites = wiring.check_backends(settings, folder, clock)
    kinds = {name: KINDS[one.kind] for name, one in settings.backends.items()}
    kinds = {name: kind for name, kind in kinds.items() if kind.reader is not None}
    cache = Cache(place.cache, max_bytes=settings.cache.max_bytes, now=clock.now, tell=tell)
    pins = Pins(place.pins, tell=tell)

    async def missed(backend: str, plan: Plan) -> None:
        await cache.want(sites[backend].url, plan.key, open_question(backend, plan.question))

    engine = Engine(
        {name: _desk(settings, sites[name], kind, cache, clock) for name, kind in kinds.items()},
        clock=clock,
        limits=Limits(settings.cache.patience_seconds, settings.cache.fetch_seconds),
        waiting=waiting,
        missed=missed,
    )
    refresher = Refresher(
        engine,
        {name: Of(kind, sites[name].url) for name, kind in kinds.items()},
        cache,
        pins,
        clock,
        refresh_seconds=settings.cache.refresh_seconds,
    )
    return Reading(engine, kinds, pins, cache, refresher)


def _desk(settings: Settings, site: Site, kind: BackendKind, cache: Cache, clock: Clock) -> Desk:
    assert kind.reader is not None
    former = tuple(getattr(site.options, ALIASES, ()))
    backend = settings.backends[site.name]
    seconds = backend.retry.auth_retry_seconds or settings.retry.auth_retry_seconds
    return Desk(
        kind.reader(site),
        cache.shelf([site.url, *(one.rstrip("/") for one in former)]),
        Wary(wiring.fingerprint(site), clock.monotonic, seconds=seconds),
    )
