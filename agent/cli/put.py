"""`holdfast put`: hand an entry in; leave it in the spool when the agent is away or hangs.

Promises: exit 0 means that the entry is durable, in the outbox or in the spool; what was
refused is in neither; an entry is never in both as two. With the agent up nothing but the
standard library and typer is loaded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer

from agent.cli.composing import (
    Contradiction,
    Said,
    encoded,
    enveloped,
    mint,
    text_envelope,
    value_of,
)
from agent.cli.endings import NO_INPUT, OK, REFUSED, Ending, usage
from agent.cli.handing import Answered, Door, Left, give_or_leave, tell_refusal
from agent.cli.inputs import labels_of, opened, seconds, uploads, whole
from agent.cli.many import Pile, put_many
from agent.cli.printing import note, print_json, print_outcome
from agent.cli.raw import backends_of, kind_of
from agent.cli.spooling import spool_file, spool_with_files
from agent.cli.words import examples
from agent.client import TIMEOUT_SECONDS, FileChanged, Upload, form, places_of
from agent.refusal import Refusal
from config.sources import read_sources

MANY = (".ndjson", ".jsonl")
TEXTS = {".txt": False, ".md": True}  # ending: is it Markdown?


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    said: Said
    source: str | None
    attach: tuple[Path, ...]
    many: bool
    timeout: float
    as_json: bool


EXAMPLES = examples(
    "holdfast put events event.json",
    'echo \'{"event_type": "test"}\' | holdfast put events',
    "holdfast put elog shift-notes.md --attach plot.png --label run=12",
    "holdfast put telemetry --ndjson < readings.ndjson",
)


Backend = Annotated[str, typer.Argument(help="Its name in the settings.", metavar="BACKEND")]
Source = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE|-",
        help="JSON: a payload, or an envelope (an object with `payload`). `-` or nothing:"
        " standard input. .ndjson, .jsonl: one entry per line. .md, .txt: an eLog post.",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="Kind of entry; default: the backend's main kind."),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="What makes it the same entry when handed in again; default: a new one.",
    ),
]
Stream = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Entries of one stream are delivered in order."),
]
Labels = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="To find it by; may be repeated.")
]
Files = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="A file that goes with it; may be repeated."),
]
Lines = Annotated[bool, typer.Option("--ndjson", help="One entry per line of input.")]
Timeout = Annotated[str, typer.Option(metavar="SECONDS", help="How long the agent may be silent.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def put(
    context: typer.Context,
    backend: Backend,
    source: Source = None,
    *,
    kind: Kind = None,
    key: Key = None,
    stream: Stream = None,
    label: Labels = None,
    attach: Files = None,
    ndjson: Lines = False,
    timeout: Timeout = f"{TIMEOUT_SECONDS:g}",
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Hand an entry in.

    Prints `accepted ID` once the agent has it safely on disk. When the agent is away, or
    does not answer in time, the entry is written to the spool instead, where the agent finds
    it later: `spooled PATH`. Both are exit 0: the entry will be delivered, however long that
    takes. What the backend could never take is refused here (exit 65), with the field.
    """
    said = Said(backend, kind, key, stream, labels_of(label or []))
    many = ndjson or _suffix(source) in MANY
    if many and (attach or key):
        raise usage("--attach and --key are for one entry, not for one per line")
    paths = tuple(Path(one) for one in attach or ())
    wish = Wish(said, source, paths, many, seconds(timeout, "--timeout"), as_json)
    return partial(_put, wish, context.obj, datetime.now(UTC))


def _put(wish: Wish, config: Path | None, now: datetime) -> int:
    found = read_sources(config)
    said = replace(wish.said, backend_kind=kind_of(found, wish.said.backend))
    door = Door(places_of(found), said.backend, backends_of(found), wish.timeout)
    if wish.many:
        with opened(wish.source) as source:
            return put_many(Pile(said, door, now, mint(now)), source, as_json=wish.as_json)
    return _put_one(wish, said, door, now)


def _put_one(wish: Wish, said: Said, door: Door, now: datetime) -> int:
    files = uploads(wish.attach)
    with opened(wish.source) as source:
        raw = whole(source)
    name = mint(now)
    try:
        value = _value(raw, wish.source, said)
        envelope = enveloped(value, said, files=files, now=now, key=name)
    except Contradiction as contradiction:
        raise usage(contradiction.detail) from contradiction
    except Refusal as refusal:
        return _tell(Answered(refusal.status, refusal.problem()), None, as_json=wish.as_json)
    outcome = _hand_in(door, encoded(envelope), files, name)
    return _tell(outcome, envelope.get("key"), as_json=wish.as_json)


def _value(raw: bytes, source: str | None, said: Said) -> dict[str, Any]:
    """What was read, as JSON. Raises Refusal."""
    suffix = _suffix(source)
    if suffix in TEXTS:
        return text_envelope(raw, markdown=TEXTS[suffix], said=said)
    return value_of(raw)


def _suffix(source: str | None) -> str:
    return PurePath(source).suffix.lower() if source else ""


def _hand_in(door: Door, entry: bytes, files: Sequence[Upload], name: str) -> Answered | Left:
    def post() -> tuple[int, Any]:
        if not files:
            return door.post({"Content-Type": "application/json"}, entry)
        headers, pieces = form(entry, files)
        return door.post(headers, pieces)

    def leave() -> Path:
        if files:
            return spool_with_files(door.folder(), name, entry, files)
        return spool_file(door.folder(), f"{name}.json", entry)

    try:
        return give_or_leave(post, leave)
    except FileChanged as exc:
        raise Ending(NO_INPUT, str(exc)) from exc


def _tell(outcome: Answered | Left, key: str | None, *, as_json: bool) -> int:
    """Print what became of the entry; the exit code."""
    match outcome:
        case Left(path=path, reason=reason):
            told = {"state": "spooled", "path": str(path), "key": key, "reason": reason}
            print_outcome(told, f"spooled {path}", as_json=as_json)
            note(f"{reason}; the entry waits in the spool, the agent will take it from there")
            return OK
        case Answered(body=body) if outcome.refused:
            if as_json:
                print_json(body)
            tell_refusal(body)
            return REFUSED
        case Answered(body=body):
            print_outcome(body, f"{body['state']} {body['id']}", as_json=as_json)
            return OK
