"""Which of what was delivered a command is about, and asking the agent about it page by page."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import typer

from agent.cli.agents import Agent
from agent.cli.endings import OK_ANSWERS, ending_of, usage
from agent.cli.inputs import duration, labels_of
from agent.cli.words import iso

# The agent answers after two seconds of asking, and a single question may take a minute.
PATIENCE_SECONDS = 120.0
PAGE = 200

Backend = Annotated[str, typer.Option(metavar="NAME", help="Its name in the settings.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Delivered since: a time (ISO 8601), or 2d, 36h ago."),
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Delivered until then; without it: until now.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="Only with this label; may be repeated."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was delivered to a backend in a time, by labels."""

    backend: str
    said: Mapping[str, Any]


@dataclass
class Resent:
    """What became of receipts that were to be sent again."""

    resent: list[str] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    through: str | None = None  # the time of the last delivery among them

    def add(self, page: Mapping[str, Any]) -> int:
        """Note a page; how many receipts it was about."""
        self.resent += page["resent"]
        self.left += page["left"]
        self.through = page["through"] or self.through
        return len(page["resent"]) + len(page["left"])


def selection(
    backend: str, since: str | None, until: str | None, labels: Sequence[str] | None
) -> Selection:
    """What the options mean, fixed now: what is delivered meanwhile is not meant. Raises Ending."""
    now = datetime.now(UTC)
    begin = moment_of(since, "--since", now) if since is not None else None
    end = moment_of(until, "--until", now) if until is not None else now
    if begin is not None and begin > end:
        raise usage("--since is later than --until")
    said: dict[str, Any] = {"until": iso(end)}
    if begin is not None:
        said["since"] = iso(begin)
    if labels:
        said["labels"] = labels_of(labels)
    return Selection(backend, said)


def moment_of(text: str, option: str, now: datetime) -> datetime:
    """A time: ISO 8601 (without a zone: as this host's clock shows it), or so long ago."""
    if re.fullmatch(r"(?:[0-9]+[smhd])+", text):
        return now - timedelta(seconds=duration(text, option))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        said = "write it as 2026-11-24T10:00:00Z, or as 2d or 36h ago"
        raise usage(f"{option} {text!r}: {said}") from exc


def pages(
    agent: Agent, meant: Selection, verb: str, more: Mapping[str, Any] | None = None
) -> Iterator[Mapping[str, Any]]:
    """The agent's answers, until there is no more. Raises Ending."""
    said = {**meant.said, "limit": PAGE, **(more or {})}
    after: str | None = None
    while True:
        answer = ask_page(
            agent, meant.backend, verb, said if after is None else said | {"after": after}
        )
        yield answer
        after = answer["next"]
        if after is None:
            return


def ask_page(agent: Agent, backend: str, verb: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """One page. Raises Ending."""
    path = f"/v1/backends/{quote(backend, safe='')}/{verb}"
    status, body = agent.act(path, said, timeout=PATIENCE_SECONDS)
    if status not in OK_ANSWERS:
        raise ending_of(status, body)
    answer: Mapping[str, Any] = body
    return answer


def nobody_can_be_asked(what: str, *, yes: bool) -> None:
    """Raises Ending (64) where a question would have no answer."""
    if not yes and not sys.stdin.isatty():
        raise usage(f"nobody can be asked here: say --yes to {what}")


def agreed(question: str, number: int, *, yes: bool) -> bool:
    """Did the person at the terminal say yes? One entry needs no second word."""
    return yes or number <= 1 or typer.confirm(question, err=True)
