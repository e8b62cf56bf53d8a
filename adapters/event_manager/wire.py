"""An event on the wire: what is sent for a claim, and whether a stored event is the same one.

Promises: the same claim always gives the same body, so that a repeat is a repeat, but for the
type's name if the server was upgraded in between; two events compare equal exactly when the server
would have made the same document of them, what we change on the way (`originals`) and the offset of
a local time set aside. Pure. Source: event manager sheet, sections 2 and 3.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from adapters.event_manager.alerts import Changes, silencing
from adapters.event_manager.event_types import TWINS, UNKNOWN, event_type_of
from adapters.event_manager.local_time import zoned
from adapters.event_manager.options import Options
from adapters.event_manager.originals import Json, altered, restored
from adapters.event_manager.payload import log_level_of, timestamp_of
from storage.entry import Claim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SINCE_0_6 = ("trace_id", "span_id")  # older servers drop them without a word


def wire_body(claim: Claim, zone: tzinfo | None = None) -> Json:
    """The body of POST /event for a claim."""
    return body_of(json.loads(claim.payload), claim.id, claim.created_at, zone)


def body_of(
    payload: Mapping[str, Any], entry_id: str, created_at: int, zone: tzinfo | None = None
) -> Json:
    """The body of POST /event: the producer's payload with id, source and time filled in.

    The id is the payload's own or the entry's. Without `source` the event would claim to come
    from the Event Manager itself; without `event_timestamp` from the moment of delivery. A time
    without a zone gets this host's offset: the server shows it to people elsewhere, too.
    """
    own_id = payload.get("_id") or payload.get("event_id") or entry_id
    # The id goes out as `event_id`, as the real clients do; only the server says `_id`, which
    # tells its answer from a mere echo of our request.
    body = {name: value for name, value in payload.items() if name != "_id"}
    body["event_id"] = own_id
    body.setdefault("source", {})
    body.setdefault("event_timestamp", iso_utc(created_at))
    if (local := _local_time(body)) is not None:
        made_at = EPOCH + timedelta(milliseconds=created_at)
        moment = zoned(local, zone, made_at=made_at)
        if moment is not None:
            body["event_timestamp"] = moment.isoformat()
    return body


def type_in(body: Json) -> str:
    """The type of an event in the server's spelling. Raises ValueError: none of any version."""
    return event_type_of(body.get("event_type", UNKNOWN))


def adapted(body: Json, event_type: str, *, first_sent_at: int, options: Options) -> Json:
    """A wire body for a server that calls its type `event_type`, without an alert if it is late."""
    changes: Changes = {}
    ours = type_in(body)
    if event_type == UNKNOWN and ours != UNKNOWN:
        changes["event_type"] = (ours, UNKNOWN)
    elif event_type != ours:
        body = {**body, "event_type": event_type}  # the same type by another name
    changes |= silencing(body, first_sent_at, options)
    return altered(body, changes)


def iso_utc(milliseconds: int) -> str:
    """Epoch milliseconds as ISO 8601 in UTC, with Z and three digits."""
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def is_same_event(claim: Claim, stored: Json) -> bool:
    """Is `stored`, a document of the server, what any attempt of this claim may have sent?

    Whether it has been archived since does not matter, nor do fields that the server's
    version does not keep.
    """
    sent = wire_body(claim)
    local = _local_time(json.loads(claim.payload)) is not None
    kept = [name for name in SINCE_0_6 if name in stored]
    try:
        ours = _settled(sent, kept, local=local)
        return any(ours == _settled(one, kept, local=local) for one in (stored, restored(stored)))
    except (ValueError, TypeError, AttributeError):
        return False  # the stored one is no event that we could have sent


def _local_time(event: Json) -> datetime | None:
    """The event's time if it has one, and no zone."""
    if "event_timestamp" not in event:
        return None
    moment = timestamp_of(event["event_timestamp"])
    return moment if moment.tzinfo is None else None


def _settled(event: Json, kept: list[str], *, local: bool) -> tuple[Any, ...]:
    """The event's content in one spelling, the server's defaults filled in."""
    source: Mapping[str, str | None] = event.get("source", {})
    event_type = type_in(event)
    return (
        min(event_type, TWINS.get(event_type, event_type)),
        log_level_of(event.get("log_level", 20)),
        event.get("alert", False) is True,
        _moment(event.get("event_timestamp"), local=local),
        {name: value for name, value in source.items() if value is not None},
        json.dumps(_plain(event.get("event_data", {})), sort_keys=True),
        [event.get(name) for name in kept],
    )


def _moment(raw: Any, *, local: bool) -> tuple[bool, datetime]:
    """The time to be compared; of a `local` one, its digits.

    The offset of a local one may be another by now, and earlier versions sent none. Otherwise a
    naive time is never the same as one with a zone: the server keeps which it was.
    """
    moment = timestamp_of(raw)
    if local:
        moment = moment.replace(tzinfo=None)
    return moment.tzinfo is None, moment


def _plain(value: Any) -> Any:
    """JSON in one spelling: NaN is null, 1.0 is 1; true is not 1."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list():
            return [_plain(part) for part in value]
        case _:
            return value
