"""`holdfast retry`, `discard`, `hold`, `release`: what operators do to entries.

Promises: a backend's entries are discarded together only by somebody who said yes. Entries
that are being sent are neither held nor discarded: the agent refuses that.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.agents import Agent
from agent.cli.choosing import (
    AsJson,
    Backend,
    Chosen,
    Ids,
    Reason,
    chosen_of,
    move_backends,
    move_ids,
)
from agent.cli.endings import OK, OK_ANSWERS, ending_of, usage
from agent.cli.inputs import one_of
from agent.cli.printing import note, print_outcome
from agent.cli.words import STATES, count, examples

DISCARDABLE = ("dead", "pending", "held")  # never what is being sent

RETRY_EXAMPLES = examples(
    "holdfast retry 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T",
    "holdfast retry --backend elog",
    "holdfast list --state dead --label run=12 --ids | holdfast retry -",
)


def retry(
    context: typer.Context,
    ids: Ids = None,
    *,
    backend: Backend = None,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Try entries again now.

    What failed and was kept waits again; what waits is due at once.

    With --backend, or ALL, everything of it that failed and was kept; and the backend is
    tried at once, however long it was going to rest.
    """
    return partial(_move, context.obj, chosen_of(ids, backend), "retry", None, as_json=as_json)


HOLD_EXAMPLES = examples(
    'holdfast hold 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T --reason "wrong run number"',
    "holdfast list --state pending --label run=12 --ids | holdfast hold -",
    "holdfast hold --backend elog",
)


def hold(
    context: typer.Context,
    ids: Ids = None,
    *,
    backend: Backend = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Keep entries here until you release them.

    They are not sent meanwhile, and lose nothing. What must come after them in order waits
    with them. What is being sent cannot be held any more.

    With --backend, or ALL: everything that waits for it now. What comes in later is not held;
    to let a backend wait as a whole, `holdfast pause` it.
    """
    said = {"reason": reason} if reason else None
    return partial(_move, context.obj, chosen_of(ids, backend), "hold", said, as_json=as_json)


RELEASE_EXAMPLES = examples(
    "holdfast release 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T",
    "holdfast list --state held --label run=12 --ids | holdfast release -",
    "holdfast release ALL",
)


def release(
    context: typer.Context,
    ids: Ids = None,
    *,
    backend: Backend = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Let held entries go.

    They wait for delivery again, in the place that they had.

    With --backend, or ALL: everything of it that is held.
    """
    said = {"reason": reason} if reason else None
    return partial(_move, context.obj, chosen_of(ids, backend), "release", said, as_json=as_json)


DISCARD_EXAMPLES = examples(
    "holdfast discard 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T",
    "holdfast discard --backend events --yes",
    "holdfast list --state dead --label run=12 --ids | holdfast discard -",
)


def discard(
    context: typer.Context,
    ids: Ids = None,
    *,
    backend: Backend = None,
    state: Annotated[
        str,
        typer.Option(
            metavar="|".join(DISCARDABLE), help="With --backend or ALL: entries in this state."
        ),
    ] = "dead",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Delete entries for good.

    They will not be delivered.

    With --backend, or ALL: those that failed and were kept (another --state can be given).
    On a terminal you are asked before more than one entry goes; without one, --backend and
    ALL need --yes. Who discarded what is written down; `holdfast show ID` tells it.
    """
    chosen = chosen_of(ids, backend)
    one_of(state, DISCARDABLE, "--state")
    if chosen.by_backend() and not yes and not sys.stdin.isatty():
        raise usage("nobody can be asked here: say --yes to discard many entries")
    return partial(_discard, context.obj, chosen, state, yes=yes, as_json=as_json)


def _move(
    config: Path | None, chosen: Chosen, verb: str, said: dict[str, str] | None, *, as_json: bool
) -> int:
    agent = Agent(config)
    if chosen.by_backend():
        return move_backends(agent, chosen, verb, said, as_json=as_json)
    return move_ids(agent, chosen.all_ids(), verb, said, as_json=as_json)


def _discard(config: Path | None, chosen: Chosen, state: str, *, yes: bool, as_json: bool) -> int:
    agent = Agent(config)
    ids = _found(agent, chosen, state) if chosen.by_backend() else chosen.all_ids()
    if not ids:
        note(f"there is nothing that is {STATES[state]}")
    elif not (yes or chosen.standard_input or _agreed(ids)):
        note("nothing was discarded")
        ids = []
    return move_ids(agent, ids, "discard", as_json=as_json)


def _found(agent: Agent, chosen: Chosen, state: str) -> list[str]:
    filters = [("state", state)]
    if chosen.backend:
        filters.append(("backend", chosen.backend))
    return [one["id"] for page in agent.pages(filters, 0) for one in page["entries"]]


def _agreed(ids: Sequence[str]) -> bool:
    """Ask the person at the terminal. Ids that a script wrote out need no second word."""
    if len(ids) == 1 or not sys.stdin.isatty():
        return True
    entries = count(len(ids), "entry", "entries")
    return typer.confirm(f"Discard {entries} for good?", err=True)


SEEN_EXAMPLES = examples("holdfast seen")


def seen(context: typer.Context, *, as_json: AsJson = False) -> Callable[[], int]:
    """Say that you know of the damaged database.

    After damage, `status` asks for a person until somebody has looked at what was saved and
    what is lost. This changes nothing else; the damaged files stay where they are.
    """
    return partial(_seen, context.obj, as_json=as_json)


def _seen(config: Path | None, *, as_json: bool) -> int:
    status, body = Agent(config).act("/v1/salvage/seen")
    if status not in OK_ANSWERS:
        raise ending_of(status, body)
    line = "seen; the damaged files are kept" if body["seen"] else "there was nothing to be seen"
    print_outcome(body, line, as_json=as_json)
    return OK
