"""`holdfast pin`: keep an answer at hand for when its backend is away."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from agent.cli.asking import asked, question_of
from agent.cli.endings import NO_INPUT, NOT_NOW, OK, OK_ANSWERS, Ending, sockets, usage
from agent.cli.inquiry import Inquiry, answer_to, refused
from agent.cli.printing import Grid, note, print_json, print_outcome, print_sections
from agent.cli.progress import fetching
from agent.cli.query import Params
from agent.cli.words import clock, examples
from agent.client import Unanswered, ask, places_of
from agent.reads.manner import Manner
from config.sources import Sources, read_sources

EXAMPLES = examples(
    "holdfast pin oms lumisections --run 297050",
    "holdfast pin oms runs 297050:297056 --fields l1_rate,l1_menu",
    "holdfast pin --list",
    "holdfast pin --remove 3f9c21aa",
)

Pin = Mapping[str, Any]


def pin(
    context: typer.Context,
    *,
    param: Params = None,
    show: Annotated[bool, typer.Option("--list", help="Show what is pinned.")] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="ID", help="Unpin it; its answer may then be given up.")
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask for everything that is pinned again, now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> Callable[[], int]:
    """Keep the answer of BACKEND RESOURCE [SUBJECT] at hand.

    It is fetched now, or as soon as its backend can be reached, and is refreshed by the running
    agent for as long as it can still change; without an agent, by `holdfast pin --refresh`. It is
    the last to go when the cache is full. The words and options are those of `holdfast query`.

    Exit code: 75 when it is pinned and could not be fetched yet.
    """
    if sum((show, refresh, remove is not None)) > 1:
        raise usage("--list, --remove and --refresh exclude each other")
    words = asked(context)
    if (show or refresh or remove is not None) and (words.words or words.parameters):
        raise usage("--list, --remove and --refresh stand alone")
    if remove is not None:
        return partial(_remove, context.obj, remove, as_json=as_json)
    if show:
        return partial(_list, context.obj, as_json=as_json)
    if refresh:
        return partial(_refresh, context.obj)
    return partial(_pin, context.obj, Inquiry(*question_of(words, param or []), Manner()), as_json)


def _pin(config: Path | None, inquiry: Inquiry, as_json: bool) -> int:  # noqa: FBT001
    found = read_sources(config)
    said = {
        "backend": inquiry.backend,
        "resource": inquiry.resource,
        "parameters": [list(one) for one in inquiry.parameters],
    }
    pinned = _through(found, "POST", "/v1/pins", lambda: _own().add(found, inquiry), said)
    code, line = OK, ""
    try:
        with fetching(f"{inquiry.backend} {inquiry.resource}") as hear:
            answer = answer_to(config, inquiry, hear)
    except Ending as ending:
        code, line = ending.code, ending.lines[0]
    else:
        if answer["source"] != "live":
            code, line = NOT_NOW, (answer["notes"] or ["it could not be fetched anew"])[0]
    outcome = f"pinned {pinned['id']}"
    print_outcome(pinned, outcome if code else f"{outcome}, and fetched", as_json=as_json)
    if line:
        note(f"{line}; it is fetched when that is possible")
    return code


def _list(config: Path | None, *, as_json: bool) -> int:
    found = read_sources(config)
    told = _through(found, "GET", "/v1/pins", lambda: _own().listed(found))
    if as_json:
        print_json(told)
        return OK
    columns = ("id", "backend", "what", "fetched", "state")
    rows = [_row(one, datetime.now(UTC)) for one in told["pins"]]
    if rows:
        print_sections([Grid(columns, rows)])
    else:
        note("nothing is pinned")
    return OK


def _row(one: Pin, now: datetime) -> list[str]:
    what = " ".join([one["resource"], *(f"{name}={value}" for name, value in one["parameters"])])
    if one.get("wrong"):
        return [one["id"], one["backend"], what, "", one["wrong"]]
    if not one["fetched_at"]:
        return [one["id"], one["backend"], what, "not yet", ""]
    state = "settled" if one["settled"] else "may still change"
    state = state if one["complete"] else "NOT COMPLETE"
    return [one["id"], one["backend"], what, clock(one["fetched_at"], now), state]


def _remove(config: Path | None, id_: str, *, as_json: bool) -> int:
    found = read_sources(config)
    path = f"/v1/pins/{quote(id_, safe='')}"
    gone = _through(found, "DELETE", path, lambda: _own().removed(found, id_))
    print_outcome(gone, f"unpinned {gone['id']}", as_json=as_json)
    return OK


def _refresh(config: Path | None) -> int:
    """By ourselves: the running agent does it by itself, and shares nothing but its cache."""
    failed = _own().refreshed(read_sources(config))
    for line in failed:
        note(line)
    return NOT_NOW if failed else OK


def _through(
    found: Sources,
    method: str,
    path: str,
    alone: Callable[[], dict[str, Any]],
    said: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the agent answers, or what we do ourselves where none listens. Raises Ending."""
    body = None if said is None else json.dumps(said).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    for place in sockets(places_of(found)):
        try:
            status, told = ask(place, method, path, body=body, headers=headers)
        except Unanswered:
            continue
        if status == HTTPStatus.NOT_FOUND and method == "DELETE":
            raise Ending(NO_INPUT, told["detail"])
        if status not in OK_ANSWERS:
            raise refused(told)
        answered: dict[str, Any] = told
        return answered
    return alone()


def _own() -> Any:
    from agent.cli import own_pins  # noqa: PLC0415 - loads everything, and is rarely needed

    return own_pins
