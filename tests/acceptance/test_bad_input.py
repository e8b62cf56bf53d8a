"""Whatever a producer sends, a running agent says what is wrong, stores nothing and goes on."""

import http.client
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bad_cases import Bad
from tests.bad_inputs import all_bad
from tests.door_client import JSON, MIB, NDJSON, Answer, ask, dial, event, read_answer
from tests.world import wait_until

SETTINGS = """
[agent]
state_dir = "{home}/state"
spool_dir = "{home}/spool"
socket = "{home}/agent.sock"
admin_socket = "{home}/admin.sock"

[limits]
min_free_bytes = 0

# Nobody listens there, so that all that was accepted can be counted.
[backends.elog]
kind = "elog"
url = "http://127.0.0.1:9"

[backends.events]
kind = "event_manager"
url = "http://127.0.0.1:9"

[backends.accounting]
kind = "auditor"
url = "http://127.0.0.1:9"
"""
EVERYTHING = "SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM body)"
GIB = 2**30
CALM_MIB = 150  # a body may be 64 MiB, and is copied while it grows


class Agent:
    """The daemon as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "agent.sock"
        config = home / "holdfast.toml"
        config.write_text(SETTINGS.format(home=home))
        self.log = home / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent.cli", "--config", str(config), "run"],
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, 20, self.log.read_text)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return ask(self.socket, "GET", "/healthz").status == 200
        except OSError:
            return False

    def say(self, bad: Bad) -> Answer:
        """Send a case's bytes; the first answer."""
        method = bad.pieces[0].partition(b" ")[0].decode("latin-1")
        with dial(self.socket) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
                for piece in bad.pieces:
                    connection.sendall(piece)
                if bad.half_close:
                    connection.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return read_answer(response)

    def holdings(self) -> tuple[tuple[int, int], list[Path]]:
        """Entries and bodies by the database, and every attached or half attached file."""
        connection = sqlite3.connect(f"file:{self.home}/state/outbox.db?mode=ro", uri=True)
        try:
            counts = connection.execute(EVERYTHING).fetchone()
        finally:
            connection.close()
        files = [one for one in (self.home / "state/attachments").rglob("*") if one.is_file()]
        return counts, files

    def resident_mib(self, *, from_now: bool = False) -> float:
        """Memory at its highest since the start, or since the last call with `from_now`."""
        if from_now:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [one for one in status.splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) / 1024


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with tempfile.TemporaryDirectory(prefix="hf-") as home:
        made = Agent(Path(home))
        yield made
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(30) == 0
        assert "Traceback" not in made.log.read_text()


@pytest.mark.parametrize("bad", all_bad(), ids=lambda bad: bad.name)
def test_a_bad_input_is_refused_in_words_and_nothing_is_stored(agent: Agent, bad: Bad) -> None:
    before = agent.holdings()

    answer = agent.say(bad)

    answer.check_problem(bad.status)
    if bad.pointer is not None:
        assert answer.pointers[0] == bad.pointer
    assert len(answer.body) < 20_000
    assert agent.holdings() == before


def test_a_gibibyte_without_a_length_costs_no_memory_to_speak_of(agent: Agent) -> None:
    before = agent.resident_mib(from_now=True)

    answer = ask(agent.socket, "POST", "/v1/entries", a_gibibyte(), {"Content-Type": JSON})

    answer.check_problem(413)
    assert agent.resident_mib() - before < CALM_MIB


def test_a_gibibyte_with_its_length_is_refused_before_it_is_read(agent: Agent) -> None:
    before = agent.resident_mib(from_now=True)
    headers = {"Content-Type": JSON, "Content-Length": str(GIB)}

    answer = ask(agent.socket, "POST", "/v1/entries", a_gibibyte(), headers)

    answer.check_problem(413)
    assert agent.resident_mib() - before < 10


def test_a_line_of_ten_megabytes_leaves_its_neighbours_alone(agent: Agent) -> None:
    long = event(payload={"event_type": "test", "event_data": "x" * (10 * MIB)})
    body = b"\n".join([event(), long, event()])

    answer = ask(agent.socket, "POST", "/v1/entries", body, {"Content-Type": NDJSON})

    assert [one["status"] for one in answer.lines] == [202, 413, 202]


def test_after_all_that_the_next_good_entry_is_taken(agent: Agent) -> None:
    (entries, bodies), files = agent.holdings()

    answer = ask(agent.socket, "POST", "/v1/entries", event(), {"Content-Type": JSON})

    assert answer.status == 202
    assert agent.holdings() == ((entries + 1, bodies + 1), files)


def a_gibibyte() -> Iterator[bytes]:
    piece = b"0" * MIB
    for _ in range(GIB // MIB):
        yield piece
