"""How a command ends: the exit codes of sysexits.h that the contract names, and why."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from agent.client import Denied, Places, Silent, Unanswered

OK = 0
USAGE = 64
REFUSED = 65
NO_INPUT = 66
DAEMON_NEEDED = 69
NOT_NOW = 75
CONFIGURATION = 78
INTERRUPTED = 130

OK_ANSWERS = range(200, 300)  # of HTTP


class Ending(Exception):
    """The command cannot go on. `lines` are for a person, on standard error."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.code = code
        self.lines = lines


def usage(line: str) -> Ending:
    """The command was called in a way that makes no sense (64)."""
    return Ending(USAGE, line)


def daemon_needed(failure: Unanswered, config_file: Path) -> Ending:
    """The agent has to be there for this command, and is not (69)."""
    match failure:
        case Denied():
            hint = "Become a member of that group and log in again, or ask somebody who is."
        case Silent():
            hint = "It seems to hang: see its log (journalctl -u holdfast), or start it again."
        case _:
            hint = (
                "Start the agent: systemctl start holdfast"
                f" (or: holdfast --config {config_file} run)"
            )
    return Ending(DAEMON_NEEDED, str(failure), hint)


def temporary(status: int) -> bool:
    """Is this the agent's trouble, so that the same may be taken later?"""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS


def detail_of(status: int, body: Any) -> str:
    """What a problem answer says, in one line."""
    detail = body.get("detail") if isinstance(body, dict) else None
    return str(detail or f"the agent answered {status}")


def ending_of(status: int, body: Any) -> Ending:
    """What an answer that is no success means: not now (75), or refused (65)."""
    return Ending(NOT_NOW if temporary(status) else REFUSED, detail_of(status, body))


def sockets(places: Places) -> tuple[Path, Path]:
    """Where to look: operators have the admin socket, everybody else the producers'."""
    return (places.admin_socket, places.socket)
