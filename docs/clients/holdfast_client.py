"""Hand entries to Holdfast, the delivery agent on this host. Copy this file into your project.

Standard library only, Python 3.6 or newer, no threads, nothing kept open:

    holdfast = holdfast_client.Holdfast()
    holdfast.put("events", {"event_type": "test", "event_data": {"scan": 42}})
    logging.getLogger().addHandler(holdfast_client.HoldfastHandler("events"))

Promises: when `put` returns, the entry is on disk, with the agent or in its spool, and survives a
power cut. An agent that is away, hangs or has no room is no error and costs at most the time
limit. The key is made before the first byte is sent, so an entry whose answer was lost, and
which then went into the spool as well, is still one entry. What else can happen is an exception:

    Refused      the agent has judged the entry and cannot take it; it is stored nowhere
    NotStored    neither the agent nor the spool could take it; it is stored nowhere
    ValueError, TypeError    it is no JSON (NaN, an object), or a name is no name; nothing was tried
    OSError      a file to attach cannot be read; nothing was tried
"""

import base64
import json
import logging
import os
import re
import socket
import time
import uuid
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

SOCKET = "/run/holdfast/agent.sock"  # unless HOLDFAST_AGENT__SOCKET says otherwise
SPOOL_DIR = "/var/spool/holdfast"  # unless HOLDFAST_AGENT__SPOOL_DIR says otherwise
REST_SECONDS = 5.0  # after a time-out the agent is left alone: a hanging one is waited for once
BACKEND = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
ANSWER = re.compile(rb"(?is)HTTP/1.[01] ([0-9]{3}) .*\r\ncontent-length:[ \t]*([0-9]+)")

Place = Union[str, "os.PathLike[str]"]
# A path; or name and content, and a media type if the name does not tell it.
Attachment = Union[Place, Tuple[str, bytes], Tuple[str, bytes, Optional[str]]]


class Refused(Exception):
    """The agent cannot take this entry, now or later. `errors`: JSON pointer and reason of each."""

    def __init__(self, status: int, problem: Dict[str, Any]) -> None:
        found = problem.get("errors") or [{"detail": problem.get("detail", "refused")}]
        self.status = status
        self.errors = [(str(e.get("pointer", "")), str(e.get("detail"))) for e in found]
        super().__init__("; ".join(": ".join(filter(None, error)) for error in self.errors))


class NotStored(Exception):
    """Stored nowhere. To try again later, give `put` the same `key`: then it stays one entry."""

    def __init__(self, text: str, key: str) -> None:
        self.key = key
        super().__init__(text)


class Outcome(NamedTuple):
    """What became of an entry. All of these mean that it is safe."""

    state: str  # "accepted"; "duplicate" or "retried": the agent had it already; "spooled"
    key: str
    id: Optional[str] = None  # the agent's name for it
    path: Optional[str] = None  # where it lies in the spool
    reason: Optional[str] = None  # why the agent did not take it itself


class Holdfast:
    """The way to the agent. Any number of threads may use one, also after a fork.

    `timeout` (seconds) bounds each `put`, save for the writing of a spool file itself. Entries of
    one `stream` keep their order as long as they go the same way, through the socket or the spool.
    """

    def __init__(
        self, socket: Optional[Place] = None, spool_dir: Optional[Place] = None, timeout: float = 2
    ) -> None:
        self.socket = os.fspath(socket or os.environ.get("HOLDFAST_AGENT__SOCKET") or SOCKET)
        self.spool_dir = spool_dir or os.environ.get("HOLDFAST_AGENT__SPOOL_DIR") or SPOOL_DIR
        self.timeout = timeout
        self._rests_until = 0.0

    def put(
        self,
        backend: str,
        payload: Any,
        kind: Optional[str] = None,
        key: Optional[str] = None,
        stream: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        attachments: Iterable[Attachment] = (),
        created_at: Union[float, datetime, None] = None,
    ) -> Outcome:
        """Hand one entry in. Returns once it is on disk; raises as the module says.

        `key`: what makes it the same entry when your program hands it in again. `created_at`:
        when it happened, in seconds since 1970 or as a datetime; now, if not given.
        """
        if not BACKEND.match(backend):
            raise ValueError("%r cannot be the name of a backend" % (backend,))
        now = time.time()
        name = "py-%014x-%s" % (int(now * 1e6), uuid.uuid4().hex)  # in order of time in the spool
        key = key or _own_name(kind, payload) or name
        said = {"backend": backend, "payload": payload, "kind": kind, "key": key, "stream": stream}
        said["labels"] = dict(labels or {})
        said["created_at"] = _iso(now if created_at is None else created_at)
        said["attachments"] = [_embedded(one) for one in attachments] or None
        entry = json.dumps(said, allow_nan=False).encode()
        try:
            status, answer = self._ask(entry)
            if status in (200, 202):
                return Outcome(answer["state"], key, answer["id"])
            reason = answer["detail"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
            # No answer, or none of the agent's.
            status, reason = 0, "%s: %s: %s" % (self.socket, type(exc).__name__, exc)
        if 400 <= status < 500 and status not in (408, 429):
            raise Refused(status, answer)
        try:
            return Outcome("spooled", key, None, self._leave(backend, name, entry), reason)
        except OSError as exc:
            raise NotStored("NOT stored. Agent: %s. Spool: %s" % (reason, exc), key) from exc

    def _ask(self, entry: bytes) -> Tuple[int, Any]:
        """Status and parsed body of the agent's answer. Raises OSError and ValueError."""
        deadline = time.monotonic() + self.timeout
        if time.monotonic() < self._rests_until:
            raise OSError("it did not answer a moment ago")
        head = "POST /v1/entries HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(entry)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.timeout)
                connection.connect(self.socket)
                # Refused before all of it was sent: the answer is there to be read.
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(head.encode() + entry)
                return _answer(connection, deadline)
        except socket.timeout:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise

    def _leave(self, backend: str, name: str, entry: bytes) -> str:
        """Leave it in the spool, whole or not at all. Returns the path. Raises OSError."""
        folder = os.path.join(self.spool_dir, backend)
        if not os.path.isdir(folder):
            with suppress(FileExistsError):
                os.mkdir(folder)  # but never the spool itself: nobody would look there
                os.chmod(folder, 0o2770)
                _sync(self.spool_dir)
        hidden, path = os.path.join(folder, "." + name), os.path.join(folder, name + ".json")
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660)
        try:
            with os.fdopen(descriptor, "wb") as target:
                os.fchmod(descriptor, 0o660)  # whatever the umask: the agent's group reads it
                target.write(entry)
                target.flush()
                os.fsync(descriptor)
            os.rename(hidden, path)
        except BaseException:
            if os.path.exists(hidden):
                os.unlink(hidden)
            raise
        _sync(folder)
        return path


