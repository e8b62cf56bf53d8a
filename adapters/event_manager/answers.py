"""What an answer of an Event Manager, or of a stranger in its place, means. Pure.

Each function returns a positive answer's event, or the one DeliveryError that the answer is; only
what the server itself labels as JSON is taken for its word. The table in words:
docs/backends/event_manager.md, "Every answer, and what follows".
"""

from http import HTTPStatus
from typing import Any

from adapters.answer import Answer, refusal_of_us
from adapters.verdict import DeliveryError, Refused, Rejected, Uncertain

REASON_LENGTH = 200  # characters; the server recites all 63 event types when one is wrong

FAILED = "Internal Server Error"  # plain text
JUDGED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def event_in(answer: Answer, event_id: str) -> dict[str, Any] | None:
    """The event in a positive answer, if the answer is one and the event has this id."""
    body = said_by(answer) if answer.status == HTTPStatus.OK else None
    return body if isinstance(body, dict) and body.get("_id") == event_id else None


def is_absence(answer: Answer, event_id: str) -> bool:
    """Is this the server's word that it has no such event? The router's 404 is another."""
    wanted = {"detail": f"Event with ID {event_id} not found"}
    return answer.status == HTTPStatus.NOT_FOUND and said_by(answer) == wanted


def unproven(answer: Answer, url: str) -> DeliveryError:
    """The verdict of an answer to POST /event that does not prove that the event is stored."""
    return _judgement(answer) or _refusal(answer, url, landed=True)


def unread(answer: Answer, url: str) -> DeliveryError:
    """The verdict of an answer to GET /event/{id} that is neither the event nor its absence."""
    return _refusal(answer, url, landed=False)


def unanswered(answer: Answer, url: str) -> DeliveryError:
    """The verdict of an answer to a question that does not answer it."""
    return _judgement(answer) or _refusal(answer, url, landed=False)


def rows_in(answer: Answer) -> list[dict[str, Any]] | None:
    """The events in a list of them, in its order; None: it is no such list.

    The server lists them in an object, each under its id (sheet, section 4).
    """
    body = said_by(answer) if answer.status == HTTPStatus.OK else None
    if not isinstance(body, dict):
        return None
    rows = [row for name, row in body.items() if isinstance(row, dict) and row.get("_id") == name]
    return rows if len(rows) == len(body) else None


def is_missing(answer: Answer) -> bool:
    """Is this the router's word that it has no such page?"""
    return answer.status == HTTPStatus.NOT_FOUND and said_by(answer) == {"detail": "Not Found"}


def is_failure(answer: Answer) -> bool:
    """Is it how the server says that its own code, or its database, has failed?"""
    return answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and answer.text == FAILED


def said_by(answer: Answer) -> Any | None:
    """The answer's JSON; None when it is none, or is labelled as something else."""
    return answer.json() if answer.media_type == "application/json" else None


def _judgement(answer: Answer) -> Rejected | None:
    """The verdict when the answer is about the event itself, else None.

    400 and 422 count only in FastAPI's words: a proxy's page says nothing about the event.
    """
    body = said_by(answer)
    judged = isinstance(body, dict) and "detail" in body
    too_large = answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if too_large or (answer.status in JUDGED and judged):
        detail = f"the Event Manager answered {answer.status}: {_reasons(body)}"
        return Rejected(detail, status=answer.status, excerpt=answer.text)
    return None


def _reasons(body: Any) -> str:
    """The server's complaints in one line: where, and what is wrong."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(detail, list):
        return str(detail or "too large")
    lines = [
        f"{'/'.join(map(str, error.get('loc') or ()))}: {str(error.get('msg'))[:REASON_LENGTH]}"
        for error in detail
        if isinstance(error, dict)
    ]
    return "; ".join(lines)


def _refusal(answer: Answer, url: str, *, landed: bool) -> DeliveryError:
    """The verdict of an answer that is neither proof nor about the event.

    `landed`: may a foreign 2xx answer hide a success? Only where something was sent.
    """
    shared = refusal_of_us(answer, url)
    if shared is not None:
        return shared
    status, excerpt = answer.status, answer.text
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        # A plain-text 500 is a lost database and an unstorable event alike (sheet, section 3).
        return Uncertain(f"{url} answered {status}", status=status, excerpt=excerpt)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        detail = f"{url} answered {status}: no Event Manager is there; is the backend's url right?"
        return Refused(detail, status=status, excerpt=excerpt)
    kind = "a web page" if answer.is_html else "something that is no answer of an Event Manager"
    detail = f"{url} answered {status} with {kind}"
    # Below 300 somebody took the event, perhaps even the Event Manager.
    may_have_landed = landed and status < HTTPStatus.MULTIPLE_CHOICES
    return Refused(detail, status=status, excerpt=excerpt, landed=may_have_landed)
