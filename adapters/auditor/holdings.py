"""Does AUDITOR still hold a record? GET /record/{id}, with its health as the second witness.

AUDITOR answers an unknown id and a database that is down with the same 500 (sheet, section 1.3),
so a record is missing only if the database is well right after. Under access rules nobody may ask
for its health (section 1.6): then nobody can tell.
"""

import json
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from adapters.answer import refusal_of_us
from adapters.auditor.answers import NO_RECORD, is_stored, shown_by
from adapters.http import HttpClient
from adapters.verdict import Parked, Uncertain
from storage.entry import Delivered


async def holds_record(client: HttpClient, url: str, receipt: Delivered) -> bool | None:
    """Is the record there? Of an update: does it stop when the update said?

    None: it stops at another time, which a later update may have said, or no payload says when.
    Raises the verdict of an answer that tells nothing.
    """
    body = json.loads(receipt.payload) if receipt.payload is not None else {}
    of_record = receipt.kind == "record"
    record_id = body.get("record_id", receipt.remote_id if of_record else None)
    if record_id is None:
        return None
    record = await _record(client, url, record_id)
    if record is None or of_record:
        return record is not None
    return True if _same_moment(record.get("stop_time"), body.get("stop_time")) else None


async def _record(client: HttpClient, url: str, record_id: str) -> dict[str, Any] | None:
    """None: there is none."""
    place = f"{url}/record/{quote(record_id, safe='')}"
    answer = await client.request("GET", place)
    shown = shown_by(answer)
    if shown is not None and shown.get("record_id") == record_id:
        return shown
    said = answer.json()
    unknown = answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and said == {"error": NO_RECORD}
    if not unknown:
        refusal = refusal_of_us(answer, place)
        detail = f"{place} answered {answer.status}, which tells nothing"
        raise refusal or Uncertain(detail, status=answer.status, excerpt=answer.text)
    health = await client.request("GET", "/health_check")
    if is_stored(health):  # 200 without a body, here as there
        return None
    detail = (
        f"{place} shows no such record, and AUDITOR does not say that its database is well"
        f" ({health.status}): that may be all that is wrong"
    )
    if health.status == HTTPStatus.FORBIDDEN:
        # Of this one question: under access rules it is so for every record, and no trouble.
        raise Parked(detail, scope="health", status=health.status)
    raise Uncertain(detail, status=health.status, excerpt=health.text)


def _same_moment(one: Any, other: Any) -> bool:
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except (TypeError, ValueError):
        return False
