"""Questions to AUDITOR: its records, one record, its health and its metrics.

Promises: a 200 that ends early is never taken for an answer. AUDITOR ends its stream without a
word when its database breaks off (`stream`), so the last record, by id, is asked for first and
has to come; where none comes, other signs have to show that the database answers. An answer of
which that cannot be shown is not complete, and says so.

Nothing here is ever settled: an update may change a stop time at any time, and records leave the
table when they are archived. (AUDITOR sheet, sections 1, 1.3, 1.4, 1.6)
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from adapters.auditor.answers import is_stored, is_unknown_record, no_answer, shown_by
from adapters.auditor.merging import KINDS, merged_rows
from adapters.auditor.query import Query, key_of, ordered
from adapters.auditor.recalling import recalled
from adapters.auditor.resources import PLAIN, Asked, asked_of, notes_of
from adapters.auditor.stream import Gathered
from adapters.base import Site
from adapters.http import HttpClient
from adapters.reading import (
    Fetched,
    NotKept,
    Plan,
    Progress,
    Question,
    Queued,
    Recalled,
    Shelf,
    recall_exactly,
)
from adapters.verdict import Refused, Uncertain

BY_ID = "record_id"  # the one order in which no two records are alike

NO_RECORD_AT_ALL = "AUDITOR shows no record at all, and says that its database is well"
UNPROVEN = (
    "AUDITOR shows nothing, as it does when its database is away, and access rules keep everybody"
    " from asking for its health: nobody can tell whether there is none"
)
NONE_HELD = "AUDITOR shows no such record: it was never added to this server, or was archived there"


class AuditorReader:
    """How one AUDITOR is asked."""

    def __init__(self, site: Site) -> None:
        self._http = HttpClient(site)
        self._url = site.url.rstrip("/")

    def plan(self, question: Question) -> Plan:
        """Judge a question, without asking anybody. Raises Misasked."""
        asked = asked_of(question)
        if asked.resource in PLAIN:
            key, kept = asked.resource, asked.resource != "health"
            return Plan(question, key, key, asked, kept=kept)
        about = {"single": asked.single, **asked.query.as_json()}
        key = key_of(asked.resource, asked.query)
        return Plan(question, key, "records", asked, about)

    async def fetch(
        self,
        plan: Plan,
        shelf: Shelf,  # noqa: ARG002 - the port's shape
        progress: Progress,
    ) -> Fetched:
        """Ask AUDITOR. Raises a DeliveryError when it gives no answer, Misasked."""
        asked: Asked = plan.spec
        if asked.resource == "health":
            return await self._health()
        if asked.resource == "metrics":
            return await self._metrics()
        if asked.single:
            return await self._record(asked.query, progress)
        return await self._records(asked.query, progress)

    async def recall(self, plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:
        """Say it from the newest kept answer that says it. Raises NotKept.

        A complete answer to a question with fewer conditions says it as well, by those that it
        lacks; and any answer says what one record was that is in it.
        """
        asked: Asked = plan.spec
        if asked.resource == "health":
            raise NotKept("AUDITOR's health is known only while AUDITOR can be asked")
        if asked.resource == "metrics":
            return await recall_exactly(plan, shelf)
        part: Recalled | None = None
        for label in await shelf.family(plan.family):
            found = await recalled(plan, label, shelf, partial=partial)
            if found is not None and (found.complete or partial):
                return found
            part = part or found
        if part is None:
            raise NotKept("no kept answer says this: AUDITOR has to be asked while it is there")
        return part

    def queued(self, plan: Plan) -> Sequence[str] | None:
        """Both kinds; None with a limit: nobody can tell what would be among so many."""
        asked: Asked = plan.spec
        if asked.resource in PLAIN:
            return ()
        return None if asked.query.limit is not None else KINDS

    def merged(self, plan: Plan, data: Any, entries: Sequence[Queued]) -> tuple[Any, int]:
        """`data` with what waits in the outbox, each marked, and how many (`merging`)."""
        asked: Asked = plan.spec
        if not entries or asked.resource in PLAIN:
            return data, 0
        if asked.single:
            rows, count = merged_rows(asked.query, [] if data is None else [data], entries)
            return (rows[0] if rows else None), count
        return merged_rows(asked.query, data or [], entries)

    def shown(self, plan: Plan) -> str:
        """The request whose answer is the answer; one for its last record goes before it."""
        asked: Asked = plan.spec
        if asked.resource in PLAIN:
            return f"GET {self._url}/{'health_check' if asked.resource == 'health' else 'metrics'}"
        if asked.single:
            return f"GET {self._url}{_place(asked.query)}"
        query = asked.query
        cut = query.limit is not None and not query.judged_here
        path = _path(query, query.sort, query.limit) if cut else _path(query, BY_ID, None)
        return f"GET {self._url}{path}"

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _records(self, query: Query, progress: Progress) -> Fetched:
        notes = notes_of(query)
        if query.limit is not None and not query.judged_here:
            found = await self._gather(query, query.sort, query.limit, progress)
            if len(found.rows) == query.limit:
                return Fetched(found.rows, notes=notes)
        last = await self._last(query)
        if last is None:
            complete, why = await self._nothing(query)
            return Fetched([], complete, notes=(*notes, *why))
        found = await self._gather(query, BY_ID, None, progress, sought=last)
        if not found.met:
            raise Uncertain(
                f"{self._url}/records ended before its last record had come: AUDITOR's database"
                " broke off, or that record was archived at this moment",
                status=HTTPStatus.OK,
            )
        if found.strays:
            notes = (*notes, f"{found.strays} records were left out that AUDITOR sent unasked")
        rows = await asyncio.to_thread(ordered, found.rows, query)
        return Fetched(rows, notes=notes)

    async def _record(self, query: Query, progress: Progress) -> Fetched:
        [record_id] = [one.value for one in query.conditions]
        # Of "." and ".." no request can be made: they would be taken out of the path.
        if record_id not in (".", ".."):
            answer = await self._http.request("GET", _place(query))
            shown = shown_by(answer)
            if shown is not None and shown.get("record_id") == record_id:
                return Fetched(shown)
            if not is_unknown_record(answer):
                raise no_answer(answer, f"{self._url}{_place(query)}")
        found = await self._gather(query, None, None, progress)
        if found.rows:
            return Fetched(found.rows[0])
        complete, why = await self._nothing(query)
        return Fetched(None, complete, notes=(NONE_HELD, *why))

    async def _nothing(self, query: Query) -> tuple[bool, tuple[str, ...]]:
        """Nothing came. Is it sure that there is nothing? And what is to be said of that.

        The question is asked once more, between two signs that the database answers.
        """
        before = await self._well()
        if before is not False and await self._last(query) is None:
            if await self._last(Query()) is not None:
                return True, ()
            after = await self._well()
            if before and after:
                return True, (NO_RECORD_AT_ALL,)
            if after is None:
                return False, (UNPROVEN,)
        raise Uncertain(
            f"{self._url} shows nothing, and its database was away: that may be all that is wrong",
            status=HTTPStatus.OK,
        )

    async def _well(self) -> bool | None:
        """Does AUDITOR reach its database? None: nobody may ask, and no record shows it."""
        answer = await self._http.request("GET", "/health_check")
        if answer.status == HTTPStatus.FORBIDDEN:
            return True if await self._last(Query()) is not None else None
        return is_stored(answer)  # 200 without a body, here as there

    async def _last(self, query: Query) -> str | None:
        """The id of the last record that AUDITOR shows of what it is asked."""
        return (await self._gather(query, f"-{BY_ID}", 1, lambda *_: None)).last_id

    async def _gather(
        self,
        query: Query,
        sort: str | None,
        limit: int | None,
        progress: Progress,
        sought: str | None = None,
    ) -> Gathered:
        """Ask for records. Raises where the answer is none, as far as it can be seen from it."""
        gathered = Gathered(query, progress, sought)
        path = _path(query, sort, limit)
        answer = await self._http.request("GET", path, sink=gathered)
        if not gathered.opened(answer):
            raise no_answer(answer, f"{self._url}{path}")
        gathered.end(f"{self._url}{path}")
        return gathered

    async def _health(self) -> Fetched:
        answer = await self._http.request("GET", "/health_check")
        if is_stored(answer):
            return Fetched({"healthy": True})
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and not answer.body:
            return Fetched({"healthy": False}, notes=("AUDITOR does not reach its database",))
        if answer.status == HTTPStatus.FORBIDDEN:
            raise Refused(
                f"{self._url}/health_check answered 403: AUDITOR's access rules let nobody ask",
                status=answer.status,
                excerpt=answer.text,
            )
        raise no_answer(answer, f"{self._url}/health_check")

    async def _metrics(self) -> Fetched:
        answer = await self._http.request("GET", "/metrics")
        if answer.status == HTTPStatus.OK and answer.media_type == "text/plain":
            return Fetched(answer.text)
        raise no_answer(answer, f"{self._url}/metrics", role="monitoring_role_cn")


def _place(query: Query) -> str:
    return f"/record/{quote(str(query.conditions[0].value), safe='')}"


def _path(query: Query, sort: str | None, limit: int | None) -> str:
    wire = query.wire(sort, limit)
    return f"/records?{wire}" if wire else "/records"
