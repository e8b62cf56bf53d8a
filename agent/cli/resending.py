"""`holdfast resend`: deliver once more what a backend has lost, or what another one should have."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.agents import Agent
from agent.cli.choosing import AsJson, Reason
from agent.cli.endings import OK, REFUSED, Ending
from agent.cli.printing import note, print_json, print_outcome
from agent.cli.progress import progress
from agent.cli.receipts import (
    Backend,
    Labels,
    Resent,
    Selection,
    Since,
    Until,
    Yes,
    agreed,
    nobody_can_be_asked,
    pages,
    selection,
)
from agent.cli.words import count, examples

TOLD = 20  # of those that cannot be sent again, one line each

EXAMPLES = examples(
    "holdfast resend --backend elog --since 2d --dry-run",
    "holdfast resend --backend accounting --since 2026-11-24T02:00:00Z --label run=12",
    "holdfast resend --backend events --from-url http://old.lab:8001 --yes",
)


def resend(
    context: typer.Context,
    *,
    backend: Backend,
    since: Since = None,
    until: Until = None,
    label: Labels = None,
    from_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="What was delivered there, before the settings changed."),
    ] = None,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Deliver again what was delivered.

    For a backend that was restored from an older copy, or for another one that should have it, too.
    Entries come back as they were, and are looked for before they are sent, so that what is still
    there is not doubled where the backend can tell.

    Only what receipts.keep_payload_days has kept can be sent again; the rest is counted and named.
    """
    meant = selection(backend, since, until, label)
    if not dry_run:
        nobody_can_be_asked("send them again", yes=yes)
    more: dict[str, Any] = {}
    if from_url is not None:
        more["from_url"] = from_url
    if reason:
        more["reason"] = reason
    return partial(_resend, context.obj, meant, more, dry_run=dry_run, yes=yes, as_json=as_json)


def _resend(
    config: Path | None,
    meant: Selection,
    more: dict[str, Any],
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    agent = Agent(config)
    would = Resent()
    with progress("counting", None) as advance:
        for page in pages(agent, meant, "resend", {**more, "dry_run": True}):
            advance(would.add(page))
    number = len(would.resent)
    if dry_run or not number:
        return _told(would, meant.backend, "would be sent again", as_json=as_json)
    entries = count(number, "entry", "entries")
    if not agreed(f"Send {entries} to {meant.backend} again?", number, yes=yes):
        note("nothing was sent again")
        return OK
    done = Resent()
    try:
        with progress("bringing back", number + len(would.left)) as advance:
            for page in pages(agent, meant, "resend", more):
                advance(done.add(page))
    except Ending:
        further = f"; go on with --since {done.through}" if done.through else ""
        note(f"ended early; {len(done.resent)} of {entries} will be sent again{further}")
        raise
    return _told(done, meant.backend, "will be sent again", as_json=as_json)


def _told(done: Resent, backend: str, verb: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"backend": backend, "resent": done.resent, "left": done.left})
    else:
        entries = count(len(done.resent), "entry", "entries")
        print_outcome({}, f"{entries} of {backend} {verb}", as_json=False)
        tell_left(done.left)
        if not (done.resent or done.left):
            note("nothing of that was delivered there, or its receipts have expired")
    return REFUSED if done.left else OK


def tell_left(left: Sequence[dict[str, Any]]) -> None:
    """What cannot be sent again: how many for which reason, and the first of them by name."""
    for why, number in Counter(one["why"] for one in left).items():
        note(f"{count(number, 'entry', 'entries')} cannot be sent again: {why}")
    for one in left[:TOLD]:
        note(f"{one['id']} ({one['kind']}, {one['key']}): {one['detail']}")
    if len(left) > TOLD:
        note(f"and {len(left) - TOLD} more; --json names all of them")
