"""The environment of the real Event Manager: complete or not there, and never in the way."""

import os
from pathlib import Path

import pytest

from tests.real import cached_env
from tests.real.cached_env import MARKER, Unavailable, cached_environment

NOTHING = ("--no-index", "--requirement", os.devnull)
NOWHERE = ("--no-index", "holdfast-no-such-package")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cached_env, "_given_up", {})
    return tmp_path / "holdfast-real"


def test_a_half_built_one_is_built_anew_and_a_complete_one_kept(cache: Path) -> None:
    (cache / "some" / "bin").mkdir(parents=True)
    (cache / "some" / "bin" / "python").write_text("half")

    python = cached_environment("some", NOTHING)
    assert python == cache / "some" / "bin" / "python"
    assert python.read_bytes() != b"half"

    (cache / "some" / "touched").touch()
    assert cached_environment("some", NOTHING) == python
    assert (cache / "some" / "touched").exists()


def test_packages_that_cannot_be_had_are_told_in_pips_words(cache: Path) -> None:
    with pytest.raises(Unavailable, match="holdfast-no-such-package") as first:
        cached_environment("some", NOWHERE)
    assert not (cache / "some" / MARKER).exists()

    (cache / "some").rename(cache / "moved away")
    with pytest.raises(Unavailable) as again:
        cached_environment("some", NOWHERE)
    assert again.value.reason == first.value.reason
    assert not (cache / "some").exists(), "it was tried a second time in one run"


def test_a_cache_that_cannot_be_written_is_told(cache: Path) -> None:
    cache.write_text("a file where the folder should be")

    with pytest.raises(Unavailable, match="cannot be written"):
        cached_environment("some", NOTHING)
