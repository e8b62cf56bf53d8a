"""What goes over the wire to a telemetry server, and what its answers mean. Pure: no I/O.

An answer of POST /event is a proof or one DeliveryError; an answer of GET /current is a current
value, none, or one DeliveryError. Nothing here trusts an answer to be what it says it is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from adapters.answer import Answer, refusal_of_us
from adapters.verdict import DeliveryError, Refused, Rejected, Superseded, Uncertain
from storage.entry import Alike, Claim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Well below what proxies take; a longer path would make one odd type look like a dead network.
LONGEST_PATH = 2000
ORIGIN_TS = "origin_ts"  # in `meta`: when it was made, where `ts` is when it arrived


@dataclass(frozen=True, slots=True)
class Current:
    """The current value of a type, as the server shows it.

    `event` is None when there is none; `known` is False when it could not be looked at.
    """

    event: Mapping[str, Any] | None = None
    known: bool = True

    @property
    def event_id(self) -> Any:
        """`meta.event_id` of the value; None when it has none."""
        meta = (self.event or {}).get("meta")
        return meta.get("event_id") if isinstance(meta, dict) else None

    def gives_way_to(self, moment: datetime, *, keeps_times: bool = True) -> bool:
        """May an event of `moment` take its place? A value without a readable time always does.

        (Otherwise one such value would stay current for ever.) A server that keeps no times shows
        when the value arrived; when it was made stands beside, if Holdfast has delivered it.
        """
        if not self.known:
            return False
        event = self.event or {}
        meta = event.get("meta")
        made = None if keeps_times or not isinstance(meta, dict) else moment_of(meta.get(ORIGIN_TS))
        shown = made or moment_of(event.get("ts"))
        return shown is None or shown < moment


def superseded(claim: Claim) -> Superseded | None:
    """The verdict of an event in memory only for which a newer one waits that will be current.

    It is in no file and would not be current: nobody could ever see it. One that may have been
    sent is looked for like any other.
    """
    payload = json.loads(claim.payload)
    fleeting = payload.get("store_permanently", True) is False and payload.get("make_current", True)
    if claim.newest_of_slot or claim.in_doubt or not fleeting:
        return None
    kind = payload["type"]
    reason = f"it was for memory only, and a newer event of the type {kind!r} waits"
    return Superseded(reason, Alike(kind, {"store_permanently": False}))


def outgoing(claim: Claim, *, keeps_times: bool = True) -> dict[str, Any]:
    """The body for POST /event, for a claim."""
    return body_of(
        json.loads(claim.payload),
        claim.id,
        claim.created_at,
        raw_created_at=claim.raw_created_at,
        keeps_times=keeps_times,
    )


def body_of(
    payload: Mapping[str, Any],
    entry_id: str,
    created_at: int,
    *,
    raw_created_at: int | None = None,
    keeps_times: bool = True,
) -> dict[str, Any]:
    """The body for POST /event: the producer's, with its time, its id and where it came from.

    The server overwrites `meta.run_id` while a run is active (telemetry sheet, section 7), so
    the run that the event belongs to goes along under another name too; and so does its time,
    where the server does not keep it. A time of ours that had to be set right goes along with
    what the clock showed.
    """
    meta = dict(payload.get("meta", {}))
    if "run_id" in meta:
        meta.setdefault("origin_run_id", meta["run_id"])
    meta.setdefault("event_id", entry_id)
    ts = payload.get("ts")
    if ts is None:
        ts = iso(created_at)
        if raw_created_at is not None:
            meta.setdefault("raw_ts", iso(raw_created_at))
    if not keeps_times:
        meta.setdefault(ORIGIN_TS, ts)
    return {**payload, "ts": ts, "meta": meta}


def event_id_of(body: Mapping[str, Any]) -> str:
    """The id that an outgoing event has, its producer's or ours."""
    return str(body["meta"]["event_id"])


