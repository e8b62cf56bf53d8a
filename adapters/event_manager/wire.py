"""An event on the wire: what is sent for a claim, and whether a stored event is the same one.

Promises: the same claim always gives the same body, so that a repeat is a repeat; two events
compare equal exactly when the server would have made the same document of them. Pure.
Source: event manager sheet, sections 2 and 3.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.event_manager.payload import event_type_of, log_level_of, timestamp_of
from storage.entry import Claim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SINCE_0_6 = ("trace_id", "span_id")  # older servers drop them without a word

Json = dict[str, Any]


def wire_body(claim: Claim) -> Json:
    """The body of POST /event: the producer's payload with id, source and time filled in.

    The id is the payload's own or the entry's. Without `source` the event would claim to come
    from the Event Manager itself; without `event_timestamp` from the moment of delivery.
    """
    payload: Json = json.loads(claim.payload)
    own_id = payload.pop("_id", None) or payload.get("event_id") or claim.id
    # The id goes out as `event_id`, as the real clients do; only the server says `_id`, which
    # tells its answer from a mere echo of our request.
    body = {**payload, "event_id": own_id}
    body.setdefault("source", {})
    body.setdefault("event_timestamp", iso_utc(claim.created_at))
    return body


def iso_utc(milliseconds: int) -> str:
    """Epoch milliseconds as ISO 8601 in UTC, with Z and three digits."""
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def is_same_event(sent: Json, stored: Json) -> bool:
    """Would `sent`, a wire body, be stored as `stored`, a document of the server?

    Whether it has been archived since does not matter, nor do fields that the server's
    version does not keep.
    """
    kept = [name for name in SINCE_0_6 if name in stored]
    try:
        return _settled(sent, kept) == _settled(stored, kept)
    except (ValueError, TypeError, AttributeError):
        return False  # the stored one is no event that we could have sent


def _settled(event: Json, kept: list[str]) -> tuple[Any, ...]:
    """The event's content in one spelling, the server's defaults filled in."""
    source: Mapping[str, str | None] = event.get("source", {})
    return (
        event_type_of(event.get("event_type", "unknown")),
        log_level_of(event.get("log_level", 20)),
        event.get("alert", False) is True,
        _moment(event.get("event_timestamp")),
        {name: value for name, value in source.items() if value is not None},
        json.dumps(_plain(event.get("event_data", {})), sort_keys=True),
        [event.get(name) for name in kept],
    )


def _moment(raw: Any) -> tuple[bool, datetime]:
    """A naive time is never the same as one with a zone: the server keeps which it was."""
    moment = timestamp_of(raw)
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
