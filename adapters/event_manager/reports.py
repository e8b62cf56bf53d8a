"""Reports of how the laboratory was used: what the server says, and what it fails to say. Pure.

Failures come as 200 with `{"error": ...}` (event manager sheet, section 4); what they say tells
whether the question was wrong.
"""

from typing import Any

from adapters.answer import Answer
from adapters.event_manager.answers import said_by
from adapters.reading import Fetched, Misasked
from adapters.verdict import Uncertain

# Words of failures that are about what was asked; seen on the real 0.8.1, or in its source.
ABOUT_THE_QUESTION = ("are required", "isoformat", "time period", "time parameters", "time zone")
HEADS = ("report_metadata", "summary_metadata")  # one of them is in every report
CSV = "text/csv"


def report_in(answer: Answer, url: str, *, is_csv: bool) -> Fetched | None:
    """The report of an answer; None when it is none.

    Raises Misasked, or Uncertain, when the server says why it made none.
    """
    if answer.status != 200:  # noqa: PLR2004
        return None
    if is_csv and answer.media_type == CSV:
        return Fetched(answer.text, meta={"media_type": CSV})
    body = said_by(answer)
    if not isinstance(body, dict):
        return None
    if "error" in body:
        raise _failure(body, answer, url)
    if is_csv or not any(name in body for name in HEADS):
        return None
    failed = _failed_parts(body)
    notes = (f"the server could not work out {failed} parts of it; they say why",) if failed else ()
    return Fetched(body, complete=not failed, notes=notes)


def _failure(body: dict[str, Any], answer: Answer, url: str) -> Exception:
    details = f" ({body['details']})" if body.get("details") else ""
    said = f"the Event Manager made no report: {body['error']}{details}"
    if any(words in said for words in ABOUT_THE_QUESTION):
        return Misasked(said)
    return Uncertain(f"{url}: {said}", status=answer.status, excerpt=answer.text)


def _failed_parts(body: dict[str, Any]) -> int:
    """How many sections, or items of a section, have an error in the place of what they are."""
    sections = [part if isinstance(part, list) else [part] for part in body.values()]
    return sum(isinstance(item, dict) and "error" in item for part in sections for item in part)
