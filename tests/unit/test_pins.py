"""Pins: a file that outlives the cache."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from storage.pins import Pin, Pins
from tests.builders import NOW


def a_pin(backend: str = "oms", *parameters: tuple[str, str], at: int = NOW) -> Pin:
    return Pin(backend, "runs", parameters or (("last", "5"), ("last", "ä\ud800")), at)


def test_pins_stay_in_order_and_are_made_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "pins.json"
    pins = Pins(file)
    assert pins.remove(a_pin()) is False
    assert pins.list() == ()
    assert pins.add(a_pin()) is True
    assert pins.add(a_pin(at=NOW + 5)) is False
    assert pins.add(a_pin("elog")) is True
    assert pins.add(a_pin("oms", ("last", "6"))) is True
    assert Pins(file).list() == (a_pin(), a_pin("elog"), a_pin("oms", ("last", "6")))
    assert pins.remove(a_pin("elog", at=7)) is True
    assert pins.remove(a_pin("elog")) is False
    assert Pins(file).list() == (a_pin(), a_pin("oms", ("last", "6")))
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in file.parent.iterdir()) == ["pins.json", "pins.json.lock"]


GOOD = json.dumps(
    {
        "version": 1,
        "pins": [{"backend": "a", "resource": "r", "parameters": [["x", "y"]], "pinned_at": 1}],
    }
)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "\0" * 200,
        "[" * 100_000,
        GOOD.replace('"version": 1', '"version": 2'),
        GOOD.replace('"a"', "7"),
        GOOD.replace('["x", "y"]', '["x"]'),
        GOOD.replace('["x", "y"]', '["x", 5]'),
        GOOD.replace('"pinned_at": 1', '"pinned_at": "1"'),
        GOOD.replace('"resource"', '"resourse"'),
        GOOD[:-3],
    ],
    ids=range(13),
)
def test_a_damaged_file_is_moved_aside_and_said(tmp_path: Path, content: str) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    file = tmp_path / "pins.json"
    pins = Pins(file, tell=lambda event, **about: told.append((event, about)))
    file.write_text(GOOD)
    assert pins.list() == (Pin("a", "r", (("x", "y"),), 1),)
    file.write_text(content)
    assert pins.list() == ()
    assert pins.add(a_pin()) is True
    assert pins.list() == (a_pin(),)
    file.write_text(content)
    assert pins.add(a_pin()) is True
    assert [event for event, _ in told] == ["pins.damaged", "pins.damaged"]
    for _, about in told:
        assert Path(about["moved_to"]).read_text() == content
        assert about["reason"]


def test_bytes_that_are_no_text_and_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "pins.json"
    file.write_bytes(b"\xff\xfe" + GOOD.encode())
    assert Pins(file).add(a_pin()) is True
    file.unlink()
    file.mkdir()
    assert Pins(file).add(a_pin()) is True
    assert Pins(file).list() == (a_pin(),)


def test_no_pin_is_lost_when_many_pin_at_once(tmp_path: Path) -> None:
    file = tmp_path / "pins.json"

    def pin_some(backend: str) -> None:
        for number in range(10):
            Pins(file).add(a_pin(backend, ("n", str(number))))

    threads = [threading.Thread(target=pin_some, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Pins(file).list()) == 30


def test_a_disk_that_refuses_leaves_the_old_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = Pins(tmp_path / "pins.json")
    pins.add(a_pin())

    def refuse(_: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("storage.pins.os.fsync", refuse)
    with pytest.raises(OSError, match="no space"):
        pins.add(a_pin("elog"))
    assert pins.list() == (a_pin(),)
    assert not (tmp_path / ".pins.json").exists()
