"""Where the read cache and the pins are: the agent's where one may write, else a user's own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CACHE = "cache.db"
PINS = "pins.json"
FOLDER = "holdfast"


@dataclass(frozen=True, slots=True)
class CachePlace:
    """`shared`: it is the agent's. Folders that are not there are made when they are needed."""

    cache: Path
    pins: Path
    shared: bool


def cache_place(state_dir: Path, environment: Mapping[str, str], home: Path) -> CachePlace:
    """The agent's `state_dir` where this user may write, else the XDG folders.

    As the XDG specification says, a relative path in a variable counts as none.
    """
    # With the dot only a folder passes.
    if os.access(f"{state_dir}/.", os.W_OK | os.X_OK, effective_ids=True):
        return CachePlace(state_dir / CACHE, state_dir / PINS, shared=True)
    return CachePlace(
        _folder(environment, "XDG_CACHE_HOME", home / ".cache") / CACHE,
        _folder(environment, "XDG_STATE_HOME", home / ".local" / "state") / PINS,
        shared=False,
    )


def _folder(environment: Mapping[str, str], variable: str, default: Path) -> Path:
    said = Path(environment.get(variable, ""))
    return (said if said.is_absolute() else default) / FOLDER
