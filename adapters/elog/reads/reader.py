"""The reader of the eLog: plans, asks, recalls, and adds what waits here.

Promises: nothing in the eLog is ever final but the bytes of an attachment: anybody may change
the parameters of an old run, and edit or delete an entry. "current" is found out anew for each
question; from kept answers it is what was current when that was last asked, which is said.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from adapters.base import Site
from adapters.elog.logbook import Logbook
from adapters.elog.payloads import CURRENT
from adapters.elog.reads import waiting
from adapters.elog.reads.ask import Ask, from_json, planned
from adapters.elog.reads.asking import asked, here
from adapters.elog.reads.implied import view
from adapters.elog.reads.live import Live, notes
from adapters.elog.reads.topics import TOPICS
from adapters.reading import (
    Fetched,
    Misasked,
    NotKept,
    Plan,
    Progress,
    Question,
    Queued,
    Recalled,
    Shelf,
)
from storage.cached import Kept, Label

SAME_MS = 1_000  # one fetch keeps two answers, at times that are a moment apart
NEVER = "this was never asked while the eLog could be reached"


@dataclass(frozen=True, slots=True)
class Found:
    """What "current" stands for, and when the eLog said so (epoch ms)."""

    what: str
    value: Any
    at: int


Say = Callable[[Ask], Awaitable[tuple[Any, int]]]  # data, and since when it is known


class ElogReader:
    """Answers questions about one logbook server."""

    def __init__(self, site: Site) -> None:
        self._backend = site.name
        self._logbook = Logbook(site)
        self._live = Live(self._logbook)

    def plan(self, question: Question) -> Plan:
        """Judge a question, without asking anybody. Raises Misasked."""
        return planned(question, asked(question, self._backend, self._logbook.options))

    async def fetch(self, plan: Plan, shelf: Shelf, progress: Progress) -> Fetched:
        """Ask the eLog. Raises a DeliveryError when it gives no answer, Misasked."""

        async def say(ask: Ask) -> tuple[Any, int]:
            fetched, since = await self._kept(ask, shelf)
            return fetched.data, since

        ask: Ask = plan.spec
        if not ask.is_open:
            fetched = await self._fetched(ask, shelf)
            if isinstance(fetched.data, list):
                progress(len(fetched.data), len(fetched.data))
            return fetched
        since = self._logbook.now()
        closed, found = await self._closed(ask, say)
        fetched, _ = await self._kept(closed, shelf)
        # Of the question itself only when it was asked last: its answer is kept under its name.
        await shelf.put(Kept(_label(ask, fetched, since), None))
        said = tuple(f'"{CURRENT}" is the {one.what} {one.value}' for one in found)
        return replace(fetched, meta=_meta(fetched.meta, found), notes=(*said, *fetched.notes))

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:  # noqa: ARG002
        """Say it from kept answers alone. Raises NotKept, Misasked."""

        async def say(ask: Ask) -> tuple[Any, int]:
            kept = await self._recalled(ask, shelf)
            return kept.data, kept.fetched_at

        ask: Ask = plan.spec
        if not ask.is_open:
            return await self._recalled(ask, shelf)
        closed, found = await self._closed(ask, say)
        kept = await self._recalled(closed, shelf)
        return replace(
            kept,
            source="derived",
            fetched_at=min(kept.fetched_at, *(one.at for one in found)),
            settled=False,
            meta=_meta(kept.meta, found),
            notes=(*(self._remembered(one) for one in found), *kept.notes),
        )

    def queued(self, plan: Plan) -> Sequence[str] | None:
        """The kinds of entry of ours that belong into this answer; None: it cannot be told."""
        return waiting.kinds(plan.spec)

    def merged(self, plan: Plan, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
        """`data` with what waits in the outbox, marked; and how many entries are shown."""
        return waiting.merged(plan.spec, data, entries)

    def shown(self, plan: Plan) -> str:
        """The request that `fetch` sends first: GET and the URL."""
        ask: Ask = plan.spec
        if ask.experiment == CURRENT and ask.is_open:
            ask = here(self._logbook.options)
        elif ask.is_open:
            ask = Ask("current_run", ask.experiment)
        target = TOPICS[ask.resource].target(ask)
        experiment = ask.experiment or CURRENT
        if target.open:
            return f"GET {self._logbook.preview_openly(target.whole, experiment).url}"
        return f"GET {self._logbook.preview('GET', target.whole, experiment).url}"

    async def close(self) -> None:
        """Close connections."""
        await self._logbook.close()

    async def _closed(self, ask: Ask, say: Say) -> tuple[Ask, list[Found]]:
        """The ask with what is current in the place of the word."""
        found = []
        if ask.experiment == CURRENT:
            place, at = await say(here(self._logbook.options))
            found.append(Found("experiment", str(place["name"]), at))
            ask = replace(ask, experiment=str(place["name"]))
        if ask.options.get("run") == CURRENT:
            run, at = await say(Ask("current_run", ask.experiment))
            if run is None:
                said = f"{ask.experiment} has no runs, so none is current"
                raise Misasked(said, parameter="run")
            found.append(Found("run", run["num"], at))
            ask = ask.with_options(run=run["num"])
        return ask, found

    async def _kept(self, ask: Ask, shelf: Shelf) -> tuple[Fetched, int]:
        """What the eLog answers, kept as the answer to that very question, and since when."""
        since = self._logbook.now()
        fetched = await self._fetched(ask, shelf)
        await shelf.put(Kept(_label(ask, fetched, since), fetched.data, fetched.meta))
        return fetched, since

    async def _fetched(self, ask: Ask, shelf: Shelf) -> Fetched:
        if ask.options.get("runs") is None or ask.resource != "params":
            return await self._live.fetched(ask)
        # The eLog always tells of all runs: keep that, so that other runs can be told of later.
        whole = ask.with_options(runs=None)
        fetched, _ = await self._kept(whole, shelf)
        chosen = view(ask, whole)
        return fetched if chosen is None else replace(fetched, data=chosen(fetched.data))

    async def _recalled(self, ask: Ask, shelf: Shelf) -> Recalled:
        """From the newest kept answer that says it."""
        why = NotKept(NEVER)
        labels = await shelf.family(ask.family)
        for label in sorted(labels, key=lambda one: _age(one, ask)):
            chosen = view(ask, from_json(label.about))
            kept = await shelf.get(label.key) if chosen is not None else None
            if chosen is None or kept is None:
                continue
            try:
                data = chosen(kept.data)
            except NotKept as none:
                why = none
                continue
            return Recalled(
                data,
                "cache" if label.key == ask.key else "derived",
                kept.label.fetched_at,
                complete=kept.label.complete,
                settled=kept.label.settled,
                meta=kept.meta,
                notes=notes(data, kept.meta),
            )
        raise why

    def _remembered(self, found: Found) -> str:
        age = timedelta(seconds=max(0, self._logbook.now() - found.at) // 1000)
        was = f"was the {found.what} {found.value} when that was last asked"
        return f'"{CURRENT}" {was}, {age} ago (h:mm:ss)'


def _label(ask: Ask, fetched: Fetched, since: int) -> Label:
    settled = fetched.settled and not ask.is_open
    return Label(ask.key, ask.family, since, fetched.complete, settled, ask.as_json())


def _age(label: Label, ask: Ask) -> int:
    """Less is better. The very answer is as good as the whole that it was chosen from."""
    return -label.fetched_at - (SAME_MS if label.key == ask.key else 0)


def _meta(meta: Any, found: Sequence[Found]) -> dict[str, Any]:
    return {**meta, **{one.what: one.value for one in found}}
