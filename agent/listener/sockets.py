"""The Unix sockets: made by us, or inherited from systemd.

Promises: bind, then mode and group, then listen, so that nobody connects before the
permissions are right; a stale path is removed only under the instance lock (the caller holds
it); inherited descriptors are told apart by their names.
"""

import grp
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST_INHERITED = 3  # sd_listen_fds(3)
BACKLOG = 512
NAMES = ("producer", "admin")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a socket is to be, and who may open it."""

    path: Path
    mode: int
    group: str


def inherited(environment: Mapping[str, str], pid: int) -> dict[str, socket.socket]:
    """Sockets that systemd hands over, by FileDescriptorName (`producer`, `admin`)."""
    if environment.get("LISTEN_PID") != str(pid):
        return {}
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found = {}
    for offset in range(count):
        name = names[offset] if offset < len(names) else ""
        if name not in NAMES:
            name = NAMES[min(offset, len(NAMES) - 1)]
        found[name] = socket.socket(fileno=FIRST_INHERITED + offset)
        found[name].setblocking(False)
    return found


def make(place: Place) -> socket.socket:
    """Bind and listen at `place`. Raises OSError."""
    place.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    place.path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Until the mode is set only the owner may connect.
        before = os.umask(0o177)
        try:
            made.bind(str(place.path))
        finally:
            os.umask(before)
        give_to_group(place.path, place.group)
        place.path.chmod(place.mode)
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def give_to_group(path: Path, group: str) -> bool:
    """Hand `path` to a group; False where there is no such group, or we may not."""
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (KeyError, PermissionError):
        return False
    return True