def moment_at(milliseconds: int) -> datetime:
    """The moment `milliseconds` after the epoch, exactly (a float would not be)."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def iso(milliseconds: int) -> str:
    """UTC with milliseconds and `Z`: how the server writes a time itself."""
    return moment_at(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(ts: Any) -> datetime | None:
    """The moment that a `ts` names; None when it names none: the server takes any text."""
    try:
        moment = datetime.fromisoformat(ts)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def current_path(event_type: str) -> str | None:
    """The path of a type's current value; None when the server would not find it there.

    The server takes one path segment only, also when `/` is escaped (telemetry sheet, section 4).
    """
    path = f"/current/{quote(event_type, safe='')}"
    if event_type in ("", ".", "..") or "/" in event_type or len(path) > LONGEST_PATH:
        return None
    return path


def current_in(answer: Answer, event_type: str, url: str) -> Current:
    """Read an answer of GET /current/{type}."""
    fields = fields_of(answer)
    if answer.status == HTTPStatus.OK and fields.get("type") == event_type:
        return Current(fields)
    absent = str(fields.get("detail")).startswith("No current event")
    # A value that the server cannot show to anybody is as good as none; a new one heals it.
    if (answer.status == HTTPStatus.NOT_FOUND and absent) or is_poisoned(answer):
        return Current()
    return unreadable(answer, url)


def current_among(answer: Answer, event_type: str, url: str) -> Current:
    """Read an answer of GET /current. One poisoned value makes all of them unreadable."""
    values = fields_of(answer).get("current")
    if answer.status == HTTPStatus.OK and isinstance(values, dict):
        event = values.get(event_type)
        return Current(event if isinstance(event, dict) else None)
    if is_poisoned(answer):
        return Current(known=False)
    return unreadable(answer, url)


def is_poisoned(answer: Answer) -> bool:
    """Is this how the server fails on a value that it holds and cannot write as JSON?"""
    return (
        answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
        and answer.text.strip() == "Internal Server Error"
    )


def unreadable(answer: Answer, url: str) -> Current:
    """What an answer means that shows no current value. Raises Refused, Throttled, Uncertain."""
    foreign = is_foreign(answer)
    if foreign or is_lost(answer) or refusal_of_us(answer, url) is not None:
        raise unread(answer, url)
    return Current(known=False)  # something in between dislikes this one address


def is_foreign(answer: Answer) -> bool:
    """Is it an answer that a telemetry server would not give to a look at what it holds?"""
    odd = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
    return answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status in odd


def unread(answer: Answer, url: str) -> DeliveryError:
    """The verdict of an answer to a GET that does not show what was asked for."""
    refusal = refusal_of_us(answer, url)
    if refusal is not None:
        return refusal
    if is_lost(answer):
        return Uncertain(f"{url} answered {answer.status}", **told(answer))
    return stranger(answer, url, landed=False)


def prove(answer: Answer, body: Mapping[str, Any], url: str) -> int:
    """The `seq` of `body` when the answer of POST /event proves that it is stored.

    Raises Rejected, Refused, Throttled, Uncertain (telemetry sheet, section 8, the table).
    """
    fields = fields_of(answer)
    if answer.status != HTTPStatus.OK or not echoes(fields, body):
        raise unproven(answer, url, "the event")
    return int(fields["seq"])


def unproven(answer: Answer, url: str, what: str) -> DeliveryError:
    """The verdict of an answer to a POST that does not prove that the server did it."""
    refusal = refusal_of_us(answer, url)
    if refusal is not None:
        return refusal
    status, fields = answer.status, fields_of(answer)
    judged = status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    if (judged and "detail" in fields) or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = fields.get("detail", f"{what} is too large")
        return Rejected(f"{url} answered {status}: {detail}", **told(answer))
    if is_lost(answer):
        detail = f"{url} answered {status}; {what} may have been taken all the same"
        return Uncertain(detail, **told(answer))
    return stranger(answer, url, landed=status < HTTPStatus.MULTIPLE_CHOICES)


def is_lost(answer: Answer) -> bool:
    """Does the answer leave open what has become of the request?"""
    return (
        answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or answer.status == HTTPStatus.REQUEST_TIMEOUT
    )


def echoes(fields: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Is it the envelope of this very event? `ts` may differ: before 0.3.7 the server stamps it."""
    seq, meta = fields.get("seq"), fields.get("meta")
    return (
        isinstance(seq, int)
        and not isinstance(seq, bool)
        and fields.get("type") == body["type"]
        and isinstance(meta, dict)
        and meta.get("event_id") == event_id_of(body)
    )


def stranger(answer: Answer, url: str, *, landed: bool) -> Refused:
    """The verdict where something else than a telemetry server answers at `url`."""
    detail = (
        f"{url} answered {answer.status}, but not as a telemetry server does: is the url right?"
    )
    return Refused(detail, landed=landed, **told(answer))


def told(answer: Answer) -> dict[str, Any]:
    """What a verdict keeps of an answer."""
    return {"status": answer.status, "excerpt": answer.text}


def fields_of(answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON object; empty when it is none, or is not labelled as JSON.

    The server labels all that it says; what is labelled otherwise somebody else has made.
    """
    body = answer.json() if answer.media_type == "application/json" else None
    return body if isinstance(body, dict) else {}
