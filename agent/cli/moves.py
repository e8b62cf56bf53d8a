"""`holdfast retry` and `holdfast discard`: what operators do to entries.

Promises: every id has an outcome that is printed; one that fails does not stop the others;
a backend's entries are discarded together only by somebody who said yes. Entries that are
being sent are never discarded: the agent refuses that.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from agent.cli.agents import Agent
from agent.cli.endings import (
    OK,
    OK_ANSWERS,
    REFUSED,
    detail_of,
    ending_of,
    temporary,
    usage,
)
from agent.cli.inputs import STANDARD_INPUT, one_of, words_on_standard_input
from agent.cli.printing import note, print_json, print_outcome
from agent.cli.words import STATES, count, examples

EVERYTHING = "ALL"  # in capitals: not typed by accident
DISCARDABLE = ("dead", "pending", "held")  # never what is being sent
DONE = {"retry": "retried", "discard": "discarded"}

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID|ALL|-", help="`-`: ids on standard input. ALL: every backend's."),
]
Backend = Annotated[str | None, typer.Option(metavar="NAME", help="All of this backend.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which entries are meant: some ids, or all of one backend, or of every one."""

    ids: tuple[str, ...] = ()
    backend: str | None = None
    everything: bool = False
    standard_input: bool = False


@dataclass
class Outcomes:
    """What became of each entry."""

    verb: str
    as_json: bool
    done: list[str] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, id_: str, status: int, body: Any) -> None:
        """Note the agent's answer about one entry, and tell it."""
        if status in OK_ANSWERS:
            self.done.append(id_)
            if not self.as_json:
                print_outcome({}, f"{DONE[self.verb]} {id_}", as_json=False)
            return
        if temporary(status):
            raise ending_of(status, body)
        detail = detail_of(status, body)
        self.failed.append({"id": id_, "status": status, "detail": detail})
        note(f"{id_}: {detail}")

    def end(self) -> int:
        """Print what programs want to know; the exit code."""
        if self.as_json:
            print_json({"done": self.done, "failed": self.failed})
        return REFUSED if self.failed else OK


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
    return partial(_retry, context.obj, _chosen(ids, backend), as_json=as_json)


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
    chosen = _chosen(ids, backend)
    one_of(state, DISCARDABLE, "--state")
    if (chosen.backend or chosen.everything) and not yes and not sys.stdin.isatty():
        raise usage("nobody can be asked here: say --yes to discard many entries")
    return partial(_discard, context.obj, chosen, state, yes=yes, as_json=as_json)


def _chosen(ids: Sequence[str] | None, backend: str | None) -> Chosen:
    """What the arguments mean. Raises Ending (64)."""
    given = tuple(ids or ())
    if backend is not None:
        if given:
            raise usage("give ids, or --backend, not both")
        return Chosen(backend=backend)
    if not given:
        raise usage(f"which entries? Give ids, `-`, --backend NAME, or {EVERYTHING}")
    if any(one.upper() == EVERYTHING for one in given):
        if given != (EVERYTHING,):
            raise usage(f"write {EVERYTHING} in capitals, and alone")
        return Chosen(everything=True)
    if STANDARD_INPUT in given:
        if len(given) > 1:
            raise usage("`-` stands alone: the ids come on standard input")
        return Chosen(standard_input=True)
    return Chosen(ids=given)


def _retry(config: Path | None, chosen: Chosen, *, as_json: bool) -> int:
    agent = Agent(config)
    if chosen.backend or chosen.everything:
        return _retry_backends(agent, _backends(agent, chosen), as_json=as_json)
    outcomes = Outcomes("retry", as_json)
    for id_ in _ids(chosen):
        outcomes.add(id_, *agent.move(id_, "retry"))
    return outcomes.end()


def _backends(agent: Agent, chosen: Chosen) -> list[str]:
    if chosen.backend:
        return [chosen.backend]
    backends = agent.status()["backends"]
    return [name for name, one in backends.items() if one["state"] != "unconfigured"]


def _retry_backends(agent: Agent, names: Sequence[str], *, as_json: bool) -> int:
    counts: dict[str, int] = {}
    for name in names:
        status, body = agent.act(f"/v1/backends/{quote(name, safe='')}/retry")
        if status not in OK_ANSWERS:
            raise ending_of(status, body)
        counts[name] = body["retried"]
        if not as_json:
            print_outcome({}, f"retried {body['retried']} of {name}", as_json=False)
    if as_json:
        print_json({"retried": counts})
    return OK


def _discard(config: Path | None, chosen: Chosen, state: str, *, yes: bool, as_json: bool) -> int:
    agent = Agent(config)
    ids = _ids(chosen) or _found(agent, chosen, state)
    outcomes = Outcomes("discard", as_json)
    if not ids:
        note(f"there is nothing that is {STATES[state]}")
    elif yes or chosen.standard_input or _agreed(ids):
        for id_ in ids:
            outcomes.add(id_, *agent.move(id_, "discard"))
    else:
        note("nothing was discarded")
    return outcomes.end()


def _ids(chosen: Chosen) -> list[str]:
    return words_on_standard_input() if chosen.standard_input else list(chosen.ids)


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
