"""docs/clients/holdfast_client.py against whatever else may listen, or not, at the socket."""

import ast
import json
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.cli_people import as_nobody, only_root
from tests.cli_server import accepted, listening, refusing, served
from tests.copied import CLIENTS, module

client = module(CLIENTS / "holdfast_client.py")
Behaviour = Callable[[socket.socket], None]

LIMIT = 0.15
SLACK = 1.0  # a machine that is busy with other tests
EVENT = {"event_type": "test"}


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with TemporaryDirectory(prefix="hf") as folder:
        (Path(folder) / "spool").mkdir()
        yield Path(folder)


def holdfast_in(home: Path, timeout: float = LIMIT) -> Any:
    return client.Holdfast(str(home / "s"), str(home / "spool"), timeout)


def lying(home: Path, backend: str = "events") -> list[Any]:
    """The entries in the spool, in order of their names; nothing else lies there."""
    paths = sorted((home / "spool" / backend).iterdir())
    assert all(path.suffix == ".json" and not path.name.startswith(".") for path in paths)
    return [json.loads(path.read_bytes()) for path in paths]


@contextmanager
def behaving(path: Path, behaviour: Behaviour) -> Iterator[None]:
    """A listener that does as told with each connection."""
    with listening(path) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    behaviour(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def says(text: bytes, *, then_wait: bool = False) -> Behaviour:
    def behaviour(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)
        if then_wait:
            connection.recv(1)  # until the client leaves

    return behaviour


def trickles(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.settimeout(0.01)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\n")
    while True:
        connection.sendall(b"X-A: b\r\n")
        with suppress(TimeoutError):
            connection.recv(1)


HALF = b'HTTP/1.1 202 Accepted\r\nContent-Length: 60\r\n\r\n{"id": "I'
HANGS = {
    "accepts and never answers": says(b"", then_wait=True),
    "stops in the middle of an answer": says(HALF, then_wait=True),
    "trickles for ever": trickles,
}
BREAKS = {
    "closes at once": lambda _: None,
    "closes in the middle of an answer": says(HALF),
    "speaks something else": says(b"220 mail ready\r\n\r\n"),
    "answers with a page": says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<htm"),
    "answers with a number": says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n7"),
    "says yes and no more": says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"),
    "is older than HTTP": says(b"\r\ncontent-length: 2\r\n\r\n{}"),
}


@pytest.mark.parametrize("name", [*HANGS, *BREAKS])
def test_whoever_listens_the_entry_is_in_the_spool_in_time(home: Path, name: str) -> None:
    holdfast = holdfast_in(home)
    with behaving(home / "s", (HANGS | BREAKS)[name]):
        began = time.monotonic()
        outcome = holdfast.put("events", EVENT)
        took = time.monotonic() - began

    assert took < LIMIT + SLACK
    assert outcome.state == "spooled"
    assert [(one["key"], one["payload"]) for one in lying(home)] == [(outcome.key, EVENT)]
    assert str(home / "s") in outcome.reason


@pytest.mark.parametrize("name", HANGS)
def test_one_that_hangs_is_waited_for_once_in_a_while(home: Path, name: str) -> None:
    holdfast = holdfast_in(home)
    with behaving(home / "s", HANGS[name]):
        began = time.monotonic()
        outcomes = [holdfast.put("events", {**EVENT, "event_data": {"n": n}}) for n in range(20)]
        took = time.monotonic() - began

    assert took < LIMIT + SLACK
    assert "a moment ago" in outcomes[-1].reason
    assert [one["payload"]["event_data"]["n"] for one in lying(home)] == list(range(20))


def test_one_that_breaks_off_is_asked_again_at_once(home: Path) -> None:
    holdfast = holdfast_in(home)
    with behaving(home / "s", BREAKS["closes at once"]):
        assert holdfast.put("events", EVENT).state == "spooled"
    (home / "s").unlink()

    with served(home / "s", accepted):
        assert holdfast.put("events", EVENT).state == "accepted"


def test_a_full_queue_of_connections_is_not_waited_for(home: Path) -> None:
    with listening(home / "s", backlog=0), suppress(BlockingIOError):
        waiting = []
        for _ in range(10):
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting[-1].setblocking(False)
            waiting[-1].connect(str(home / "s"))
    with listening(home / "t", backlog=0):
        holdfast = client.Holdfast(str(home / "t"), str(home / "spool"), LIMIT)
        outcomes = [holdfast.put("events", EVENT) for _ in range(4)]
    for one in waiting:
        one.close()

    assert [one.state for one in outcomes] == ["spooled"] * 4


@pytest.mark.parametrize("place", ["none", "left", "", "x" * 200, "a\0b", "file"])
def test_where_nobody_listens_the_spool_takes_it(home: Path, place: str) -> None:
    with listening(home / "left"):
        pass
    (home / "file").write_text("no socket")
    holdfast = holdfast_in(home)
    holdfast.socket = str(home / place) if place else ""

    assert holdfast.put("events", EVENT).state == "spooled"


@pytest.mark.parametrize("status", [408, 429, 500, 503, 507])
def test_what_the_agent_cannot_take_now_is_left_in_the_spool(home: Path, status: int) -> None:
    with served(home / "s", refusing(status, detail="no room")):
        outcome = holdfast_in(home, 5).put("events", EVENT)

    assert (outcome.state, outcome.reason) == ("spooled", "no room")
    assert len(lying(home)) == 1


def test_what_the_agent_refuses_is_told_with_its_pointers_and_left_nowhere(home: Path) -> None:
    errors = [{"pointer": "/payload/x", "detail": "unknown"}, {"pointer": "", "detail": "bad"}]
    with (
        served(home / "s", refusing(422, errors=errors)),
        pytest.raises(client.Refused, match="/payload/x: unknown; bad") as refused,
    ):
        holdfast_in(home, 5).put("events", EVENT)

    assert (refused.value.status, refused.value.errors[0]) == (422, ("/payload/x", "unknown"))
    assert list((home / "spool").iterdir()) == []


def test_a_refusal_before_everything_was_sent_is_heard(home: Path) -> None:
    told = b'{"detail": "too large"}'
    answer = b"HTTP/1.1 413 Large\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)

    def early(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RD)

    with behaving(home / "s", early), pytest.raises(client.Refused, match="too large"):
        holdfast_in(home, 5).put("events", {"big": "x" * 4_000_000})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("Events", {}), ValueError),
        (("../events", {}), ValueError),
        (("events", {"x": float("nan")}), ValueError),
        (("events", {"x": object()}), TypeError),
        (("events", {}, None, None, None, None, ["missing.png"]), FileNotFoundError),
    ],
)
def test_what_can_be_no_entry_is_a_mistake_of_the_program(
    home: Path, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        holdfast_in(home).put(*arguments)

    assert list((home / "spool").iterdir()) == []


def test_both_ways_carry_the_same_bytes(home: Path) -> None:
    holdfast = holdfast_in(home, 5)
    plot = home / "plöt 1.png"
    plot.write_bytes(b"\x89PNG")
    said: dict[str, Any] = {
        "labels": {"run": "7"},
        "attachments": [plot, ("note.txt", b"hello")],
        "stream": "s",
        "kind": "post",
        "key": "k",
        "created_at": datetime(2026, 11, 25, 1, tzinfo=timezone(timedelta(hours=1))),
    }
    with served(home / "s", accepted) as server:
        assert holdfast.put("elog", {"text": "x"}, **said) == ("accepted", "k", "ID1", None, None)
    holdfast.put("elog", {"text": "x"}, **said)

    sent = server.asked[0].json
    assert lying(home, "elog") == [sent]
    assert sent["created_at"] == "2026-11-25T00:00:00.000+00:00"
    names = [(one["name"], one["content_base64"]) for one in sent["attachments"]]
    assert names == [("plöt 1.png", "iVBORw=="), ("note.txt", "aGVsbG8=")]


@pytest.mark.parametrize(
    ("kind", "payload", "own"),
    [
        (None, {"record_id": "r1"}, "r1"),
        ("event", {"event_id": "e1"}, "e1"),
        (None, {"_id": "e2"}, "e2"),
        ("record_update", {"record_id": "r1"}, None),
        (None, {"event_id": ""}, None),
        (None, ["no object"], None),
    ],
)
def test_what_names_itself_keeps_its_name(
    home: Path, kind: str | None, payload: Any, own: str | None
) -> None:
    keys = {holdfast_in(home).put("accounting", payload, kind).key for _ in range(2)}

    assert keys == {own} if own else len(keys) == 2


def test_without_a_spool_it_is_said_that_nothing_was_stored_and_by_which_key(home: Path) -> None:
    holdfast = holdfast_in(home)
    holdfast.spool_dir = str(home / "none")

    with pytest.raises(client.NotStored, match=r"NOT stored.*No such file.*none") as failure:
        holdfast.put("events", EVENT)

    holdfast.spool_dir = str(home / "spool")
    assert holdfast.put("events", EVENT, key=failure.value.key).key == failure.value.key
    assert [one["key"] for one in lying(home)] == [failure.value.key]


def test_a_disk_that_is_full_leaves_nothing_half(home: Path) -> None:
    def fill() -> str:
        import resource  # noqa: PLC0415 - in the child only

        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        small = holdfast_in(home).put("events", EVENT).state
        try:
            holdfast_in(home).put("events", {"x": "x" * 20000})
        except client.NotStored as failure:
            return f"{small}, then {failure}"
        return "stored"

    said = as_child(fill)

    assert re.match(r"spooled, then NOT stored.*File too large", said)
    assert [one["payload"] for one in lying(home)] == [EVENT]


@only_root
def test_a_spool_that_is_closed_to_us_is_told(home: Path) -> None:
    home.chmod(0o755)
    holdfast = holdfast_in(home)

    said = as_nobody(lambda: holdfast.put("events", EVENT))

    assert said.startswith("NotStored: NOT stored.")
    assert "Permission denied" in said


def test_files_in_the_spool_can_be_read_and_removed_by_the_group(home: Path) -> None:
    before = os.umask(0o077)
    try:
        path = Path(holdfast_in(home).put("events", EVENT).path)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o7777 == 0o660
    assert path.parent.stat().st_mode & 0o7777 == 0o2770


def test_the_environment_says_where_the_agent_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.Holdfast().socket == "/run/holdfast/agent.sock"
    monkeypatch.setenv("HOLDFAST_AGENT__SOCKET", "/tmp/a")
    monkeypatch.setenv("HOLDFAST_AGENT__SPOOL_DIR", "/tmp/b")

    found = client.Holdfast()

    assert (found.socket, found.spool_dir, client.Holdfast("/tmp/c").socket) == (
        "/tmp/a",
        "/tmp/b",
        "/tmp/c",
    )


def test_threads_share_one_and_a_child_goes_on_with_it(home: Path) -> None:
    holdfast = holdfast_in(home, 5)
    with served(home / "s", accepted) as server:

        def work() -> None:
            for _ in range(5):
                holdfast.put("events", EVENT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for one in threads:
            one.start()
        child = as_child(lambda: holdfast.put("events", EVENT).state)
        for one in threads:
            one.join()

    assert child == "accepted"
    assert len({one.json["key"] for one in server.asked}) == 21


def as_child(work: Callable[[], object]) -> str:
    """What `work` returns in a fork."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.wait()
    return said


class Records:
    """A logger with the handler, and what arrives of it in the spool."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logger = logging.Logger("daq.motor")  # noqa: LOG001 - nobody else shall have it
        self.handler = client.HoldfastHandler("events", holdfast_in(home))
        self.logger.addHandler(self.handler)

    def told(self) -> list[dict[str, Any]]:
        return [one["payload"] for one in lying(self.home)]


def test_records_become_events_of_their_level(home: Path) -> None:
    records = Records(home)
    for level in (5, 10, 20, 25, 30, 40, 50, 99):
        records.logger.log(level, "at %d", level)

    assert [(e["event_type"], e["log_level"]) for e in records.told()] == [
        ("log", 0),
        ("log_debug", 10),
        ("log_info", 20),
        ("log_info", 20),
        ("log_warning", 30),
        ("log_error", 40),
        ("log_critical", 50),
        ("log_critical", 50),
    ]
    assert records.told()[3]["event_data"]["message"] == "at 25"
    assert records.told()[3]["event_data"]["logger"] == "daq.motor"


def test_an_exception_and_what_is_no_text_are_told_with_the_records_own_time(home: Path) -> None:
    records = Records(home)
    try:
        {}["motor"]
    except KeyError:
        records.logger.exception("lost %s", os.fsdecode(b"sc\xff.h5"))
    made = datetime.now(UTC)

    entry = lying(home)[0]

    assert "KeyError: 'motor'" in entry["payload"]["event_data"]["exception"]
    assert entry["payload"]["event_data"]["message"] == "lost sc\\udcff.h5"
    assert abs(datetime.fromisoformat(entry["created_at"]) - made) < timedelta(seconds=5)


def test_a_record_that_cannot_be_handed_in_does_no_harm(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = Records(home)
    records.handler.holdfast.spool_dir = str(home / "none")

    records.logger.error("nowhere to go")
    records.logger.error("%d", "not a number")
    records.handler.flush()
    records.handler.close()

    assert capsys.readouterr().err.count("--- Logging error ---") == 2


NEWER = re.compile(
    r":=|removeprefix|removesuffix|readlink|fromisoformat|capture_output|is_relative_to"
    r"|time_ns|missing_ok|from __future__|dataclass|contextvars|AF_UNIX_|nullcontext|cached"
)


@pytest.mark.parametrize("name", ["holdfast_client.py", "lute_elog.py"])
def test_what_is_copied_is_short_and_for_old_pythons(name: str) -> None:
    text = (CLIENTS / name).read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    imported = {
        alias.name if isinstance(node, ast.Import) else (node.module or "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
        for alias in node.names
    }

    assert not NEWER.search(text)
    assert {one.split(".")[0] for one in imported} <= {*sys.stdlib_module_names, "holdfast_client"}
    assert len((CLIENTS / "holdfast_client.py").read_text().splitlines()) < 250
