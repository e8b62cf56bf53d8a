"""One event is looked for in the telemetry server's files: complete records only, any file size."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.telemetry import files
from adapters.telemetry.files import CHUNK_BYTES, Sought, is_written

SOUGHT = Sought("A1", "weather", reach=500)


def a_line(event_id: str = "A1", event_type: str = "weather", **meta: Any) -> str:
    envelope = {"seq": 1, "ts": "", "stream": "site", "type": event_type, "data": {"sky": "é"}}
    whole = {**envelope, "meta": {"event_id": event_id, **meta}}
    return json.dumps(whole, separators=(",", ":")) + "\n"


def written(folder: Path, text: str, sought: Sought = SOUGHT) -> bool:
    (folder / "site_20260101.ndjson").write_text(text)
    return is_written(sought, folder, None, since=0)


@pytest.mark.parametrize(
    "text",
    [
        a_line(),
        a_line("B2") + a_line() + a_line("C3"),
        a_line()[:40] + a_line(),
        a_line("B2")[:-2] + a_line(),
        a_line().rstrip("\n"),
        a_line(run_id="007"),
        "\x00not json\n" + a_line(),
    ],
    ids=["alone", "among", "torn head", "torn tail", "no end yet", "stamped", "rubbish"],
)
def test_a_complete_record_is_found(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        a_line("B2"),
        a_line("A12"),
        a_line(event_type="other"),
        a_line("B2", event_idea="A1"),
        a_line()[:-2],
        a_line()[:-2] + a_line("B2"),
        a_line("B2", quoted=json.loads(a_line())),
        '{"seq":1,"type":"weather","meta":"A1"}\n',
    ],
    ids=["empty", "other", "longer", "type", "value", "torn", "torn+other", "quoted", "no meta"],
)
def test_anything_less_is_not(tmp_path: Path, text: str) -> None:
    assert not written(tmp_path, text)


@pytest.mark.parametrize("event_id", ["é", 'a"b\\c', "\u2028", "x" * 300, "\U0001f52d"])
def test_an_id_is_found_in_the_spelling_of_the_server(tmp_path: Path, event_id: str) -> None:
    sought = Sought(event_id, "weather", reach=5000)

    assert written(tmp_path, a_line(event_id), sought)


@pytest.mark.parametrize("ahead", range(0, len(a_line()) + 2, 3))
def test_a_record_across_the_seam_of_two_chunks_is_found(tmp_path: Path, ahead: int) -> None:
    filler = "x" * (CHUNK_BYTES - ahead - 1) + "\n"

    assert written(tmp_path, filler + a_line() + filler)


def test_a_chunk_shorter_than_what_is_looked_for_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 3)

    assert written(tmp_path, a_line("B2") * 20 + a_line() + a_line("C3") * 20)


def test_only_files_of_the_server_are_read(tmp_path: Path) -> None:
    (tmp_path / "notes.ndjson").write_text(a_line())
    (tmp_path / "site_notes.txt").write_text(a_line())

    assert not is_written(SOUGHT, tmp_path, None, since=0)


def test_the_folder_of_a_run_may_lie_elsewhere_or_nowhere(tmp_path: Path) -> None:
    site, run = tmp_path / "site", tmp_path / "run"
    site.mkdir()
    assert not is_written(SOUGHT, site, run, since=0)
    run.mkdir()
    (run / "telemetry.ndjson").write_text(a_line())

    assert is_written(SOUGHT, site, run, since=0)


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        is_written(SOUGHT, tmp_path / "missing", None, since=0)
