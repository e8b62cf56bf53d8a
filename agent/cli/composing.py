"""From what `put` is given to an envelope, as the socket and the spool both take it.

Promises: the key is in the envelope before anything is sent, so that the same entry, handed
in twice because an answer was lost, is one entry; the payload is the producer's, unchanged;
`created_at` is the time of the call, however long the entry then waits in the spool.
Raises Refusal, as the agent would, for what cannot be an entry.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from agent.cli.words import iso
from agent.client import Upload
from agent.refusal import FieldError, Refusal, unfit
from agent.strict_json import BOM, compact, parse

# The names of agent.envelope.Envelope, which is too slow to load here; a test compares them.
ENVELOPE_NAMES = frozenset(
    {
        "attachments",
        "backend",
        "created_at",
        "expires_at",
        "key",
        "kind",
        "labels",
        "payload",
        "stream",
    }
)
# Entries whose adapter reads the key off the payload: a key of ours would hide that two of
# them are the same. By kind of backend: its main kind of entry, and the payload's fields.
NAMED_BY_PAYLOAD = {
    "auditor": ("record", ("record_id",)),
    "event_manager": ("event", ("event_id", "_id")),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the options say about an entry. `backend_kind`: what the settings say of `backend`."""

    backend: str
    kind: str | None = None
    key: str | None = None
    stream: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    backend_kind: str | None = None


class Contradiction(Refusal):
    """The envelope says one thing and the command line another."""


def mint(now: datetime, dice: Callable[[int], bytes] = os.urandom) -> str:
    """A key that nobody else has, in order of time; also good as a file name."""
    return f"put-{round(now.timestamp() * 1000):012x}-{dice(10).hex()}"


def value_of(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` is. Editors' byte order marks are let pass. Raises Refusal."""
    value = parse(raw.removeprefix(BOM))
    if not isinstance(value, dict):
        raise unfit([FieldError("", "must be a JSON object: a payload, or an envelope")])
    return value


def as_envelope(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` if it is an envelope, else the envelope of which it is the payload."""
    is_envelope = "payload" in value and ENVELOPE_NAMES.issuperset(value)
    return dict(value) if is_envelope else {"payload": value}


def enveloped(
    value: Mapping[str, Any], said: Said, *, files: Sequence[Upload] = (), now: datetime, key: str
) -> dict[str, Any]:
    """The envelope for `value`, which is one already or a bare payload.

    Options win over what the envelope says; labels and attachments add up. `key` is taken
    when nothing else names the entry.
    """
    envelope = as_envelope(value)
    if envelope.get("backend") not in (None, said.backend):
        detail = f"the envelope is for {envelope['backend']!r}, not for {said.backend!r}"
        error = FieldError("/backend", detail)
        raise Contradiction(HTTPStatus.UNPROCESSABLE_ENTITY, detail, [error])
    envelope["backend"] = said.backend
    options = {"kind": said.kind, "key": said.key, "stream": said.stream}
    envelope |= {name: given for name, given in options.items() if given is not None}
    if said.labels:
        envelope["labels"] = {**_table(envelope.get("labels")), **said.labels}
    if files:
        envelope["attachments"] = _listed(envelope.get("attachments"), files)
    if envelope.get("created_at") is None:
        envelope["created_at"] = iso(now)
    if envelope.get("key") is None and not _names_itself(envelope, said.backend_kind):
        envelope["key"] = key
    return envelope


def encoded(envelope: Mapping[str, Any]) -> bytes:
    """An envelope on one line, as it travels."""
    return compact(envelope).encode()


def text_envelope(raw: bytes, *, markdown: bool, said: Said) -> dict[str, Any]:
    """The envelope of the eLog post that a .txt or .md file means. Raises Refusal."""
    from agent.spool.formats import POST, Unacceptable, text_body  # noqa: PLC0415 - for texts only

    if said.backend_kind != "elog" or said.kind not in (None, POST):
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"texts become eLog posts, and {said.backend} takes none: write the entry as JSON",
        )
    try:
        return value_of(text_body(raw, markdown=markdown, defaults={}))
    except Unacceptable as exc:
        lines = [f"line {flaw.line}: " if flaw.line else "" for flaw in exc.flaws]
        errors = [
            FieldError("", at + flaw.detail) for at, flaw in zip(lines, exc.flaws, strict=True)
        ]
        raise unfit(errors) from exc


def _table(labels: Any) -> dict[str, Any]:
    if labels is None:
        return {}
    if not isinstance(labels, dict):
        raise unfit([FieldError("/labels", "must be an object of texts")])
    return labels


def _listed(listed: Any, files: Sequence[Upload]) -> list[Any]:
    """The envelope's list with the files that it does not name yet."""
    if not isinstance(listed, list | None):
        raise unfit([FieldError("/attachments", "must be a list")])
    present = list(listed or [])
    names = {one.get("name") for one in present if isinstance(one, dict)}
    for one in files:
        if one.name not in names:
            about = {"media_type": one.media_type, "description": one.description}
            present.append({"name": one.name, **{key: said for key, said in about.items() if said}})
    return present


def _names_itself(envelope: Mapping[str, Any], backend_kind: str | None) -> bool:
    main_kind, names = NAMED_BY_PAYLOAD.get(backend_kind or "", ("", ()))
    payload = envelope["payload"]
    if envelope.get("kind") not in (None, main_kind) or not isinstance(payload, dict):
        return False
    return any(payload.get(name) for name in names)
