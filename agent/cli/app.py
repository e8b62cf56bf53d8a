"""What `holdfast` understands, and how what happens becomes an exit code.

typer parses and explains; each command gives back what is to be done, and `run` does it
here, so that no library decides about exit codes: 0 ok, 64 usage, 65 refused, 66 no input,
69 the agent is needed, 75 not now, 78 settings (and those of `status`).
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import (
    check,
    completion,
    daemon,
    editing,
    listing,
    login,
    moves,
    pausing,
    pin,
    put,
    query,
    resending,
    showing,
    status,
    verifying,
)
from agent.cli.asking import AskingCommand
from agent.cli.endings import CONFIGURATION, INTERRUPTED, OK, USAGE, Ending
from agent.cli.plain import PlainCommand, PlainGroup
from agent.cli.printing import note
from agent.cli.typed import TypedCommand
from config.sources import SettingsError

PROGRAM = "holdfast"
ASK = "__complete"  # the shell's question (agent/cli/offers.py); no command for people

app = typer.Typer(
    name=PROGRAM,
    cls=PlainGroup,
    add_completion=False,
    rich_markup_mode=None,  # plain help: the same on a terminal and in a pipe, and 0.1 s faster
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(given: bool) -> None:  # noqa: FBT001 - typer calls it so
    if given:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked

        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    *,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The settings. Default: $HOLDFAST_CONFIG, else /etc/holdfast/holdfast.toml.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Offline-first delivery: hand entries in, they arrive.

    Entries (eLog posts, lab events, telemetry, accounting records) are kept on this host and
    delivered to their backend whenever it can be reached.

    Exit codes: 0 ok, 64 wrong usage, 65 refused input, 66 no input, 69 the agent is needed,
    75 not now, 78 wrong settings. `status` has its own.
    """
    del version
    context.obj = Path(config) if config is not None else None


COMMANDS: tuple[tuple[str, Callable[..., Any], str], ...] = (
    ("run", daemon.run_agent, daemon.EXAMPLES),
    ("put", put.put, put.EXAMPLES),
    ("status", status.status, status.EXAMPLES),
    ("list", listing.list_entries, listing.EXAMPLES),
    ("show", showing.show, showing.EXAMPLES),
    ("retry", moves.retry, moves.RETRY_EXAMPLES),
    ("discard", moves.discard, moves.DISCARD_EXAMPLES),
    ("hold", moves.hold, moves.HOLD_EXAMPLES),
    ("release", moves.release, moves.RELEASE_EXAMPLES),
    ("edit", editing.edit, editing.EXAMPLES),
    ("resend", resending.resend, resending.EXAMPLES),
    ("verify", verifying.verify, verifying.EXAMPLES),
    ("query", query.query, query.EXAMPLES),
    ("pin", pin.pin, pin.EXAMPLES),
    ("pause", pausing.pause, pausing.PAUSE_EXAMPLES),
    ("resume", pausing.resume, pausing.RESUME_EXAMPLES),
    ("seen", moves.seen, moves.SEEN_EXAMPLES),
    ("login", login.login, login.EXAMPLES),
    ("check", check.check, check.EXAMPLES),
    ("completion", completion.completion, completion.EXAMPLES),
)
CLASSES: dict[str, type[PlainCommand]] = {
    "put": TypedCommand,
    "query": AskingCommand,
    "pin": AskingCommand,
}
for _name, _command, _examples in COMMANDS:
    app.command(_name, cls=CLASSES.get(_name, PlainCommand), epilog=_examples)(_command)


def run(arguments: Sequence[str]) -> int:
    """Understand `arguments`, do it, and tell how it ended."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a locale must not break an output
    try:
        act = _understood(arguments)
        code = act()
        sys.stdout.flush()
    except Ending as ending:
        return _end(ending.code, ending.lines)
    except SettingsError as error:
        return _end(CONFIGURATION, error.problems)
    except BrokenPipeError:
        # Who read our output has seen enough. Python would complain again at its own exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code


def _understood(arguments: Sequence[str]) -> Callable[[], int]:
    """What the arguments ask for. Raises Ending (64); help and version are printed at once."""
    command = typer.main.get_command(app)
    if list(arguments[:1]) == [ASK]:
        from agent.cli.offers import answer  # noqa: PLC0415 - for the Tab key only

        return lambda: answer(arguments[1:], command)
    try:
        wanted: Any = command.main(args=list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as exc:
        raise _misunderstood(exc) from exc
    return wanted if callable(wanted) else lambda: int(wanted or OK)


def _misunderstood(exc: typer.TyperException) -> Ending:
    context = getattr(exc, "ctx", None)
    path = context.command_path if context else PROGRAM
    return Ending(USAGE, exc.format_message(), f"`{path} --help` explains it.")


def _end(code: int, lines: Sequence[str]) -> int:
    sys.stdout.flush()
    for line in lines:
        note(line)
    return code
