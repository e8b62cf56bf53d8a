"""What a command reads: its file or standard input, labels, numbers."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import BinaryIO

from agent.cli.endings import NO_INPUT, Ending, usage
from agent.durations import UNITS, seconds_of

STANDARD_INPUT = "-"
LONGEST_PAUSE_SECONDS = 366 * UNITS["d"]  # who means longer leaves --for away


@contextmanager
def opened(source: str | None) -> Iterator[BinaryIO]:
    """The file of this name, or standard input. Raises Ending (66), or 64 when nobody said what."""
    if sys.stdin is None and source in (None, STANDARD_INPUT):
        raise Ending(NO_INPUT, "standard input is closed")
    if source is None and sys.stdin.isatty():
        raise usage("give a FILE, or `-` to type the entry in (end with Ctrl-D)")
    if source is None or source == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with _reading(source) as reading:
        yield reading


def _reading(source: str) -> BinaryIO:
    try:
        return Path(source).open("rb")
    except OSError as exc:
        raise no_input(exc) from exc


def whole(source: BinaryIO) -> bytes:
    """Everything that `source` gives. Raises Ending (66) when that is nothing."""
    try:
        raw = source.read()
    except OSError as exc:
        raise no_input(exc) from exc
    if not raw.strip():
        raise Ending(NO_INPUT, "there is nothing to read: the input is empty")
    return raw


def no_input(exc: OSError) -> Ending:
    """A file that cannot be read (66)."""
    return Ending(NO_INPUT, f"{exc.filename or 'the input'} cannot be read: {exc.strerror}")


def words_on_standard_input() -> list[str]:
    """The words there, for `-` in place of ids. Raises Ending (66) when there are none."""
    words = sys.stdin.read().split()
    if not words:
        raise Ending(NO_INPUT, "there are no ids on standard input")
    return words


def labels_of(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` each. Raises Ending (64)."""
    labels = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (utf8(name, "--label") and equals):
            raise usage(f"--label {text!r}: write it as NAME=VALUE")
        labels[name] = utf8(value, "--label")
    return labels


def utf8(text: str, option: str) -> str:
    """`text` if it is one that can be sent. Raises Ending (64)."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise usage(f"{option}: is not UTF-8 text")
    return text


def seconds(text: str, option: str) -> float:
    """A positive duration. Raises Ending (64)."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise usage(f"{option} {text!r}: must be a number of seconds above 0")
    return value


def duration(text: str, option: str) -> float:
    """A time such as 90s, 10m, 2h, 1d or 1h30m, in seconds. Raises Ending (64)."""
    value = seconds_of(text)
    if value is None:
        raise usage(f"{option} {text!r}: write it as 30s, 10m, 2h, 1d or 1h30m")
    if not 0 < value <= LONGEST_PAUSE_SECONDS:
        raise usage(f"{option} {text!r}: must be above 0, and a year at most")
    return value


def whole_number(text: str, option: str) -> int:
    """A number of things, 0 or more. Raises Ending (64)."""
    if not (text.isascii() and text.isdecimal()):
        raise usage(f"{option} {text!r}: must be a whole number")
    return int(text)


def one_of(text: str, choices: Sequence[str], option: str) -> str:
    """One of the words that the option takes. Raises Ending (64)."""
    if text not in choices:
        raise usage(f"{option} {text!r}: must be one of {', '.join(choices)}")
    return text
