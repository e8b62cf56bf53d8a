"""`holdfast show ID`: everything about one entry, and what happens to it next."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.agents import Agent
from agent.cli.endings import NO_INPUT, OK, OK_ANSWERS, Ending, detail_of, ending_of
from agent.cli.next import next_of
from agent.cli.people import operator_name, user_name
from agent.cli.printing import Grid, Section, print_json, print_sections
from agent.cli.words import SIDES, clock, count, examples, since, state_of

DUPLICATES = {
    True: "it was there already",
    "same": "it was there already, with the same content",
    "differs": "another one was there under this name: what was sent is not there",
    "not verified": "one of this name was there already; nobody could see whether it is the same",
}
PAIRS = ()  # a grid without column names: a word, and what there is to say


EXAMPLES = examples(
    "holdfast show 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T",
    "holdfast show 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T --payload",
)


def show(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `put` and `list` print it.")],
    *,
    payload: Annotated[bool, typer.Option("--payload", help="With what it says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> Callable[[], int]:
    """Show everything about one entry.

    Who made it, what was tried, whose side the trouble is on, and what happens next.

    After delivery it shows the receipt: the backend's own name for the entry, and where to
    look at it.
    """
    return partial(_show, context.obj, id_, payload=payload, as_json=as_json)


def _show(config: Path | None, id_: str, *, payload: bool, as_json: bool) -> int:
    agent = Agent(config)
    status, entry = agent.entry(id_)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise Ending(NO_INPUT, detail_of(status, entry))
    if status not in OK_ANSWERS:
        raise ending_of(status, entry)
    if as_json:
        shown = entry if payload else {k: v for k, v in entry.items() if k != "payload"}
        print_json(shown)
        return OK
    backend = agent.status()["backends"].get(entry["backend"], {})
    print_sections(sections_of(entry, backend, now=datetime.now(UTC)))
    if payload and "payload" in entry:
        print_json(entry["payload"])
    return OK


def sections_of(
    entry: Mapping[str, Any], backend: Mapping[str, Any], *, now: datetime
) -> list[Section]:
    """Everything about `entry`; `backend` is its backend's part of the status."""
    told = [
        ("id", entry["id"]),
        ("what", f"{entry['backend']} / {entry['kind']}"),
        ("state", state_of(entry)),
        *_facts(entry, now),
        *_trouble(entry, now),
        ("held", _hold(entry, now)),
        *_found_out(entry),
        ("next", next_of(entry, backend, now)),
    ]
    sections: list[Section] = [Grid(PAIRS, [pair for pair in told if pair[1]])]
    if entry.get("attachments"):
        sections += ["", Grid(("attachment", "type", "bytes"), _files(entry))]
    if entry.get("history"):
        columns = ("tried", "times", "what happened", "whose side", "in detail")
        sections += ["", Grid(columns, [_try(one, now) for one in entry["history"]])]
    if entry.get("operators"):
        acts = [_act(one, now) for one in entry["operators"]]
        sections += ["", Grid(("operators", "who", "did", "why"), acts)]
    return sections


def _facts(entry: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    labels = entry.get("labels") or {}
    facts = [
        ("key", entry["key"]),
        ("stream", entry.get("stream") or ""),
        ("labels", ", ".join(f"{name}={value}" for name, value in labels.items())),
        ("handed in by", _who(entry.get("producer"))),
        ("created", _time(entry, "created_at", now)),
        ("accepted", _time(entry, "accepted_at", now)),
        ("expires", _time(entry, "expires_at", now)),
        ("size", f"{entry['size']} bytes" if "size" in entry else ""),
    ]
    receipt = entry.get("receipt")
    if receipt:
        facts += [
            ("delivered", clock(receipt["delivered_at"], now)),
            ("there it is", receipt["remote_id"]),
            ("look at it", receipt["url"] or ""),
            ("note", DUPLICATES.get(receipt["duplicate"], "")),
        ]
    return facts


def _time(entry: Mapping[str, Any], name: str, now: datetime) -> str:
    return clock(entry[name], now) if entry.get(name) else ""


def _who(producer: Mapping[str, Any] | None) -> str:
    """User, process and door, as far as they are known."""
    if not producer:
        return ""
    uid, pid = producer.get("uid"), producer.get("pid")
    parts = [
        *([] if uid is None else [user_name(uid)]),
        *([] if pid is None else [f"pid {pid}"]),
        f"by the {producer['via']}",
    ]
    return ", ".join(parts)


def _trouble(entry: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    error = entry.get("last_error")
    if not error:
        return []
    counted = entry["attempts"]  # tries that failed while other entries passed
    return [
        ("last error", f"{error['detail']} ({since(error['at'], now)} ago)"),
        ("trouble with", SIDES.get(error["side"], error["side"])),
        ("failed while others passed", count(counted, "time", "times") if counted else ""),
    ]


def _files(entry: Mapping[str, Any]) -> list[list[str]]:
    return [
        [one["name"], one["media_type"] or "", str(one["size"])] for one in entry["attachments"]
    ]


def _hold(entry: Mapping[str, Any], now: datetime) -> str:
    """Who holds the entry back, since when, and why."""
    holds = [one for one in entry.get("operators") or () if one["verb"] == "hold"]
    if entry["state"] != "held" or not holds:
        return ""
    last = holds[-1]
    why = f": {last['detail']}" if last["detail"] else ""
    return f"by {operator_name(last['who'])}, {since(last['at'], now)} ago{why}"


def _found_out(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an open payload was found to mean; while it is held, what a release agrees to."""
    found = entry.get("resolved") or {}
    told = ", ".join(f"{name} {value}" for name, value in found.items())
    return [("a release agrees to" if entry["state"] == "held" else "found out", told)]


def _act(one: Mapping[str, Any], now: datetime) -> list[str]:
    return [f"{since(one['at'], now)} ago", operator_name(one["who"]), one["verb"], one["detail"]]


def _try(one: Mapping[str, Any], now: datetime) -> list[str]:
    first, last = since(one["first_at"], now), since(one["last_at"], now)
    when = f"{last} ago" if first == last else f"{first} to {last} ago"
    answered = f" (HTTP {one['status']})" if one["status"] else ""
    said = f"{one['detail']}{answered}"
    excerpt = f"; the answer began: {one['excerpt']}" if one["excerpt"] else ""
    return [when, str(one["times"]), one["class"], SIDES.get(one["side"], ""), said + excerpt]
