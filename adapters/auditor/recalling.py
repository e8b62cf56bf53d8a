"""What one kept answer about records says of a question.

Promises: nothing is made of answers of which nobody knows whether they are whole, unless a part
will do; but what one record was, any answer says that has it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from adapters.auditor.query import Query, from_json, ordered
from adapters.auditor.resources import Asked, notes_of
from adapters.reading import Plan, Recalled, Shelf
from storage.cached import Kept, Label

NOTHING: Mapping[str, Any] = {}  # a kept answer does not say it


async def recalled(plan: Plan, label: Label, shelf: Shelf, *, partial: bool) -> Recalled | None:
    """What one kept answer says, if it says anything."""
    asked: Asked = plan.spec
    exact = label.key == plan.key
    theirs = from_json(label.about)
    implied = (label.complete or partial) and asked.query.implies(theirs)
    kept = await shelf.get(label.key) if exact or implied or asked.single else None
    if kept is None:
        return None
    # Beside the loop: there may be very many records.
    said = kept.data if exact else await asyncio.to_thread(_derived, asked, theirs, kept, implied)
    if said is NOTHING:
        return None
    return Recalled(
        said,
        "cache" if exact else "derived",
        label.fetched_at,
        complete=label.complete or (asked.single and said is not None),
        settled=False,
        notes=notes_of(asked.query),
    )


def _derived(asked: Asked, theirs: Query, kept: Kept, implied: bool) -> Any:  # noqa: FBT001
    """What a kept answer to another question says of this one, or NOTHING."""
    rows = kept.data if isinstance(kept.data, list) else [kept.data] if kept.data else []
    found = [row for row in rows if asked.query.matches(row)]
    if asked.single and found:
        return found[0]
    whole = theirs.limit is None or len(rows) < theirs.limit
    if not implied or not (whole or _is_shorter(asked.query, theirs)):
        return NOTHING
    return None if asked.single else ordered(found, asked.query)


def _is_shorter(query: Query, theirs: Query) -> bool:
    """The same question, for fewer records?"""
    alike = (query.conditions, query.sort) == (theirs.conditions, theirs.sort)
    return alike and query.limit is not None and query.limit <= (theirs.limit or 0)
