"""`holdfast list`: the entries that are here."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from agent.cli.agents import Agent
from agent.cli.endings import OK, usage
from agent.cli.inputs import labels_of, one_of, whole_number
from agent.cli.printing import Grid, Painted, note, print_json, print_sections
from agent.cli.words import examples, since, state_of

COLUMNS = ("id", "backend", "kind", "state", "age", "attempts", "last error")
LIMIT = "100"


ALL = "all"
LOST = "lost"
STATES = ("pending", "leased", "held", "dead", LOST, ALL)
LOST_COLUMNS = ("id", "backend", "kind", "key", "created", "given up", "why")

EXAMPLES = examples(
    "holdfast list --backend elog",
    "holdfast list --state dead --json",
    "holdfast list --state dead --label run=12 --ids | holdfast retry -",
)


def list_entries(
    context: typer.Context,
    *,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this backend.")
    ] = None,
    state: Annotated[
        str,
        typer.Option(
            metavar="|".join(STATES),
            help="pending: waiting; leased: being sent; held: for an operator; dead: failed, kept;"
            " lost: given up by a full backend.",
        ),
    ] = ALL,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only with this label; may be repeated."),
    ] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="At most so many; 0: all.")] = LIMIT,
    ids: Annotated[bool, typer.Option("--ids", help="Only ids, one per line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> Callable[[], int]:
    """List what waits and what failed.

    Oldest first. Entries that failed are kept until somebody retries or discards them.

    What was delivered is no longer here: `holdfast show ID` still tells where it went.
    """
    filters = [("label", f"{name}={value}") for name, value in labels_of(label or []).items()]
    if backend is not None:
        filters.append(("backend", backend))
    most = whole_number(limit, "--limit")
    if one_of(state, STATES, "--state") == LOST:
        if label:
            raise usage("--label does not go with --state lost")
        return lambda: _print_lost(Agent(context.obj), filters, most, ids=ids, as_json=as_json)
    if state != ALL:
        filters.append(("state", state))
    act = _print_ids if ids else _print_json if as_json else _print_table
    return lambda: act(Agent(context.obj), filters, most)


def _print_ids(agent: Agent, filters: list[tuple[str, str]], limit: int) -> int:
    for page in agent.pages(filters, limit):
        for entry in page["entries"]:
            print(entry["id"])  # noqa: T201
    return OK


def _print_json(agent: Agent, filters: list[tuple[str, str]], limit: int) -> int:
    entries: list[Any] = []
    following = None
    for page in agent.pages(filters, limit):
        entries += page["entries"]
        following = page["next"]
    print_json({"entries": entries, "next": following})
    return OK


def _print_table(agent: Agent, filters: list[tuple[str, str]], limit: int) -> int:
    now = datetime.now(UTC)
    rows: list[list[str | Painted]] = []
    more = False
    for page in agent.pages(filters, limit):
        rows += [_row(entry, now) for entry in page["entries"]]
        more = page["next"] is not None
    if rows:
        print_sections([Grid(COLUMNS, rows, frozenset({"age", "attempts"}))])
    else:
        note("nothing here matches")
    if more:
        note(f"there are more than these {len(rows)}; --limit 0 lists all")
    return OK


def _print_lost(
    agent: Agent, filters: list[tuple[str, str]], limit: int, *, ids: bool, as_json: bool
) -> int:
    """The loss ledger: its lines are no entries any more, but have names and reasons."""
    now = datetime.now(UTC)
    pages = list(agent.pages(filters, limit, of="losses"))
    lines = [line for page in pages for line in page["losses"]]
    if ids:
        for line in lines:
            print(line["id"])  # noqa: T201
    elif as_json:
        print_json({"losses": lines, "next": pages[-1]["next"]})
    elif lines:
        print_sections([Grid(LOST_COLUMNS, [_lost_row(line, now) for line in lines])])
    else:
        note("nothing was given up")
    return OK


def _lost_row(line: dict[str, Any], now: datetime) -> list[str | Painted]:
    ages = [since(line["created_at"], now), since(line["lost_at"], now)]
    return [line["id"], line["backend"], line["kind"], line["key"], *ages, line["reason"]]


def _row(entry: dict[str, Any], now: datetime) -> list[str | Painted]:
    error = entry["last_error"]
    return [
        entry["id"],
        entry["backend"],
        entry["kind"],
        Painted(state_of(entry), "red" if entry["state"] == "dead" else ""),
        since(entry["accepted_at"], now),
        str(entry["attempts"]),
        error["detail"] if error else "",
    ]
