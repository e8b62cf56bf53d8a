"""Where the sockets lie: made with the right permissions, or inherited."""

import grp
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.listener.sockets import Place, inherited, make
from tests.builders import repository
from tests.door_client import dial


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not below pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hf-") as made:
        yield Path(made)


def a_place(folder: Path, mode: int = 0o600, group: str = "no-such-group") -> Place:
    return Place(folder / "agent.sock", mode, group)


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
def test_the_mode_is_that_of_the_settings_whatever_the_umask(folder: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        with make(a_place(folder, mode)):
            found = (folder / "agent.sock").stat().st_mode
    finally:
        os.umask(before)

    assert stat.S_ISSOCK(found)
    assert stat.S_IMODE(found) == mode


def test_the_group_is_that_of_the_settings_where_we_may(folder: Path) -> None:
    name = grp.getgrgid(os.getgid()).gr_name

    with make(a_place(folder, group=name)):
        assert (folder / "agent.sock").stat().st_gid == os.getgid()


def test_missing_folders_are_made(folder: Path) -> None:
    with make(Place(folder / "run" / "holdfast" / "a.sock", 0o600, "x")) as made:
        assert made.getsockname() == str(folder / "run/holdfast/a.sock")


def test_a_socket_that_an_earlier_life_left_is_replaced(folder: Path) -> None:
    make(a_place(folder)).close()

    with make(a_place(folder)):
        dial(folder / "agent.sock").close()


def test_a_socket_at_which_somebody_listens_is_not_taken_away(folder: Path) -> None:
    with make(a_place(folder)) as first:
        with pytest.raises(FileExistsError, match="another program listens there"):
            make(a_place(folder))
        dial(folder / "agent.sock").close()
        first.accept()[0].close()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_removed(folder: Path, kind: str) -> None:
    target = folder / "agent.sock"
    (folder / "precious").write_text("x")
    match kind:
        case "file":
            target.write_text("x")
        case "folder":
            target.mkdir()
        case _:
            target.symlink_to(folder / "precious")

    with pytest.raises(FileExistsError, match="no socket"):
        make(a_place(folder))

    assert os.path.lexists(target)
    assert (folder / "precious").read_text() == "x"


def test_a_path_that_is_too_long_is_an_error_and_leaves_nothing(folder: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        make(Place(folder / ("x" * 120), 0o600, "x"))

    assert list(folder.iterdir()) == []


def test_without_systemd_nothing_is_inherited() -> None:
    assert inherited({}, 1) == {}
    assert inherited({"LISTEN_PID": "2", "LISTEN_FDS": "1"}, 1) == {}


CHILD = """
import json, os, sys
first, count = int(sys.argv[1]), int(sys.argv[2])
fds = [os.dup2(first + n, 100 + n) for n in range(count)]
for n, fd in enumerate(fds):
    os.dup2(fd, 3 + n, inheritable=True)
from agent.listener.sockets import inherited
found = inherited({**os.environ, "LISTEN_PID": str(os.getpid())}, os.getpid())
print(json.dumps({
    name: [one.getsockname(), one.getblocking(), os.get_inheritable(one.fileno())]
    for name, one in found.items()
}))
"""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("producer:admin", {"producer": 0, "admin": 1}),
        ("admin:producer", {"producer": 1, "admin": 0}),
        ("", {"producer": 0, "admin": 1}),
        ("holdfast.socket:holdfast.socket", {"producer": 0, "admin": 1}),
        ("admin", {"producer": 1, "admin": 0}),
        ("producer:producer", {"producer": 0, "admin": 1}),
        ("other:producer:admin", {"producer": 1, "admin": 2}),
    ],
)
def test_inherited_sockets_are_told_apart_by_their_names(
    folder: Path, names: str, expected: dict[str, int]
) -> None:
    count = max(2, len(names.split(":")))
    made = [make(Place(folder / f"{number}.sock", 0o600, "x")) for number in range(count)]
    # A row of descriptors without gaps, as systemd hands them over.
    row = [os.dup2(one.fileno(), 200 + number) for number, one in enumerate(made)]

    told = subprocess.run(
        [sys.executable, "-c", CHILD, "200", str(count)],
        check=True,
        capture_output=True,
        pass_fds=row,
        cwd=repository(),
        env={**os.environ, "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names},
    ).stdout

    for descriptor in row:
        os.close(descriptor)
    for one in made:
        one.close()
    assert json.loads(told) == {
        name: [str(folder / f"{number}.sock"), False, False] for name, number in expected.items()
    }


WATCHER = """
import os, stat, sys
from pathlib import Path
from agent.listener.sockets import Place, make
path = Path(sys.argv[1])
seen = []
def watch(event, given):
    if event == "os.chmod" and not isinstance(given[0], int):
        seen.append(oct(stat.S_IMODE(path.stat().st_mode)))
sys.addaudithook(watch)
os.umask(0)
make(Place(path, 0o666, "no-such-group")).close()
print(seen)
"""


def test_nobody_connects_before_the_permissions_are_right(folder: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", WATCHER, str(folder / "agent.sock")],
        check=True,
        capture_output=True,
        text=True,
        cwd=repository(),
    ).stdout

    assert told == "['0o600']\n"
