"""KINDS: what `kind = "..."` in the settings may say. A new backend is one file and one line."""

from adapters import auditor, elog, event_manager, oms, telemetry
from adapters.base import BackendKind

KINDS: dict[str, BackendKind] = {
    "auditor": auditor.KIND,
    "elog": elog.KIND,
    "event_manager": event_manager.KIND,
    "oms": oms.KIND,
    "telemetry": telemetry.KIND,
}
