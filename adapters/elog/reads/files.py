"""An attachment: found in its entry, and its bytes. Pure.

Promises: bytes are told only if they come as the type that the entry says; a page of a login, or
a refusal, is never taken for them. What was asked for by its id will not change any more: the
eLog has no way to write other bytes under it.
"""

import base64
from typing import Any

from adapters.answer import Answer
from adapters.elog.reads.judging import judged
from adapters.elog.verdicts import Asked, foreign, refusal, value_of
from adapters.reading import UNKNOWN, Misasked
from adapters.verdict import DeliveryError

FOUND, ABSENT = 200, 404
# What the server and what is in front of it refuse with.
SUSPICIOUS = ("text/html", "application/json")


def chosen(entry: dict[str, Any], wanted: str) -> dict[str, Any]:
    """The attachment of that id, or else of that name. Raises Misasked."""
    there = entry.get("attachments")
    files = [one for one in there if isinstance(one, dict)] if isinstance(there, list) else []
    by_id = [one for one in files if one.get("_id") == wanted]
    found = by_id or [one for one in files if one.get("name") == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(one.get("_id")) for one in found)
        said = f"the entry has {len(found)} attachments called {wanted!r}: say the id, of {ids}"
        raise Misasked(said, parameter="attachment")
    names = ", ".join(repr(one.get("name")) for one in files) or "none at all"
    said = f"the entry has no attachment {wanted!r}; it has {names}"
    raise Misasked(said, parameter="attachment", status=UNKNOWN)


def content(answer: Answer, asked: Asked, file: dict[str, Any]) -> dict[str, Any]:
    """The attachment as data. Raises Misasked, or the DeliveryError of an answer that is none."""
    if answer.status == ABSENT and answer.media_type == "application/json":
        said = f"the eLog has the bytes of {file.get('name')!r} no more: {answer.text.strip()}"
        raise Misasked(said, parameter="attachment", status=UNKNOWN)
    if answer.status != FOUND:
        raise judged(answer, asked, refusal(answer, asked))
    type_ = str(file.get("type") or "").lower()
    if answer.media_type in SUSPICIOUS and answer.media_type != type_:
        raise judged(answer, asked, _suspicion(answer, asked))
    return {
        "name": file.get("name"),
        "type": type_ or answer.media_type,
        "content_base64": base64.b64encode(answer.body).decode(),
        "size": len(answer.body),
    }


def _suspicion(answer: Answer, asked: Asked) -> DeliveryError:
    try:
        value_of(answer, asked)
    except DeliveryError as error:
        return error
    return foreign(answer, asked)
