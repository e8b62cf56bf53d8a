"""The settings as they are written, not judged: enough to find the agent and to speak of it.

The models of `config.settings` take longer to load than the everyday commands may; the
agent, and `holdfast check`, judge. Raises SettingsError only where nothing can be read.
"""

from typing import Any

from agent.severity import Thresholds
from config import sources
from config.sources import SettingsError, Sources


def backends_of(found: Sources) -> dict[str, dict[str, Any]]:
    """The backends by name."""
    table = found.values.get("backends", {})
    if not isinstance(table, dict) or not all(isinstance(one, dict) for one in table.values()):
        raise SettingsError(["backends: must be tables"])
    return table


def kind_of(found: Sources, backend: str) -> str | None:
    """The kind that the settings say `backend` is of."""
    kind = backends_of(found).get(backend, {}).get("kind")
    return kind if isinstance(kind, str) else None


def urls_of(found: Sources) -> dict[str, str]:
    """Where each backend is, spelt as the agent spells it."""
    return {name: str(one.get("url", "")).rstrip("/") for name, one in backends_of(found).items()}


def thresholds_of(found: Sources) -> Thresholds:
    """`[status]`, or the defaults."""
    table = found.values.get("status", {})
    if not isinstance(table, dict):
        raise SettingsError(["status: must be a table"])

    def seconds(key: str, default: float) -> float:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingsError([f"status.{key}: must be a number of seconds"])
        return float(value)

    return Thresholds(
        attention_after=seconds("attention_after_seconds", sources.ATTENTION_AFTER_SECONDS),
        stuck_after=seconds("stuck_after_seconds", sources.STUCK_AFTER_SECONDS),
    )
