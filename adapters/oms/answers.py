"""What an answer of OMS means. Pure.

Promises: rows are taken from one shape alone, 200 with a JSON object that has "data"; whatever
else came, a login page with 200 among it, is an error in words. Shapes and errors: protocols
sheet of OMS, sections 3, 9 and 10.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NoReturn

from adapters.answer import Answer, refusal_of_us
from adapters.reading import UNKNOWN, WRONG, Misasked
from adapters.verdict import DeliveryError, Refused, Throttled, Uncertain

NOT_IN = "does its account have access: has OMS added the application to its api-access group?"
NOT_OMS = "is the url of the backend right, and is a login asked for that has expired?"
JUDGED = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
SERVER = 500


def body_of(answer: Answer, url: str) -> dict[str, Any]:
    """The JSON object of an answer that is one. Raises DeliveryError, Misasked."""
    if answer.status != HTTPStatus.OK:
        _refuse(answer, url)
    body = answer.json()
    if isinstance(body, dict):
        return body
    start = answer.body.lstrip()[:1]
    if body is None and start in (b"{", b"["):
        raise Uncertain(f"the answer of {url} breaks off", status=200, excerpt=answer.text)
    raise _foreign(answer, url, "a web page" if answer.is_html else "no JSON object")


def rows_body(answer: Answer, url: str) -> dict[str, Any]:
    """The body of an answer with rows: "data" is a list of rows, one row, or null."""
    body = body_of(answer, url)
    if "data" not in body:
        raise _foreign(answer, url, 'JSON without "data"')
    data = body["data"]
    rows = data if isinstance(data, list) else [] if data is None else [data]
    if not all(isinstance(row, dict) for row in rows):
        raise _foreign(answer, url, '"data" that holds no rows')
    return body


def catalogue_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes that the answer to RESOURCE/meta lists; None when it lists none."""
    meta = body.get("meta")
    fields = meta.get("fields") if isinstance(meta, dict) else None
    if not isinstance(fields, dict) or not all(isinstance(one, dict) for one in fields.values()):
        return None
    return fields


def _refuse(answer: Answer, url: str) -> NoReturn:
    error = _refusal(answer, url)
    if error is not None:
        raise error
    told = _told(answer.json())
    if answer.status in JUDGED and told is not None:
        detail, parameter = told
        status = UNKNOWN if answer.status == HTTPStatus.NOT_FOUND else WRONG
        raise Misasked(f"OMS says: {detail}", parameter=parameter, status=status)
    if answer.status == HTTPStatus.REQUEST_URI_TOO_LONG:
        raise Misasked("the question is longer than OMS takes: ask for less at once")
    if answer.status >= SERVER or answer.status == HTTPStatus.REQUEST_TIMEOUT:
        said = f": {told[0]}" if told is not None else ""
        detail = f"{url} answered {answer.status}{said}"
        raise Uncertain(detail, status=answer.status, excerpt=answer.text)
    raise _foreign(answer, url, "nothing that OMS says")


def _refusal(answer: Answer, url: str) -> DeliveryError | None:
    """What any server may say that does not let us in; with what to do about it at OMS."""
    error = refusal_of_us(answer, url)
    if error is None or isinstance(error, Throttled):
        return error
    if answer.status == HTTPStatus.FORBIDDEN:
        return Refused(f"{error.detail}: {NOT_IN}", status=403, excerpt=answer.text)
    if answer.status < 400:  # noqa: PLR2004 - a redirect, as refusal_of_us has it
        login = "to a login, which has expired or was never there, or from http to https"
        detail = f"{error.detail} OMS points {login}"
        return Refused(detail, status=answer.status, excerpt=answer.text)
    return error


def _foreign(answer: Answer, url: str, what: str) -> Refused:
    detail = f"{url} answered {answer.status} with {what}: {NOT_OMS}"
    return Refused(detail, status=answer.status, excerpt=answer.text)


def _told(body: Any) -> tuple[str, str | None] | None:
    """The words of a JSON:API error, and the parameter that it is about."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, Sequence) or isinstance(errors, str):
        return None
    told = [one for one in errors if isinstance(one, dict)]
    if not told:
        return None
    texts = [str(one.get("detail") or one.get("title") or "it gives no reason") for one in told]
    source = told[0].get("source")
    parameter = source.get("parameter") if isinstance(source, dict) else None
    return "; ".join(texts), parameter if isinstance(parameter, str) else None
