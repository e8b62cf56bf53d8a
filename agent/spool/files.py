"""Files of strangers, touched safely: relative to a directory descriptor, never through a link.

Everything here is synchronous and belongs into a worker thread. Raises OSError as the
kernel gives it; `why_not_removable` and `explain` turn permissions into words.
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_MODE = 0o2770  # setgid: what producers drop belongs to the spool's group
WRITING = ".writing-"  # what `write_durably` has not given its name yet
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO put in place of the file after the listing must not block us.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Print = tuple[int, int, int, int]
"""What a file looks like from outside: inode, size, mtime_ns, ctime_ns."""


def print_of(status: os.stat_result) -> Print:
    """The fingerprint by which two looks at a file are compared. Not for the wall clock."""
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def readable(name: str) -> str:
    """`name` as text that can be printed and stored as JSON, whatever bytes it has on disk."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_utf8(name: str) -> bool:
    """Can `name` be told to anybody as it is on disk?"""
    return readable(name) == name


def open_root(root: Path) -> int:
    """A descriptor of the spool itself; here, and only here, links are followed."""
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_folder(name: str, above: int) -> int:
    """A descriptor of the folder `name` inside the folder `above`. Refuses a link (ELOOP)."""
    return os.open(name, _FOLDER, dir_fd=above)


def make_folder(name: str, above: int) -> None:
    """Make the folder if it is missing, open to the group of the spool."""
    try:
        os.mkdir(name, FOLDER_MODE, dir_fd=above)
    except FileExistsError:
        return
    os.chmod(name, FOLDER_MODE, dir_fd=above)  # mkdir heeds the umask


def open_regular(name: str, folder: int) -> int:
    """A descriptor for reading. Raises OSError(EINVAL) for anything but a regular file."""
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor


def look_at(name: str, folder: int) -> os.stat_result | None:
    """What lies there now, links not followed; None when nothing does."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextmanager
def _read_lease(descriptor: int) -> Iterator[None]:
    # Who opens the file for writing while we hold the lease makes the kernel signal us:
    # SIGIO would end the daemon, SIGURG is ignored unless somebody asks for it.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    try:
        yield
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def open_for_writing(descriptor: int) -> bool | None:
    """Does somebody have this file open for writing? None where that cannot be known.

    A read lease is refused with EAGAIN exactly then (facts, section 2). Only the file's
    owner or CAP_LEASE may ask, and not every file system can tell.
    """
    try:
        with _read_lease(descriptor):
            return False
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None


def leases_tell_the_truth(folder: int) -> bool:
    """Whether `open_for_writing` can be believed in this folder.

    NFSv4 answers EAGAIN to everybody who holds no delegation: there a file of our own, that
    nobody writes to, looks open too.
    """
    name = ".lease"  # always this one, so that the next start removes what a death here leaves
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder))
        descriptor = open_regular(name, folder)
        try:
            return open_for_writing(descriptor) is not True
        finally:
            os.close(descriptor)
            os.unlink(name, dir_fd=folder)
    except OSError:
        return False


def why_not_removable(owner: int, folder: int) -> str | None:
    """Why this agent could not remove a name from `folder`, with the fix; None when it can.

    `owner` is the uid that owns the file. Asked before anything is accepted: what cannot be
    removed would be accepted again once its receipt has expired.
    """
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
        return "the agent may not remove files from this folder: chmod g+rwxs it"
    status = os.fstat(folder)
    me = os.geteuid()
    if status.st_mode & stat.S_ISVTX and me not in (0, owner, status.st_uid):
        return "the folder is sticky and the file is someone else's: chmod -t the folder"
    return None


def write_durably(name: str, data: bytes, folder: int) -> None:
    """Write `data` under `name`, replacing what was there; on the disk when this returns."""
    part = f"{WRITING}{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o660, dir_fd=folder), "wb") as target:
        target.write(data)
        target.flush()
        os.fsync(target.fileno())
    os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
