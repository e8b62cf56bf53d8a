"""`holdfast run`: the agent itself, in the foreground, as systemd starts it."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import typer

from agent.cli.endings import CONFIGURATION, NOT_NOW, OK, Ending
from agent.cli.words import examples
from config.sources import SettingsError, read_sources

LOOKUP_THREADS = 64  # a network that is unplugged is when name servers hang (facts 8)


EXAMPLES = examples(
    "holdfast --config ./holdfast.toml run",
    "systemctl start holdfast",
)


def run_agent(context: typer.Context) -> Callable[[], int]:
    """Run the agent in the foreground.

    It takes entries over its socket and from the spool, and delivers them, until SIGTERM or
    Ctrl-C; what is on the wire is settled first. SIGHUP makes it read its settings again; wrong
    ones are told in the log, and it goes on with those it has. Normally systemd starts it. Only
    one agent runs on a state folder: a second one ends with exit 75.
    """
    return partial(_run, context.obj)


def _run(config: Path | None) -> int:
    import asyncio  # noqa: PLC0415 - all of this is for the agent alone

    import uvloop  # noqa: PLC0415

    from agent.cli.ground import ground_problems  # noqa: PLC0415
    from agent.daemon import Daemon  # noqa: PLC0415
    from agent.logs import configure  # noqa: PLC0415
    from config.settings import judge  # noqa: PLC0415
    from storage.lock import AlreadyRunning  # noqa: PLC0415
    from storage.upgrade import SchemaError  # noqa: PLC0415

    found = read_sources(config)
    settings = judge(found)
    # Before the start, because later an OSError is no matter of settings: systemd must start
    # the agent again then, and does not after 78.
    problems = ground_problems(settings, sockets_are_given=_has_sockets(os.environ))
    if problems:
        raise SettingsError(problems)
    configure(settings.agent.log_format)
    # libuv reads it when the first look-up starts.
    os.environ["UV_THREADPOOL_SIZE"] = str(max(LOOKUP_THREADS, 2 * len(settings.backends)))
    daemon = Daemon(
        settings, found.file, os.environ, reread=lambda: judge(read_sources(found.file))
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(daemon.run())
            _leave()
    except AlreadyRunning as exc:
        raise Ending(NOT_NOW, str(exc)) from exc
    except (FileExistsError, SchemaError) as exc:
        raise Ending(CONFIGURATION, str(exc)) from exc
    return OK


def _leave() -> None:
    """End the process after a complete stop, without waiting for its threads.

    A name look-up cannot be cancelled. While a name server hangs, libuv's threads sit in it for
    minutes, and an ordinary exit would wait for them.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(OK)


def _has_sockets(environment: Mapping[str, str]) -> bool:
    """Does systemd hand sockets over to this process?"""
    return environment.get("LISTEN_PID") == str(os.getpid())
