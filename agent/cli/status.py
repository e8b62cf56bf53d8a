"""`holdfast status`: how every backend is, from the agent, or from its files while it is down.

Promises: with the agent up nothing but the standard library and typer is loaded (and rich,
for a person); exit 0 fine, 1 needs attention, 2 stuck, 3 no agent runs.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.endings import OK, OK_ANSWERS, Ending, daemon_needed, ending_of, sockets, usage
from agent.cli.picture import one_line_of, sections_of
from agent.cli.printing import on_terminal, print_json, print_sections, renderable
from agent.cli.raw import thresholds_of
from agent.cli.words import examples
from agent.client import Away, Denied, Unanswered, ask_first, places_of
from agent.severity import Thresholds, exit_code
from config.sources import Sources, read_sources

REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a status comes from, and when it asks for a person."""

    found: Sources
    thresholds: Thresholds

    def read(self) -> dict[str, Any]:
        """The contract's status. Raises Ending."""
        places = places_of(self.found)
        try:
            status, body = ask_first(sockets(places), "GET", "/v1/status")
        except (Away, Denied) as failure:
            return self._from_files(failure)
        except Unanswered as failure:
            raise daemon_needed(failure, self.found.file) from failure
        if status not in OK_ANSWERS or not isinstance(body, dict):
            raise ending_of(status, body)
        return body

    def _from_files(self, failure: Unanswered) -> dict[str, Any]:
        from agent.cli.offline import status_from_files  # noqa: PLC0415 - loads the storage

        return status_from_files(self.found, failure)


EXAMPLES = examples(
    "holdfast status",
    "holdfast status --short",
    "holdfast status --json | jq .totals",
)


def status(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep showing it, until Ctrl-C (terminals only).")
    ] = False,
    short: Annotated[bool, typer.Option("--short", help="One line.")] = False,
) -> Callable[[], int]:
    """Show how every backend is.

    What waits and for how long, what failed, whose fault it is, what happens next.

    Works without a running agent, too: then the counts are read from its files.

    Exit code: 0 fine (a backend that is away for a while is fine), 1 needs attention (failed
    entries, a refusing backend, something that waits for too long), 2 stuck (due and flowing,
    but nothing happens), 3 no agent is running.
    """
    if sum((as_json, watch, short)) > 1:
        raise usage("--json, --watch and --short exclude each other")
    if watch and not on_terminal():
        raise usage("--watch is for a terminal; in a pipe, ask again with --json")
    return partial(_status, context.obj, as_json=as_json, watch=watch, short=short)


def _status(config: Path | None, *, as_json: bool, watch: bool, short: bool) -> int:
    found = read_sources(config)
    source = Source(found, thresholds_of(found))
    if watch:
        return _watch(source)
    told = source.read()
    code = exit_code(told, source.thresholds)
    if as_json:
        print_json(told)
    elif short:
        print_sections([one_line_of(told, code)])
    else:
        print_sections(sections_of(told, now=datetime.now(UTC)))
    return code


def _watch(source: Source) -> int:
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.live import Live  # noqa: PLC0415

    console = Console(highlight=False)

    def shown() -> Any:
        try:
            return renderable(sections_of(source.read(), now=datetime.now(UTC)), console.width)
        except Ending as ending:  # it may come back: keep looking
            return renderable(ending.lines, console.width)

    live = Live(shown(), console=console, auto_refresh=False, screen=True)
    with suppress(KeyboardInterrupt), live:
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(shown(), refresh=True)
    return OK
