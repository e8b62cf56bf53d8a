"""Questions to an Event Manager, live and from kept answers (its sheet, sections 1 and 4).

Promises: events come as the server shows them, a list in the server's order; what the server does
not do (a parameter of a later version, a filter that its database does not know) is said in words
and never answered as if it had been done; nothing that is asked here changes anything there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any
from urllib.parse import quote

from adapters.base import Site
from adapters.event_manager import recalling, waiting
from adapters.event_manager.answers import event_in, is_absence, is_failure, is_missing
from adapters.event_manager.asking import QUERY, Asking
from adapters.event_manager.originals import Json
from adapters.event_manager.questions import (
    ById,
    Page,
    Report,
    Spec,
    Window,
    as_json,
    key_of,
    spec_of,
)
from adapters.event_manager.reports import report_in
from adapters.event_manager.resources import REPORTS
from adapters.event_manager.search import Search, moment_of
from adapters.event_manager.telling import notes_of
from adapters.finite import finite, finite_notes
from adapters.reading import (
    Fetched,
    Plan,
    Progress,
    Question,
    Queued,
    Recalled,
    Shelf,
)
from adapters.verdict import Refused

EVENTS, ARCHIVED = "/events", "/events/archived"
LONGEST = 2000  # characters of a path, well below what proxies take
ARCHIVED_SINCE, REPORTS_SINCE, SETTINGS_SINCE = "0.7.0", "0.6.0", "0.7.0"


class EventReader:
    """Asks one Event Manager. `zone`: that of times which name none; None: this host's own."""

    def __init__(self, site: Site, zone: tzinfo | None = None) -> None:
        self._asking = Asking(site)
        self._url = site.url.rstrip("/")
        self._zone = zone

    def plan(self, question: Question) -> Plan:
        """Judge a question. Raises Misasked."""
        spec = spec_of(question, self._zone)
        events = isinstance(spec, ById | Window | Search)
        family = recalling.FAMILY if events else key_of(spec)
        return Plan(question, key_of(spec), family, spec, as_json(spec))

    async def fetch(self, plan: Plan, shelf: Shelf, progress: Progress) -> Fetched:  # noqa: ARG002
        """Ask the server. Raises a DeliveryError, Misasked."""
        fetched = await self._fetched(plan.spec)
        data, replaced = finite(fetched.data)
        if isinstance(data, list):
            progress(len(data), len(data))
        notes = (*fetched.notes, *notes_of(plan.spec, data), *finite_notes(replaced))
        return replace(fetched, data=data, notes=notes)

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:
        """Say it from kept answers. Raises NotKept."""
        said = await recalling.recalled(plan, shelf, partial=partial)
        return replace(said, notes=(*said.notes, *notes_of(plan.spec, said.data)))

    def queued(self, plan: Plan) -> Sequence[str] | None:
        """The kinds of entry that may belong into the answer; None: it cannot be told."""
        return waiting.kinds_for(plan.spec)

    def merged(self, plan: Plan, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
        """The answer with the events that wait, each marked; and how many."""
        return waiting.merged(plan.spec, data, entries, self._zone)

    def shown(self, plan: Plan) -> str:
        """The request that `fetch` sends first; a filter is posted, and only reads."""
        match plan.spec:
            case ById(event_id=event_id) if (place := event_place(event_id)) is not None:
                return self._asking.shown(place)
            case ById(event_id=event_id):
                return self._asking.shown(QUERY, selector={"_id": event_id})
            case Window():
                place = ARCHIVED if plan.spec.archived else EVENTS
                return self._asking.shown(place, plan.spec.parameters())
            case Search(selector=selector):
                return self._asking.shown(QUERY, selector=selector)
            case Report():
                return self._asking.shown(report_place(plan.spec), dict(plan.spec.parameters))
            case _:
                return self._asking.shown(f"/{plan.spec.name}")

    async def close(self) -> None:
        """Close every connection."""
        await self._asking.close()

    async def _fetched(self, spec: Spec) -> Fetched:
        match spec:
            case ById():
                return await self._event(spec.event_id)
            case Window():
                return await self._window(spec)
            case Search():
                return await self._search(spec)
            case Report():
                return await self._report(spec)
            case Page():
                return await self._page(spec.name)

    async def _event(self, event_id: str) -> Fetched:
        place = event_place(event_id)
        if place is None:
            answer = await self._asking.search({"_id": event_id})
            rows = self._asking.rows_of(answer, QUERY)
            event = rows[0] if rows else None
        else:
            answer = await self._asking.get(place)
            event = event_in(answer, event_id)
            if event is None and not is_absence(answer, event_id):
                self._asking.fail(answer, place)
        return Fetched(event, settled=event is not None and recalling.is_settled(event))

    async def _window(self, window: Window) -> Fetched:
        place = ARCHIVED if window.archived else EVENTS
        answer = await self._asking.get(place, window.parameters())
        if is_failure(answer):
            return await self._window_by_search(window)
        if window.archived and is_missing(answer):
            await self._asking.lack(answer, place, ARCHIVED_SINCE)
        rows = self._asking.rows_of(answer, place)
        # Since 0.7.0 the server tells of each event whether it is archived.
        if not window.is_old and not any("archived" in row for row in rows):
            await self._asking.need_renewed("offset, start, end and include_archived")
        return Fetched(rows)

    async def _window_by_search(self, window: Window) -> Fetched:
        """The same list where the server cannot show it: one odd event spoils it for everybody.

        Where this fails as well, its database is away.
        """
        answer = await self._asking.search(window.selector())
        rows = self._asking.rows_of(answer, QUERY)
        by: Callable[[Json], str] = by_archiving if window.archived else by_time
        rows.sort(key=by, reverse=True)
        shown = rows[window.offset : window.offset + window.number]
        note = (
            "the Event Manager cannot show this list (500), as when it holds an event of another"
            f" version's; all {len(rows)} events of its kind were asked for instead (POST {QUERY}),"
            " and the list was made of them here"
        )
        return Fetched(shown, notes=(note,))

    async def _search(self, search: Search) -> Fetched:
        answer = await self._asking.search(search.selector)
        if search.conditions is None and is_failure(answer):
            await self._asking.blame(answer)
        rows = self._asking.rows_of(answer, QUERY)
        if search.conditions is None or not search.conditions.has_times:
            return Fetched(rows)
        moments = [moment_of(row.get("event_timestamp"), self._zone) for row in rows]
        found = [
            row
            for row, moment in zip(rows, moments, strict=True)
            if moment is not None and search.conditions.spans(moment)
        ]
        unknown = moments.count(None)
        if not unknown:
            return Fetched(found)
        note = f"{unknown} events are left out, for nobody can say when they were"
        return Fetched(found, complete=False, notes=(note,))

    async def _report(self, report: Report) -> Fetched:
        place = report_place(report)
        answer = await self._asking.get(place, dict(report.parameters))
        if report.name != "sessions" and is_missing(answer):
            await self._asking.lack(answer, place, REPORTS_SINCE)
        fetched = report_in(answer, self._url + place, is_csv=report.is_csv)
        if fetched is None:
            self._asking.fail(answer, place)
        return fetched

    async def _page(self, name: str) -> Fetched:
        place = f"/{name}"
        answer = await self._asking.get(place)
        if name == "definition" and is_missing(answer):
            settings = await self._asking.get("/settings")
            if not is_missing(settings):
                note = "this Event Manager has no definition any more; these are its settings"
                return Fetched(self._settings_in(settings), notes=(note,))
        if name == "settings":
            if is_missing(answer):
                await self._asking.lack(answer, place, SETTINGS_SINCE)
            return Fetched(self._settings_in(answer))
        told = self._asking.object_in(answer, place)
        return Fetched(self._own(told, place, "healthy" if name == "health" else "manager_type"))

    def _settings_in(self, answer: Any) -> Json:
        told = self._asking.object_in(answer, "/settings")
        settings = self._own(told, "/settings", "settings")["settings"]
        return self._own(settings, "/settings", "manager_type")

    def _own(self, told: Any, place: str, name: str) -> Json:
        """What only an Event Manager says. Raises Refused."""
        if not isinstance(told, dict) or name not in told:
            said = f"{self._url}{place} answered 200, but not as an Event Manager does"
            raise Refused(f"{said}: there is no {name!r} in it; is the backend's url right?")
        return told


def event_place(event_id: str) -> str | None:
    """The path of an event; None where the server would not find it there (sheet, section 1)."""
    place = f"/event/{quote(event_id, safe='')}"
    return None if "/" in event_id or event_id in (".", "..") or len(place) > LONGEST else place


def report_place(report: Report) -> str:
    """The path of a report."""
    return f"/utilization/{REPORTS[report.name]}"


def by_time(event: Json) -> str:
    """As the server orders events: by the text."""
    return str(event.get("event_timestamp", ""))


def by_archiving(event: Json) -> str:
    """As the server orders archived events."""
    return str(event.get("archived_at") or "")
