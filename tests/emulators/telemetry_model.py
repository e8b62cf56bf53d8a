"""How the emulated telemetry server reads a body: FastAPI's rules and its 422 answers.

The real server judges with pydantic, and so do we: the errors' types, texts and inputs are the
real ones by construction. What FastAPI adds (media types, empty and broken bodies) is here.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

JSON_MEDIA_TYPE = re.compile(r"application/([^;]+\+)?json\s*(;.*)?", re.IGNORECASE)


class OldEventBody(BaseModel):
    """POST /event up to 0.3.3: other keys, also `ts`, are ignored."""

    type: str
    data: Any
    make_current: bool = True
    meta: dict[str, Any] = Field(default_factory=dict)


class EventBody(BaseModel):
    """POST /event of 0.3.7 and later."""

    type: str
    data: Any
    make_current: bool = True
    store_permanently: bool = True
    meta: dict[str, Any] = Field(default_factory=dict)
    ts: str | None = None


class RunBody(BaseModel):
    """POST /run/start."""

    run_dir: str | None = None
    run_id: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


@dataclass
class BadBody(Exception):
    """The body is not what the endpoint takes: the answer's status and `detail`."""

    status: int
    detail: Any


def read_body(raw: bytes, media_type: str, model: type[BaseModel], *, optional: bool) -> Any:
    """The body as `model`; None when `optional` and absent. Raises BadBody."""
    value = parse(raw, media_type)
    if value is None and optional:
        return None
    if value is None:
        raise BadBody(422, [missing_body()])
    try:
        return model.model_validate(value, from_attributes=True)
    except ValidationError as exc:
        raise BadBody(422, [in_body(error) for error in exc.errors(include_url=False)]) from exc


def parse(raw: bytes, media_type: str) -> Any:
    """JSON of a JSON body; the text itself of any other, which no model accepts."""
    if not raw:
        return None
    if not JSON_MEDIA_TYPE.fullmatch(media_type.strip()):
        return raw.decode("utf-8", "replace")
    try:
        return json.loads(raw)
    except json.JSONDecodeError as exc:
        raise BadBody(422, [broken_json(exc)]) from exc
    except (UnicodeDecodeError, RecursionError) as exc:
        raise BadBody(400, "There was an error parsing the body") from exc


def in_body(error: Any) -> dict[str, Any]:
    return {**error, "loc": ["body", *error["loc"]]}


def missing_body() -> dict[str, Any]:
    return {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}


def broken_json(exc: json.JSONDecodeError) -> dict[str, Any]:
    return {
        "type": "json_invalid",
        "loc": ["body", exc.pos],
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": exc.msg},
    }