class HoldfastHandler(logging.Handler):
    """Sends log records as events to a MADSci Event Manager, by way of the agent.

    Raises nothing into the program (see logging.Handler.handleError), and needs no flush. Records
    of level ERROR and above make the Event Manager send mails, if it is set up for that.
    """

    def __init__(
        self, backend: str = "events", holdfast: Optional[Holdfast] = None, level: int = 0
    ) -> None:
        super().__init__(level)
        self.backend = backend
        self.holdfast = holdfast or Holdfast()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record in as an event that happened when it was made."""
        try:
            self.holdfast.put(self.backend, self.event(record), created_at=record.created)
        except Exception:
            self.handleError(record)

    def event(self, record: logging.LogRecord) -> Dict[str, Any]:
        """The payload; override it to say more."""
        level = min(max(record.levelno // 10, 0), 5)  # the Event Manager knows 0, 10 ... 50
        kind = ("log", "log_debug", "log_info", "log_warning", "log_error", "log_critical")[level]
        data = {"message": record.getMessage(), "logger": record.name, "level": record.levelname}
        data["at"] = "%s:%d %s" % (record.pathname, record.lineno, record.funcName)
        data["process"] = "%s %s" % (record.process, record.threadName)
        if record.exc_info and record.exc_info[0]:
            formatter = self.formatter or logging.Formatter()
            data["exception"] = formatter.formatException(record.exc_info)
        # File names may hold half a surrogate pair, which no database takes.
        data = {k: str(v).encode("utf-8", "backslashreplace").decode() for k, v in data.items()}
        return {"event_type": kind, "log_level": level * 10, "event_data": data}


def _own_name(kind: Optional[str], payload: Any) -> Optional[str]:
    """The name that an event or an accounting record brings: the agent takes it as the key."""
    if kind not in (None, "event", "record") or not isinstance(payload, dict):
        return None
    return payload.get("record_id") or payload.get("event_id") or payload.get("_id")


def _iso(when: Union[float, datetime]) -> str:
    moment = when if isinstance(when, datetime) else datetime.fromtimestamp(when, timezone.utc)
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _embedded(attachment: Attachment) -> Dict[str, Optional[str]]:
    if not isinstance(attachment, tuple):
        with open(attachment, "rb") as source:
            attachment = (os.path.basename(attachment), source.read())
    content = base64.b64encode(attachment[1]).decode()
    return {"name": attachment[0], "content_base64": content, "media_type": (*attachment, None)[2]}


def _answer(connection: socket.socket, deadline: float) -> Tuple[int, Any]:
    raw = b""
    while True:
        head, whole, body = raw.partition(b"\r\n\r\n")
        found = ANSWER.match(head) if whole else None
        if found and len(body) >= int(found.group(2)):
            return int(found.group(1)), json.loads(body.decode())
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("no answer in time")
        connection.settimeout(left)
        piece = connection.recv(65536)
        if not piece:
            raise OSError("it broke off")
        raw += piece


def _sync(folder: Place) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
