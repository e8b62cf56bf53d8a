"""MADSci Event Manager, 0.5.2 to 0.8.1: one event per request, proven by its id.

Proof of delivery is 200 and a JSON object whose `_id` is ours. The server answers a repeated
id the same way, echoing the request whatever it holds, and mails alerts again; so an event in
doubt is looked up with GET /event/{id} and compared, never simply sent again. So is one whose
id is a name of the producer's own: it may be taken.

A type that the server's version does not know is told in its words (`dialect`), an alert that
comes late perhaps without the alarm (`alerts`); what was changed stays in the event.

Every statement about the server is from the event manager sheet (sections 1 to 5), in the
words of docs/backends/event_manager.md.
"""

import json
from collections.abc import Sequence
from datetime import tzinfo
from urllib.parse import quote

from adapters.answer import Answer
from adapters.base import BackendKind, EntryKind, Limit, Site
from adapters.event_manager.answers import event_in, is_absence, unproven, unread
from adapters.event_manager.dialect import Dialect
from adapters.event_manager.event_types import COMMON, in_refusal, spelled
from adapters.event_manager.limits import Limits
from adapters.event_manager.options import Options
from adapters.event_manager.originals import Json
from adapters.event_manager.payload import LOG_LEVELS, EventPayload, is_ulid
from adapters.event_manager.reads import EventReader
from adapters.event_manager.resources import RESOURCES
from adapters.event_manager.wire import adapted, is_same_event, type_in, wire_body
from adapters.http import HttpClient
from adapters.preview import Preview
from adapters.verdict import Rejected, Uncertain, Unreachable, Verdict
from storage.entry import Address, Claim, Delivered, Doubt, Receipt

GATEWAY_STATUSES = (502, 503, 504)  # a proxy's words for a server that is away


class EventManagerAdapter:
    """Speaks to one Event Manager. Events are independent: any order, several at once."""

    def __init__(self, site: Site, zone: tzinfo | None = None) -> None:
        """`zone`: that of the producers' times which name none; None: this host's own."""
        self._url = site.url.rstrip("/")
        self._client = HttpClient(site)
        self._limits = Limits()
        self._options: Options = site.options or Options()
        self._zone = zone
        self._dialect = Dialect(self._url, lambda place: self._ask("GET", place), site.now)

    @property
    def limits(self) -> Sequence[Limit]:
        """The server's rate limits, as far as its answers have told them."""
        return self._limits.known

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Post each event. Raises a DeliveryError, the verdict of the one event of a batch."""
        return [await self._post(claim) for claim in claims]

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """The event under our id if it is ours; empty: nothing is stored under our id.

        Raises Rejected when the id belongs to another event: the server would drop ours
        without a word, however often it is sent.
        """
        held = await self._held(doubt.claim)
        return [] if held is None else [held]

    async def holds(self, receipt: Delivered) -> bool:
        """GET of the event: an archived one is there, a deleted one is not."""
        event_id, place = receipt.remote_id, self._place(receipt.remote_id)
        answer = await self._client.request("GET", place)
        there, absent = event_in(answer, event_id) is not None, is_absence(answer, event_id)
        self._limits.learn(answer, own=there or absent)
        if not (there or absent):
            raise unread(answer, self._url + place)
        return there

    def preview(self, claim: Claim) -> Sequence[Preview]:
        """The event as it is posted to a server that knows its type."""
        body = wire_body(claim, self._zone)
        event_type = type_in(body)
        text = json.dumps(self._said(claim, body, event_type))
        remark = (
            f"GET {self._url}/openapi.json before: where the server does not know {event_type!r},"
            " it is sent its own name for it, or unknown"
        )
        remarks = [] if event_type in COMMON else [remark]
        return [self._client.preview("POST", "/event", json_text=text, remarks=remarks)]

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _held(self, claim: Claim) -> Receipt | None:
        event_id = wire_body(claim)["event_id"]
        place = self._place(event_id)
        answer = await self._ask("GET", place)
        stored = event_in(answer, event_id)
        absent = is_absence(answer, event_id)
        self._limits.learn(answer, own=absent or stored is not None)
        if absent:
            return None
        if stored is None:
            raise unread(answer, self._url + place)
        if not is_same_event(claim, stored):
            detail = f"the id {event_id!r} already holds another event at {self._url}"
            raise Rejected(detail, status=answer.status, excerpt=answer.text)
        return self._receipt(claim, event_id, duplicate=True)

    async def _post(self, claim: Claim) -> Receipt:
        body = wire_body(claim, self._zone)
        event_id = body["event_id"]
        if not (claim.in_doubt or event_id == claim.id or is_ulid(event_id)):
            # Somebody's own name for it may be taken, which an answer to a POST would not tell.
            held = await self._held(claim)
            if held is not None:
                return held
        told = await self._dialect.spelled(type_in(body))
        answer = await self._send(claim, body, told)
        if (known := in_refusal(answer)) is not None:
            self._dialect.learn(known)
            if (again := spelled(type_in(body), known)) != told:
                # What is refused with 422 was neither stored nor mailed.
                answer = await self._send(claim, body, again)
        stored = event_in(answer, event_id) is not None
        self._limits.learn(answer, own=stored)
        if not stored:
            raise unproven(answer, f"{self._url}/event")
        return self._receipt(claim, event_id)

    async def _send(self, claim: Claim, body: Json, event_type: str) -> Answer:
        text = json.dumps(self._said(claim, body, event_type))
        return await self._ask("POST", "/event", json_text=text)

    def _said(self, claim: Claim, body: Json, event_type: str) -> Json:
        begun = claim.first_sent_at or claim.created_at
        return adapted(body, event_type, first_sent_at=begun, options=self._options)

    async def _ask(self, method: str, place: str, *, json_text: str | None = None) -> Answer:
        try:
            answer = await self._client.request(method, place, json_text=json_text)
        except (Unreachable, Uncertain):
            self._dialect.forget()
            raise
        if answer.status in GATEWAY_STATUSES:
            self._dialect.forget()
        return answer

    def _place(self, event_id: str) -> str:
        return f"/event/{quote(event_id, safe='')}"

    def _receipt(self, claim: Claim, event_id: str, *, duplicate: bool = False) -> Receipt:
        url = self._url + self._place(event_id)
        return Receipt(claim.id, event_id, url=url, duplicate=duplicate)


def address(payload: EventPayload) -> Address:
    """An event's own id is its key; events need no order; its experiment is a label.

    The higher its level the sooner it goes; what asks for an alert is as urgent as an error.
    """
    experiment = payload.source.experiment_id
    return Address(
        key=payload.own_id,
        labels={"experiment": experiment} if experiment else {},
        urgency=max(payload.log_level, LOG_LEVELS["ERROR"] if payload.alert else 0),
    )


KIND = BackendKind(
    options=Options,
    adapter=EventManagerAdapter,
    kinds={"event": EntryKind(payload=EventPayload, address=address, in_doubt="find")},
    main_kind="event",
    batch_size=1,
    concurrency=4,
    settles_after_seconds=5,
    absent_answers=2,
    limits=lambda adapter: adapter.limits,
    reader=EventReader,
    resources=RESOURCES,
)
