"""What the eLog's answers mean (elog sheet, sections 2 and 6).

Promises: pure; every answer has a deliberate home, chosen by status *and* body, because the
server labels its HTML and text errors as JSON. Only `value_of` ever says yes. The table in
docs/backends/elog.md says the same, and a test holds the two together.
"""

from dataclasses import dataclass
from typing import Any

from adapters.answer import Answer, refusal_of_us
from adapters.verdict import (
    DeliveryError,
    Held,
    Parked,
    Refused,
    Rejected,
    Uncertain,
)

NO_RUN = "Cannot find run with specified run number"  # how a post to an unknown run is refused


class NoSuchRun(Rejected):
    """The eLog has no run of that number. Whether it may still begin is another question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom we asked about which experiment, and as whom: for the words of a verdict."""

    url: str
    experiment: str
    account: str


def value_of(answer: Answer, asked: Asked) -> Any:
    """The `value` of a successful answer. Raises the verdict of every other answer."""
    if answer.status != 200:  # noqa: PLR2004 - no other status is ever a success
        raise refusal(answer, asked)
    if answer.is_html:
        raise foreign(answer, asked)
    match answer.json():
        case {"success": True, "value": value}:
            return value
        case {"success": False, **rest}:
            raise _soft_refusal(answer, str(rest.get("errormsg") or "it gave no reason"))
        case None if answer.body.lstrip()[:1] in (b"", b"{"):
            cut = f"the answer of {asked.url} was cut off"
            raise Uncertain(cut, status=200, excerpt=answer.text)
    raise foreign(answer, asked)


def foreign(answer: Answer, asked: Asked) -> Refused:
    """A success that is not the eLog's, such as a login page: it may have landed all the same."""
    detail = (
        f"{asked.url} answered {answer.status}, but not as an eLog does: is something in between?"
    )
    return Refused(detail, status=answer.status, excerpt=answer.text, landed=True)


def refusal(answer: Answer, asked: Asked) -> DeliveryError:
    """The verdict of an answer whose status is not 200."""
    return _of_scope(answer, asked) or _of_entry(answer) or _of_us(answer, asked)


def is_crash(answer: Answer) -> bool:
    """Is this the application's own page of an exception that nobody caught (class C)?"""
    own_label = answer.media_type == "application/json"
    return answer.status == 500 and own_label and answer.is_html  # noqa: PLR2004 - the one status


def is_hard_refusal(answer: Answer) -> bool:
    """Is this 500 a refusal in plain text (class B), which proves that nothing was stored?

    The server labels it as JSON; a text with another label is a gateway's, and one that begins
    as JSON does is the rest of something else.
    """
    return (
        answer.media_type == "application/json"
        and answer.body.lstrip()[:1] not in (b"", b"{", b"[")
        and answer.body.strip() != b"null"
        and not answer.is_html
        and answer.json() is None
    )


def blind(refused: DeliveryError, asked: Asked) -> DeliveryError:
    """The verdict of a search that failed: whatever it is, it never reads as "not there"."""
    match refused:
        case Parked(status=403):
            return Held(
                f"its answer was lost, and {asked.account} may not read {asked.experiment} (403) to"
                " look whether it arrived. It is not sent again by itself. Look in the logbook: if"
                " it is there, discard it; else give the account the role Reader there (an operator"
                " account has it while the experiment is active), and release it"
            )
        case Rejected():
            detail = f"the search for a lost entry failed: {refused.detail}"
            return Uncertain(detail, status=refused.status, excerpt=refused.excerpt)
        case _:
            return refused


def _soft_refusal(answer: Answer, reason: str) -> Rejected:
    kind = NoSuchRun if reason.startswith(NO_RUN) else Rejected
    return kind(f"the eLog refused it: {reason}", status=200, excerpt=answer.text)


def _of_scope(answer: Answer, asked: Asked) -> Parked | None:
    unknown = False
    match answer.status:
        case 403:
            detail = _not_allowed(asked)
        case 423:
            detail = (
                f"the experiment {asked.experiment} is locked (423): its entries wait until"
                " somebody unlocks it"
            )
        # The application's own 404, labelled as JSON; a missing route is text/html and says
        # nothing about the experiment.
        case 404 if answer.media_type == "application/json":
            detail = (
                f"the eLog knows no experiment {asked.experiment} (404; names are case-sensitive)"
            )
            unknown = True
        case _:
            return None
    return Parked(
        detail, scope=asked.experiment, unknown=unknown, status=answer.status, excerpt=answer.text
    )


def _not_allowed(asked: Asked) -> str:
    return (
        f"{asked.account} may not do this in {asked.experiment} now (403). An operator account may"
        " write only to the experiment that is active on its instrument: then these entries leave"
        f" by themselves once {asked.experiment} is active again. Any other account needs the role"
        " Writer there"
    )


def _of_entry(answer: Answer) -> Rejected | None:
    match answer.status:
        case 400 | 413 | 415 | 422:
            detail = f"the eLog does not take it (status {answer.status})"
        case 500 if is_hard_refusal(answer):
            detail = f"the eLog refused it: {answer.text.strip()}"
        case _:
            return None
    return Rejected(detail, status=answer.status, excerpt=answer.text)


def _of_us(answer: Answer, asked: Asked) -> DeliveryError:
    status, excerpt, url = answer.status, answer.text, asked.url
    if status == 401:  # noqa: PLR2004 - of the proxy: the application knows no such answer
        detail = f"{url} answered 401: the credentials of {asked.account} are not accepted"
        return Refused(detail, status=status, excerpt=excerpt, credentials=True)
    shared = refusal_of_us(answer, url)
    if shared is not None:
        return shared
    if status >= 500 or status in (408, 425):  # noqa: PLR2004 - the range is the meaning
        detail = f"{url} answered {status}: it may have done it before it failed"
        return Uncertain(detail, status=status, excerpt=excerpt)
    if status < 300:  # noqa: PLR2004 - the range is the meaning
        detail = f"{url} answered {status}, but not as an eLog does: is something in between?"
        return Refused(detail, status=status, excerpt=excerpt, landed=True)
    detail = f"{url} answered {status}: is the url of the backend right?"
    return Refused(detail, status=status, excerpt=excerpt)
