"""Where the cache and the pins of whom are."""

import os
from pathlib import Path

import pytest

from storage.cache_place import CachePlace, cache_place

HOME = Path("/home/anna")


def test_the_agents_own_folder_where_it_may_be_written(tmp_path: Path) -> None:
    assert cache_place(tmp_path, {"XDG_CACHE_HOME": "/x"}, HOME) == CachePlace(
        tmp_path / "cache.db", tmp_path / "pins.json", shared=True
    )


@pytest.mark.parametrize("environment", [{}, {"XDG_CACHE_HOME": "", "XDG_STATE_HOME": "rel/x"}])
def test_the_users_folders_where_there_is_no_agents(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    assert cache_place(tmp_path / "none", environment, HOME) == CachePlace(
        HOME / ".cache/holdfast/cache.db", HOME / ".local/state/holdfast/pins.json", shared=False
    )


def test_the_folders_that_the_user_has_named(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": "/scratch/c", "XDG_STATE_HOME": "/scratch/s"}
    assert cache_place(tmp_path / "none", environment, HOME) == CachePlace(
        Path("/scratch/c/holdfast/cache.db"), Path("/scratch/s/holdfast/pins.json"), shared=False
    )


def test_a_folder_of_another_user_is_not_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        assert not cache_place(tmp_path, {}, HOME).shared
    finally:
        os.seteuid(own)
