"""`status` as the contract shapes it, computed from the database's counts.

The same function serves the running daemon, which adds what its lanes know, and the command
line when no daemon runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from storage.census import MOST_COUNTED, Census
from storage.entry import Pause, Rest
from storage.lists import iso
from storage.wrecks.salvaged import Salvaged

NO_DUPLICATES = {"same": 0, "differs": 0, "not_verified": 0}


@dataclass(frozen=True, slots=True)
class LaneReport:
    """What only a running lane knows: monotonic facts that no database holds."""

    silent_seconds: float
    due: bool
    next_attempt_at: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a status is made of. Times are epoch ms.

    `pauses`: those in force. `waiting`: how much waits in each (backend, scope) that rests.
    """

    now: int
    kinds: Mapping[str, str]
    counts: Mapping[str, Census]
    rests: list[Rest]
    rates: Mapping[str, float]
    spool: Mapping[str, int]
    version: str
    pid: int | None = None
    since: int | None = None
    lanes: Mapping[str, LaneReport] = field(default_factory=dict)
    pauses: Sequence[Pause] = ()
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    salvaged: Salvaged | None = None


def build_status(picture: Picture) -> dict[str, Any]:
    """The contract's `status --json`."""
    names = sorted({*picture.kinds, *(n for n, c in picture.counts.items() if c.waiting or c.dead)})
    backends = {name: _backend(name, picture) for name in names}
    totals = {
        word: sum(one[word] for one in backends.values())
        for word in ("pending", "leased", "held", "dead", "in_doubt")
    }
    return {
        "agent": {
            "running": picture.pid is not None,
            "pid": picture.pid,
            "version": picture.version,
            "since": iso(picture.since),
        },
        "backends": backends,
        "spool": dict(picture.spool),
        "totals": totals,
        "salvage": _told_salvage(picture.salvaged),
    }


def _told_salvage(found: Salvaged | None) -> dict[str, Any] | None:
    """A damaged database that no operator has seen to."""
    return None if found is None else {**asdict(found), "at": iso(found.at)}


def _backend(name: str, picture: Picture) -> dict[str, Any]:
    counts = picture.counts.get(name) or Census()
    whole = next((r for r in picture.rests if (r.backend, r.scope) == (name, "")), None)
    pause = next((p for p in picture.pauses if p.backend == name), None)
    begun = pause or whole
    lane = picture.lanes.get(name)
    rate = picture.rates.get(name, 0.0)
    state, reason = _state(name, picture, pause, whole)
    oldest = counts.oldest_at
    error = counts.last_error
    return {
        "kind": picture.kinds.get(name),
        "state": state,
        "reason": reason or (lane.note if lane else None),
        "since": iso(begun.since) if begun else None,
        "pause": _told_pause(pause),
        "rest": _told_rest(whole) if whole else None,
        "pending": counts.pending,
        "leased": counts.leased,
        "held": counts.held,
        "dead": counts.dead,
        "in_doubt": counts.in_doubt,
        "oldest_age_seconds": None if oldest is None else max(0, picture.now - oldest) / 1000,
        "ages": counts.ages,
        "delivered_total": counts.delivered,
        "lost_total": counts.lost,
        "superseded_total": counts.superseded,
        "duplicates": {**NO_DUPLICATES, **counts.duplicates},
        "last_success_at": iso(counts.last_success_at),
        "last_error": {**error, "at": iso(error.get("at"))} if error else None,
        "next_attempt_at": iso(_next_attempt(pause, whole, lane, counts)),
        "rate_per_minute": rate,
        "eta_seconds": _eta(counts, rate) if pause is None else None,
        "silent_seconds": _silent(lane, picture.now, oldest),
        "scopes": _scopes(name, picture),
    }


def _state(
    name: str, picture: Picture, pause: Pause | None, whole: Rest | None
) -> tuple[str, str | None]:
    """What is told first: a pause goes before the rest that may stand behind it."""
    if name not in picture.kinds:
        return "unconfigured", f"backends.{name} is not in the settings; its entries are kept"
    if pause is not None:
        end = "" if pause.until is None else f" until {iso(pause.until)}"
        why = f": {pause.reason}" if pause.reason else ""
        return "paused", f"by {pause.who}{end}{why}"
    if whole is None:
        return "flowing", None
    return whole.state, whole.reason


def _told_pause(pause: Pause | None) -> dict[str, Any] | None:
    if pause is None:
        return None
    times = {"since": iso(pause.since), "until": iso(pause.until)}
    return {**times, "who": pause.who, "reason": pause.reason}


def _told_rest(rest: Rest) -> dict[str, Any]:
    return {
        "state": rest.state,
        "reason": rest.reason,
        "since": iso(rest.since),
        "next_attempt_at": iso(rest.until),
    }


def _scopes(name: str, picture: Picture) -> list[dict[str, Any]]:
    """The parts of the backend that rest, and how much waits in each."""
    found = []
    for rest in picture.rests:
        if rest.backend == name and rest.scope:
            waiting = picture.waiting.get((name, rest.scope), 0)
            counted = {"waiting": min(waiting, MOST_COUNTED), "and_more": waiting > MOST_COUNTED}
            found.append({"scope": rest.scope, **_told_rest(rest), **counted})
    return found


def _silent(lane: LaneReport | None, now: int, oldest_at: int | None) -> float | None:
    """How long what is due has had no outcome: nothing waits longer than the oldest entry."""
    if lane is None or not lane.due or oldest_at is None:
        return None
    return round(min(lane.silent_seconds, max(0, now - oldest_at) / 1000), 1)


def _eta(counts: Census, rate: float) -> float | None:
    return round(counts.pending / rate * 60, 1) if rate and counts.pending else None


def _next_attempt(
    pause: Pause | None, whole: Rest | None, lane: LaneReport | None, counts: Census
) -> int | None:
    if not counts.pending:
        return None
    if pause is not None:
        ends = pause.until
        return ends if ends is None or whole is None else max(ends, whole.until)
    if whole is not None:
        return whole.until
    return lane.next_attempt_at if lane else None
