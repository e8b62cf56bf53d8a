"""Words for people: times, states, whose trouble it is. Pure; standard library only."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent.cli.people import operator_name

MINUTE, HOUR, DAY = 60, 3600, 86_400

STATES = {
    "pending": "waiting",
    "leased": "being sent",
    "held": "held",
    "dead": "failed, kept",
    "delivered": "delivered",
    "discarded": "discarded",
}
SIDES = {
    "entry": "your entry",
    "backend": "their server",
    "network": "the network",
    "credentials": "our credentials",
    "agent": "the agent",
}
COLOURS = {
    "flowing": "green",
    "offline": "yellow",
    "throttled": "yellow",
    "parked": "yellow",
    "paused": "cyan",
    "refused": "red",
    "unconfigured": "red",
}


def state_of(entry: Mapping[str, object]) -> str:
    """The state of an entry as people are told it."""
    word = STATES.get(str(entry["state"]), str(entry["state"]))
    return f"{word}, in doubt" if entry.get("in_doubt") else word


def one_line(text: object) -> str:
    """`text` without anything that could move a terminal's cursor or break a line."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(text))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def span(seconds: float) -> str:
    """A duration in the one unit that says enough."""
    seconds = max(0.0, seconds)
    for limit, unit, word in (
        (2 * MINUTE, 1, "s"),
        (2 * HOUR, MINUTE, "min"),
        (2 * DAY, HOUR, "h"),
    ):
        if seconds < limit:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // DAY)} days"


def moment(text: str | None) -> datetime | None:
    """A time of the agent's JSON; None when there is none, or it is not one."""
    try:
        when = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return when if when is None or when.tzinfo else when.replace(tzinfo=UTC)


def since(text: str | None, now: datetime) -> str:
    """How long since `text`; "-" when never."""
    when = moment(text)
    return span((now - when).total_seconds()) if when else "-"


def ago(text: str | None, now: datetime) -> str:
    """How long ago, such as `5 min ago`; "-" when never."""
    return f"{since(text, now)} ago" if moment(text) else "-"


def ahead(text: str | None, now: datetime) -> str:
    """How long until `text`: "now" when it is past, "-" when there is none."""
    when = moment(text)
    if when is None:
        return "-"
    left = (when - now).total_seconds()
    return f"in {span(left)}" if left > 0 else "now"


def clock(text: str | None, now: datetime) -> str:
    """A time as a wall clock here shows it, and how far away it is."""
    when = moment(text)
    if when is None:
        return "-"
    far = f"in {span((when - now).total_seconds())}" if when > now else ago(text, now)
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S} ({far})"


def pause_of(pause: Mapping[str, Any], now: datetime) -> str:
    """A pause in words: since when, until when, by whom, why."""
    end = f", until {clock(pause['until'], now)}" if pause["until"] else ""
    why = f": {pause['reason']}" if pause["reason"] else ""
    return f"paused for {since(pause['since'], now)}{end}, by {operator_name(pause['who'])}{why}"


def iso(when: datetime) -> str:
    """ISO 8601 with milliseconds and Z, as everywhere in the contract."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count(number: int, one: str, many: str) -> str:
    """The number with the word that fits it: 1 file, 3 files."""
    return f"{number} {one if number == 1 else many}"


def examples(*lines: str) -> str:
    """The end of a command's help. The backspace tells typer to leave the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
