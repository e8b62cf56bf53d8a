"""What Holdfast takes for an event: the server's own Event model, made strict.

Promises: what is accepted here is stored by an Event Manager that knows the event's type, and
can be looked up afterwards. What real clients (0.5.2 and 0.8.1) send is accepted; what no
server could store ("poison"), or would silently change, is refused at the door. The models
only judge; what is sent is the producer's own JSON. Source: event manager sheet, section 2.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import to_json

from adapters.event_manager.event_types import event_type_of

LOG_LEVELS: Mapping[str, int] = {
    "NOTSET": 0,
    "DEBUG": 10,
    "INFO": 20,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
}

MAX_ID_LENGTH = 200  # characters; the id is also the entry's key
MAX_TRACE_LENGTH = 256  # characters; real ones have 32 and 16
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024  # MongoDB's limit for one document
# Room for the event's other fields, and for what we may have to note in it, inside that limit.
ENVELOPE_BYTES = 4096
# A number takes 2 bytes of JSON ("1,") and up to 14 of BSON, which names each list item.
BSON_GROWTH = 7

_TIMESTAMP = TypeAdapter(datetime)


def log_level_of(value: Any) -> int:
    """The level as a number; names in any case and numeric text are taken, as by the server.

    Raises ValueError for everything else.
    """
    level = value
    if isinstance(value, str):
        level = (
            int(value) if value.isascii() and value.isdecimal() else LOG_LEVELS.get(value.upper())
        )
    if isinstance(level, bool) or level not in LOG_LEVELS.values():
        names = ", ".join(f"{number} ({name})" for name, number in LOG_LEVELS.items())
        raise ValueError(f"must be one of: {names}")
    return int(level)


def is_ulid(event_id: str) -> bool:
    """Was this id made so that no two events get the same?"""
    return re.match(ULID, event_id) is not None


def timestamp_of(value: Any) -> datetime:
    """The moment that the server reads from ISO text or epoch s or ms; naive if it has no zone.

    Raises ValueError when it is no such thing.
    """
    try:
        return _TIMESTAMP.validate_python(value)
    except ValidationError as exc:
        reason = exc.errors(include_input=False, include_url=False)[0]["msg"]
        raise ValueError(f"must be an ISO 8601 time or epoch seconds: {reason}") from exc


def _can_be_looked_up(event_id: str) -> str:
    if "/" in event_id or event_id in {".", ".."}:
        raise ValueError("an id with '/', or '.' or '..', can never be read back from the server")
    if not event_id.isprintable():
        raise ValueError("must consist of printable characters")
    return event_id


def _is_not_archived(archived: Any) -> Any:
    if archived:
        raise ValueError("an event that is born archived is hidden from everybody")
    return archived


def _fits_a_document(data: Any) -> Any:
    limit = MAX_DOCUMENT_BYTES - ENVELOPE_BYTES
    if len(to_json(data)) * BSON_GROWTH > limit and bson_size(data) > limit:
        raise ValueError("larger than a MongoDB document can be (16 MiB): it could never be stored")
    return data


def bson_size(value: Any) -> int:
    """Bytes that MongoDB needs for a JSON value, its type and name not counted."""
    match value:
        case None:
            return 0
        case bool():
            return 1
        case str():
            return len(value.encode()) + 5
        case dict():
            return 5 + sum(2 + len(name.encode()) + bson_size(part) for name, part in value.items())
        case list():
            return 5 + sum(
                2 + len(str(index)) + bson_size(part) for index, part in enumerate(value)
            )
        case _:
            return 8


EventId = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=MAX_ID_LENGTH),
    AfterValidator(_can_be_looked_up),
]
TraceId = Annotated[StrictStr, StringConstraints(max_length=MAX_TRACE_LENGTH)]
ULID = r"^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"
Ulid = Annotated[StrictStr, StringConstraints(pattern=ULID)]


class Source(BaseModel):
    """Who or what the event comes from; each id a ULID. The server omits what is null."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    user_id: Ulid | None = None
    experiment_id: Ulid | None = None
    campaign_id: Ulid | None = None
    project_id: Ulid | None = None
    node_id: Ulid | None = None
    workcell_id: Ulid | None = None
    lab_id: Ulid | None = None
    step_id: Ulid | None = None
    workflow_id: Ulid | None = None
    manager_id: Ulid | None = None


class EventPayload(BaseModel):
    """The body of POST /event, field for field.

    A field that is absent gets the server's default, except the id, the time and the source:
    those the adapter fills in (see `wire.wire_body`).
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    # An empty text stands for "absent": null is refused, since the server would store the event
    # under the id "None" and swallow the next one.
    event_id: EventId = ""
    id_: EventId = Field(default="", alias="_id")
    event_type: Annotated[str, BeforeValidator(event_type_of)] = "unknown"
    log_level: Annotated[int, BeforeValidator(log_level_of)] = 20
    alert: StrictBool = False
    event_timestamp: Annotated[datetime | None, BeforeValidator(timestamp_of)] = None
    source: Source = Source()
    event_data: Annotated[Any, AfterValidator(_fits_a_document)] = None
    trace_id: TraceId | None = None
    span_id: TraceId | None = None
    # 0.8.1 clients send both with every event.
    archived: Annotated[StrictBool, AfterValidator(_is_not_archived)] = False
    archived_at: None = None

    @model_validator(mode="after")
    def _one_id(self) -> "EventPayload":
        if self.event_id and self.id_ and self.event_id != self.id_:
            raise ValueError("event_id and _id differ: the server would use _id, send one of them")
        return self

    @property
    def own_id(self) -> str | None:
        """The id that the producer gave the event; None when it gave none."""
        return self.id_ or self.event_id or None
