"""What lies in the spool: one pass over its folders, links never followed.

    <root>/<backend>/NAME.json            a file
    <root>/<backend>/<kind>/NAME.json     the same, its kind said by the folder
    <root>/<backend>/NAME.entry/          one entry with files beside it
    <root>/<backend>/NAME.png             an image that waits for a note, where posts are taken
    <root>/.rejected/<backend>/...        what could not be taken

Names that begin with "." or end with .tmp, .part or ~ are still being written: not seen.
"""

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path

from agent.spool import files

REJECTED = ".rejected"
REASON = ".reason.json"
REMOVING = ".removing-"
ENTRY = ".entry"
UNFINISHED = (".tmp", ".part")
UNREADABLE_FOLDER = "the agent cannot read this folder: chgrp it to the agent's group, chmod g+rwxs"


class Form(Enum):
    """What kind of thing has the name."""

    FILE = auto()
    ENTRY = auto()  # a folder NAME.entry
    LINK = auto()
    SPECIAL = auto()  # FIFO, socket, device


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder of the spool. `path` is relative to the root, `fd` lives for one pass."""

    backend: str
    kind: str | None
    path: str
    fd: int


@dataclass(frozen=True, slots=True)
class Part:
    """A name inside a folder entry, and how it looks."""

    name: str
    regular: bool
    print: files.Print


@dataclass(frozen=True, slots=True)
class Look:
    """One thing in the spool as it looks now. `parts` only for a folder entry."""

    folder: Folder
    name: str
    form: Form
    print: files.Print
    owner: int
    parts: tuple[Part, ...] = ()

    @property
    def path(self) -> str:
        """Where it lies, relative to the root of the spool."""
        return f"{self.folder.path}/{self.name}"

    @property
    def size(self) -> int:
        """Bytes of the file itself."""
        return self.print[1]

    @property
    def order(self) -> tuple[int, str]:
        """Older first, then by name: the order in which entries are accepted."""
        return (self.print[2], self.name)

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Equal for two looks if, and only if, nothing changed between them."""
        return (self.print, self.parts)

    @property
    def unfinished(self) -> bool:
        """A folder entry in which a file with an unfinished name lies."""
        return any(part.name.endswith(UNFINISHED) for part in self.parts)


@dataclass(slots=True)
class Survey:
    """Everything in the spool: what may be taken, in order, with its paths; and what nobody
    can take, with the fix.
    """

    looks: list[Look] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    blocked: dict[str, str] = field(default_factory=dict)
    rejected: int = 0


def ignored(name: str) -> bool:
    """Names that the producer has not finished, and our own."""
    return name.startswith(".") or name.endswith((*UNFINISHED, "~"))


def prepare(root: Path, backends: Iterable[str]) -> None:
    """Make the folders that are missing, as far as this agent may.

    Raises OSError when the root itself cannot be had; a missing folder of a backend is
    reported by `survey`.
    """
    if not root.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(files.FOLDER_MODE)
    with ExitStack() as opened:
        top = _opened(opened, files.open_root(root))
        for backend in backends:
            with suppress(OSError):
                files.make_folder(backend, top)
        with suppress(OSError):
            files.make_folder(REJECTED, top)
            aside = _opened(opened, files.open_folder(REJECTED, top))
            for backend in backends:
                files.make_folder(backend, aside)


def survey(
    root: Path,
    backends: Collection[str],
    kinds: Callable[[str], Collection[str]],
    opened: ExitStack,
) -> Survey:
    """List the spool. The folders in it stay open as long as `opened` does."""
    seen = Survey()
    top = _opened(opened, files.open_root(root))
    for name, status in _scan(top):
        if name not in backends:
            _survey_stray(name, status, top, seen)
    for backend in backends:
        folder = _enter(backend, top, Folder(backend, None, backend, top), seen, opened)
        if folder is None:
            seen.blocked.setdefault(backend, "the folder is missing, and the agent may not make it")
            continue
        try:
            _survey_backend(folder, kinds(backend), seen, opened)
        except OSError as error:  # a mount in trouble must not hide the other folders
            seen.blocked[backend] = f"the folder cannot be listed: {error.strerror}"
    seen.looks.sort(key=lambda look: look.order)
    seen.paths = {look.path for look in seen.looks}
    seen.rejected = _count_rejected(root, backends)
    return seen


def parts_of(descriptor: int) -> tuple[Part, ...]:
    """Everything in an open folder, in the order of the names."""
    return tuple(
        Part(name, stat.S_ISREG(status.st_mode), files.print_of(status))
        for name, status in sorted(_scan(descriptor, everything=True))
    )


def sweep(root: Path, backends: Iterable[str]) -> None:
    """At start: finish removing the folders that an earlier run had begun to remove."""
    for backend in backends:
        for pattern in (f"{REMOVING}*", f"*/{REMOVING}*"):
            for leftover in (root / backend).glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)


