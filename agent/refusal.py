"""Refusals: what a producer is told when an entry is not taken. Nothing was stored then.

Promises: a refusal can always be told: it is short whatever was sent, and it is UTF-8 also
when it quotes half of a surrogate pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

RETRY_AFTER_SECONDS = 30  # a full disk is not emptied faster

# A body of 64 MiB can hold a million faults, each with a name of megabytes.
MAX_ERRORS = 50
MAX_DETAIL = 500
MAX_POINTER = 1000


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault, at `pointer` (RFC 6901) of what was sent."""

    pointer: str
    detail: str

    def told(self) -> dict[str, str]:
        """The fault as one item of a problem's `errors`."""
        return {"pointer": _reachable(self.pointer), "detail": _told(self.detail)}


class Refusal(Exception):  # named by what it is to the producer
    """An entry was not taken. `status` is the HTTP status; `errors` say where and why."""

    def __init__(self, status: int, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.title = HTTPStatus(status).phrase
        self.detail = detail
        self.errors = tuple(errors)

    @property
    def temporary(self) -> bool:
        """Is it our trouble and not the entry's, so that the same may be taken later?"""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    def alone(self) -> "Refusal":
        """Itself, without the frames and causes that would keep what was refused in memory."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)

    def problem(self) -> dict[str, Any]:
        """RFC 9457 problem details, the first faults only."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": _told(self.detail),
        }
        if self.errors:
            body["errors"] = [one.told() for one in self.errors[:MAX_ERRORS]]
        return body


def _told(text: str) -> str:
    if len(text) > MAX_DETAIL:
        text = text[: MAX_DETAIL - 3] + "..."
    return text.encode("utf-8", "backslashreplace").decode()


def _reachable(pointer: str) -> str:
    """`pointer`, or the nearest thing around it whose pointer is not too long to be told."""
    if len(pointer) > MAX_POINTER:
        pointer = pointer[:MAX_POINTER].rpartition("/")[0]
    return pointer.encode("utf-8", "backslashreplace").decode()


def malformed(detail: str) -> Refusal:
    """What was sent is not JSON as RFC 8259 and we understand it (400)."""
    return Refusal(HTTPStatus.BAD_REQUEST, detail)


def unfit(errors: Sequence[FieldError]) -> Refusal:
    """It is JSON, but not what the backend takes (422)."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    where = f"{_reachable(first.pointer)}: " if first.pointer else ""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}{first.detail}{more}", errors)


def too_large(what: str, limit: int, pointer: str = "") -> Refusal:
    """More bytes than a limit allows (413)."""
    detail = f"{what} is larger than {limit} bytes"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, [FieldError(pointer, detail)])


def no_room(detail: str) -> Refusal:
    """The disk, or the part of it that Holdfast may use, is full (507)."""
    return Refusal(HTTPStatus.INSUFFICIENT_STORAGE, detail)
