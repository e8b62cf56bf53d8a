"""`holdfast pause` and `holdfast resume`: an operator lets a whole backend wait, and go on."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.agents import Agent
from agent.cli.choosing import AsJson, Chosen, Reason, act_on_backend, backends_of, is_everything
from agent.cli.endings import OK
from agent.cli.inputs import duration
from agent.cli.printing import print_json, print_outcome
from agent.cli.words import clock, examples

Name = Annotated[str, typer.Argument(metavar="BACKEND|ALL", help="Its name in the settings.")]

PAUSE_EXAMPLES = examples(
    'holdfast pause elog --for 2h --reason "the database moves"',
    "holdfast pause telemetry",
    "holdfast pause ALL --for 30m",
)


def pause(
    context: typer.Context,
    backend: Name,
    *,
    duration_: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="Such as 30s, 10m, 2h, 1d, 1h30m."),
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Let a backend wait.

    Nothing is sent to it until you `resume` it, or the time of --for is over. What is being
    sent is brought to its end; new entries are taken in and kept.

    It holds through restarts of the agent. Pausing again replaces what was said before.
    """
    said: dict[str, Any] = {"reason": reason} if reason else {}
    if duration_ is not None:
        said["for_seconds"] = duration(duration_, "--for")
    return partial(_act, context.obj, _chosen(backend), "pause", said, as_json=as_json)


RESUME_EXAMPLES = examples(
    "holdfast resume elog",
    "holdfast resume ALL",
)


def resume(
    context: typer.Context,
    backend: Name,
    *,
    reason: Reason = "",
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Let a backend go on.

    Ends a pause. However long the backend was going to rest, it is tried now, and so is a
    password that it refused: once.
    """
    said = {"reason": reason} if reason else {}
    return partial(_act, context.obj, _chosen(backend), "resume", said, as_json=as_json)


def _chosen(backend: str) -> Chosen:
    return Chosen(everything=True) if is_everything([backend]) else Chosen(backend=backend)


def _act(
    config: Path | None, chosen: Chosen, verb: str, said: dict[str, Any], *, as_json: bool
) -> int:
    agent = Agent(config)
    answers: dict[str, Any] = {}
    for name in backends_of(agent, chosen):
        answers[name] = act_on_backend(agent, name, verb, said or None)
        if not as_json:
            print_outcome({}, _told(name, verb, answers[name]), as_json=False)
    if as_json:
        print_json({f"{verb}d": answers})
    return OK


def _told(name: str, verb: str, answer: dict[str, Any]) -> str:
    if verb == "resume":
        return f"resumed {name}" if answer["was_paused"] else f"{name} was not paused; tried now"
    if answer["until"] is None:
        return f"paused {name} until it is resumed"
    return f"paused {name} until {clock(answer['until'], datetime.now(UTC))}"
