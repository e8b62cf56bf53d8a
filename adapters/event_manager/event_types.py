"""The types of events: which ones each version of the server knows, and how a server says it.

Promises: an event keeps its type wherever the server knows it; the one type that 0.7.0 renamed goes
by the server's name for it; any other that the server does not know becomes `unknown`. Pure.
Source: event manager sheet, section 2; the answers were seen on the real 0.5.2 and 0.8.1.
"""

import re
from collections.abc import Mapping
from typing import Any

from adapters.answer import Answer
from adapters.event_manager.answers import said_by

_ALWAYS = """
    unknown log log_debug log_info log_warning log_error log_critical test
    lab_create lab_start lab_stop
    node_create node_start node_stop node_config_update node_status_update node_error
    workcell_create workcell_start workcell_stop workcell_config_update workcell_status_update
    workflow_create workflow_start workflow_complete workflow_abort
    experiment_create experiment_start experiment_complete experiment_failed experiment_pause
    experiment_continued campaign_create campaign_start campaign_complete campaign_abort
    action_status_change
    """
_NEW_IN_0_7 = """
    experiment_cancelled action_start action_complete action_failed
    resource_create resource_update resource_delete resource_allocate resource_release
    location_create location_update location_delete attachment_create attachment_delete
    data_store data_query data_export
    manager_start manager_stop manager_error manager_health_check
    workflow_step_start workflow_step_complete workflow_step_failed
    backup_create backup_restore
    """
COMMON = frozenset(_ALWAYS.split())
BEFORE_0_7 = COMMON | {"experiment_stop"}
SINCE_0_7 = COMMON | frozenset(_NEW_IN_0_7.split())
EVENT_TYPES = BEFORE_0_7 | SINCE_0_7

# One member of the server's enumeration, whose value 0.7.0 changed.
TWINS: Mapping[str, str] = {
    "experiment_stop": "experiment_cancelled",
    "experiment_cancelled": "experiment_stop",
}

RENEWED = (0, 7)  # the version of new types, of archived events, and without a definition
UNKNOWN = "unknown"
_QUOTED = re.compile(r"'([a-z0-9_]+)'")
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?!\d)", re.ASCII)


def event_type_of(value: Any) -> str:
    """The type in the server's spelling. Raises ValueError when neither version knows it."""
    lowered = value.lower() if isinstance(value, str) else None
    if lowered not in EVENT_TYPES:
        raise ValueError(f"must be one of: {', '.join(sorted(EVENT_TYPES))}")
    return lowered


def spelled(event_type: str, known: frozenset[str] | None) -> str:
    """The type for a server that knows `known`; None: nobody has told, so it stays."""
    if known is None or event_type in known:
        return event_type
    twin = TWINS.get(event_type)
    return twin if twin in known else UNKNOWN


def in_refusal(answer: Answer) -> frozenset[str] | None:
    """All types that the server knows, which its 422 about another one recites; else None."""
    body = said_by(answer) if answer.status == 422 else None  # noqa: PLR2004
    detail = body.get("detail") if isinstance(body, dict) else None
    for error in detail if isinstance(detail, list) else ():
        if isinstance(error, dict) and error.get("loc") == ["body", "event_type"]:
            return _types(_QUOTED.findall(str(error.get("msg"))))
    return None


def in_description(answer: Answer) -> frozenset[str] | None:
    """The types in the server's description of itself, `/openapi.json`; it lists all of them."""
    found: Any = _object(answer)
    for name in ("components", "schemas", "EventType"):
        found = found.get(name) if isinstance(found, dict) else None
    listed = found.get("enum") if isinstance(found, dict) else None
    return _types(listed) if isinstance(listed, list) else None


def in_health(answer: Answer) -> frozenset[str] | None:
    """The types of the version in `/health`, which servers before 0.7 do not tell."""
    version = version_in(answer)
    if version is None:
        return None
    return SINCE_0_7 if version >= RENEWED else BEFORE_0_7


def version_in(answer: Answer) -> tuple[int, int] | None:
    """The version in `/health`, as far as it matters."""
    told = _VERSION.match(str((_object(answer) or {}).get("version")))
    return None if told is None else (int(told[1]), int(told[2]))


def in_definition(answer: Answer) -> frozenset[str] | None:
    """Only servers before 0.7 have a `/definition`."""
    told = (_object(answer) or {}).get("manager_type")
    return BEFORE_0_7 if told == "event_manager" else None


def _object(answer: Answer) -> dict[str, Any] | None:
    body = said_by(answer) if answer.status == 200 else None  # noqa: PLR2004
    return body if isinstance(body, dict) else None


def _types(names: list[Any]) -> frozenset[str] | None:
    """A list of types, if it is one: `unknown` is in the list of every server."""
    found = frozenset(one for one in names if isinstance(one, str))
    return found if UNKNOWN in found else None
