"""An operator's edit of an entry that waits, is held, or failed and was kept.

Promises: what it becomes is judged as a new entry would be, by the same rules; a Refusal changes
nothing; what an operator does not say stays as it was; the entry keeps its id, key, kind, files
and place in time.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from agent.clock import Clock
from agent.draft import Draft
from agent.envelope import is_envelope
from agent.intake import Intake
from agent.refusal import FieldError, Refusal, unfit
from agent.strict_json import escaped, parse
from storage.edit import Change, Editable
from storage.entry import Entry
from storage.outbox import Outbox
from storage.states import MOVES, State
from storage.waiting import lane_of

EDITABLE = ("payload", "labels", "expires_at")
NEXT = {
    State.PENDING: "it waits, and is sent as it is now",
    State.HELD: "it is still held: release it to have it sent",
    State.DEAD: "it is still kept as failed: retry it to have it sent",
}


class Editing:
    """Edits entries of the outbox. `wake` tells a backend's lane that something may be due."""

    def __init__(
        self, outbox: Outbox, intake: Intake, clock: Clock, wake: Callable[[str], None]
    ) -> None:
        self._outbox = outbox
        self._intake = intake
        self._clock = clock
        self._wake = wake

    async def edit(self, id_: str, body: bytes, *, who: str) -> dict[str, Any]:
        """Make the entry say what `body` says; what there is to tell of it.

        `body`: a payload, or an envelope with nothing but EDITABLE. Raises Refusal: 404, 409
        (with the state that it is in), and all that a new entry may be refused with.
        """
        before = await self._found(id_)
        value = await self._outbox.files.run(partial(parse, body))
        given = _given(value, known=self._intake.knows(before.backend), one=before)
        judged = await self._judged(body, before)
        change = _change(judged, await self._as_judged_before(before), before, given)
        if (change.entry.digest, _kept(change.entry)) == (before.digest, _kept(before)):
            return _told(change.entry, before.state, changed=False)
        edited = await self._outbox.rework.edit(change, now=self._clock.now(), who=who)
        match edited.outcome:
            case "edited" if edited.state is not None:
                self._wake(before.backend)
                return _told(change.entry, edited.state, changed=True)
            case "orphan":
                raise unfit(
                    [
                        FieldError(
                            "",
                            f"it would wait for {change.entry.waits_for!r}, and"
                            f" no entry of {before.backend} that came before it has that id or key",
                        )
                    ]
                )
            case _:
                raise Refusal(
                    HTTPStatus.CONFLICT,
                    f"entry {id_} was sent or edited while this edit"
                    " was judged; nothing was changed: look at it again",
                )

    async def _found(self, id_: str) -> Editable:
        """The entry, if it may be edited."""
        found = await self._outbox.looks.editable(id_, self._outbox.attachments.root)
        if found is None:
            raise Refusal(HTTPStatus.CONFLICT, f"entry {id_} has just been delivered or discarded")
        if not MOVES["edit"].allows(found.state):
            detail = f"entry {id_} is being sent now: it cannot be edited"
            raise Refusal(HTTPStatus.CONFLICT, f"{detail}; hold it when it waits again")
        if found.in_doubt:
            detail = (
                f"entry {id_} is in doubt: it was sent and the answer was lost, so it may be there"
                " already as it is, and would not be found in other words. Wait until that is"
                " settled, or look there yourself and discard it"
            )
            raise Refusal(HTTPStatus.CONFLICT, detail)
        return found

    async def _judged(self, body: bytes, one: Editable) -> Entry:
        files = {part.name: part for part in one.attachments}
        draft = Draft(body, one.backend, one.kind, one.producer, files=files, all_files=True)
        return await self._outbox.files.run(partial(self._intake.judge, draft))

    async def _as_judged_before(self, one: Editable) -> Entry | None:
        """What intake makes of it as it is; None: today it would not take it."""
        try:
            payload = json.loads(one.payload)
            return await self._judged(json.dumps({"payload": payload}).encode(), one)
        except (ValueError, Refusal):
            return None


def _given(value: Any, *, known: bool, one: Editable) -> frozenset[str]:
    """Which parts of the entry an edit says anew. Raises Refusal."""
    if not known:
        detail = f"{one.backend} is not in the settings: nobody can judge what it would take"
        raise Refusal(HTTPStatus.CONFLICT, detail)
    if not is_envelope(value):
        return frozenset({"payload"})
    others = sorted(set(value) - set(EDITABLE))
    if others:
        said = f"an edit does not change it, only {', '.join(EDITABLE)}"
        raise unfit([FieldError(f"/{escaped(name)}", said) for name in others])
    return frozenset(name for name in value if value[name] is not None)


def _change(judged: Entry, before: Entry | None, one: Editable, given: frozenset[str]) -> Change:
    """The judged entry with what stays of the one that it replaces. Raises Refusal."""
    if judged.key not in (judged.id, one.key) and (before is None or judged.key != before.key):
        detail = (
            f"its own name would be {judged.key!r} and no longer {one.key!r}: that is another"
            " entry. Discard this one, and hand the other in"
        )
        raise unfit([FieldError("/payload" if len(given) > 1 else "", detail)])
    same_parent = before is not None and judged.waits_for == before.waits_for
    entry = replace(
        judged,
        id=one.id,
        key=one.key,
        stream=_stream(judged, before, one, same_parent=same_parent),
        waits_for=one.waits_for if same_parent else judged.waits_for,
        labels=_labels(judged, before, one, given),
        expires_at=judged.expires_at if "expires_at" in given else one.expires_at,
    )
    return Change(
        entry, one.digest, one.size, ties=not same_parent and judged.waits_for is not None
    )


def _stream(judged: Entry, before: Entry | None, one: Editable, *, same_parent: bool) -> str | None:
    """A stream that its producer named stays; every other follows from what it says."""
    if same_parent and one.waits_for is not None and one.stream == lane_of(one.waits_for):
        return one.stream
    by_address = before is not None and one.stream == before.stream
    aside = one.stream in (one.scope, f"held {one.id}") or bool(one.resolved)
    if before is None or by_address or aside or one.stream is None:
        return judged.stream
    left = one.waits_for is not None and one.stream == lane_of(one.waits_for)
    return judged.stream if left else one.stream


def _labels(
    judged: Entry, before: Entry | None, one: Editable, given: frozenset[str]
) -> Mapping[str, str]:
    """What an operator gives replaces what the producer gave; the rest is derived anew."""
    if "labels" in given:
        return judged.labels
    derived = {**(before.labels if before else {}), **one.resolved}
    own = {name: said for name, said in one.labels.items() if derived.get(name) != said}
    return {**judged.labels, **own}


def _kept(one: Entry | Editable) -> tuple[Any, ...]:
    return dict(one.labels), one.expires_at


def _told(one: Entry, state: State, *, changed: bool) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": state.name.lower(),
        "changed": changed,
        "sha256": one.digest,
        "next": NEXT[state],
    }
