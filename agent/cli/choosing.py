"""Which entries an operator's command is about, and what became of each.

Promises: every id has an outcome that is printed; one that fails does not stop the others;
nothing is done to every backend unless somebody wrote ALL, in capitals and alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from agent.cli.inputs import STANDARD_INPUT, words_on_standard_input
from agent.cli.printing import note, print_json, print_outcome

EVERYTHING = "ALL"  # in capitals: not typed by accident
DONE = {"retry": "retried", "discard": "discarded", "hold": "held", "release": "released"}

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID|ALL|-", help="`-`: ids on standard input. ALL: every backend's."),
]
Backend = Annotated[str | None, typer.Option(metavar="NAME", help="All of this backend.")]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; kept, and shown to whoever asks later.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which entries are meant: some ids, or all of one backend, or of every one."""

    ids: tuple[str, ...] = ()
    backend: str | None = None
    everything: bool = False
    standard_input: bool = False

    def by_backend(self) -> bool:
        """Are whole backends meant?"""
        return self.everything or self.backend is not None

    def all_ids(self) -> list[str]:
        """The ids, those on standard input included. Raises Ending (66)."""
        return words_on_standard_input() if self.standard_input else list(self.ids)


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


def chosen_of(ids: Sequence[str] | None, backend: str | None) -> Chosen:
    """What the arguments mean. Raises Ending (64)."""
    given = tuple(ids or ())
    if backend is not None:
        if given:
            raise usage("give ids, or --backend, not both")
        return Chosen(backend=backend)
    if not given:
        raise usage(f"which entries? Give ids, `-`, --backend NAME, or {EVERYTHING}")
    if is_everything(given):
        return Chosen(everything=True)
    if STANDARD_INPUT in given:
        if len(given) > 1:
            raise usage("`-` stands alone: the ids come on standard input")
        return Chosen(standard_input=True)
    return Chosen(ids=given)


def is_everything(given: Sequence[str]) -> bool:
    """Was ALL written? Raises Ending (64) when it was almost."""
    if not any(one.upper() == EVERYTHING for one in given):
        return False
    if tuple(given) != (EVERYTHING,):
        raise usage(f"write {EVERYTHING} in capitals, and alone")
    return True


def backends_of(agent: Agent, chosen: Chosen) -> list[str]:
    """The backends that are meant: one, or all that are configured."""
    if chosen.backend is not None:
        return [chosen.backend]
    backends = agent.status()["backends"]
    return [name for name, one in backends.items() if one["state"] != "unconfigured"]


def act_on_backend(
    agent: Agent, name: str, verb: str, said: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An operator's verb on a whole backend; the agent's answer. Raises Ending."""
    status, body = agent.act(f"/v1/backends/{quote(name, safe='')}/{verb}", said)
    if status not in OK_ANSWERS:
        raise ending_of(status, body)
    answer: dict[str, Any] = body
    return answer


def move_backends(
    agent: Agent, chosen: Chosen, verb: str, said: Mapping[str, Any] | None, *, as_json: bool
) -> int:
    """Move all entries of the backends that are meant; the exit code."""
    done = DONE[verb]
    counts: dict[str, int] = {}
    for name in backends_of(agent, chosen):
        counts[name] = act_on_backend(agent, name, verb, said)[done]
        if not as_json:
            print_outcome({}, f"{done} {counts[name]} of {name}", as_json=False)
    if as_json:
        print_json({done: counts})
    return OK


def move_ids(
    agent: Agent,
    ids: Sequence[str],
    verb: str,
    said: Mapping[str, Any] | None = None,
    *,
    as_json: bool,
) -> int:
    """Move one entry after the other; the exit code."""
    outcomes = Outcomes(verb, as_json)
    for id_ in ids:
        outcomes.add(id_, *agent.move(id_, verb, said))
    return outcomes.end()
