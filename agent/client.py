"""The small client of the agent's Unix sockets. Standard library only: it must start fast.

Promises: no call waits longer than its time limit for the other side to make progress; what
went wrong is told by the class, because what to do next differs:

    Unanswered
    +-- Away      nobody listens: nothing was sent
    +-- Denied    the socket is there and we may not open it: nothing was sent
    +-- Silent    it was sent, at least in part, and no whole answer came: it may have worked

A status is never an error here: callers get it, with the parsed body.
"""

import errno
import grp
import http.client
import io
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from config import sources
from config.sources import SettingsError, Sources

TIMEOUT_SECONDS = 3.0  # a healthy agent answers in milliseconds; a person waits no longer
PIECE_BYTES = 64 * 1024
NDJSON = "application/x-ndjson"


class Unanswered(Exception):
    """No answer could be had. The text is for a person and names the socket."""


class Away(Unanswered):
    """Nobody listens there; nothing was sent."""


class Denied(Unanswered):
    """We may not open the socket; nothing was sent."""


class Silent(Unanswered):
    """Sent, and no whole answer came: it may or may not have been done."""


class FileChanged(Exception):
    """A file was changed while it was being sent; what arrived is incomplete and refused."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the agent of these settings is to be found."""

    socket: Path
    admin_socket: Path
    spool_dir: Path
    state_dir: Path


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that travels in a form. `media_type` None: let the backend guess.

    `content`: its bytes, where they are in no file because nobody else may read them.
    """

    path: Path
    name: str
    media_type: str | None = None
    description: str | None = None
    content: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Bytes. Raises OSError."""
        return self.path.stat().st_size if self.content is None else len(self.content)

    def open(self) -> BinaryIO:
        """For reading. Raises OSError."""
        return self.path.open("rb") if self.content is None else io.BytesIO(self.content)


def places_of(found: Sources) -> Places:
    """The sockets and folders that the settings name, or their defaults.

    Raises SettingsError for a value that is no path; all else is for the agent to judge.
    """
    table = found.values.get("agent", {})
    if not isinstance(table, dict):
        raise SettingsError(["agent: must be a table"])

    def path(key: str, default: Path) -> Path:
        value = table.get(key, str(default))
        if not isinstance(value, str):
            raise SettingsError([f"agent.{key}: must be a path"])
        return Path(value)

    return Places(
        socket=path("socket", sources.SOCKET),
        admin_socket=path("admin_socket", sources.ADMIN_SOCKET),
        spool_dir=path("spool_dir", sources.SPOOL_DIR),
        state_dir=path("state_dir", sources.STATE_DIR),
    )


