"""What the shell may offer in place of the word that is being typed.

Promises: it never fails loudly and never makes anybody wait: the settings are read as they are
written, and the agent is asked for ids for a moment only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import typer

from agent.cli.completion import SCRIPTS
from agent.cli.endings import OK, Ending, sockets
from agent.cli.fields import ALIASES, FIELDS
from agent.cli.listing import STATES
from agent.cli.options import CURRENT, Field, switches
from agent.cli.raw import backends_of, kind_of
from agent.cli.scanning import Scan, entry_kind, scan
from agent.cli.typed import common_of
from agent.cli.words import one_line
from agent.client import Unanswered, ask_first, places_of
from config.sources import SettingsError, Sources, read_sources

ANSWER_SECONDS = 0.3  # who presses Tab does not wait longer
MOST_IDS = 50
ALL = "ALL"
# Commands whose words are ids, and the state of the entries that they are for.
OF_IDS = {
    "show": "all",
    "edit": "all",
    "retry": "dead",
    "discard": "dead",
    "hold": "pending",
    "release": "held",
}
OF_ONE_ID = ("show", "edit")
OF_BACKENDS = {"put": (), "pause": (ALL,), "resume": (ALL,), "login": ()}

Offer = tuple[str, str]  # a word, and what it is for


def answer(words: Sequence[str], group: Any) -> int:
    """Print what may stand in place of the last of `words`. `group`: all commands."""
    try:
        offers = list(_offers(words, group))
    except (Ending, SettingsError, OSError):
        offers = []
    for word, what in offers:
        print(f"{one_line(word)}\t{one_line(what)}")  # noqa: T201
    return OK


def _offers(words: Sequence[str], group: Any) -> Iterator[Offer]:
    *before, begun = words or ("",)
    own = common_of(group.params)
    start = _start(before, own)
    config = Path(start.config) if start.config else None
    offers = _first(group, start) if start.command is None else _of(group, start, begun, config)
    yield from (offer for offer in offers if offer[0].startswith(begun))


@dataclass
class Start:
    """The words before the command, and those behind it. `command` None: it is still to come.

    `open`: the value of an option is.
    """

    command: str | None = None
    config: str | None = None
    rest: list[str] = field(default_factory=list)
    open: bool = False


def _start(words: Sequence[str], own: dict[str, bool]) -> Start:
    """Find the command behind the options that all commands have."""
    start = Start()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            start.command, start.rest = word, waiting
            break
        if own.get(option) and not equals:
            start.open = not waiting
            value = waiting.pop(0) if waiting else ""
        if option == "--config":
            start.config = value
    return start


def _first(group: Any, start: Start) -> Iterator[Offer]:
    if start.open:
        return  # a file name
    for name, command in group.commands.items():
        yield name, command.get_short_help_str(80)
    yield from _options_of(group.params)


def _of(group: Any, start: Start, begun: str, config: Path | None) -> Iterator[Offer]:
    """What may follow a command and `start.rest`."""
    name = start.command or ""
    command = group.commands.get(name)
    if command is None:
        return
    found = scan(start.rest, common_of(command.params))
    if found.open is not None:
        yield from _values(found, found.open, config)
    elif begun.startswith("-") and begun != "-":
        yield from _options_of([*command.params, *_help(command)])
        if name == "put":
            yield from _typed(found, config)
    elif name == "completion":
        yield from ((shell, "") for shell in SCRIPTS)
    elif name in OF_BACKENDS and not found.plain:
        yield from ((word, "all of them") for word in OF_BACKENDS[name])
        yield from _backends(config, taking=name == "put")
    elif name in OF_IDS and not (name in OF_ONE_ID and found.plain):
        yield from _ids(name, set(found.plain), config)


def _help(command: Any) -> list[Any]:
    context = typer.Context(command)
    return [option for option in [command.get_help_option(context)] if option is not None]


def _options_of(parameters: Sequence[Any]) -> Iterator[Offer]:
    for one in parameters:
        if one.param_type_name == "option":
            yield from ((option, one.help or "") for option in one.opts if option[:2] == "--")


def _typed(found: Scan, config: Path | None) -> Iterator[Offer]:
    for one in _fields(found, config):
        yield from ((option, one.help) for option in switches([one]))


def _values(found: Scan, option: str, config: Path | None) -> Iterator[Offer]:
    match option:
        case "--backend":
            yield from _backends(config)
        case "--kind":
            kind = _kind(found, config)
            names = [*FIELDS[kind], *ALIASES[kind]] if kind else []
            yield from ((name, "") for name in names)
        case "--state":
            yield from ((name, "") for name in STATES)
        case _:
            for one in _fields(found, config):
                if one.option == option:
                    words = (CURRENT,) if one.form == "run" else one.choices
                    yield from ((word, "") for word in words)


def _fields(found: Scan, config: Path | None) -> Sequence[Field]:
    kind = _kind(found, config)
    return FIELDS[kind].get(entry_kind(kind, found.kind), ()) if kind else ()


def _kind(found: Scan, config: Path | None) -> str | None:
    kind = kind_of(read_sources(config), found.plain[0]) if found.plain else None
    return kind if kind in FIELDS else None


def _backends(config: Path | None, *, taking: bool = False) -> Iterator[Offer]:
    """The backends of the settings. `taking`: without those that take no entries."""
    for name, one in backends_of(read_sources(config)).items():
        if taking and FIELDS.get(one.get("kind", "")) == {}:
            continue
        yield name, f"{one.get('kind', '')} {one.get('url', '')}".strip()


def _ids(command: str, named: set[str], config: Path | None) -> Iterator[Offer]:
    """The oldest of those that the command is for."""
    for entry in _listed(read_sources(config), OF_IDS[command]):
        if entry["id"] not in named:
            yield entry["id"], f"{entry['backend']} {entry['kind']} {entry['state']}"


def _listed(found: Sources, state: str) -> list[dict[str, Any]]:
    query = {"after": 0, "limit": MOST_IDS} | ({} if state == "all" else {"state": state})
    path = f"/v1/entries?{urlencode(query)}"
    try:
        status, page = ask_first(sockets(places_of(found)), "GET", path, timeout=ANSWER_SECONDS)
    except Unanswered:
        return []
    return page["entries"] if status == 200 else []  # noqa: PLR2004
