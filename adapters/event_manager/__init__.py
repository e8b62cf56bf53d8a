"""MADSci Event Manager, 0.5.2 to 0.8.1: one event per request, proven by its id.

Proof of delivery is 200 and a JSON object whose `_id` is ours. The server answers a repeated
id the same way, echoing the request whatever it holds, and mails alerts again; so an event in
doubt is looked up with GET /event/{id} and compared, never simply sent again.

Every statement about the server is from the event manager sheet (sections 1 to 5), in the
words of docs/backends/event_manager.md.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from adapters.base import (
    BackendKind,
    DeliveryError,
    EntryKind,
    Refused,
    Rejected,
    Site,
    Uncertain,
    Verdict,
)
from adapters.event_manager.payload import EventPayload
from adapters.event_manager.wire import is_same_event, wire_body
from adapters.http import Answer, HttpClient, refusal_of_us
from storage.entry import Address, Claim, Doubt, Receipt

OK, BAD_REQUEST, NOT_FOUND, TIMEOUT = 200, 400, 404, 408
NOT_ALLOWED, TOO_LARGE, UNPROCESSABLE, SERVER_ERROR = 405, 413, 422, 500

REASON_LENGTH = 200  # characters; the server recites all 63 event types when one is wrong


class Options(BaseModel, extra="forbid", frozen=True):
    """An Event Manager needs no settings of its own: it has no accounts and no sub-sites."""


class EventManagerAdapter:
    """Speaks to one Event Manager. Events are independent: any order, several at once."""

    def __init__(self, site: Site) -> None:
        self._url = site.url.rstrip("/")
        self._client = HttpClient(site)

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Post each event. Raises a DeliveryError, the verdict of the one event of a batch."""
        return [await self._post(claim) for claim in claims]

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """The event under our id if it is ours; empty: nothing is stored under our id.

        Raises Rejected when the id belongs to another event: the server would drop ours
        without a word, however often it is sent.
        """
        sent = wire_body(doubt.claim)
        place = self._place(sent["event_id"])
        answer = await self._client.request("GET", place)
        stored = _event_of(answer, sent["event_id"])
        if stored is None:
            if _is_absence(answer, sent["event_id"]):
                return []
            raise _refusal(answer, self._url + place, landed=False)
        if not is_same_event(sent, stored):
            detail = f"the id {sent['event_id']!r} already holds another event at {self._url}"
            raise Rejected(detail, status=answer.status, excerpt=answer.text)
        return [self._receipt(doubt.claim, sent["event_id"], duplicate=True)]

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _post(self, claim: Claim) -> Receipt:
        body = wire_body(claim)
        answer = await self._client.request("POST", "/event", json_text=json.dumps(body))
        if _event_of(answer, body["event_id"]) is not None:
            return self._receipt(claim, body["event_id"])
        raise _judgement(answer) or _refusal(answer, f"{self._url}/event", landed=True)

    def _place(self, event_id: str) -> str:
        return f"/event/{quote(event_id, safe='')}"

    def _receipt(self, claim: Claim, event_id: str, *, duplicate: bool = False) -> Receipt:
        url = self._url + self._place(event_id)
        return Receipt(claim.id, event_id, url=url, duplicate=duplicate)


def address(payload: EventPayload) -> Address:
    """An event's own id is its key; events need no order; its experiment is a label."""
    experiment = payload.source.experiment_id
    return Address(key=payload.own_id, labels={"experiment": experiment} if experiment else {})


def _event_of(answer: Answer, event_id: str) -> dict[str, Any] | None:
    """The event in a positive answer, if the answer is one and the event has this id."""
    body = answer.json() if answer.status == OK else None
    return body if isinstance(body, dict) and body.get("_id") == event_id else None


def _is_absence(answer: Answer, event_id: str) -> bool:
    """Is this the server's word that it has no such event? The router's 404 is another."""
    wanted = {"detail": f"Event with ID {event_id} not found"}
    return answer.status == NOT_FOUND and answer.json() == wanted


def _judgement(answer: Answer) -> Rejected | None:
    """The verdict when the answer is about the event itself, else None.

    400 and 422 count only in FastAPI's words: a proxy's page says nothing about the event.
    """
    body = answer.json()
    judged = isinstance(body, dict) and "detail" in body
    if answer.status == TOO_LARGE or (answer.status in (BAD_REQUEST, UNPROCESSABLE) and judged):
        detail = f"the Event Manager answered {answer.status}: {_reasons(body)}"
        return Rejected(detail, status=answer.status, excerpt=answer.text)
    return None


def _reasons(body: Any) -> str:
    """The server's complaints in one line: where, and what is wrong."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(detail, list):
        return str(detail or "too large")
    lines = [
        f"{'/'.join(map(str, error.get('loc') or ()))}: {str(error.get('msg'))[:REASON_LENGTH]}"
        for error in detail
        if isinstance(error, dict)
    ]
    return "; ".join(lines)


def _refusal(answer: Answer, url: str, *, landed: bool) -> DeliveryError:
    """The verdict of an answer that is neither proof nor about the event.

    `landed`: may a foreign 2xx answer hide a success? Only where something was sent.
    """
    shared = refusal_of_us(answer, url)
    if shared is not None:
        return shared
    status, excerpt = answer.status, answer.text
    if status >= SERVER_ERROR or status == TIMEOUT:
        # A plain-text 500 is a lost database and an unstorable event alike (sheet, section 3).
        return Uncertain(f"{url} answered {status}", status=status, excerpt=excerpt)
    if status in (NOT_FOUND, NOT_ALLOWED):
        detail = f"{url} answered {status}: no Event Manager is there; is the backend's url right?"
        return Refused(detail, status=status, excerpt=excerpt)
    kind = "a web page" if answer.is_html else "something that is no answer of an Event Manager"
    detail = f"{url} answered {status} with {kind}"
    # Below 300 somebody took the event, perhaps even the Event Manager.
    may_have_landed = landed and status < 300  # noqa: PLR2004 - the range is the meaning
    return Refused(detail, status=status, excerpt=excerpt, landed=may_have_landed)


KIND = BackendKind(
    options=Options,
    adapter=EventManagerAdapter,
    kinds={"event": EntryKind(payload=EventPayload, address=address, in_doubt="find")},
    main_kind="event",
    batch_size=1,
    concurrency=4,
    settles_after_seconds=5,
    absent_answers=2,
)
