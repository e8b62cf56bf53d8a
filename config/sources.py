"""Where settings come from: the file, its `conf.d`, the environment. Standard library only.

The command line's small client reads the socket's path through this module without loading
the models of `config.settings`; the daemon validates the same values. A missing file is an
error, never a silent default. See docs/decisions/0003-settings-without-a-settings-library.md.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "HOLDFAST_"
CONFIG_VARIABLE = "HOLDFAST_CONFIG"
# Of this prefix, but no settings: where the settings are, and where a test lets the agent die.
NO_SETTINGS = (CONFIG_VARIABLE, "HOLDFAST_CRASH_AT")
SYSTEM_FILE = Path("/etc/holdfast/holdfast.toml")

# Defaults that the command line needs before it may load the models of config.settings.
STATE_DIR = Path("/var/lib/holdfast")
SPOOL_DIR = Path("/var/spool/holdfast")
SOCKET = Path("/run/holdfast/agent.sock")
ADMIN_SOCKET = Path("/run/holdfast/admin.sock")
ATTENTION_AFTER_SECONDS = 86_400.0
STUCK_AFTER_SECONDS = 600.0


class SettingsError(Exception):
    """The settings cannot be used. `problems`: one sentence each, naming the key, not the value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Sources:
    """The merged values, not yet judged, and the file that relative paths belong to."""

    values: dict[str, Any]
    file: Path


def find_file(given: Path | None, environment: Mapping[str, str], *, is_root: bool) -> Path:
    """The settings file: as given, else $HOLDFAST_CONFIG, else where the system keeps it."""
    if given is not None:
        return given
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named)
    if is_root or SYSTEM_FILE.exists():
        return SYSTEM_FILE
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "holdfast" / "holdfast.toml"


def read_sources(
    given: Path | None = None, environment: Mapping[str, str] | None = None
) -> Sources:
    """Read and merge everything. Raises SettingsError naming the file or the variable."""
    environment = os.environ if environment is None else environment
    file = find_file(given, environment, is_root=os.geteuid() == 0).absolute()
    values = _read_toml(file)
    for extra in sorted((file.parent / "conf.d").glob("*.toml")):
        _merge(values, _read_toml(extra))
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in NO_SETTINGS:
            _override(values, name, text)
    return Sources(values, file)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        hint = "give one with --config or HOLDFAST_CONFIG"
        raise SettingsError([f"there is no settings file {file}; {hint}"]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError([f"the settings file {file} cannot be read: {exc}"]) from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError([f"{file} is not TOML: {exc}"]) from exc


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Tables are merged key by key; everything else is replaced."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _override(values: dict[str, Any], variable: str, text: str) -> None:
    """HOLDFAST_RETRY__MAX_ATTEMPTS=5 is retry.max_attempts = 5."""
    steps = variable.removeprefix(PREFIX).lower().split("__")
    if len(steps) == 1 or not all(steps):
        shape = "HOLDFAST_<SECTION>__<KEY>"
        raise SettingsError([f"the environment variable {variable} is not of the form {shape}"])
    place = values
    for step in steps[:-1]:
        below = place.setdefault(step, {})
        if not isinstance(below, dict):
            raise SettingsError([f"the environment variable {variable}: {step} is not a section"])
        place = below
    place[steps[-1]] = _value(text)


def _value(text: str) -> Any:
    """Numbers, booleans, lists and tables as JSON; everything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
