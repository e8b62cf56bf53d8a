"""Asking the eLog: one ask, closed, to what it answers just now.

Promises: open questions go without credentials, all others as the account that reads there; a run
or an entry that is not there is told apart from a server that does not answer.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from adapters.answer import Answer
from adapters.elog.current import NONE_ACTIVE, has_no_runs
from adapters.elog.logbook import Logbook, of_experiment
from adapters.elog.payloads import CURRENT
from adapters.elog.reads import files
from adapters.elog.reads.ask import Ask, Target
from adapters.elog.reads.entries import perhaps_note
from adapters.elog.reads.judging import judged, notes_of, value, without_account
from adapters.elog.reads.topics import TOPICS, Odd
from adapters.elog.verdicts import Asked, foreign, is_crash
from adapters.reading import UNKNOWN, Fetched, Misasked
from adapters.verdict import Parked

NO_PAGE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
PATTERN_NOTE = "nothing found; the eLog answers so to a wrong pattern, too"


class Live:
    """What one logbook server answers. Raises Misasked and DeliveryErrors."""

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook
        self._special: dict[str, Callable[[Ask], Awaitable[Fetched]]] = {
            "active_experiment": self._active,
            "attachment": self._attachment,
            "current_run": self._current_run,
            "entry": self._entry,
            "raw": self._raw,
            "run": self._run,
        }

    async def fetched(self, ask: Ask) -> Fetched:
        """The answer to an ask that is not open."""
        return await self._special.get(ask.resource, self._plain)(ask)

    async def _plain(self, ask: Ask) -> Fetched:
        fetched = _told(ask, *await self._asked(ask))
        if "regex" in ask.options and not fetched.data:
            return Fetched(fetched.data, meta=fetched.meta, notes=(*fetched.notes, PATTERN_NOTE))
        return fetched

    async def _active(self, ask: Ask) -> Fetched:
        try:
            return await self._plain(ask)
        except Misasked as refused:
            if NONE_ACTIVE not in refused.detail:
                raise
            place = f"{ask.options['instrument'].upper()}/{ask.options['station']}"
            said = f"no experiment is active on {place}, or there is no such place"
            raise Misasked(f"{said}: {refused.detail}", status=UNKNOWN) from refused

    async def _current_run(self, ask: Ask) -> Fetched:
        answer, asked = await self._asked(ask)
        if has_no_runs(answer):
            return Fetched(None, notes=(f"{ask.experiment} has no runs",))
        return _told(ask, answer, asked)

    async def _run(self, ask: Ask) -> Fetched:
        answer, asked = await self._asked(ask)
        # The server crashes on an unknown run as on any fault of its own.
        existing = await self._logbook.runs(ask.named) if is_crash(answer) else None
        if existing is not None and ask.options["run"] not in existing:
            last = f"its runs go up to {max(existing)}" if existing else "it has none yet"
            said = f"{ask.experiment} has no run {ask.options['run']}; {last}"
            raise Misasked(said, parameter="run", status=UNKNOWN)
        return _told(ask, answer, asked)

    async def _entry(self, ask: Ask) -> Fetched:
        fetched = await self._plain(ask)
        if fetched.data is None:
            id_ = ask.options["id" if ask.resource == "entry" else "entry"]
            said = f"{ask.experiment} has no entry {id_}"
            raise Misasked(said, parameter=ask.resource, status=UNKNOWN)
        return fetched

    async def _attachment(self, ask: Ask) -> Fetched:
        entry, wanted = await self._entry(ask), ask.options["attachment"]
        file = files.chosen(entry.data, wanted)
        query = (("entry_id", ask.options["entry"]), ("attachment_id", str(file.get("_id"))))
        target = Target(f"{of_experiment(ask.named)}/attachment", query)
        answer, asked = await self._ask(target, ask.named)
        # Whoever edits the entry may give the name to another file, but not the id.
        return Fetched(files.content(answer, asked, file), settled=file.get("_id") == wanted)

    async def _raw(self, ask: Ask) -> Fetched:
        answer, asked = await self._asked(ask)
        if answer.status in NO_PAGE:
            said = f"{asked.url} answered {answer.status}: the eLog has no such page for a GET"
            raise Misasked(f"{said}, or no such experiment", status=UNKNOWN)
        if answer.status == HTTPStatus.OK and answer.json() == {"success": True}:
            return Fetched(None, notes=("done, says the eLog, without a value",))
        return _told(ask, answer, asked)

    async def _asked(self, ask: Ask) -> tuple[Answer, Asked]:
        return await self._ask(TOPICS[ask.resource].target(ask), ask.experiment or CURRENT)

    async def _ask(self, target: Target, experiment: str) -> tuple[Answer, Asked]:
        if target.open:
            return await self._logbook.ask_openly(target.whole, experiment)
        try:
            return await self._logbook.ask("GET", target.whole, experiment)
        except Parked as parked:
            raise without_account(parked) from parked


def _told(ask: Ask, answer: Answer, asked: Asked) -> Fetched:
    found, meta = value(answer, asked)
    try:
        data: Any = TOPICS[ask.resource].data(found, ask)
    except Odd as odd:
        raise judged(answer, asked, foreign(answer, asked)) from odd
    return Fetched(data, meta=meta, notes=notes(data, meta))


def notes(data: Any, meta: Any) -> tuple[str, ...]:
    """What a person should know of an answer, fetched or kept."""
    return (*notes_of(meta), *(perhaps_note(data) if isinstance(data, list) else ()))
