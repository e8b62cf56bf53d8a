"""`holdfast verify`: does a backend still hold what it has confirmed?"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.agents import Agent
from agent.cli.choosing import AsJson
from agent.cli.endings import OK, Ending
from agent.cli.printing import Grid, Painted, note, print_json, print_outcome, print_sections
from agent.cli.progress import progress
from agent.cli.receipts import (
    PAGE,
    Backend,
    Labels,
    Resent,
    Selection,
    Since,
    Until,
    Yes,
    agreed,
    ask_page,
    nobody_can_be_asked,
    pages,
    selection,
)
from agent.cli.resending import tell_left
from agent.cli.words import ago, count, examples

MISSING, UNTOLD = 1, 2
COLUMNS = ("id", "kind", "key", "delivered", "there?", "why")
COLOURS = {"missing": "red", "cannot tell": "yellow"}

EXAMPLES = examples(
    "holdfast verify --backend elog --since 2d",
    "holdfast verify --backend events --since 2026-11-24T02:00:00Z --json",
    "holdfast verify --backend accounting --since 36h --resend-missing",
)


def verify(
    context: typer.Context,
    *,
    backend: Backend,
    since: Since = None,
    until: Until = None,
    label: Labels = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List what is there, too, not only what is not.")
    ] = False,
    resend_missing: Annotated[
        bool, typer.Option("--resend-missing", help="Send again what is missing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Ask a backend for what it confirmed.

    Each receipt of that time is looked up: there, missing, or nobody can tell. It is asked no
    faster than it takes entries.

    Exit codes: 0 all of it is there, 1 something is missing (with --resend-missing: and could not
    be sent again), 2 nothing is, but not of everything can anybody tell, 75 the backend cannot be
    asked now.
    """
    meant = selection(backend, since, until, label)
    if resend_missing:
        nobody_can_be_asked("send again what is missing", yes=yes)
    act = partial(_verify, context.obj, meant, everything=everything, as_json=as_json)
    return lambda: act(resend_missing=resend_missing, yes=yes)


def _verify(
    config: Path | None,
    meant: Selection,
    *,
    everything: bool,
    as_json: bool,
    resend_missing: bool,
    yes: bool,
) -> int:
    agent = Agent(config)
    found: list[dict[str, Any]] = []
    early: Ending | None = None
    try:
        with progress("asking", None) as advance:
            for page in pages(agent, meant, "verify"):
                found += page["receipts"]
                advance(len(page["receipts"]))
    except Ending as ending:
        if not found:
            raise
        early = ending
    missing = [one for one in found if one["answer"] == "missing"]
    if not as_json:
        _print(found, meant.backend, everything=everything)
    sent = Resent()
    if missing and resend_missing and early is None:
        sent = _send_again(agent, meant.backend, missing, yes=yes)
        if not as_json:
            entries = count(len(sent.resent), "entry", "entries")
            print_outcome({}, f"{entries} will be sent again", as_json=False)
            tell_left(sent.left)
    if as_json:
        told = {"backend": meant.backend, "complete": early is None, "receipts": found}
        print_json(told | ({"resent": sent.resent, "left": sent.left} if resend_missing else {}))
    if early is not None:
        raise Ending(early.code, "ended early: the rest was not asked for", *early.lines)
    if len(sent.resent) < len(missing):
        return MISSING
    return UNTOLD if any(one["answer"] == "cannot tell" for one in found) else OK


def _send_again(
    agent: Agent, backend: str, missing: Sequence[Mapping[str, Any]], *, yes: bool
) -> Resent:
    done = Resent()
    ids = [one["id"] for one in missing]
    entries = count(len(ids), "missing entry", "missing entries")
    if not agreed(f"Send {entries} to {backend} again?", len(ids), yes=yes):
        note("nothing was sent again")
        return done
    with progress("bringing back", len(ids)) as advance:
        for start in range(0, len(ids), PAGE):
            some = ids[start : start + PAGE]
            said = {"ids": some, "limit": PAGE, "reason": "missing when it was verified"}
            advance(done.add(ask_page(agent, backend, "resend", said)))
    return done


def _print(found: Sequence[Mapping[str, Any]], backend: str, *, everything: bool) -> None:
    now = datetime.now(UTC)
    rows = [_row(one, now) for one in found if everything or one["answer"] != "there"]
    if rows:
        print_sections([Grid(COLUMNS, rows)])
    numbers = Counter(one["answer"] for one in found)
    told = ", ".join(f"{numbers[word]} {word}" for word in ("there", "missing", "cannot tell"))
    print_outcome(
        {}, f"{backend}: {count(len(found), 'receipt', 'receipts')}: {told}", as_json=False
    )


def _row(one: Mapping[str, Any], now: datetime) -> list[str | Painted]:
    answer = Painted(one["answer"], COLOURS.get(one["answer"], ""))
    why = one["why"]
    if one["answer"] == "missing" and not one["payload_kept"]:
        why = "no payload is kept: it cannot be sent again"
    return [one["id"], one["kind"], one["key"], ago(one["delivered_at"], now), answer, why]
