"""Judging: bytes and what came along -> an entry that its backend could take, or a Refusal.

One way for everybody who needs to know: the doors, through the intake, and `put --dry-run`,
which stores nothing. Blocks where files are embedded in the entry.
"""

import hashlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

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
from agent.strict_json import canonical, compact, parse, text_bytes
from storage.attachments import AttachmentStore
from storage.entry import Address, Attachment, Entry


@dataclass(frozen=True, slots=True)
class Judge:
    """Says what an entry is, and whether it can be one.

    `options`: of each backend, for what only the settings decide. `attachments`: where files
    are kept that come embedded in an entry.
    """

    backends: Mapping[str, BackendKind]
    options: Mapping[str, Any]
    clock: Clock
    bounds: Bounds
    attachments: AttachmentStore

    def kinds(self, backend: str) -> Collection[str]:
        """The kinds of entry that a backend takes, aliases included."""
        kind = self.backends[backend]
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
        address = _judge_payload(kind, envelope.payload, prefix, self.options.get(backend))
        now = self.clock.stamp()
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

    def _destination(self, envelope: Envelope, draft: Draft) -> tuple[str, str, EntryKind]:
        backend = draft.backend if draft.backend is not None else envelope.backend
        if backend is None:
            raise unfit([FieldError("/backend", "is required: " + self._known())])
        if envelope.backend not in (None, backend):
            raise unfit([FieldError("/backend", f"does not belong into {backend}")])
        if backend not in self.backends:
            detail = f"there is no backend {backend!r} here: {self._known()}"
            raise Refusal(HTTPStatus.NOT_FOUND, detail, [FieldError("/backend", detail)])
        there = self.backends[backend]
        if not there.kinds:
            said = f"{backend} takes no entries: it can only be asked, with `holdfast query`"
            raise unfit([FieldError("/backend", said)])
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
        return "one of " + ", ".join(sorted(self.backends))

    def _check_length(self, body: bytes) -> None:
        """Refuse what could only fit if files were embedded, and is not such a text."""
        limit = self.bounds.max_text_bytes
        if len(body) > limit and (b"base64" not in body or text_bytes(body) > limit):
            raise too_large("the entry, embedded files apart,", self.bounds.max_entry_bytes)

    def _payload_text(self, envelope: Envelope) -> str:
        text = compact(envelope.payload)
        if len(text.encode()) > self.bounds.max_entry_bytes:
            raise too_large("the payload", self.bounds.max_entry_bytes, "/payload")
        return text

    def _attachments(
        self, envelope: Envelope, draft: Draft, kind: EntryKind
    ) -> tuple[Attachment, ...]:
        """Every attachment staged; embedded bytes last, when nothing can refuse any more."""
        staged: list[Attachment] = []
        try:
            for match in match_parts(envelope.attachments, draft, kind, self.bounds):
                # No comprehension: what is staged must be known when the next one is refused.
                staged.append(match.described() if match.file else self._stage_embedded(match))  # noqa: PERF401
        except Refusal:
            self.attachments.drop_staged(staged)
            raise
        return tuple(staged)

    def _stage_embedded(self, part: Match) -> Attachment:
        try:
            return self.attachments.stage(
                io.BytesIO(part.content),
                part.name,
                limit=self.bounds.max_attachment_bytes,
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
