"""The small client against real sockets: who answers, who does not, and what that means."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.client import (
    Away,
    FileChanged,
    Silent,
    Upload,
    ask,
    ask_first,
    form,
    places_of,
)
from config.sources import SettingsError, Sources
from tests.cli_people import as_nobody, only_root
from tests.cli_server import listening, served


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with TemporaryDirectory(prefix="hf") as folder:
        yield Path(folder)


def test_status_and_parsed_body_come_back(home: Path) -> None:
    with served(home / "s", lambda asked: (409, {"detail": asked.path})) as server:
        answer = ask(home / "s", "POST", "/v1/x?a=b", body=b"{}", headers={"X-A": "1"})

    assert answer == (409, {"detail": "/v1/x?a=b"})
    assert server.asked[0].headers["X-A"] == "1"


def test_many_lines_come_back_as_a_list(home: Path) -> None:
    with served(home / "s", lambda _: (200, [{"line": 1}, {"line": 2}])):
        assert ask(home / "s", "GET", "/") == (200, [{"line": 1}, {"line": 2}])


def test_without_a_socket_nothing_was_sent(home: Path) -> None:
    with pytest.raises(Away, match="there is no socket"):
        ask(home / "s", "GET", "/")


def test_a_socket_that_its_agent_left_behind_is_as_good_as_none(home: Path) -> None:
    with listening(home / "s"):
        pass

    with pytest.raises(Away, match="nobody listens"):
        ask(home / "s", "GET", "/")


def test_a_path_that_no_socket_can_have_is_away_too(home: Path) -> None:
    with pytest.raises(Away, match="cannot be opened"):
        ask(home / ("x" * 200), "GET", "/")


def test_who_hangs_is_given_up_within_the_time_limit(home: Path) -> None:
    with listening(home / "s"), pytest.raises(Silent, match=r"0\.1 s"):
        ask(home / "s", "GET", "/", timeout=0.1)


def test_a_full_queue_of_connections_is_a_hanging_agent(home: Path) -> None:
    with listening(home / "s", backlog=0), socket.socket(socket.AF_UNIX) as first:
        first.connect(str(home / "s"))

        with pytest.raises(Silent):
            ask(home / "s", "GET", "/", timeout=0.1)


def test_an_answer_that_breaks_off_is_no_answer(home: Path) -> None:
    with listening(home / "s") as listener:
        pid = os.fork()
        if pid == 0:
            peer, _ = listener.accept()
            peer.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{")
            os._exit(0)
        with pytest.raises(Silent, match="broke off"):
            ask(home / "s", "GET", "/")
        os.waitpid(pid, 0)


@only_root
def test_a_socket_of_a_group_we_are_not_in_is_denied_with_its_name(home: Path) -> None:
    home.chmod(0o755)
    with listening(home / "s"):
        (home / "s").chmod(0o660)

        said = as_nobody(lambda: ask(home / "s", "GET", "/"))

    assert said.startswith("Denied: you may not open ")
    assert said.endswith("only members of the group root may")


def test_a_refusal_before_everything_was_sent_is_read_all_the_same(home: Path) -> None:
    refusal = b'{"detail": "too large"}'
    head = b"HTTP/1.1 413 X\r\nContent-Type: application/problem+json\r\nContent-Length: 23\r\n\r\n"
    with listening(home / "s") as listener:
        pid = os.fork()
        if pid == 0:
            peer, _ = listener.accept()
            peer.recv(100)
            peer.sendall(head + refusal)
            os._exit(0)
        answer = ask(home / "s", "POST", "/", body=b"x" * 10_000_000)
        os.waitpid(pid, 0)

    assert answer == (413, {"detail": "too large"})


def test_the_first_socket_that_can_be_opened_answers(home: Path) -> None:
    with served(home / "s", lambda _: (200, {})):
        assert ask_first([home / "none", home / "s"], "GET", "/") == (200, {})


def test_a_hanging_admin_socket_is_not_asked_around(home: Path) -> None:
    with (
        listening(home / "a"),
        served(home / "s", lambda _: (200, {})) as server,
        pytest.raises(Silent),
    ):
        ask_first([home / "a", home / "s"], "GET", "/", timeout=0.1)

    assert server.asked == []


def test_a_form_is_as_long_as_it_says_and_names_its_files(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")

    headers, pieces = form(b"{}", [Upload(tmp_path / "f", 'a"é.txt', "text/plain")])
    body = b"".join(pieces)

    assert len(body) == int(headers["Content-Length"])
    assert 'name="files"; filename="a\\"é.txt"'.encode() in body
    assert b"Content-Type: text/plain\r\n\r\nabc\r\n--" in body


@pytest.mark.parametrize("size", [1, 101, 200_000])
def test_a_file_that_changes_while_it_is_sent_is_told(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)
    _, pieces = form(b"{}", [Upload(tmp_path / "f", "f")])
    (tmp_path / "f").write_bytes(b"x" * size)

    with pytest.raises(FileChanged):
        list(pieces)


def test_places_are_the_settings_or_the_defaults() -> None:
    found = places_of(Sources({"agent": {"socket": "/x/s"}}, Path("f")))

    assert (found.socket, found.state_dir) == (Path("/x/s"), Path("/var/lib/holdfast"))


@pytest.mark.parametrize("table", [{"socket": 5}, "text"], ids=str)
def test_a_value_that_is_no_path_is_named(table: object) -> None:
    with pytest.raises(SettingsError, match="agent"):
        places_of(Sources({"agent": table}, Path("f")))


def test_the_client_needs_the_standard_library_only() -> None:
    script = "import sys; import agent.client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()

    roots = {name.partition(".")[0] for name in loaded}
    ours = {"agent", "config"} | {name for name in roots if name.startswith("__editable__")}
    assert roots - sys.stdlib_module_names - ours - {"sitecustomize", "_distutils_hack"} <= {
        "__main__"
    }
