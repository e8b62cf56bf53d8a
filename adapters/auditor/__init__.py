"""AUDITOR: accounting records, and the updates that end them.

Promises: a record counts as delivered only by AUDITOR's own word, which is a 200 with neither
body nor content type, `RECORD_EXISTS`, or the warning that replaces it on servers which ignore
repeats. Records travel together as one array, which is stored whole or not at all; about such
a batch only "stored" is proof, any other word sends its records on in smaller ones.

A lost answer needs no search: the same record is sent again and `RECORD_EXISTS` proves that it
had arrived; an update may be repeated at will (AUDITOR sheet, sections 1.1 and 1.2). What
was there of a duplicate is read back and compared (`comparing`).

An update that waits behind its own record rides along: the record is sent with the update's
stop time. That counts for the update only if the server says that it stored this record now;
an update whose record AUDITOR does not know waits for it for a time.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from pydantic import BaseModel, Field

from adapters.answer import Answer, refusal_of_us
from adapters.auditor.answers import (
    is_repeat,
    is_stored,
    is_unknown,
    may_still_come,
    no_proof,
    shown_by,
    unknown_record,
    unsent,
)
from adapters.auditor.comparing import Comparison
from adapters.auditor.holdings import holds_record
from adapters.auditor.payloads import (
    RecordAdd,
    RecordUpdate,
    record_address,
    strict_faults,
    update_address,
)
from adapters.auditor.reads import AuditorReader
from adapters.auditor.resources import RESOURCES
from adapters.base import BackendKind, EntryKind, Site
from adapters.http import HttpClient
from adapters.preview import Preview
from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
    Verdict,
)
from storage.entry import Claim, Compared, Delivered, Doubt, Receipt

BODY_LIMIT = 2_097_152  # bytes; compiled into the server (AUDITOR sheet, section 1.1)
DOUBTS_IN_A_ROW = 3  # lost answers after which the rest of a `deliver` is not tried


class Options(BaseModel, extra="forbid", frozen=True):
    """What the settings may say of an AUDITOR beyond what they say of every backend."""

    max_body_bytes: int = Field(
        default=1_500_000,
        ge=1,
        le=BODY_LIMIT,
        description="Largest request that several records share, in bytes.",
    )  # three quarters of what the server takes; lower it for a proxy with a smaller limit
    update_wait_seconds: float = Field(
        default=3600,
        ge=0,
        description="How long an update waits for a record that AUDITOR does not hold yet.",
    )  # the record may be on its way from another sender
    strict_names: bool = Field(
        default=False,
        description='Refuse names with / ( ) " < > \\ { or }, as servers before 0.7 do.',
    )
    compare_duplicates: bool = Field(
        default=True,
        description="Read back each record that was there already, and say whether it is the same.",
    )  # one request more for each; without it nobody notices two records under one id


@dataclass(frozen=True, slots=True)
class Item:
    """A claim with what is read off its payload. `text` is what goes out for it.

    `rides`: the claim's rider is in the text.
    """

    claim: Claim
    record_id: str
    remote_id: str
    text: str
    rides: bool = False

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return len(self.text.encode())


def item_of(claim: Claim) -> Item:
    """The claim as it goes out alone.

    The remote id of an update names its stop time too: it is not the record's own.
    """
    body = json.loads(claim.payload)
    record_id = body["record_id"]
    remote_id = record_id if claim.kind == "record" else f"{record_id}@{body['stop_time']}"
    return Item(claim, record_id, remote_id, claim.payload)


def ridden(item: Item) -> Item:
    """The item with its rider, if it has one and the record cannot be there yet.

    Only the stop time is the update's: that is all that AUDITOR takes from one.
    """
    rider = item.claim.rider
    if rider is None or item.claim.in_doubt:
        return item
    stop_time = json.loads(rider.payload)["stop_time"]
    body = {**json.loads(item.claim.payload), "stop_time": stop_time}
    return replace(item, text=json.dumps(body, ensure_ascii=False), rides=True)


def parcels(items: Sequence[Item], limit: int) -> Iterator[list[Item]]:
    """Cut `items`, in order, into arrays of at most `limit` bytes in which no id repeats.

    An item larger than that travels alone: whether it is too large, the server decides.
    """
    parcel: list[Item] = []
    size, ids = 1, set[str]()
    for item in items:
        if parcel and (size + item.size + 1 > limit or item.record_id in ids):
            yield parcel
            parcel, size, ids = [], 1, set()
        parcel.append(item)
        size += item.size + 1  # its comma, or the closing bracket
        ids.add(item.record_id)
    yield parcel


class AuditorAdapter:
    """One AUDITOR server."""

    def __init__(self, site: Site) -> None:
        options: Options = site.options or Options()
        self._http = HttpClient(site)
        self._url = site.url.rstrip("/")
        self._now = site.now
        self._limit = options.max_body_bytes
        self._wait_seconds = options.update_wait_seconds
        self._comparison = Comparison(self._get, site.now) if options.compare_duplicates else None

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Send records together and updates one by one; one verdict per claim, in order.

        After a request that met trouble of the backend, or three lost answers in a row, the
        rest is not sent: five hundred updates would each wait for the same dead server.
        """
        verdicts: list[Verdict] = []
        doubts = 0
        for parcel in self._parcels([ridden(item_of(claim)) for claim in claims]):
            outcome = await self._attempt(parcel)
            verdicts += outcome
            last = outcome[-1]
            doubts = doubts + 1 if isinstance(last, Uncertain) else 0
            if isinstance(last, Unreachable | Refused | Throttled) or (
                isinstance(last, Uncertain) and doubts == DOUBTS_IN_A_ROW
            ):
                verdicts += [unsent(last)] * (len(claims) - len(verdicts))
                break
        return verdicts

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """The record under its id. Raises Uncertain whenever it is not shown.

        AUDITOR answers an unknown id and a database that is down with the same 500, so nothing
        proves absence (AUDITOR sheet, section 1.3); sending again is what settles a doubt.
        """
        if doubt.claim.kind != "record":
            raise Uncertain("AUDITOR shows no updates: this one is settled by sending it again")
        item = item_of(doubt.claim)
        url = self._place(item.record_id)
        answer = await self._get(item.record_id)
        refusal = refusal_of_us(answer, url)
        if refusal is not None:
            raise refusal
        if (shown_by(answer) or {}).get("record_id") == item.record_id:
            return [self._receipt(item)]
        detail = f"{url} shows no such record, which does not prove that there is none"
        raise Uncertain(detail, status=answer.status, excerpt=answer.text)

    async def holds(self, receipt: Delivered) -> bool | None:
        """Does AUDITOR show the record, and does it stop when an update said so?"""
        return await holds_record(self._http, self._url, receipt)

    def preview(self, claim: Claim) -> Sequence[Preview]:
        """The record, or its update, as it goes out alone."""
        update = claim.kind == "record_update"
        remarks = () if update else (f"POST {self._url}/records, if it goes out with others",)
        text = item_of(claim).text
        method = "PUT" if update else "POST"
        return [self._http.preview(method, "/record", json_text=text, remarks=remarks)]

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    def _parcels(self, items: list[Item]) -> Iterator[list[Item]]:
        if items[0].claim.kind == "record":
            return parcels(items, self._limit)
        return ([item] for item in items)  # there is no bulk update

    async def _attempt(self, parcel: list[Item]) -> Sequence[Verdict]:
        try:
            if parcel[0].claim.kind == "record_update":
                return [await self._update(parcel[0])]
            if len(parcel) == 1:
                return [await self._add(parcel[0])]
            return await self._add_together(parcel)
        except DeliveryError as lost:
            return [lost] * len(parcel)

    async def _add(self, item: Item) -> Verdict:
        verdict = await self._post(item)
        if isinstance(verdict, Rejected) and item.rides:
            # Was it the rider? The record must not be buried for its sake.
            return await self._post(item_of(item.claim))
        return verdict

    async def _post(self, item: Item) -> Verdict:
        answer = await self._http.request("POST", "/record", json_text=item.text)
        if is_stored(answer):
            return self._receipt(item, with_rider=item.rides)
        if is_repeat(answer):
            compared = await self._compared(item.claim)
            return replace(self._receipt(item), duplicate=True, compared=compared)
        return no_proof(answer, f"{self._url}/record")

    async def _add_together(self, parcel: list[Item]) -> Sequence[Verdict]:
        """One array. What is wrong with one of its records keeps all of them out."""
        text = f"[{','.join(item.text for item in parcel)}]"
        answer = await self._http.request("POST", "/records", json_text=text)
        if is_stored(answer):
            return [self._receipt(item, with_rider=item.rides) for item in parcel]
        error = no_proof(answer, f"{self._url}/records")
        if is_repeat(answer) or isinstance(error, Rejected):
            detail = f"AUDITOR stored none of these {len(parcel)} records: {answer.text[:200]}"
            error = BatchRefused(detail, status=answer.status, excerpt=answer.text)
        return [error] * len(parcel)

    async def _update(self, item: Item) -> Verdict:
        answer = await self._http.request("PUT", "/record", json_text=item.text)
        if is_stored(answer):
            return self._receipt(item)
        if is_unknown(answer):
            age_seconds = (self._now() - item.claim.accepted_at) / 1000
            waits = may_still_come(age_seconds, item.claim.tries, self._wait_seconds)
            return unknown_record(answer, item.record_id, waits=waits)
        return no_proof(answer, f"{self._url}/record")

    async def _compared(self, claim: Claim) -> Compared:
        """What is there of a record that exists already."""
        return "not verified" if self._comparison is None else await self._comparison.of(claim)

    async def _get(self, record_id: str) -> Answer:
        return await self._http.request("GET", self._place(record_id))

    def _place(self, record_id: str) -> str:
        return f"{self._url}/record/{quote(record_id, safe='')}"

    def _receipt(self, item: Item, *, with_rider: bool = False) -> Receipt:
        place = self._place(item.record_id)
        return Receipt(item.claim.id, item.remote_id, place, with_rider=with_rider)


KIND = BackendKind(
    options=Options,
    adapter=AuditorAdapter,
    kinds={
        "record": EntryKind(
            RecordAdd,
            record_address,
            in_doubt="resend",
            batched=True,
            rider="record_update",
            check=strict_faults,
        ),
        "record_update": EntryKind(
            RecordUpdate, update_address, in_doubt="resend", check=strict_faults
        ),
    },
    main_kind="record",
    batch_size=500,
    reader=AuditorReader,
    resources=RESOURCES,
)
