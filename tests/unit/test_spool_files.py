"""The primitives that touch files: leases, links, modes."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.spool import files


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = files.open_root(tmp_path)
    yield descriptor
    os.close(descriptor)


def test_a_file_that_nobody_writes_is_known_to_be_closed(folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    assert files.open_for_writing(files.open_regular("a", folder)) is False


def test_a_file_that_somebody_writes_is_known_to_be_open(folder: int, tmp_path: Path) -> None:
    with (tmp_path / "a").open("w"):
        assert files.open_for_writing(files.open_regular("a", folder)) is True


def test_a_writer_that_comes_during_the_question_does_not_end_us(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    question = """
import os, sys
from agent.spool import files
descriptor = os.open(sys.argv[1], os.O_RDONLY)
with files._read_lease(descriptor):
    try:
        os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
    except BlockingIOError:
        print("asked to let go")
print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", question, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )

    assert (done.returncode, done.stdout) == (0, "asked to let go\nalive\n")


def test_leases_are_believed_only_where_they_tell_the_truth(folder: int, tmp_path: Path) -> None:
    (tmp_path / ".lease").write_bytes(b"")  # of a start that was cut off
    assert files.leases_tell_the_truth(folder) is True
    assert list(tmp_path.iterdir()) == []


def test_links_and_fifos_are_not_opened(folder: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "fifo")

    for name, expected in (("link", errno.ELOOP), ("fifo", errno.EINVAL)):
        with pytest.raises(OSError, match=name) as refused:
            files.open_regular(name, folder)
        assert refused.value.errno == expected


def test_a_linked_folder_is_not_entered(folder: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")

    with pytest.raises(OSError, match="link"):
        files.open_folder("link", folder)


def test_a_folder_that_is_there_keeps_its_mode(folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    files.make_folder("a", folder)
    files.make_folder("b", folder)

    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "b").stat().st_mode & 0o7777 == files.FOLDER_MODE


def test_names_of_any_bytes_can_be_printed() -> None:
    assert files.readable(os.fsdecode(b"a\xff")) == "a\\xff"
    assert files.readable("ä") == "ä"
