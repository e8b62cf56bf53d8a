"""Can the agent stand where its settings put it? Folders and sockets, as this user finds them."""

import os
from collections.abc import Iterator
from pathlib import Path

from agent.cli.people import user_name
from config.settings import Settings


def ground_problems(settings: Settings, *, sockets_are_given: bool = False) -> list[str]:
    """One sentence per folder or socket that cannot be used; empty when all is well.

    `sockets_are_given`: systemd makes them; then their places are no concern of ours.
    """
    agent = settings.agent
    found = [
        *_folder_problems("agent.state_dir", agent.state_dir),
        *_folder_problems("agent.spool_dir", agent.spool_dir),
    ]
    if not sockets_are_given:
        found += _socket_problems("agent.socket", agent.socket)
        found += _socket_problems("agent.admin_socket", agent.admin_socket)
    return found


def _folder_problems(key: str, folder: Path) -> Iterator[str]:
    """The folder, or the nearest one above it that is there, has to be ours to write in."""
    folder = folder.absolute()
    present = folder
    while not _is_there(present):
        present = present.parent
    if not present.is_dir():
        yield f"{key}: {present} is not a folder"
    elif not os.access(present, os.W_OK | os.X_OK, effective_ids=True):
        me = user_name(os.geteuid())
        hint = "" if present == folder else f", where {folder} has to be made"
        yield f"{key}: {me} may not write in {present}{hint}"


def _socket_problems(key: str, path: Path) -> Iterator[str]:
    yield from _folder_problems(key, path.parent)
    # What lies there is removed at the start: that must not hit somebody's file.
    if _is_there(path) and not path.is_socket():
        yield f"{key}: {path} is there, and is not a socket"


def _is_there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except OSError:
        return False
