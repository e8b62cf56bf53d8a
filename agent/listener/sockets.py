"""The Unix sockets: made by us, or inherited from systemd.

Promises: bind, then mode and group, then listen, so that nobody connects before the
permissions are right; only a stale socket is removed, never another file and never one that
somebody listens at; inherited descriptors are told apart by their names.
"""

import errno
import grp
import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST_INHERITED = 3  # sd_listen_fds(3)
BACKLOG = 512
NAMES = ("producer", "admin")
ASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a socket is to be, and who may open it."""

    path: Path
    mode: int
    group: str


def inherited(environment: Mapping[str, str], pid: int) -> dict[str, socket.socket]:
    """Sockets that systemd hands over, by FileDescriptorName (`producer`, `admin`).

    Those without such a name are taken in that order. What is left over is closed.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    nameless = []
    found: dict[str, socket.socket] = {}
    for offset in range(int(environment.get("LISTEN_FDS", "0"))):
        given = _taken_over(FIRST_INHERITED + offset)
        name = names[offset] if offset < len(names) else ""
        if name in NAMES and name not in found:
            found[name] = given
        else:
            nameless.append(given)
    for name in NAMES:
        if name not in found and nameless:
            found[name] = nameless.pop(0)
    for left in nameless:
        left.close()
    return found


def _taken_over(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)  # nor shall a program that we start have it
    given = socket.socket(fileno=descriptor)
    given.setblocking(False)
    return given


def make(place: Place) -> socket.socket:
    """Bind and listen at `place`. Raises OSError; FileExistsError when it is in use."""
    place.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    remove_stale(place.path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the path the mode of the descriptor: only the owner may connect at first.
        os.fchmod(made.fileno(), 0o600)
        made.bind(str(place.path))
        give_to_group(place.path, place.group)
        place.path.chmod(place.mode)
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def remove_stale(path: Path) -> None:
    """Make way for a new socket. Raises FileExistsError, and leaves what is not ours to remove."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket", str(path))
    if _is_answered(path):
        raise FileExistsError(errno.EADDRINUSE, "another program listens there", str(path))
    path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(ASK_SECONDS)
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, PermissionError):
            return False
        except TimeoutError:  # somebody listens and is busy
            return True
    return True


def give_to_group(path: Path, group: str) -> bool:
    """Hand `path` to a group; False where there is no such group, or we may not."""
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (KeyError, PermissionError):
        return False
    return True
