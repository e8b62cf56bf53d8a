"""Hand entries to Holdfast, the delivery agent on this host. Copy this file into your project.

Standard library only, Python 3.6 or newer, no threads, nothing kept open:

    holdfast = holdfast_client.Holdfast()
    holdfast.put("events", {"event_type": "test", "event_data": {"scan": 42}})
    holdfast.query("elog", "runs_by_tag", experiment="mfxl1000123", tag="DARK")["data"]
    logging.getLogger().addHandler(holdfast_client.HoldfastHandler("events"))

Promises: when `put` returns, the entry is on disk, with the agent or in its spool, and survives a
power cut. An agent that is away, hangs or has no room is no error and costs at most the time
limit. The key is made before the first byte is sent: an entry whose answer was lost, and that
went into the spool as well, is still one entry. What else can happen is an exception:

    Refused      the agent has judged the entry or question and cannot take it; nothing is stored
    NotStored    neither the agent nor the spool could take the entry; it is stored nowhere
    NoAnswer     the question has no answer now, neither from its backend nor kept from earlier
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
from urllib.parse import quote, urlencode

SOCKET = "/run/holdfast/agent.sock"  # unless HOLDFAST_AGENT__SOCKET says otherwise
SPOOL_DIR = "/var/spool/holdfast"  # unless HOLDFAST_AGENT__SPOOL_DIR says otherwise
QUERY_SECONDS = 60.0  # the longest that an answer to a question is waited for
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


class NoAnswer(Exception):
    """Neither the backend nor what was kept answers now."""


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
        # The name that an event or an accounting record brings: the agent takes it as the key.
        own = payload if kind in (None, "event", "record") and isinstance(payload, dict) else {}
        key = key or own.get("record_id") or own.get("event_id") or own.get("_id") or name
        said = {"backend": backend, "payload": payload, "kind": kind, "key": key, "stream": stream}
        said["labels"] = dict(labels or {})
        when = now if created_at is None else created_at
        moment = when if isinstance(when, datetime) else datetime.fromtimestamp(when, timezone.utc)
        said["created_at"] = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
        said["attachments"] = [_embedded(one) for one in attachments] or None
        entry = json.dumps(said, allow_nan=False).encode()
        answer, reason = self._ask("POST /v1/entries", entry, self.timeout, "state id")
        if answer:
            return Outcome(answer["state"], key, answer["id"])
        try:
            return Outcome("spooled", key, None, self._leave(backend, name, entry), reason)
        except OSError as exc:
            raise NotStored("NOT stored. Agent: %s. Spool: %s" % (reason, exc), key) from exc

    def query(self, backend: str, resource: str, **parameters: Any) -> Dict[str, Any]:
        """{"data", "source", "fetched_at", ...} (docs/backends). A list: given more than once."""
        asked = quote("/v1/query/%s/%s" % (backend, resource)), urlencode(parameters, doseq=True)
        answer, reason = self._ask("GET %s?%s" % asked, b"", QUERY_SECONDS, "data source")
        if not answer:
            raise NoAnswer(reason)
        return dict(answer)

    def _ask(self, request: str, body: bytes, seconds: float, needed: str) -> Tuple[Any, str]:
        """The agent's answer if it has all that is `needed`, or why not. Raises Refused."""
        deadline = time.monotonic() + seconds
        head = "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % request
        head += "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        try:
            status, answer = self._told(head.encode() + body, deadline)
            if status in (200, 202):
                return {**answer, **{name: answer[name] for name in needed.split()}}, ""
            reason = answer["detail"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
            status, reason = 0, "%s: %s: %s" % (self.socket, type(exc).__name__, exc)
            if body and isinstance(exc, socket.timeout):
                self._rests_until = time.monotonic() + REST_SECONDS
        if 400 <= status < 500 and status not in (408, 429):
            raise Refused(status, answer)
        return None, reason

    def _told(self, request: bytes, deadline: float) -> Tuple[int, Any]:
        if time.monotonic() < self._rests_until:
            raise OSError("it did not answer a moment ago")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self.timeout)
            connection.connect(self.socket)
            # Refused before all of it was sent: the answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            raw = b""
            while True:
                head, whole, body = raw.partition(b"\r\n\r\n")
                found = ANSWER.match(head) if whole else None
                if found and len(body) >= int(found.group(2)):
                    return int(found.group(1)), json.loads(body.decode())
                connection.settimeout(max(deadline - time.monotonic(), 1e-6))
                piece = connection.recv(1 << 20)
                if not piece:
                    raise OSError("it broke off")
                raw += piece

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
    """Sends log records as events to a MADSci Event Manager. Raises nothing into the program."""

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
            form = self.formatter or logging.Formatter()
            data["exception"] = form.formatException(record.exc_info)
        # File names may hold half a surrogate pair, which no database takes.
        data = {k: str(v).encode("utf-8", "backslashreplace").decode() for k, v in data.items()}
        return {"event_type": kind, "log_level": level * 10, "event_data": data}


def _embedded(attachment: Attachment) -> Dict[str, Optional[str]]:
    if not isinstance(attachment, tuple):
        with open(attachment, "rb") as source:
            attachment = (os.path.basename(attachment), source.read())
    content = base64.b64encode(attachment[1]).decode()
    return {"name": attachment[0], "content_base64": content, "media_type": (*attachment, None)[2]}


def _sync(folder: Place) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
