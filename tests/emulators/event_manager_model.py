"""What an emulated Event Manager takes for an event, and how it words its refusals.

Promises: `judged` gives the document that the server would store and echo, or raises Refusal
with the very 422 body, for the two versions of the sheet (section 2). Documents that a
database cannot store ("poison") are recognised by `is_poison`, not refused: the server says 500.
"""

import json
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from ulid import ULID

# The emulator's own identity: what an event without `source` claims to come from.
MANAGER_ID = "01M81H72TD77NHWMY6W221SGC8"

DOCUMENT_LIMIT = 16 * 1024 * 1024  # bytes; MongoDB's limit for one document
INT64 = range(-(2**63), 2**63)


class Refusal(Exception):
    """The server answers 422 with `detail`."""

    def __init__(self, detail: list[dict[str, Any]]) -> None:
        super().__init__(detail)
        self.detail = detail


class AnyCase(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> "AnyCase | None":
        lowered = value.lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == lowered), None)


def _types(text: str) -> dict[str, str]:
    return {name.upper(): name for name in text.split()}


# In the order of the server's own list, which its 422 recites.
BEFORE_STOP = """unknown log log_debug log_info log_warning log_error log_critical test
    lab_create lab_start lab_stop node_create node_start node_stop node_config_update
    node_status_update node_error workcell_create workcell_start workcell_stop
    workcell_config_update workcell_status_update workflow_create workflow_start
    workflow_complete workflow_abort experiment_create experiment_start experiment_complete
    experiment_failed """
AFTER_STOP = """ experiment_pause experiment_continued campaign_create campaign_start
    campaign_complete campaign_abort action_status_change"""
SINCE_0_7 = """ resource_create resource_update resource_delete resource_allocate
    resource_release location_create location_update location_delete attachment_create
    attachment_delete data_store data_query data_export manager_start manager_stop
    manager_error manager_health_check workflow_step_start workflow_step_complete
    workflow_step_failed action_start action_complete action_failed backup_create
    backup_restore"""

EventType052 = AnyCase("EventType052", _types(BEFORE_STOP + "experiment_stop" + AFTER_STOP))
EventType081 = AnyCase(
    "EventType081", _types(BEFORE_STOP + "experiment_cancelled" + AFTER_STOP + SINCE_0_7)
)


class LogLevel(IntEnum):
    NOTSET = 0
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50

    @classmethod
    def _missing_(cls, value: object) -> "LogLevel | None":
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None


class Source(BaseModel):
    user_id: str | None = None
    experiment_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    node_id: str | None = None
    workcell_id: str | None = None
    lab_id: str | None = None
    step_id: str | None = None
    workflow_id: str | None = None
    manager_id: str | None = None

    @field_validator("*")
    @classmethod
    def is_ulid(cls, value: str | None, info: ValidationInfo) -> str | None:
        try:
            if value is not None:
                ULID.from_str(value)
        except ValueError as exc:
            raise ValueError(f"Invalid ULID {value} for field {info.field_name}") from exc
        return value

    @model_serializer
    def without_nulls(self) -> dict[str, str]:
        return {name: value for name, value in self.__dict__.items() if value is not None}


class Event052(BaseModel):
    # str() of whatever comes: a null id becomes the text "None".
    event_id: Annotated[str, BeforeValidator(str)] = Field(
        default_factory=lambda: str(ULID()),
        validation_alias=AliasChoices("_id", "event_id"),
        serialization_alias="_id",
    )
    event_type: EventType052 = EventType052["UNKNOWN"]
    log_level: LogLevel = LogLevel.INFO
    alert: bool = False
    event_timestamp: datetime = Field(default_factory=datetime.now)  # naive local, as the server's
    source: Source = Field(default_factory=lambda: Source(manager_id=MANAGER_ID))
    event_data: Any = Field(default_factory=dict)


class Event081(Event052):
    event_type: EventType081 = EventType081["UNKNOWN"]
    trace_id: str | None = None
    span_id: str | None = None
    archived: bool = False
    archived_at: datetime | None = None


MODELS: dict[str, type[Event052]] = {"0.5.2": Event052, "0.8.1": Event081}


def types_of(version: str) -> list[str]:
    """Every type that this version knows, in its order."""
    return [str(one.value) for one in (EventType052 if version == "0.5.2" else EventType081)]


def judged(body: Any, version: str) -> dict[str, Any]:
    """The document of `body` as stored and echoed. Raises Refusal; ValueError for bad Unicode."""
    try:
        event = MODELS[version].model_validate(body, from_attributes=True)
    except ValidationError as exc:
        raise Refusal([worded(error) for error in exc.errors(include_url=False)]) from exc
    document: dict[str, Any] = json.loads(event.model_dump_json(by_alias=True))
    return document


def worded(error: Any) -> dict[str, Any]:
    """One of pydantic's errors as FastAPI words it."""
    told = {**error, "loc": ["body", *error["loc"]]}
    if "error" in told.get("ctx", {}) and not isinstance(told["ctx"]["error"], str):
        told["ctx"] = {**told["ctx"], "error": {}}
    return told


def is_poison(value: Any) -> bool:
    """Can no MongoDB store this? (sheet, section 3: the same 500 for ever)"""
    match value:
        case bool() | None | float():
            return False
        case int():
            return value not in INT64
        case dict():
            return any("\0" in name or is_poison(part) for name, part in value.items())
        case list():
            return any(is_poison(part) for part in value)
        case _:
            return False
