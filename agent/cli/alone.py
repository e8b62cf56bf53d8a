"""Questions without a running agent: the same engine, in this process, with this user's cache.

Loads the adapters and the storage: only imported when it is needed.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from adapters.reading import Misasked, Progress
from agent.cli.endings import NOT_NOW, REFUSED, Ending
from agent.cli.printing import note
from agent.clock import Clock
from agent.reads.answer import Unanswerable
from agent.reads.making import Reading, make_reading
from agent.reads.manner import Manner
from agent.reads.subject import question_of
from config.settings import Settings, judge
from config.sources import Sources
from storage.cache_place import cache_place
from storage.offline import AgentLives, Damaged, Unreadable, read_queued
from storage.queued import QueuedPage
from storage.upgrade import SchemaError

T = TypeVar("T")
Parameters = Sequence[tuple[str, str]]
Work = Callable[[Reading], Coroutine[Any, Any, T]]

TOLD = {
    "cache.damaged": "the cache was damaged and is begun anew: nothing but time is lost",
    "cache.not_kept": "the answer could not be kept in the cache",
    "cache.not_read": "the cache cannot be looked into, and counts as empty",
    "pins.damaged": "the list of pins was damaged and is begun anew; the old one is beside it",
}


def answer(
    found: Sources,
    backend: str,
    resource: str,
    parameters: Parameters,
    manner: Manner,
    hear: Progress,
) -> dict[str, Any]:
    """The answer as JSON. Raises Ending (65, 75), SettingsError."""

    async def ask(reading: Reading) -> dict[str, Any]:
        question = question_of(reading.kinds, backend, resource, parameters)
        return (await reading.engine.query(backend, question, manner, hear)).told()

    return run(found, ask)


def request(found: Sources, backend: str, resource: str, parameters: Parameters) -> str:
    """The first request that the question would send. Raises Ending (65), SettingsError."""

    async def show(reading: Reading) -> str:
        question = question_of(reading.kinds, backend, resource, parameters)
        return reading.engine.shown(backend, question)

    return run(found, show)


def run(found: Sources, work: Work[T]) -> T:
    """Do something with an engine of our own. Raises Ending (65, 75), SettingsError."""

    async def worked() -> T:
        async with _reading(found) as reading:
            return await work(reading)

    try:
        return asyncio.run(worked())
    except Misasked as wrong:
        raise Ending(REFUSED, wrong.detail) from wrong
    except OSError as exc:
        raise Ending(NOT_NOW, f"this cannot be kept: {exc}") from exc
    except Unanswerable as none:
        raise Ending(NOT_NOW, none.detail) from none


@asynccontextmanager
async def _reading(found: Sources) -> AsyncIterator[Reading]:
    settings = judge(found)
    place = cache_place(settings.agent.state_dir, os.environ, Path.home())
    made = make_reading(
        settings, found.file.parent, Clock(), place, waiting=_waiting(settings), tell=_tell
    )
    try:
        yield made
    finally:
        await made.close()


def _waiting(settings: Settings) -> Callable[[str, Sequence[str]], Coroutine[Any, Any, Any]]:
    async def waiting(backend: str, kinds: Sequence[str]) -> QueuedPage:
        state_dir = settings.agent.state_dir
        try:
            return await asyncio.to_thread(read_queued, state_dir, backend, kinds)
        except (AgentLives, Damaged, SchemaError, Unreadable) as exc:
            raise Unanswerable(f"what waits here cannot be read: {exc}") from exc

    return waiting


def _tell(event: str, **about: Any) -> None:
    if event in TOLD:
        reason = about.get("reason")
        note(f"{TOLD[event]}{f' ({reason})' if reason else ''}")
