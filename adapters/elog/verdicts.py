"""What the eLog's answers mean (elog sheet, sections 2 and 6).

Promises: every answer has a deliberate home, chosen by status *and* body, because the server
labels its HTML and text errors as JSON. Only `value_of` ever says yes.
"""

from typing import Any

from adapters.base import DeliveryError, Parked, Refused, Rejected, Uncertain
from adapters.http import Answer, refusal_of_us


def value_of(answer: Answer, url: str, experiment: str) -> Any:
    """The `value` of a successful answer. Raises the verdict of every other answer."""
    if answer.status != 200:  # noqa: PLR2004 - no other status is ever a success
        raise refusal(answer, url, experiment)
    if answer.is_html:
        raise foreign(answer, url)
    match answer.json():
        case {"success": True, "value": value}:
            return value
        case {"success": False, **rest}:
            reason = rest.get("errormsg") or "it gave no reason"
            raise Rejected(f"the eLog refused it: {reason}", status=200, excerpt=answer.text)
        case None if answer.body.lstrip()[:1] in (b"", b"{"):
            raise Uncertain(f"the answer of {url} was cut off", status=200, excerpt=answer.text)
    raise foreign(answer, url)


def foreign(answer: Answer, url: str) -> Refused:
    """A success that is not the eLog's, such as a login page: it may have landed all the same."""
    detail = f"{url} answered {answer.status}, but not as an eLog does: is something in between?"
    return Refused(detail, status=answer.status, excerpt=answer.text, landed=True)


def refusal(answer: Answer, url: str, experiment: str) -> DeliveryError:
    """The verdict of an answer whose status is not 200."""
    return _of_scope(answer, experiment) or _of_entry(answer) or _of_us(answer, url)


def _of_scope(answer: Answer, experiment: str) -> Parked | None:
    match answer.status:
        case 403:
            detail = (
                f"we may not do this in {experiment} now: an operator account may use only the"
                " active experiment, other accounts need a role there"
            )
        case 423:
            detail = f"the experiment {experiment} is locked"
        case _:
            return None
    return Parked(detail, scope=experiment, status=answer.status, excerpt=answer.text)


def _of_entry(answer: Answer) -> Rejected | None:
    match answer.status:
        case 400 | 413 | 415 | 422:
            detail = f"the eLog does not take it (status {answer.status})"
        # An unknown experiment is the application's own 404, labelled as JSON; a missing route
        # is text/html and says nothing about the entry.
        case 404 if answer.media_type == "application/json":
            detail = "the eLog knows no such experiment (names are case-sensitive)"
        case 500 if is_hard_refusal(answer):
            detail = f"the eLog refused it: {answer.text.strip()}"
        case _:
            return None
    return Rejected(detail, status=answer.status, excerpt=answer.text)


def is_hard_refusal(answer: Answer) -> bool:
    """Is this 500 a refusal in plain text (class B), which proves that nothing was stored?

    The server labels it as JSON; a text with another label is a gateway's.
    """
    return (
        answer.media_type == "application/json"
        and answer.body.strip() != b""
        and not answer.is_html
        and answer.json() is None
    )


def _of_us(answer: Answer, url: str) -> DeliveryError:
    status, excerpt = answer.status, answer.text
    shared = refusal_of_us(answer, url)
    if shared is not None:
        return shared
    if status >= 500 or status in (408, 425):  # noqa: PLR2004 - the range is the meaning
        detail = f"{url} answered {status}: it may have done it before it failed"
        return Uncertain(detail, status=status, excerpt=excerpt)
    if status < 300:  # noqa: PLR2004 - the range is the meaning
        return foreign(answer, url)
    detail = f"{url} answered {status}: is the url of the backend right?"
    return Refused(detail, status=status, excerpt=excerpt)
