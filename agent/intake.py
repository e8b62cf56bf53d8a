"""Intake: bytes from any door -> a judged entry -> accepted.

Promises: an entry is stored only if its backend could take it (the adapter's strict model
has judged it), and `accept` answers only after the fsynced commit. A Refusal stores nothing.
"""

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, BinaryIO

from pydantic import ValidationError
from ulid import ULID

from adapters.base import BackendKind, EntryKind
from agent.clock import Clock
from agent.draft import Bounds, Draft
from agent.envelope import (
    MAX_NAME_LENGTH,
    Envelope,
    field_errors,
    is_envelope,
    printable,
    read_envelope,
)
from agent.parts import Match, match_parts
from agent.refusal import FieldError, Refusal, no_room, too_large, unfit
from agent.room import Room
from agent.strict_json import canonical, compact, parse, text_bytes
from storage.attachments import TooLarge
from storage.entry import Accepted, Address, Attachment, Entry
from storage.errors import DiskRefused
from storage.outbox import Outbox

Outcome = Accepted | Refusal


class Intake:
    """Judges and accepts. One for all doors."""

    def __init__(
        self,
        outbox: Outbox,
        backends: Mapping[str, BackendKind],
        *,
        clock: Clock,
        bounds: Bounds,
        wake: Callable[[str], None],
        options: Mapping[str, Any] | None = None,
        resolve: Callable[[Entry], Awaitable[Entry]] | None = None,
    ) -> None:
        """`wake` is told the backend of each new entry after its commit.

        `options`: of each backend, for what only the settings decide. `resolve` finds out what
        an entry leaves open, and always comes back soon.
        """
        self._outbox = outbox
        self._backends = backends
        self._clock = clock
        self._bounds = bounds
        self._wake = wake
        self._options = options or {}
        self._resolve = resolve
        self._room = Room(outbox, bounds, list(backends))

    def knows(self, backend: str) -> bool:
        """Is there such a backend?"""
        return backend in self._backends

    def kinds(self, backend: str) -> Collection[str]:
        """The kinds of entry that a backend takes, aliases included."""
        kind = self._backends[backend]
        return [*kind.kinds, *(kind.aliases or {})]

    def judge(self, draft: Draft) -> Entry:
        """The entry that `draft` makes. Raises Refusal; blocks (parsing, embedded attachments)."""
        self._check_length(draft.body)
        value = parse(draft.body)
        bare_allowed = draft.backend is not None
        envelope = read_envelope(value, bare_allowed=bare_allowed)
        backend, name, kind = self._destination(envelope, draft)
        text = self._payload_text(envelope)
        prefix = "" if bare_allowed and not is_envelope(value) else "/payload"
        address = _judge_payload(kind, envelope.payload, prefix, self._options.get(backend))
        now = self._clock.stamp()
        if envelope.expires_at is not None and envelope.expires_at <= now.wall:
            raise unfit([FieldError("/expires_at", "is past")])
        key = _settle_key(envelope, draft, address)
        parts = self._attachments(envelope, draft, kind)
        id_ = str(ULID())
        return Entry(
            id=id_,
            backend=backend,
            kind=name,
            key=key or id_,
            payload=text,
            digest=_digest(name, envelope.payload, () if kind.secret else parts),
            created_at=envelope.created_at if envelope.created_at is not None else now.wall,
            accepted=now,
            producer=draft.producer,
            stream=envelope.stream or address.stream,
            scope=address.scope,
            slot=address.slot,
            waits_for=address.waits_for,
            stamped=envelope.created_at is None,
            labels={**address.labels, **envelope.labels},
            expires_at=_expiry(envelope, kind, now.wall),
            attachments=parts,
            urgency=address.urgency,
            open=address.open,
        )

    async def accept(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """Store entries durably, in order; one outcome each. Never raises a Refusal."""
        refusals = await self._room.reserve(entries, now=self._clock.now())
        wanted = [one for one in entries if one.id not in refusals]
        outcomes: dict[str, Outcome] = {**refusals, **await self._store(wanted)}
        refused = [one for one in entries if isinstance(outcomes[one.id], Refusal)]
        await self.drop(part for one in refused for part in one.attachments)
        return [outcomes[one.id] for one in entries]

    async def _store(self, entries: Sequence[Entry]) -> dict[str, Outcome]:
        """Outcomes by id, in one transaction: what the disk refuses, it refuses for all."""
        try:
            taken = await self._outbox.accept(await self._closed(entries)) if entries else []
        except (DiskRefused, OSError) as exc:
            refused = no_room(f"the disk does not take it: {exc}; nothing was stored")
            return {one.id: refused for one in entries}
        finally:
            self._room.release(entries)
        outcomes: dict[str, Outcome] = {}
        for one, answer in zip(entries, taken, strict=True):
            outcomes[one.id] = _told(one, answer)
            if answer.state in ("accepted", "retried"):
                self._wake(one.backend)
        return outcomes

    async def _closed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The entries with what they left open, as far as that can be found out at once."""
        if self._resolve is None or not any(one.open for one in entries):
            return entries
        return await asyncio.gather(*(self._resolve(one) for one in entries))

    async def stage(
        self,
        source: BinaryIO,
        name: str,
        *,
        media_type: str | None = None,
        description: str | None = None,
    ) -> Attachment:
        """Copy a file in, durably. Raises Refusal (413, 507)."""
        limit = self._bounds.max_attachment_bytes
        try:
            return await self._outbox.files.stage(
                source, name, limit=limit, media_type=media_type, description=description
            )
        except TooLarge as exc:
            raise too_large(f"the attachment {name!r}", limit) from exc
        except OSError as exc:
            raise no_room(f"the disk does not take {name!r}: {exc.strerror}") from exc

    async def drop(self, files: Iterable[Attachment]) -> None:
        """Forget staged files that no entry took."""
        await self._outbox.files.drop_staged(files)

    def waiting(self, backend: str) -> int:
        """How many entries wait for this backend, the last accepted included."""
        return self._outbox.waiting[backend]

    def _destination(self, envelope: Envelope, draft: Draft) -> tuple[str, str, EntryKind]:
        backend = draft.backend if draft.backend is not None else envelope.backend
        if backend is None:
            raise unfit([FieldError("/backend", "is required: " + self._known())])
        if envelope.backend not in (None, backend):
            raise unfit([FieldError("/backend", f"does not belong into {backend}")])
        if backend not in self._backends:
            detail = f"there is no backend {backend!r} here: {self._known()}"
            raise Refusal(HTTPStatus.NOT_FOUND, detail, [FieldError("/backend", detail)])
        there = self._backends[backend]
        aliases = there.aliases or {}
        wanted = envelope.kind if envelope.kind is not None else draft.kind or there.main_kind
        name = aliases.get(wanted, wanted)
        if draft.kind and envelope.kind and aliases.get(draft.kind, draft.kind) != name:
            raise unfit([FieldError("/kind", f"does not belong into {backend}/{draft.kind}")])
        if name not in there.kinds:
            takes = ", ".join(sorted(there.kinds))
            raise unfit([FieldError("/kind", f"{backend} takes no {name!r}, but: {takes}")])
        return backend, name, there.kinds[name]

    def _known(self) -> str:
        return "one of " + ", ".join(sorted(self._backends))

    def _check_length(self, body: bytes) -> None:
        """Refuse what could only fit if files were embedded, and is not such a text."""
        limit = self._bounds.max_text_bytes
        if len(body) > limit and (b"base64" not in body or text_bytes(body) > limit):
            raise too_large("the entry, embedded files apart,", self._bounds.max_entry_bytes)

    def _payload_text(self, envelope: Envelope) -> str:
        text = compact(envelope.payload)
        if len(text.encode()) > self._bounds.max_entry_bytes:
            raise too_large("the payload", self._bounds.max_entry_bytes, "/payload")
        return text

    def _attachments(
        self, envelope: Envelope, draft: Draft, kind: EntryKind
    ) -> tuple[Attachment, ...]:
        """Every attachment staged; embedded bytes last, when nothing can refuse any more."""
        staged: list[Attachment] = []
        try:
            for match in match_parts(envelope.attachments, draft, kind, self._bounds):
                # No comprehension: what is staged must be known when the next one is refused.
                staged.append(match.described() if match.file else self._stage_embedded(match))  # noqa: PERF401
        except Refusal:
            self._outbox.attachments.drop_staged(staged)
            raise
        return tuple(staged)

    def _stage_embedded(self, part: Match) -> Attachment:
        try:
            return self._outbox.attachments.stage(
                io.BytesIO(part.content),
                part.name,
                limit=self._bounds.max_attachment_bytes,
                media_type=part.media_type,
                description=part.description,
            )
        except OSError as exc:
            raise no_room(f"the disk does not take {part.name!r}: {exc.strerror}") from exc


def _judge_payload(kind: EntryKind, payload: dict[str, Any], prefix: str, options: Any) -> Address:
    try:
        judged = kind.payload.model_validate(payload)
    except ValidationError as exc:
        raise unfit(field_errors(exc, payload, prefix)) from exc
    if kind.check is not None and options is not None:
        errors = [FieldError(prefix + place, said) for place, said in kind.check(judged, options)]
        if errors:
            raise unfit(errors)
    return kind.address(judged)


def _expiry(envelope: Envelope, kind: EntryKind, now: int) -> int | None:
    """What the producer says, else how long this kind of entry is worth anything."""
    if envelope.expires_at is not None or kind.lifetime_seconds is None:
        return envelope.expires_at
    return now + round(kind.lifetime_seconds * 1000)


def _settle_key(envelope: Envelope, draft: Draft, address: Address) -> str | None:
    """The producer's key, else the adapter's, else the door's. None: the entry's id."""
    if draft.given_key is not None:
        _check_key(draft.given_key)
        if envelope.key not in (None, draft.given_key):
            raise unfit([FieldError("/key", "differs from the Idempotency-Key header")])
    return draft.given_key or envelope.key or address.key or draft.default_key


def _check_key(key: str) -> None:
    try:
        printable(key)
    except ValueError as exc:
        raise unfit([FieldError("", f"Idempotency-Key {exc}")]) from exc
    if not 0 < len(key) <= MAX_NAME_LENGTH:
        detail = f"Idempotency-Key must have 1 to {MAX_NAME_LENGTH} characters"
        raise unfit([FieldError("", detail)])


def _digest(kind: str, payload: dict[str, Any], parts: Sequence[Attachment]) -> str:
    content = {
        "kind": kind,
        "payload": payload,
        "attachments": [[part.name, part.sha256] for part in parts],
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def _told(one: Entry, answer: Accepted) -> Outcome:
    """What the producer hears of the outbox's answer."""
    match answer.state:
        case "conflict":
            detail = f"the key {answer.key!r} belongs to entry {answer.id}, which has other content"
            return Refusal(HTTPStatus.CONFLICT, detail, [FieldError("/key", detail)])
        case "orphan":
            detail = (
                f"it is to wait for {one.waits_for!r}, and no entry of {one.backend} with that id"
                " or key waits here or was delivered: hand that one in first"
            )
            return unfit([FieldError("", detail)])
        case _:
            return answer


async def judge_in_thread(
    intake: Intake, outbox: Outbox, drafts: Sequence[Draft]
) -> list[Entry | Refusal]:
    """Judge many drafts beside the event loop; refusals stand in their entry's place."""
    return await outbox.files.run(partial(_judge_all, intake, drafts))


def _judge_all(intake: Intake, drafts: Sequence[Draft]) -> list[Entry | Refusal]:
    judged: list[Entry | Refusal] = []
    for draft in drafts:
        try:
            judged.append(intake.judge(draft))
        except Refusal as refusal:
            judged.append(refusal.alone())
    return judged
