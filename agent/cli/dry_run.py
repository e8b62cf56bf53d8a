"""`put --dry-run`: would the entry be taken, and what would its backend be sent for it?

Promises: nothing is sent, stored or asked; the entry is judged as the agent judges it, by the
settings alone; no secret is read. The exit code is that of `put`: 0, or 65 with what is wrong.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapters.preview import Preview
from adapters.registry import KINDS
from adapters.verdict import DeliveryError, Rejected
from agent.cli.endings import OK, REFUSED
from agent.cli.handing import tell_refusal
from agent.cli.printing import note, on_terminal, print_json
from agent.cli.words import one_line
from agent.client import Upload
from agent.clock import Clock
from agent.draft import Draft
from agent.judging import Judge
from agent.refusal import FieldError, Refusal, unfit
from agent.wiring import backend_kinds, bounds, check_backends
from config.settings import judge
from config.sources import Sources
from storage.attachments import AttachmentStore
from storage.entry import Attachment, Claim, Entry, Producer

PARENT = "0" * 24  # stands for the name that a backend will give to another entry


@dataclass(frozen=True, slots=True)
class Found:
    """The entry as it would be accepted, its requests, and what to know about them."""

    entry: Entry
    requests: Sequence[Preview] = ()
    notes: list[str] = field(default_factory=list)


def show(sources: Sources, body: bytes, files: Sequence[Upload], *, as_json: bool) -> int:
    """Print what would be sent; the exit code. Raises SettingsError."""
    try:
        found = _found(sources, body, files)
    except Refusal as refusal:
        problem = refusal.problem()
        if as_json:
            print_json(problem)
        tell_refusal(problem)
        return REFUSED
    if as_json:
        print_json(_told(found))
        return OK
    for number, request in enumerate(found.requests):
        for line in ([""] if number else []) + list(_lines(request)):
            print(one_line(line) if on_terminal() else line)  # noqa: T201
    for line in found.notes:
        note(line)
    return OK


def _found(sources: Sources, body: bytes, files: Sequence[Upload]) -> Found:
    clock = Clock()
    settings = judge(sources)
    sites = check_backends(settings, sources.file.parent, clock)
    with TemporaryDirectory(prefix="holdfast-") as folder:
        options = {name: site.options for name, site in sites.items()}
        store = AttachmentStore(Path(folder))
        judging = Judge(backend_kinds(settings), options, clock, bounds(settings), store)
        entry = judging.judge(_draft(body, files))
        site = sites[entry.backend]
        # Made, and used for nothing that needs a connection: there is nothing to close.
        adapter = KINDS[settings.backends[entry.backend].kind].adapter(site)
        found = Found(entry, notes=list(_notes(entry)))
        try:
            requests = adapter.preview(_claim(entry))
        except Rejected as verdict:
            raise unfit([FieldError("", verdict.detail)]) from verdict
        except DeliveryError as verdict:
            found.notes.append(f"it would be taken, and wait: {verdict.detail}")
            return found
    if not requests:
        found.notes.append(
            f"it would be taken; how entries of kind {entry.kind!r} are sent cannot be shown"
        )
    return Found(entry, requests, found.notes)


def _draft(body: bytes, files: Sequence[Upload]) -> Draft:
    return Draft(
        body=body,
        backend=None,
        kind=None,
        producer=Producer("socket", os.geteuid(), os.getpid()),
        files={one.name: _attachment(one) for one in files},
    )


def _attachment(one: Upload) -> Attachment:
    # The hash only tells two entries apart; here there is one.
    return Attachment(one.name, one.media_type, one.description, one.size, "", one.path)


def _claim(entry: Entry) -> Claim:
    """The entry as a lane would bring it to the adapter the first time."""
    return Claim(
        seq=0,
        id=entry.id,
        kind=entry.kind,
        key=entry.key,
        payload=entry.payload,
        created_at=entry.created_at,
        accepted_at=entry.accepted.wall,
        stream=entry.stream,
        scope=entry.scope,
        attempts=0,
        tries=1,
        in_doubt=False,
        newest_of_slot=True,
        absences=0,
        first_sent_at=entry.accepted.wall,
        last_sent_at=entry.accepted.wall,
        size=entry.size,
        labels=entry.labels,
        attachments=entry.attachments,
        waits_for=entry.waits_for,
        parent_id=PARENT if entry.waits_for else None,
        resolved=entry.resolved or {},
        uid=entry.producer.uid,
    )


def _notes(entry: Entry) -> list[str]:
    notes = [f"{entry.id} stands for the id that the entry gets when it is handed in"]
    if entry.waits_for:
        notes.append(
            f"{PARENT} stands for what the backend will call {entry.waits_for}, which has to be"
            " delivered first"
        )
    if entry.open:
        notes.append("something is left open, such as `current`: it is found out before it is sent")
    return notes


def _told(found: Found) -> dict[str, Any]:
    entry = found.entry
    return {
        "state": "dry run",
        "backend": entry.backend,
        "kind": entry.kind,
        "key": entry.key,
        "stream": entry.stream,
        "scope": entry.scope,
        "labels": dict(entry.labels),
        "requests": [_request(one) for one in found.requests],
        "notes": found.notes,
    }


def _request(one: Preview) -> dict[str, Any]:
    told: dict[str, Any] = {"method": one.method, "url": one.url, "headers": dict(one.headers)}
    if one.body is not None:
        told["body"] = one.body
    if one.files:
        told["fields"] = dict(one.fields)
        told["files"] = [
            {
                "field": file.field,
                "name": file.name,
                "media_type": file.media_type,
                "size": file.size,
            }
            for file in one.files
        ]
    return {**told, "remarks": list(one.remarks)}


def _lines(one: Preview) -> list[str]:
    """The request as HTTP spells it; of a form with files, one line per part."""
    lines = [f"# {remark}" for remark in one.remarks]
    lines += [f"{one.method} {one.url}", *_headers(one.headers), ""]
    if one.body is not None:
        lines.append(one.body)
    lines += [f"{name}={json.dumps(said, ensure_ascii=False)}" for name, said in one.fields.items()]
    lines += [
        f"{file.field}: {file.name} ({file.media_type}, {file.size} bytes)" for file in one.files
    ]
    return lines if lines[-1] else lines[:-1]


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {said}" for name, said in headers.items()]
