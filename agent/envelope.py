"""The envelope: what a producer may say about an entry besides its payload.

An object is an envelope only if it has `payload` and no name outside the contract's list;
where the door already knows the backend (the spool), anything else is a bare payload.
"""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from agent.refusal import FieldError, unfit
from agent.strict_json import escaped

LABEL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_LABELS = 32
MAX_LABEL_LENGTH = 256
MAX_NAME_LENGTH = 200
MAX_PARTS = 10_000  # a bound on work only; how many an entry may have is a setting
MAX_FILE_NAME = 255
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MEDIA_TYPE = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;[ -~]*)?$"
# Characters decoded at once (a multiple of 4): the decoder keeps all other threads waiting.
BASE64_PIECE = 4 * 2**20
# pydantic tells a million faults in ten seconds and two gigabytes, with all threads waiting.
COUNTLESS_FAULTS = 1000


def printable(text: str) -> str:
    """Keys and streams end up in terminals and logs."""
    if not text.isprintable():
        raise ValueError("must be printable characters only")
    return text


def moment(text: object) -> int:
    """An ISO 8601 time with its zone, as epoch milliseconds."""
    if not isinstance(text, str):
        raise ValueError("must be an ISO 8601 time in a string")  # noqa: TRY004 - for pydantic
    try:
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError("must be an ISO 8601 time such as 2026-11-23T10:00:00Z") from exc
    if when.tzinfo is None:
        raise ValueError("must say its time zone, such as Z or +01:00")
    try:
        when = when.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("is outside the years 1 to 9999 of UTC") from exc
    # Whole milliseconds by integer arithmetic: a float would move some of them by one.
    return (when - EPOCH) // timedelta(milliseconds=1)


def decoded(text: object) -> bytes:
    """The bytes of a base64 field."""
    if not isinstance(text, str):
        raise ValueError("must be base64 in a string")  # noqa: TRY004 - for pydantic
    found = bytearray()
    for start in range(0, len(text), BASE64_PIECE):
        piece = text[start : start + BASE64_PIECE]
        if len(found) != start // 4 * 3:
            raise ValueError("is not base64: padding in the middle")
        try:
            found += base64.b64decode(piece, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise ValueError(f"is not base64: {exc}") from exc
    return bytes(found)


def checked_labels(labels: dict[str, str]) -> dict[str, str]:
    """Refuse names and values that could not be asked for again as `label=name=value`."""
    for name, value in labels.items():
        if not LABEL_NAME.fullmatch(name):
            raise ValueError(f"the name {name!r} must match {LABEL_NAME.pattern}")
        if len(value) > MAX_LABEL_LENGTH:
            raise ValueError(f"the value of {name!r} is longer than {MAX_LABEL_LENGTH} characters")
        if "\x00" in value:
            raise ValueError(f"the value of {name!r} contains NUL")
    return labels


def file_name(name: str) -> str:
    """A name that cannot leave the folder it is put in."""
    if name in (".", "..") or "/" in name or "\x00" in name:
        raise ValueError("must be a plain file name")
    if not 0 < len(name) <= MAX_FILE_NAME:
        raise ValueError(f"must have 1 to {MAX_FILE_NAME} characters")
    return name


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH), AfterValidator(printable)]
Moment = Annotated[int, BeforeValidator(moment)]


class Part(BaseModel):
    """One attachment as announced; its bytes come along, or as a file of the same name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, AfterValidator(file_name)]
    media_type: Annotated[str, Field(pattern=MEDIA_TYPE, max_length=255)] | None = None
    description: Annotated[str, Field(max_length=1000)] | None = None
    content: Annotated[bytes | None, BeforeValidator(decoded), Field(alias="content_base64")] = None


class Envelope(BaseModel):
    """The contract's envelope. Times become epoch ms when read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    payload: dict[str, Any]
    backend: str | None = None
    kind: str | None = None
    key: Name | None = None
    stream: Name | None = None
    labels: Annotated[
        dict[str, str], Field(max_length=MAX_LABELS), AfterValidator(checked_labels)
    ] = Field(default_factory=dict)
    created_at: Moment | None = None
    expires_at: Moment | None = None
    attachments: Annotated[list[Part], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None


NAMES = frozenset(Envelope.model_fields)


def is_envelope(value: Any) -> bool:
    """Has `value` a payload, and nothing that no envelope has?"""
    return isinstance(value, dict) and "payload" in value and NAMES.issuperset(value)


def read_envelope(value: Any, *, bare_allowed: bool) -> Envelope:
    """`value` as an envelope. Raises Refusal (422) with a pointer per fault.

    `bare_allowed`: an object that is no envelope is taken as the payload itself.
    """
    if not isinstance(value, dict):
        raise unfit([FieldError("", "must be a JSON object")])
    if bare_allowed and not is_envelope(value):
        return Envelope(payload=value)
    try:
        return Envelope.model_validate(value)
    except ValidationError as exc:
        raise unfit(field_errors(exc, value, "", "an envelope")) from exc


def field_errors(
    exc: ValidationError, value: Any, prefix: str, what: str = "this kind of entry"
) -> list[FieldError]:
    """pydantic's findings as pointers into what was sent, without repeating its content."""
    if exc.error_count() > COUNTLESS_FAULTS:
        return [FieldError(prefix, f"has {exc.error_count()} faults; too many to tell")]
    return [
        FieldError(prefix + _pointer(found["loc"], value), _said(found["type"], found["msg"], what))
        for found in exc.errors(include_url=False, include_input=False)
    ]


def _pointer(location: tuple[int | str, ...], value: Any) -> str:
    """Steps that exist in `value`, and a last one that is missing; union branches are left out."""
    steps = []
    for number, step in enumerate(location):
        last = number == len(location) - 1
        if _leads_on(step, value):
            value = value[step]
        elif not (last and isinstance(value, dict) and isinstance(step, str)):
            continue
        steps.append(escaped(str(step)))
    return "".join(f"/{step}" for step in steps)


def _leads_on(step: int | str, value: Any) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _said(kind: str, text: str, what: str) -> str:
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return f"is not a field of {what}"
        case _:
            return text.removeprefix("Value error, ")
