"""What happens to an entry next, as far as anybody can know. Pure: values in, a sentence out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent.cli.words import ahead, moment, pause_of, since


def next_of(entry: Mapping[str, Any], backend: Mapping[str, Any], now: datetime) -> str:
    """The sentence about `entry`; `backend` is its backend's part of the status."""
    match entry["state"]:
        case "pending":
            return _next_try(entry, backend, now)
        case "leased":
            return "it is being sent now"
        case "held":
            return (
                f"nothing, until an operator decides; holdfast release {entry['id']}{_edit(entry)}"
            )
        case "dead":
            return f"nothing by itself; holdfast retry {entry['id']}, or discard it{_edit(entry)}"
        case "delivered" if entry.get("payload_kept"):
            return f"nothing; if {entry['backend']} has lost it, holdfast resend can send it again"
        case _:
            return ""


def _edit(entry: Mapping[str, Any]) -> str:
    """What is in doubt may be there already, and is not edited."""
    return "" if entry.get("in_doubt") else f"; wrong? holdfast edit {entry['id']} first"


def _next_try(entry: Mapping[str, Any], backend: Mapping[str, Any], now: datetime) -> str:
    """The first thing that stands in its way: first what no time will change."""
    name = entry["backend"]
    if not backend or backend["state"] == "unconfigured":
        return f"nothing: {name} is not in the settings; it is kept"
    parent = entry.get("waits_for")
    # None: it has left the outbox, and holds nothing up any more.
    if parent and (state := entry.get("waits_for_state", "pending")):
        return f"sent once entry {parent} is delivered{_snag(parent, state)}"
    ahead_of_it = entry.get("behind")
    if ahead_of_it and ahead_of_it["state"] in ("held", "dead"):
        id_, state = ahead_of_it["id"], ahead_of_it["state"]
        return f"sent after entry {id_}, which goes first{_snag(id_, state)}"
    return _rest_of(entry, backend, now) or _turn_of(entry, now)


def _snag(id_: str, state: str | None) -> str:
    """Why an entry that others wait for does not go by itself, and what to do."""
    match state:
        case "held":
            return f"; that one is held: holdfast release {id_}"
        case "dead":
            return f"; that one failed and was kept: holdfast retry {id_}, or discard it"
        case _:
            return ""


def _rest_of(entry: Mapping[str, Any], backend: Mapping[str, Any], now: datetime) -> str:
    """What keeps the backend, or the part of it that the entry is for, from taking anything."""
    name = entry["backend"]
    if pause := backend.get("pause"):
        resume = "" if pause["until"] else f"; holdfast resume {name}"
        return f"{name} is {pause_of(pause, now)}{resume}"
    whole = backend["state"] != "flowing"
    rest = backend if whole else _part_at_rest(entry, backend)
    if rest is None:
        return ""
    what = f"{name} is {rest['state']}" if whole else f"{rest['scope']} waits"
    return (
        f"{what} since {since(rest['since'], now)}: {rest['reason']};"
        f" next try {ahead(rest['next_attempt_at'], now)}"
    )


def _turn_of(entry: Mapping[str, Any], now: datetime) -> str:
    due = moment(entry.get("not_before"))
    if due is not None and due > now:
        return f"sent {ahead(entry['not_before'], now)}"
    return "sent as soon as those before it are out"


def _part_at_rest(entry: Mapping[str, Any], backend: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of the backend that holds this entry up.

    Told by the entry's own part, or by the reason that both carry: an entry of a kind that its
    backend does not know has no part of its own.
    """
    own = entry.get("scope") or ""
    parts = [one for one in backend["scopes"] if own == one["scope"] or _inside(own, one["scope"])]
    error = entry.get("last_error")
    if not parts and error and error["class"] in ("Parked", "UnknownKind"):
        parts = [one for one in backend["scopes"] if one["reason"] == error["detail"]]
    return parts[0] if parts else None


def _inside(scope: str, outer: str) -> bool:
    return scope.startswith(f"{outer}/")
