"""`holdfast query BACKEND RESOURCE`: ask a backend, or what it said when it could be asked."""

import base64
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.answers import as_csv, columns_of, rows_of, text_of, with_units_in_names
from agent.cli.asking import asked, question_of
from agent.cli.endings import OK, REFUSED, Ending, usage
from agent.cli.inquiry import Inquiry, answer_to
from agent.cli.printing import Grid, note, on_terminal, print_json, print_sections
from agent.cli.progress import fetching
from agent.cli.words import clock, examples
from agent.reads.manner import Manner, WrongManner, manner_of
from config.sources import read_sources

NOT_FRESH = 4  # there is an answer, and it is stale or not whole

EXAMPLES = examples(
    "holdfast query oms runs 297050 --fields l1_rate,l1_menu",
    "holdfast query oms runs 297050:297056 --filter 'sequence=GLOBAL-RUN' --sort -run_number",
    "holdfast query oms hltpathrates 297050 --filter path_name=HLT_ZeroBias_v5 --csv",
    "holdfast query elog params --experiment mfxl1000123 --runs 1:10 --include-queued",
    "holdfast query events recent --number 5 --level ERROR --json",
)

Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="A parameter as the interface spells it. Repeatable."
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="From the cache only; ask nobody.")]
Live = Annotated[bool, typer.Option("--live", help="From the backend only, never from the cache.")]
MaxAge = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="An answer no older than this (90s, 1h, 2d) needs no asking."
    ),
]
Partial = Annotated[
    bool, typer.Option("--partial", help="What can be said of it, where not all of it can.")
]
IncludeQueued = Annotated[
    bool, typer.Option("--include-queued", help="With what still waits here, marked as such.")
]


def query(
    context: typer.Context,
    *,
    param: Params = None,
    offline: Offline = False,
    live: Live = False,
    max_age: MaxAge = None,
    partial_: Partial = False,
    include_queued: IncludeQueued = False,
    show_request: Annotated[
        bool, typer.Option("--show-request", help="Print the request, and send nothing.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the file that was asked for there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> Callable[[], int]:
    """Ask BACKEND for RESOURCE [SUBJECT].

    The backend is asked when it is there, and its answer is kept; when it is not there, what was
    kept is said, with where it is from and how old it is. Works without a running agent, too.

    Every option that is not listed here belongs to the question: --fields, --filter, --run and so
    on. `holdfast query --help` lists the backends, `holdfast query BACKEND --help` what each can
    be asked for, `holdfast query BACKEND RESOURCE --help` the parameters.

    Exit codes: 0 the answer is of now, or will not change any more, or is no older than
    --max-age; 4 there is an answer, but it is stale or a part is missing; 65 the question makes
    no sense; 75 it cannot be answered now.
    """
    if sum((csv, as_json, show_request, save is not None)) > 1:
        raise usage("--json, --csv, --save and --show-request exclude each other")
    backend, resource, parameters = question_of(asked(context), param or [])
    manner = manner_from(
        offline=offline,
        live=live,
        max_age=max_age,
        partial=partial_,
        include_queued=include_queued,
    )
    inquiry = Inquiry(backend, resource, parameters, manner)
    if show_request:
        return partial(_show_request, context.obj, inquiry)
    write = partial(_save, Path(save)) if save is not None else _writer(csv=csv, as_json=as_json)
    return partial(_query, context.obj, inquiry, write)


def manner_from(
    *, offline: bool, live: bool, max_age: str | None, partial: bool, include_queued: bool
) -> Manner:
    """The manner that the options name. Raises Ending (64)."""
    if offline and live:
        raise usage("--offline and --live exclude each other")
    given = {"mode": "offline" if offline else "live" if live else "auto"}
    given |= {"partial": "1" if partial else "0", "include_queued": "1" if include_queued else "0"}
    if max_age is not None:
        given["max_age"] = max_age
    try:
        return manner_of(given)
    except WrongManner as wrong:
        raise usage(f"--{str(wrong).replace('_', '-')}") from wrong


def code_of(answer: Mapping[str, Any]) -> int:
    """0: fresh and whole."""
    return NOT_FRESH if answer["stale"] or not answer["complete"] else OK


def tell_marks(answer: Mapping[str, Any]) -> None:
    """Beside the answer: where it is from, when that is not simply the backend just now."""
    told = marks_of(answer, datetime.now(UTC))
    if told:
        note(told)
    for one in answer["notes"]:
        note(one)


def marks_of(answer: Mapping[str, Any], now: datetime) -> str:
    """In words; nothing for a whole answer of just now."""
    said = []
    if answer["source"] != "live":
        when = answer["fetched_at"]
        origin = "made of kept answers" if answer["source"] == "derived" else "from the cache"
        said.append(f"{origin}, fetched {clock(when, now)}" if when else origin)
        said.append("settled" if answer["settled"] else "may have changed since")
    if not answer["complete"]:
        said.append("NOT COMPLETE")
    if answer.get("queued"):
        said.append(f"with {answer['queued']} that still wait here")
    return ", ".join(said)


def _query(config: Path | None, inquiry: Inquiry, write: Callable[[Any, Inquiry], None]) -> int:
    with fetching(f"{inquiry.backend} {inquiry.resource}") as hear:
        answer = answer_to(config, inquiry, hear)
    write(answer, inquiry)
    tell_marks(answer)
    return code_of(answer)


def _show_request(config: Path | None, inquiry: Inquiry) -> int:
    from agent.cli import alone  # noqa: PLC0415 - loads the adapters

    asked = (inquiry.backend, inquiry.resource, inquiry.parameters)
    print(alone.request(read_sources(config), *asked))  # noqa: T201
    return OK


def _writer(*, csv: bool, as_json: bool) -> Callable[[Any, Inquiry], None]:
    if as_json:
        return lambda answer, _: print_json(answer)
    return _print_csv if csv else _print_table


def _print_csv(answer: Any, inquiry: Inquiry) -> None:
    if isinstance(answer["data"], str):
        sys.stdout.write(answer["data"])
        return
    rows = rows_of(answer["data"])
    sys.stdout.write(as_csv(rows, columns_of(rows, _fields(inquiry))))


def _print_table(answer: Any, inquiry: Inquiry) -> None:
    if isinstance(answer["data"], str):
        print(answer["data"])  # noqa: T201
        return
    rows = rows_of(answer["data"])
    if on_terminal():
        rows = with_units_in_names(rows)
    columns = columns_of(rows, _fields(inquiry))
    if not rows:
        note("there is nothing")
    elif len(rows) == 1 and len(columns) > 1:
        pairs = [(name, text_of(rows[0][name])) for name in columns]
        print_sections([Grid((), pairs)])
    else:
        cells = [[text_of(row.get(name)) for name in columns] for row in rows]
        print_sections([Grid([name or " " for name in columns], cells)])


def _save(file: Path, answer: Any, _: Inquiry) -> None:
    data = answer["data"]
    if not isinstance(data, dict) or not isinstance(data.get("content_base64"), str):
        raise Ending(REFUSED, "--save is for files, such as an attachment; this answer is none")
    try:
        file.write_bytes(base64.b64decode(data["content_base64"]))
    except OSError as exc:
        raise Ending(REFUSED, f"{file} cannot be written: {exc.strerror}") from exc
    note(f"{data.get('name', 'the file')} is in {file}")


def _fields(inquiry: Inquiry) -> list[str]:
    """The columns that were asked for, in the order of the question."""
    return [
        one.strip()
        for name, value in inquiry.parameters
        if name == "fields"
        for one in value.split(",")
    ]
