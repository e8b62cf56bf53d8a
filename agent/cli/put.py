"""`holdfast put`: hand an entry in; leave it in the spool when the agent is away or hangs.

Promises: exit 0 means that the entry is durable, in the outbox or in the spool; what was
refused is in neither; an entry is never in both as two. With the agent up nothing but the
standard library and typer is loaded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.attaching import uploads
from agent.cli.composing import Contradiction, Said, encoded, enveloped, mint
from agent.cli.content import said_by, suffix_of, taken_along
from agent.cli.endings import NO_INPUT, OK, REFUSED, Ending, usage
from agent.cli.fields import FIELDS
from agent.cli.handing import Answered, Door, Left, give_or_leave, tell_refusal
from agent.cli.inputs import labels_of, opened, seconds, utf8
from agent.cli.many import Pile, put_many
from agent.cli.options import Typed
from agent.cli.printing import note, print_json, print_outcome
from agent.cli.raw import backends_of, kind_of
from agent.cli.spooling import is_ours, spool_file, spool_with_files
from agent.cli.typed import scanned
from agent.cli.words import examples
from agent.client import TIMEOUT_SECONDS, FileChanged, Upload, form, places_of
from agent.refusal import Refusal
from config.sources import Sources, read_sources

MANY = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line. `described`: by the place of the file."""

    said: Said
    source: str | None
    typed: tuple[Typed, ...]
    attach: tuple[Path, ...]
    described: Mapping[int, str]
    many: bool
    dry_run: bool
    timeout: float
    as_json: bool


EXAMPLES = examples(
    "holdfast put events event.json",
    "holdfast put events --event-type log_error --event-data '{\"pump\": 3}'",
    'echo \'{"event_type": "test"}\' | holdfast put events',
    "holdfast put elog --experiment mfxl1000123 --run 12 --tag laser notes.md",
    "holdfast put elog shift-notes.md --attach plot.png --describe 'Peaks of run 12'",
    "holdfast put elog notes.md --dry-run",
    "holdfast put telemetry --ndjson < readings.ndjson",
)


Backend = Annotated[str, typer.Argument(help="Its name in the settings.", metavar="BACKEND")]
Source = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE|-",
        help="JSON: a payload, or an envelope (an object with `payload`). `-`, or nothing at all:"
        " standard input. .ndjson, .jsonl: one entry per line. .md, .txt: an eLog post; beside"
        " options of the post any text is one.",
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
Described = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="What the file shows that the --attach before it names."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Hand nothing in: show the requests that the backend would be sent."
    ),
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
    describe: Described = None,
    ndjson: Lines = False,
    dry_run: DryRun = False,
    timeout: Timeout = f"{TIMEOUT_SECONDS:g}",
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Hand an entry in.

    Prints `accepted ID` once the agent has it safely on disk. When the agent is away, or
    does not answer in time, the entry is written to the spool instead, where the agent finds
    it later: `spooled PATH`. Both are exit 0: the entry will be delivered, however long that
    takes. What the backend could never take is refused here (exit 65), with the field.

    Every field of an entry is an option, too: `holdfast put BACKEND --help` shows those that
    its entries have. Options win over what FILE says; without FILE they are the whole entry.
    """
    del describe  # the scan knows which file each is about
    found = scanned(context)
    for option, text in (("--kind", kind), ("--key", key), ("--stream", stream)):
        utf8(text or "", option)
    said = Said(utf8(backend, "BACKEND"), kind, key, stream, labels_of(label or []))
    many = ndjson or suffix_of(source) in MANY
    if many and (attach or key or found.typed or dry_run):
        raise usage(
            "--attach, --key, --dry-run and the options of a payload are for one entry, not for"
            " one per line"
        )
    wish = Wish(
        said,
        source,
        tuple(found.typed),
        tuple(Path(one) for one in attach or ()),
        found.described,
        many,
        dry_run,
        seconds(timeout, "--timeout"),
        as_json,
    )
    return partial(_put, wish, context.obj, datetime.now(UTC))


def _put(wish: Wish, config: Path | None, now: datetime) -> int:
    found = read_sources(config)
    said = replace(wish.said, backend_kind=kind_of(found, wish.said.backend))
    kind = said.backend_kind
    # Its typed options are refused as wrong usage, below.
    if (
        kind in FIELDS and not FIELDS[kind] and not wish.typed
    ):  # no spool file for what would be refused
        raise Ending(REFUSED, f"{said.backend} takes no entries: it is only asked (holdfast query)")
    wish = replace(wish, said=said)
    door = Door(places_of(found), said.backend, backends_of(found), wish.timeout)
    if wish.many:
        with opened(wish.source) as source:
            return put_many(Pile(said, door, now, mint(now)), source, as_json=wish.as_json)
    return _put_one(wish, found, door, now)


def _put_one(wish: Wish, found: Sources, door: Door, now: datetime) -> int:
    named = uploads(wish.attach, wish.described)
    name = mint(now)
    try:
        value = said_by(wish.source, wish.typed, wish.said)
        files = taken_along(value, wish.source, named, wish.said)
        envelope = enveloped(value, wish.said, files=files, now=now, key=name)
    except Contradiction as contradiction:
        raise usage(contradiction.detail) from contradiction
    except Refusal as refusal:
        return _tell(Answered(refusal.status, refusal.problem()), None, as_json=wish.as_json)
    if wish.dry_run:
        from agent.cli.dry_run import show  # noqa: PLC0415 - loads the adapters

        return show(found, encoded(envelope), files, as_json=wish.as_json)
    outcome = _hand_in(door, envelope, files, name)
    return _tell(outcome, envelope.get("key"), as_json=wish.as_json)


def _hand_in(
    door: Door, envelope: Mapping[str, Any], files: Sequence[Upload], name: str
) -> Answered | Left:
    entry = encoded(envelope)

    def post() -> tuple[int, Any]:
        if not files:
            return door.post({"Content-Type": "application/json"}, entry)
        headers, pieces = form(entry, files)
        return door.post(headers, pieces)

    def leave() -> Path:
        if any(one.content is not None for one in files) and not is_ours(door.places.state_dir):
            return _leave_without_secret(door, envelope, files, name)
        if files:
            return spool_with_files(door.folder(), name, entry, files)
        return spool_file(door.folder(), f"{name}.json", entry)

    try:
        return give_or_leave(post, leave)
    except FileChanged as exc:
        raise Ending(NO_INPUT, str(exc)) from exc


def _leave_without_secret(
    door: Door, envelope: Mapping[str, Any], files: Sequence[Upload], name: str
) -> Path:
    """All producers are of the spool's group, so what the agent can read there they can, too."""
    secret = {one.name for one in files if one.content is not None}
    listed = [
        one
        for one in envelope["attachments"]
        if not (isinstance(one, dict) and one.get("name") in secret)
    ]
    bare = {key: value for key, value in envelope.items() if key != "attachments"}
    entry = {**bare, "attachments": listed} if listed else bare
    note(
        "the token of the job is not left in the spool, where other producers could read it: if the"
        " job service needs it, hand the entry in again while the agent runs"
    )
    return spool_file(door.folder(), f"{name}.json", encoded(entry))


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
