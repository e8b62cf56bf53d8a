"""What `put` leaves in the spool is whole, or not there."""

from pathlib import Path

import pytest

from agent.cli.spooling import spool_file, spool_with_files
from agent.client import Upload
from agent.spool.listing import count_spool


def test_a_file_appears_under_its_name_and_nothing_else_stays(tmp_path: Path) -> None:
    path = spool_file(tmp_path / "spool" / "events", "a.json", b"{}")

    assert path.read_bytes() == b"{}"
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]


def test_a_file_that_could_not_get_its_name_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "events"
    (folder / "a.json").mkdir(parents=True)

    with pytest.raises(IsADirectoryError):
        spool_file(folder, "a.json", b"{}")

    assert [one.name for one in folder.iterdir()] == ["a.json"]


def test_a_folder_that_could_not_be_completed_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "elog"
    missing = Upload(tmp_path / "missing.png", "missing.png")

    with pytest.raises(FileNotFoundError):
        spool_with_files(folder, "a", b"{}", [missing])

    assert list(folder.iterdir()) == []


def test_the_spool_counts_what_was_left(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    spool_file(tmp_path / "spool" / "elog", "a.json", b"{}")
    spool_with_files(tmp_path / "spool" / "elog", "b", b"{}", [Upload(tmp_path / "f", "f")])

    assert count_spool(tmp_path / "spool", ["elog"])["waiting"] == 2
