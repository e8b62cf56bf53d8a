"""Looking for one event in the files that a telemetry server on this host has written.

Promises: only reads; holds at most a chunk and twice the size of the event in memory, however
long the files are; a record counts only when it is complete, also on a line that begins with
the torn rest of another one (telemetry sheet, section 5: nothing ends such a rest). Raises
OSError when a file that may hold the event cannot be read: then nobody can tell.
"""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

CHUNK_BYTES = 1 << 20
RUN_FILE = "telemetry.ndjson"
RECORD_START = '{"seq":'  # how the server begins every line (telemetry sheet, section 3)

_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Sought:
    """The event looked for. `reach`: no fewer bytes than its record takes in a file."""

    event_id: str
    event_type: str
    reach: int

    def is_in(self, record: Any) -> bool:
        """Is `record`, one decoded value of a file, this event?"""
        meta = record.get("meta")
        return (
            record.get("type") == self.event_type
            and isinstance(meta, dict)
            and meta.get("event_id") == self.event_id
        )


def is_written(sought: Sought, site_dir: Path, run_dir: Path | None, since: float) -> bool:
    """Is the event in a file below `site_dir`, or in `run_dir`, written to after `since`?

    `since` is in seconds of the epoch, by the clock that stamps the files.
    """
    return any(_holds(path, sought) for path in _files(site_dir, run_dir, since))


def _files(site_dir: Path, run_dir: Path | None, since: float) -> list[Path]:
    """The files written to after `since`, last written first: there the event is likeliest."""
    paths = {*_site_files(site_dir), *([run_dir / RUN_FILE] if run_dir else [])}
    times = {path: _written_at(path) for path in paths}
    recent = [path for path, written in times.items() if written is not None and written >= since]
    return sorted(recent, key=lambda path: times[path] or 0, reverse=True)


def _site_files(site_dir: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(site_dir, onerror=_give_up):
        for name in names:
            of_a_day = name.startswith("site_") and name.endswith(".ndjson")
            if of_a_day or name == RUN_FILE:
                yield Path(folder, name)


def _give_up(error: OSError) -> None:
    # os.walk would pass over a folder that it may not read: as if the event were not in there.
    raise error


def _written_at(path: Path) -> float | None:
    """When the file was last written to, or None: there is no such file (any more)."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    # A FIFO of that name would block the reader for ever.
    return found.st_mtime if stat.S_ISREG(found.st_mode) else None


def _holds(path: Path, sought: Sought) -> bool:
    needle = json.dumps(sought.event_id).encode()  # escaped as the server's own json does it
    with path.open("rb") as file:
        return any(
            sought.is_in(record)
            for offset in _offsets(file, needle)
            for record in _records(_line_around(file, offset, sought.reach))
        )


def _offsets(file: BinaryIO, needle: bytes) -> Iterator[int]:
    """Where `needle` begins, chunk by chunk, also across their seams."""
    base, tail = 0, b""
    while chunk := file.read(CHUNK_BYTES):
        window = tail + chunk
        at = window.find(needle)
        while at >= 0:
            yield base + at
            at = window.find(needle, at + 1)
        tail = window[1 - len(needle) :]
        base += len(window) - len(tail)


def _line_around(file: BinaryIO, offset: int, reach: int) -> bytes:
    """The line at `offset`, as much of it as lies within `reach`; the file's position stays."""
    start = max(0, offset - reach)
    window = os.pread(file.fileno(), offset - start + reach, start)
    begin = window.rfind(b"\n", 0, offset - start) + 1
    end = window.find(b"\n", offset - start)
    return window[begin:] if end < 0 else window[begin:end]


def _records(line: bytes) -> Iterator[Any]:
    """The complete records of a line; records quoted inside another's data are not looked at."""
    text = line.decode("utf-8", "replace")
    at = text.find(RECORD_START)
    while at >= 0:
        end = at + 1
        try:
            record, end = _DECODER.raw_decode(text, at)
            yield record
        except (ValueError, RecursionError):
            pass  # torn; the next record may begin in the middle of this one
        at = text.find(RECORD_START, end)
