"""Pins: the questions whose answers are to be there whenever the backend is away.

They are the operator's word and no cache: a small JSON file, replaced whole and durably, read
and written by several processes. A damaged one is moved aside, and says so.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage.attachments import fsync_folder

VERSION = 1
ID_LETTERS = 8

Tell = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Pin:
    """A question as it was asked. `pinned_at`: epoch ms."""

    backend: str
    resource: str
    parameters: tuple[tuple[str, str], ...]
    pinned_at: int

    @property
    def question(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What makes two pins the same one."""
        return self.backend, self.resource, self.parameters

    @property
    def id(self) -> str:
        """A short name for it, the same for the same question."""
        return hashlib.sha256(json.dumps(self.question).encode()).hexdigest()[:ID_LETTERS]


class Pins:
    """The pins in one file. Blocks, for a moment. Raises OSError when the disk refuses."""

    def __init__(self, file: Path, *, tell: Tell = lambda _, **__: None) -> None:
        self._file = file
        self._tell = tell

    def list(self) -> tuple[Pin, ...]:
        """All pins, in the order in which they were made; none where there is no file."""
        try:
            return self._read()
        except ValueError as exc:
            reason = str(exc)
        try:
            with self._locked():
                return self._read_or_set_aside()
        except PermissionError:  # who may only read leaves it to others
            self._tell("pins.damaged", reason=reason)
            return ()

    def add(self, pin: Pin) -> bool:
        """Pin a question. False: it was pinned already, and stays as it is."""
        with self._locked():
            pins = self._read_or_set_aside()
            if pin.question in [one.question for one in pins]:
                return False
            self._write((*pins, pin))
            return True

    def remove(self, pin: Pin) -> bool:
        """Take a pin away, whenever it was made. False: there was none."""
        with self._locked():
            pins = self._read_or_set_aside()
            left = tuple(one for one in pins if one.question != pin.question)
            if len(left) == len(pins):
                return False
            self._write(left)
            return True

    def _read(self) -> tuple[Pin, ...]:
        """Raises ValueError for what is not a file of pins."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return ()
        except IsADirectoryError as exc:
            raise ValueError("a folder is in its place") from exc
        try:
            said = json.loads(content)
            if said["version"] != VERSION:
                raise ValueError(f"it is of version {said['version']!r}")
            return tuple(_pin(one) for one in said["pins"])
        except (KeyError, TypeError, RecursionError) as exc:
            raise ValueError(f"it is not a list of pins: {exc}") from exc

    def _read_or_set_aside(self) -> tuple[Pin, ...]:
        try:
            return self._read()
        except ValueError as exc:
            aside = self._free_name()
            self._file.rename(aside)
            self._tell("pins.damaged", reason=str(exc), moved_to=str(aside))
            return ()

    def _free_name(self) -> Path:
        """Somebody may want to read it: none is written over."""
        number = 1
        name = f"{self._file.name}.damaged"
        while (aside := self._file.with_name(name)).exists():
            number += 1
            name = f"{self._file.name}.damaged.{number}"
        return aside

    def _write(self, pins: tuple[Pin, ...]) -> None:
        said = {"version": VERSION, "pins": [asdict(pin) for pin in pins]}
        fresh = self._file.with_name(f".{self._file.name}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(said, indent=1).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise
        fsync_folder(self._file.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """From reading to writing, no other process changes them."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._file.with_name(f"{self._file.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _pin(said: Any) -> Pin:
    """Raises KeyError, TypeError, ValueError for what `Pins` has not written."""
    parameters = tuple((name, value) for name, value in said["parameters"])
    pin = Pin(said["backend"], said["resource"], parameters, said["pinned_at"])
    words = [pin.backend, pin.resource, *(word for pair in parameters for word in pair)]
    if not all(isinstance(word, str) for word in words) or type(pin.pinned_at) is not int:
        raise TypeError("a pin has other values")
    return pin
