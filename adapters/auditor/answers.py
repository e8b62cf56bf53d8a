"""What AUDITOR's answers mean (AUDITOR sheet, sections 1.2 and 3a). Pure; no I/O.

Promises: every answer has a meaning here; only AUDITOR's own word reads as "stored" or as
"there already", and whatever else arrives is one of the DeliveryErrors.
"""

from http import HTTPStatus
from typing import Any

from adapters.answer import Answer, refusal_of_us
from adapters.reading import Misasked
from adapters.verdict import (
    DeliveryError,
    Parked,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)

# AUDITOR labels its empty answers not at all; a proxy may add the label for "no label".
UNLABELLED = ("", "application/octet-stream", "text/plain")

# Updates of records that AUDITOR does not hold (yet). No entry has this scope, so its rest holds
# nothing back; it is what `status` shows, once, however many they are.
UNKNOWN_RECORDS = "updates of unknown records"
# What GET /record/{id} says of an unknown id, and of any id while the database is away.
NO_RECORD = "A database error was encountered while trying to get a record from the database"
FEWEST_TRIES = 8  # clocks step, and an outage ages an update that was never tried


def is_stored(answer: Answer) -> bool:
    """Is this AUDITOR's "stored": 200, no body, and no content type that says more?

    An empty web page or an empty JSON body is another server's. Should it be AUDITOR's after
    all, relabelled on the way, a resend gets RECORD_EXISTS and nothing is lost.
    """
    return answer.status == HTTPStatus.OK and not answer.body and answer.media_type in UNLABELLED


def is_repeat(answer: Answer) -> bool:
    """Does AUDITOR say that this id is there already? Of a batch: that one of its ids is."""
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer.body == b"RECORD_EXISTS" and answer.media_type in UNLABELLED
    # Servers with `ignore_record_exists_error` say it in these words (section 1.2).
    return "already exist" in str((shown_by(answer) or {}).get("warning"))


def shown_by(answer: Answer) -> dict[str, Any] | None:
    """The JSON object of a 200 that says it is one; None when it shows none."""
    if answer.status != HTTPStatus.OK or answer.media_type != "application/json":
        return None
    found = answer.json()
    return found if isinstance(found, dict) else None


def is_unknown(answer: Answer) -> bool:
    """Does AUDITOR say that there is no record to update? Its router's 404 reads otherwise."""
    told = answer.text.startswith("Updating unknown record ")
    return answer.status == HTTPStatus.NOT_FOUND and told and answer.media_type in UNLABELLED


def may_still_come(age_seconds: float, tries: int, wait_seconds: float) -> bool:
    """Is the record of an update that was accepted `age_seconds` ago still waited for?

    Not by age alone: the record's sender may have been away as long as we were. A negative age
    is a clock that was set back; then the tries alone count.
    """
    return tries < FEWEST_TRIES or 0 <= age_seconds < wait_seconds


def unknown_record(answer: Answer, record_id: str, *, waits: bool) -> DeliveryError:
    """The verdict of an update whose record AUDITOR does not hold."""
    if waits:
        detail = "AUDITOR does not hold the record that this updates: waiting for it to arrive"
        return Parked(detail, scope=UNKNOWN_RECORDS, status=answer.status, excerpt=answer.text)
    detail = (
        f"AUDITOR does not hold the record {record_id!r} that this updates: "
        "it was archived there, or was never added to this server"
    )
    return Rejected(detail, status=answer.status, excerpt=answer.text)


def no_proof(answer: Answer, url: str) -> DeliveryError:
    """What an answer of `url` means that says neither of the above."""
    status, excerpt = answer.status, answer.text
    refusal = refusal_of_us(answer, url)
    if refusal is not None:
        return refusal
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = "too large for AUDITOR or for a proxy in front of it"
        return Rejected(detail, status=status, excerpt=excerpt)
    if is_judgement(answer):
        detail = f"AUDITOR does not take it: {excerpt[:200]}"
        return Rejected(detail, status=status, excerpt=excerpt)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        detail = f"{url} answered {status}, which proves nothing: {excerpt[:80]}"
        return Uncertain(detail, status=status, excerpt=excerpt)
    detail = f"{url} answered {status}, but not as AUDITOR does: is the url of the backend right?"
    return Refused(detail, status=status, excerpt=excerpt, landed=status < HTTPStatus.BAD_REQUEST)


def is_judgement(answer: Answer) -> bool:
    """Is this AUDITOR's 400 about the body? That is plain text; a proxy's is a web page."""
    plain = answer.media_type in ("", "text/plain") and not answer.is_html
    ours = answer.text.strip() not in ("", "Content type error")  # we said application/json
    return answer.status == HTTPStatus.BAD_REQUEST and plain and ours


def unsent(before: DeliveryError) -> DeliveryError:
    """The verdict of what was not tried because of what the request `before` it met."""
    detail = f"not sent: {before.detail}"
    match before:
        case Refused():
            return Refused(detail, status=before.status, credentials=before.credentials)
        case Throttled():
            return Throttled(detail, retry_after=before.retry_after, status=before.status)
        case _:
            return Unreachable(detail)


def is_unknown_record(answer: Answer) -> bool:
    """May there be no such record? Then AUDITOR answers as if its database were away, or `null`;
    and a proxy that decodes %2F makes it a path that AUDITOR does not know.
    """
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer.json() == {"error": NO_RECORD}
    none = answer.status == HTTPStatus.OK and answer.body.strip() == b"null"
    return none or (answer.status == HTTPStatus.NOT_FOUND and not answer.is_html)


def no_answer(answer: Answer, url: str, role: str = "read_access_cn") -> Exception:
    """What an answer means that is none: a DeliveryError, or Misasked."""
    status, excerpt = answer.status, answer.text
    if status == HTTPStatus.FORBIDDEN:
        detail = f"{url} answered 403: the role of our certificate may not read this ({role})"
        return Refused(detail, status=status, excerpt=excerpt)
    refusal = refusal_of_us(answer, url)
    if refusal is not None:
        return refusal
    said = answer.json()
    if status == HTTPStatus.BAD_REQUEST and isinstance(said, dict) and "error" in said:
        return Misasked(f"AUDITOR refuses the question: {str(said['error'])[:200]}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        detail = f"{url} answered {status}, which tells nothing: {excerpt[:200]}"
        return Uncertain(detail, status=status, excerpt=excerpt)
    detail = f"{url} answered {status}, but not as AUDITOR does: is the url of the backend right?"
    return Refused(detail, status=status, excerpt=excerpt)