def count_spool(root: Path, backends: Iterable[str]) -> dict[str, int]:
    """What waits, without a daemon: names only. Folders that cannot be read count nothing."""
    names = list(backends)
    waiting = sum(1 for backend in names for _ in _files_below(root / backend))
    return {"waiting": waiting, "blocked": 0, "rejected": _count_rejected(root, names)}


def _opened(opened: ExitStack, descriptor: int) -> int:
    opened.callback(os.close, descriptor)
    return descriptor


def _survey_stray(name: str, status: os.stat_result, top: int, seen: Survey) -> None:
    if not stat.S_ISDIR(status.st_mode):
        seen.blocked[name] = "move it into the folder of a backend"
        return
    with ExitStack() as opened:
        inside = _enter(name, top, Folder(name, None, name, top), seen, opened)
        if inside and any(True for _ in _scan(inside.fd)):
            seen.blocked[name] = "no backend of this name is configured"


def _enter(name: str, above: int, as_: Folder, seen: Survey, opened: ExitStack) -> Folder | None:
    """Open the folder `name`, described by `as_`; None when it is gone or cannot be used."""
    try:
        descriptor = _opened(opened, files.open_folder(name, above))
        if os.access(".", os.R_OK | os.X_OK, dir_fd=descriptor, effective_ids=True):
            return replace(as_, fd=descriptor)
        seen.blocked[as_.path] = UNREADABLE_FOLDER
    except PermissionError:
        seen.blocked[as_.path] = UNREADABLE_FOLDER
    except FileNotFoundError:
        pass  # removed since we listed the folder above it: nothing waits there
    except OSError as error:
        seen.blocked[as_.path] = f"not a folder that can be read: {error.strerror}"
    return None


def _survey_backend(
    folder: Folder, kinds: Collection[str], seen: Survey, opened: ExitStack
) -> None:
    for name, status in _scan(folder.fd):
        path = f"{folder.path}/{name}"
        if stat.S_ISDIR(status.st_mode) and not name.endswith(ENTRY) and name in kinds:
            as_ = Folder(folder.backend, name, path, folder.fd)
            below = _enter(name, folder.fd, as_, seen, opened)
            if below:
                _survey_kind(below, seen)
        else:
            _survey_name(folder, name, status, seen, kinds)


def _survey_kind(folder: Folder, seen: Survey) -> None:
    for name, status in _scan(folder.fd):
        _survey_name(folder, name, status, seen, ())


def _survey_name(
    folder: Folder, name: str, status: os.stat_result, seen: Survey, kinds: Collection[str]
) -> None:
    path = f"{folder.path}/{name}"
    mode = status.st_mode
    if name.endswith(REASON):
        seen.blocked[path] = "a reason file: delete it, or rename it if you wrote it yourself"
    elif not stat.S_ISDIR(mode):
        form = (
            Form.FILE if stat.S_ISREG(mode) else Form.LINK if stat.S_ISLNK(mode) else Form.SPECIAL
        )
        seen.looks.append(Look(folder, name, form, files.print_of(status), status.st_uid))
    elif name.endswith(ENTRY):
        _survey_entry(folder, name, seen)
    else:
        known = f"; kinds here: {', '.join(sorted(kinds))}" if kinds else ""
        seen.blocked[path] = f"not a kind of entry, and not a folder NAME.entry{known}"


def _survey_entry(folder: Folder, name: str, seen: Survey) -> None:
    with ExitStack() as opened:
        as_ = replace(folder, path=f"{folder.path}/{name}")
        inside = _enter(name, folder.fd, as_, seen, opened)
        if inside is None:
            return
        status = os.fstat(inside.fd)
        parts = parts_of(inside.fd)
    print_ = files.print_of(status)
    seen.looks.append(Look(folder, name, Form.ENTRY, print_, status.st_uid, parts))


def _scan(descriptor: int, *, everything: bool = False) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(descriptor) as items:
        for item in items:
            if everything or not ignored(item.name):
                status = files.look_at(item.name, descriptor)
                if status is not None:
                    yield item.name, status


def _files_below(folder: Path, *, deeper: bool = True) -> Iterator[str]:
    """Names of what waits in a backend's folder and in the kinds below it."""
    try:
        items = list(os.scandir(folder))
    except OSError:
        return
    for item in items:
        if ignored(item.name) or item.name.endswith(REASON):
            continue
        if not item.is_dir(follow_symlinks=False) or item.name.endswith(ENTRY):
            yield item.name
        elif deeper:
            yield from _files_below(folder / item.name, deeper=False)


def _count_rejected(root: Path, backends: Iterable[str]) -> int:
    return sum(1 for backend in backends for _ in _files_below(root / REJECTED / backend))
