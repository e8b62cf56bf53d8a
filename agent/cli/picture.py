"""A status as people read it. Pure: values in, tables and lines out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent.cli.printing import Grid, Painted, Section
from agent.cli.words import COLOURS, STATES, ago, ahead, clock, count, pause_of, since, span
from agent.severity import ATTENTION, FINE, NOT_RUNNING, STUCK

NEVER = "-"
VERDICTS = {
    FINE: ("fine", "green"),
    ATTENTION: ("needs attention", "yellow"),
    STUCK: ("stuck", "red"),
    NOT_RUNNING: ("no agent is running", "red"),
}
COLUMNS = (
    "backend",
    "state",
    "waiting",
    "in doubt",
    STATES["dead"],
    "oldest",
    "delivered",
    "last success",
    "next try",
)
NUMBERS = frozenset({"waiting", "in doubt", STATES["dead"], "oldest", "delivered"})


def sections_of(status: Mapping[str, Any], *, now: datetime) -> list[Section]:
    """Everything: the agent, its backends, what waits how long, the spool."""
    backends: Mapping[str, Mapping[str, Any]] = status["backends"]
    sections: list[Section] = [_agent(status["agent"], now)]
    if backends:
        running = status["agent"]["running"]
        rows = [_row(name, one, now, running=running) for name, one in backends.items()]
        sections += ["", Grid(COLUMNS, rows, NUMBERS)]
    else:
        sections.append("no backends are configured, and nothing waits")
    sections += _reasons(backends, now)
    sections += _rests(backends, now)
    sections += _held(backends)
    sections += _clashes(backends)
    sections += _ages(backends)
    return [*sections, "", _spool(status["spool"]), *_salvage(status.get("salvage"), now)]


def one_line_of(status: Mapping[str, Any], code: int) -> Section:
    """The whole status in one line; `code` is its exit code."""
    totals = status["totals"]
    word, style = VERDICTS[code]
    parts = [
        f"{_waiting(totals)} waiting",
        *([f"{totals['dead']} {STATES['dead']}"] if totals["dead"] else []),
        *([f"{totals['in_doubt']} in doubt"] if totals["in_doubt"] else []),
        *(f"{name} {one['state']}" for name, one in status["backends"].items()),
        *(f"spool {number} {what}" for what, number in status["spool"].items() if number),
    ]
    return Painted(f"{word}: {', '.join(parts)}", style)


def _agent(agent: Mapping[str, Any], now: datetime) -> Section:
    if not agent["running"]:
        return Painted(f"no agent is running (version {agent['version']}); from its files:", "red")
    begun = clock(agent["since"], now)
    return f"agent {agent['version']}, pid {agent['pid']}, running since {begun}"


def _row(name: str, one: Mapping[str, Any], now: datetime, *, running: bool) -> list[str | Painted]:
    oldest = one["oldest_age_seconds"]
    return [
        name,
        Painted(one["state"], COLOURS.get(one["state"], "")),
        str(_waiting(one)),
        str(one["in_doubt"]),
        Painted(str(one["dead"]), "red" if one["dead"] else ""),
        NEVER if oldest is None else span(oldest),
        str(one["delivered_total"]),
        ago(one["last_success_at"], now),
        ahead(one["next_attempt_at"], now) if running else NEVER,
    ]


def _waiting(counts: Mapping[str, Any]) -> int:
    return int(counts["pending"]) + int(counts["leased"]) + int(counts["held"])


def _reasons(backends: Mapping[str, Mapping[str, Any]], now: datetime) -> list[Section]:
    """Why a backend does not flow, or when it will have caught up. Below the table, uncut."""
    lines: list[Section] = []
    for name, one in backends.items():
        if one["reason"]:
            lines += _reason(name, one, now)
        elif one["eta_seconds"]:
            rate = f"{one['rate_per_minute']:g} per minute"
            lines.append(f"{name}: {rate}, all delivered in {span(one['eta_seconds'])}")
    return ["", *lines] if lines else []


def _reason(name: str, one: Mapping[str, Any], now: datetime) -> list[Section]:
    colour = COLOURS.get(one["state"], "")
    long = f" for {since(one['since'], now)}" if one.get("since") else ""
    if one.get("pause") is None or one["state"] != "paused":
        return [Painted(f"{name}: {one['state']}{long}: {one['reason']}", colour)]
    lines: list[Section] = [Painted(f"{name}: {pause_of(one['pause'], now)}", colour)]
    if rest := one.get("rest"):
        behind = f"{name}: {rest['state']} for {since(rest['since'], now)}: {rest['reason']}"
        lines.append(Painted(behind, COLOURS.get(rest["state"], "")))
    return lines


def _rests(backends: Mapping[str, Mapping[str, Any]], now: datetime) -> list[Section]:
    """The parts of a backend that wait by themselves, such as one experiment."""
    lines: list[Section] = [
        Painted(
            f"{name} / {one['scope']}: {one['state']} for {since(one['since'], now)},"
            f"{_waiting_in(one)} next try {ahead(one['next_attempt_at'], now)}: {one['reason']}",
            COLOURS.get(one["state"], ""),
        )
        for name, backend in backends.items()
        for one in backend["scopes"]
    ]
    return ["", *lines] if lines else []


def _waiting_in(scope: Mapping[str, Any]) -> str:
    """How much waits in a part of a backend; not told where it is not known."""
    if not scope.get("waiting"):
        return ""
    return f" {scope['waiting']}{'+' if scope.get('and_more') else ''} waiting,"


def _held(backends: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    return [
        f"{name}: {count(one['held'], 'entry waits', 'entries wait')} for an operator"
        for name, one in backends.items()
        if one["held"]
    ]


def _clashes(backends: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    """Duplicates of which the backend holds something else: delivered, and yet not there."""
    return [
        Painted(f"{name}: {count(number, 'duplicate', 'duplicates')} with other content", "yellow")
        for name, one in backends.items()
        if (number := (one.get("duplicates") or {}).get("differs"))
    ]


def _ages(backends: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    """How long what waits has been waiting, per backend."""
    waiting = {name: one["ages"] for name, one in backends.items() if any(one["ages"].values())}
    if not waiting:
        return []
    bounds = list(next(iter(waiting.values())))
    columns = ["waiting for", *bounds]
    rows = [[name, *(str(ages[bound]) for bound in bounds)] for name, ages in waiting.items()]
    return ["", Grid(columns, rows, frozenset(bounds))]


def _salvage(told: Mapping[str, Any] | None, now: datetime) -> list[Section]:
    """A damaged database: what was saved, what is lost, what to do."""
    if told is None:
        return []
    if told["running"]:
        line = "a damaged database is being read; deliveries go on when all of it is back"
        return ["", Painted(line, "red")]
    saved = f"{count(told['entries'], 'entry', 'entries')} saved"
    lost = "nobody can tell how many are lost" if told["lost"] is None else f"{told['lost']} lost"
    return [
        "",
        Painted(f"the database was damaged {ago(told['at'], now)}: {saved}, {lost}", "red"),
        f"  why: {told['reason']}",
        *(f"  what is lost, by name: {one}/salvaged.json" for one in told["moved_to"]),
        "  when you have seen to it: holdfast seen",
    ]


def _spool(spool: Mapping[str, int]) -> Section:
    line = (
        f"spool: {count(spool['waiting'], 'file waits', 'files wait')},"
        f" {spool['blocked']} blocked, {spool['rejected']} moved aside"
    )
    if not (spool["blocked"] or spool["rejected"]):
        return line
    hint = " (why: the agent's log, and NAME.reason.json in .rejected below the spool)"
    return Painted(line + hint, "yellow")
