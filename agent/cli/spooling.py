"""Leaving entries in the spool when the agent cannot be asked (design 4).

Promises: what is written appears under its name only when it is whole and on the disk, and
the name itself is on the disk when these functions return. Raises OSError; a half-written
file is removed then.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from agent.client import Upload

FOLDER_MODE = 0o2770  # setgid: what is dropped belongs to the spool's group
FILE_MODE = 0o660  # the agent, which is of that group, reads and removes it
SECRET_MODE = 0o600  # for an agent that runs as the same user; nobody else may read it


def spool_file(folder: Path, name: str, content: bytes) -> Path:
    """Leave `content` as the file `name` (an ending included). Returns where it lies."""
    make_folder(folder)
    part, target = folder / f".{name}", folder / name
    try:
        _write(part, content)
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(folder)
    return target


def spool_with_files(folder: Path, name: str, entry: bytes, files: Sequence[Upload]) -> Path:
    """Leave one entry with its files as the folder `name`.entry. Returns where it lies."""
    make_folder(folder)
    part, target = folder / f".{name}.entry", folder / f"{name}.entry"
    part.mkdir()
    try:
        part.chmod(FOLDER_MODE)
        _write(part / "entry.json", entry)
        for one in files:
            _copy(one, part / one.name)
        _sync(part)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _sync(folder)
    return target


def is_ours(state_dir: Path) -> bool:
    """Does the agent run as this user, so that it can read what nobody else may?"""
    try:
        return state_dir.stat().st_uid == os.geteuid()
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Make the folder of a backend, and the spool above it, where they are missing."""
    spool = folder.parent
    spool.parent.mkdir(parents=True, exist_ok=True)
    for missing in (spool, folder):
        # Another `put` may be faster.
        with suppress(FileExistsError):
            missing.mkdir()
            missing.chmod(FOLDER_MODE)
            _sync(missing.parent)


def _write(path: Path, content: bytes) -> None:
    with _created(path, FILE_MODE) as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())


def _copy(one: Upload, path: Path) -> None:
    mode = FILE_MODE if one.content is None else SECRET_MODE
    with one.open() as reading, _created(path, mode) as target:
        shutil.copyfileobj(reading, target)
        target.flush()
        os.fsync(target.fileno())


def _created(path: Path, mode: int) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    os.fchmod(descriptor, mode)  # whatever the umask says
    return os.fdopen(descriptor, "wb")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
