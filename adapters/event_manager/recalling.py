"""What kept answers of an Event Manager say about questions that were never asked. Pure.

Promises: nothing is derived that the server would not have said at the time of the kept answer. The
newest 20 are the first 20 of the newest 100; those of a level are among those of all levels, as
long as there are enough of them. A list that is shorter than it was to be proves nothing more: a
server without unique ids shows several events as one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from adapters.event_manager.originals import Json
from adapters.event_manager.questions import ById, Window
from adapters.reading import NotKept, Plan, Recalled, Shelf, recall_exactly
from storage.cached import Kept, Label

NEVER = "this was never asked while the Event Manager could be reached"
FAMILY = "events"  # answers with events in them


async def recalled(plan: Plan, shelf: Shelf, *, partial: bool) -> Recalled:
    """Say it from kept answers. Raises NotKept."""
    match plan.spec:
        case ById():
            return await _event(plan, plan.spec.event_id, shelf)
        case Window():
            return await _window(plan, plan.spec, shelf, partial=partial)
        case _:
            return await recall_exactly(plan, shelf)


def is_settled(event: Json) -> bool:
    """Will the server say the same of this event for ever?

    It never changes what an event says; but one that it shows as not archived may be archived.
    """
    return event.get("archived") is not False


async def _event(plan: Plan, event_id: str, shelf: Shelf) -> Recalled:
    """The event, from the last answer that had it in it."""
    exact = await shelf.get(plan.key)
    if exact is not None and exact.data is not None:
        return await recall_exactly(plan, shelf)
    for label in await shelf.family(plan.family):
        if exact is not None and label.fetched_at <= exact.label.fetched_at:
            break  # afterwards there was no such event
        if label.key == plan.key or label.about.get("asked") == ById.__name__:
            continue
        kept = await shelf.get(label.key)
        event = _with_id(kept.data, event_id) if kept is not None else None
        if event is not None:
            return Recalled(
                event, "derived", label.fetched_at, complete=True, settled=is_settled(event)
            )
    if exact is not None:
        return await recall_exactly(plan, shelf)
    raise NotKept(f"neither this event nor a list that has it in it was kept: {event_id!r}")


def _with_id(rows: Any, event_id: str) -> Json | None:
    return next((row for row in rows if row.get("_id") == event_id), None)


async def _window(plan: Plan, asked: Window, shelf: Shelf, *, partial: bool) -> Recalled:
    if await shelf.get(plan.key) is not None:
        return await recall_exactly(plan, shelf)
    labels = [one for one in await shelf.family(plan.family) if _is_alike(one, asked)]
    for label in labels:
        kept = await shelf.get(label.key)
        rows = _part(kept, asked) if kept is not None else None
        if rows is not None:
            return Recalled(rows, "derived", label.fetched_at, complete=True, settled=False)
    if partial:
        return await _beginning(asked, labels, shelf)
    raise NotKept(f"{NEVER}, nor was a list that has it in it")


def _is_alike(label: Label, asked: Window) -> bool:
    """Is it a list of the same order and conditions, save the level?"""
    window = _kept_window(label)
    if window is None or not label.complete:
        return False
    narrowed = replace(
        window, number=asked.number, offset=asked.offset, level=max(window.level, asked.level)
    )
    return narrowed == asked


def _kept_window(label: Label) -> Window | None:
    about = dict(label.about)
    return Window(**about) if about.pop("asked", None) == Window.__name__ else None


def _part(kept: Kept, asked: Window) -> list[Json] | None:
    """The rows asked for, if the kept list is sure to have them all."""
    window = _kept_window(kept.label)
    if window is None:
        return None
    rows: list[Json] = kept.data
    if window.level == asked.level:
        first = asked.offset - window.offset
        if first < 0 or first + asked.number > window.number:
            return None
        return rows[first : first + asked.number]
    if window.offset:
        return None
    found = [row for row in rows if row.get("log_level", 0) >= asked.level][asked.offset :]
    return found[: asked.number] if len(found) >= asked.number else None


async def _beginning(asked: Window, labels: Sequence[Label], shelf: Shelf) -> Recalled:
    """The first of the rows asked for. Raises NotKept."""
    for label in labels:
        window = _kept_window(label)
        if window is None or (window.level, window.offset) != (asked.level, asked.offset):
            continue
        kept = await shelf.get(label.key)
        if kept is not None:
            note = f"only the first {window.number} of {asked.number} were asked for at that time"
            return Recalled(
                kept.data,
                "derived",
                label.fetched_at,
                complete=False,
                settled=False,
                notes=(note,),
            )
    raise NotKept(f"{NEVER}, nor was a part of it")
