"""What an operator may say beside a verb: why, and for how long. Absent: nothing was said."""

from http import HTTPStatus
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from agent.envelope import field_errors, printable
from agent.listener.bodies import pieces
from agent.refusal import FieldError, Refusal, unfit
from agent.strict_json import parse

MAX_BYTES = 16 * 1024
LONGEST_REASON = 500
LONGEST_PAUSE_SECONDS = 366 * 86_400  # who means longer means "until it is resumed"

W = TypeVar("W", bound="Wish")


class Wish(BaseModel):
    """Why an operator does something."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reason: Annotated[str, Field(max_length=LONGEST_REASON), AfterValidator(printable)] = ""


class PauseWish(Wish):
    """Why, and for how long; without `for_seconds` until it is resumed."""

    for_seconds: Annotated[float, Field(gt=0, le=LONGEST_PAUSE_SECONDS)] | None = None


async def read_wish(request: Request, kind: type[W], limit: int = MAX_BYTES) -> W:
    """The body of a verb, which may be absent. Raises Refusal: 400, 413, 415, 422."""
    if not {"content-length", "transfer-encoding"} & set(request.headers):
        return kind()
    body = b"".join([piece async for piece in pieces(request, limit)])
    if not body:
        return kind()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = f"the Content-Type must be application/json, not {media_type or 'absent'}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    value = parse(body)
    if not isinstance(value, dict):
        raise unfit([FieldError("", "must be a JSON object")])
    try:
        return kind.model_validate(value)
    except ValidationError as exc:
        raise unfit(field_errors(exc, value, "", "what goes with this verb")) from exc