def ask(
    place: Path,
    method: str,
    path: str,
    *,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> tuple[int, Any]:
    """One request over the Unix socket `place`: the status and the body, parsed where it is JSON.

    A body that is no `bytes` needs a Content-Length among the headers. Raises Unanswered.
    """
    connection = _Connection(place, timeout)
    try:
        connection.connect()
        # Refused before everything was sent: the answer is there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body=body, headers=dict(headers or {}))
        return _read(connection.getresponse())
    except TimeoutError as exc:
        raise Silent(f"no answer at {place} within {timeout:g} s") from exc
    except (OSError, http.client.HTTPException) as exc:
        said = getattr(exc, "strerror", None) or type(exc).__name__
        raise Silent(f"the agent at {place} broke off: {said}") from exc
    finally:
        connection.close()


def ask_first(
    places: Sequence[Path], method: str, path: str, *, timeout: float = TIMEOUT_SECONDS
) -> tuple[int, Any]:
    """The answer of the first socket that can be opened. Raises Unanswered for the last one."""
    for place in places[:-1]:
        try:
            return ask(place, method, path, timeout=timeout)
        except (Away, Denied):
            continue
    return ask(places[-1], method, path, timeout=timeout)


def listen_first(places: Sequence[Path], path: str, *, timeout: float) -> Iterator[Any]:
    """The objects of an NDJSON answer, as they come; of another answer the only one, its body.

    From the first socket that can be opened; `timeout` is for the silence between two lines.
    Raises Unanswered.
    """
    for place in places[:-1]:
        with suppress(Away, Denied):
            yield from _listen(place, path, timeout)
            return
    yield from _listen(places[-1], path, timeout)


def _listen(place: Path, path: str, timeout: float) -> Iterator[Any]:
    connection = _Connection(place, timeout)
    try:
        connection.connect()
        connection.request("GET", path, headers={"Accept": NDJSON})
        response = connection.getresponse()
        if response.headers.get_content_type() != NDJSON:
            yield _read(response)[1]
            return
        for line in response:
            yield json.loads(line)
    except TimeoutError as exc:
        raise Silent(f"nothing came from {place} for {timeout:g} s") from exc
    except (OSError, ValueError, http.client.HTTPException) as exc:
        said = getattr(exc, "strerror", None) or type(exc).__name__
        raise Silent(f"the agent at {place} broke off: {said}") from exc
    finally:
        connection.close()


def form(entry: bytes, files: Sequence[Upload]) -> tuple[dict[str, str], Iterator[bytes]]:
    """Headers and pieces of a multipart body: part `entry`, then `files`.

    The files are read while the pieces are consumed; that may raise FileChanged. Raises OSError.
    """
    boundary = "holdfast-" + os.urandom(16).hex()
    sizes = [one.size for one in files]
    heads = [_part_head(boundary, 'name="entry"', "application/json")]
    heads += [
        b"\r\n"
        + _part_head(boundary, f'name="files"; filename="{_quoted(one.name)}"', one.media_type)
        for one in files
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    length = sum(map(len, heads)) + len(entry) + sum(sizes) + len(end)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(length),
    }

    def pieces() -> Iterator[bytes]:
        yield heads[0] + entry
        for head, one, size in zip(heads[1:], files, sizes, strict=True):
            yield head
            with one.open() as source:
                yield from _exactly(source, size, one.path)
        yield end

    return headers, pieces()


def group_of(path: Path) -> str | None:
    """The group that owns `path`, by name where it has one; None when it cannot be seen."""
    try:
        number = path.stat().st_gid
    except OSError:
        return None
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, place: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._place = place

    def connect(self) -> None:
        """Open the socket. Raises Away, Denied, Silent."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._place))
        except OSError as exc:
            self.close()
            raise _not_connected(self._place, exc) from exc


def _not_connected(place: Path, exc: OSError) -> Unanswered:
    match exc:
        case FileNotFoundError():
            return Away(f"there is no socket {place}")
        case ConnectionRefusedError():
            return Away(f"nobody listens at {place}")
        case PermissionError():
            group = group_of(place) or group_of(place.parent)
            hint = f": only members of the group {group} may" if group else ""
            return Denied(f"you may not open {place}{hint}")
        case TimeoutError() | BlockingIOError():  # the queue of connections is full
            return Silent(f"the agent at {place} takes no connections")
        case _:
            name = errno.errorcode.get(exc.errno or 0, "")
            return Away(f"{place} cannot be opened: {exc.strerror or exc} {name}".rstrip())


def _read(response: http.client.HTTPResponse) -> tuple[int, Any]:
    raw = response.read()
    kind = response.headers.get_content_type()
    try:
        if kind == NDJSON:
            return response.status, [json.loads(line) for line in raw.splitlines()]
        if kind == "application/json" or kind.endswith("+json"):
            return response.status, json.loads(raw)
    except ValueError as exc:
        raise http.client.HTTPException("an answer that is not JSON") from exc
    return response.status, raw.decode("utf-8", "replace")


def _part_head(boundary: str, disposition: str, media_type: str | None) -> bytes:
    first = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n"
    kind = f"Content-Type: {media_type}\r\n" if media_type else ""
    return f"{first}{kind}\r\n".encode()


def _quoted(name: str) -> str:
    """A file name inside quotes; names that no header can carry are refused before (ValueError)."""
    if not name.isprintable() or "\\" in name:
        raise ValueError(f"the file name {name!r} cannot be sent")
    return name.replace('"', '\\"')


def _exactly(source: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    """`size` bytes, neither more nor less: that is what was announced. Raises FileChanged."""
    left = size
    while piece := source.read(PIECE_BYTES):
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise FileChanged(f"{path} was changed while it was being sent")
