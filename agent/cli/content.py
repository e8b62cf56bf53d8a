"""What an entry says and takes along: its input, the typed options, its pictures, its job.

Promises: the options win over what the input says; with options and no input named, standard
input is not touched. Raises Refusal for what cannot be an entry, Ending for a wrong call.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from agent.cli import job
from agent.cli.attaching import pictures
from agent.cli.composing import Said, as_envelope, text_envelope, value_of
from agent.cli.endings import REFUSED, Ending, usage
from agent.cli.fields import FIELDS
from agent.cli.inputs import opened, whole
from agent.cli.options import FORMS, Field, Typed, merged, values_of
from agent.cli.scanning import check_owned, entry_kind, fields_of
from agent.client import Upload
from agent.refusal import FieldError, unfit
from agent.strict_json import BOM

MARKDOWN = ".md"
TEXTS = (".txt", MARKDOWN)
JSON = ".json"
POST = ("elog", "post")  # what a text is
TEXT = "--text"


def suffix_of(source: str | None) -> str:
    """The ending of the input's name, in small letters; "" when it has none."""
    return PurePath(source).suffix.lower() if source else ""


def said_by(source: str | None, typed: Sequence[Typed], said: Said) -> dict[str, Any]:
    """The envelope that input, options and the job's environment make."""
    envelope = as_envelope(_input(source, typed, said))
    payload = envelope["payload"]
    if not isinstance(payload, dict):
        raise unfit([FieldError("/payload", "must be an object")])
    kind = _kind(said, envelope)
    if kind == (job.BACKEND_KIND, job.KIND):
        payload = job.filled(payload, os.environ)
    if typed:
        fields = _fields(typed, said, kind)
        payload = merged(fields, payload, values_of(fields, typed))
        _check_required(fields, payload)
    return {**envelope, "payload": payload}


def taken_along(
    envelope: Mapping[str, Any], source: str | None, files: Sequence[Upload], said: Said
) -> tuple[Upload, ...]:
    """The files that go with the entry: those given, those its text shows, the job's token."""
    found = tuple(files)
    kind = _kind(said, envelope)
    if kind == POST and suffix_of(source) == MARKDOWN:
        assert source is not None
        found += pictures(str(envelope["payload"].get("text", "")), Path(source).parent, found)
    if kind != (job.BACKEND_KIND, job.KIND):
        return found
    if not found and not envelope.get("attachments"):
        token = job.token_of(os.environ)
        found += (token,) if token else ()
    return job.guarded(found)


def _input(source: str | None, typed: Sequence[Typed], said: Said) -> dict[str, Any]:
    if source is None and typed:
        return {"payload": {}}
    with opened(source) as reading:
        raw = whole(reading)
    if not _is_text(suffix_of(source), raw, typed, said):
        return value_of(raw)
    if any(option == TEXT for option, _ in typed):
        raise usage(f"the text is given twice: by {TEXT}, and by {source}")
    return text_envelope(raw, markdown=suffix_of(source) == MARKDOWN, said=said)


def _is_text(suffix: str, raw: bytes, typed: Sequence[Typed], said: Said) -> bool:
    """Is the input the text of a post, and not JSON?"""
    if suffix in TEXTS:
        return True
    maybe = typed and suffix != JSON and _kind(said, {}) == POST
    return bool(maybe) and not _begins_an_object(raw)


def _begins_an_object(raw: bytes) -> bool:
    return raw.removeprefix(BOM).lstrip().startswith(b"{")


def _kind(said: Said, envelope: Mapping[str, Any]) -> tuple[str, str]:
    """The kind of backend and of entry; ("", "") where the backend is none that we know."""
    if said.backend_kind not in FIELDS:
        return ("", "")
    wanted = said.kind if said.kind is not None else envelope.get("kind")
    return said.backend_kind, entry_kind(
        said.backend_kind, wanted if isinstance(wanted, str) else None
    )


def _fields(typed: Sequence[Typed], said: Said, kind: tuple[str, str]) -> Sequence[Field]:
    option = typed[0][0]
    if said.backend_kind is None:
        known = f"{option}: there is no backend {said.backend!r} in the settings"
        raise Ending(REFUSED, f"{known}, so nobody knows what it takes")
    if said.backend_kind not in FIELDS:
        raise usage(f"{option}: backends of kind {said.backend_kind!r} have no options")
    fields = fields_of(*kind)
    check_owned(typed, said.backend, *kind)
    return fields


def _check_required(fields: Sequence[Field], payload: Mapping[str, Any]) -> None:
    """What is missing is told by its option, also when the agent is away."""
    missing = [field for field in fields if field.required and field.name not in payload]
    if missing:
        raise unfit(
            [FieldError(f"/payload/{one.name}", f"is required: {_way(one)}") for one in missing]
        )


def _way(field: Field) -> str:
    source = ", a FILE, or `-` for standard input" if field.name == "text" else ""
    return field.option + (f" {FORMS[field.form].metavar}" if field.form in FORMS else "") + source
