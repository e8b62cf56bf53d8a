"""Reading the words of `put` before typer does: which are options of the entry's payload.

Whose options they are depends on the backend, and the backend may be named behind them; so the
words are told apart by what all kinds of entry together have. Pure; standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.cli.endings import usage
from agent.cli.fields import ALIASES, FIELDS, MAIN_KINDS
from agent.cli.inputs import utf8
from agent.cli.options import Field, Typed, switches

KIND, ATTACH, DESCRIBE = "--kind", "--attach", "--describe"
END = "--"  # what follows is no option


@dataclass
class Scan:
    """The words told apart. `rest` is for typer: all that is not of the payload.

    `plain`: the words that are no options. `unknown`: the first option that nobody has.
    `described`: by which `--attach` it is, counted from 0, what its file shows. `open`: the
    last option, where it still lacks its value.
    """

    rest: list[str] = field(default_factory=list)
    typed: list[Typed] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    kind: str | None = None
    unknown: str | None = None
    described: dict[int, str] = field(default_factory=dict)
    open: str | None = None


def scan(words: Sequence[str], common: Mapping[str, bool]) -> Scan:
    """Tell the words apart. `common`: the options of every `put`, and whether they take a value.

    Raises Ending (64) for a description that belongs to no file.
    """
    found = Scan()
    payload = all_switches()
    waiting = list(reversed(words))
    attached = -1
    while waiting:
        word = waiting.pop()
        if word == END:
            found.rest += [word, *reversed(waiting)]
            found.plain += reversed(waiting)
            break
        option, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            found.rest.append(word)
            found.plain.append(word)
            continue
        takes = payload.get(option, common.get(option))
        if takes is None:
            found.unknown = found.unknown or option
        given = value if equals else None
        if takes and given is None:
            if not waiting:
                found.open = option
            else:
                given = waiting.pop()
        if option in payload:
            found.typed.append((option, given))
            continue
        found.rest += [word] if equals or given is None else [word, given]
        attached += option == ATTACH
        _note(found, option, given, attached)
    return found


def _note(found: Scan, option: str, value: str | None, attached: int) -> None:
    if option == KIND:
        found.kind = value
    if option == DESCRIBE and value is not None:
        if attached < 0 or attached in found.described:
            raise usage(f"{DESCRIBE} {value!r}: write it after the {ATTACH} that it is about")
        found.described[attached] = utf8(value, DESCRIBE)


def check_typed(typed: Sequence[Typed]) -> None:
    """Raises Ending (64) for an option without its value, a switch with one, and no text."""
    takes = all_switches()
    for option, value in typed:
        if takes[option] and value is None:
            raise usage(f"{option} needs a value")
        utf8(value or "", option)
        if not takes[option] and value is not None:
            raise usage(f"{option} takes no value: there is also {opposite_of(option)}")


def opposite_of(option: str) -> str:
    """The other half of a switch."""
    word = option.removeprefix("--no-")
    return f"--{word}" if word != option else "--no-" + option.removeprefix("--")


def all_switches() -> dict[str, bool]:
    """The options of all kinds of entry: does each take a value?"""
    return {
        option: takes
        for entries in FIELDS.values()
        for fields in entries.values()
        for option, takes in switches(fields).items()
    }


def entry_kind(backend_kind: str, wanted: str | None) -> str:
    """The kind of entry that is meant; None: the main one. It need not exist."""
    name = wanted or MAIN_KINDS[backend_kind]
    return ALIASES[backend_kind].get(name, name)


def fields_of(backend_kind: str, kind: str) -> tuple[Field, ...]:
    """The fields of a kind of entry. Raises Ending (64) where there is none of this name."""
    entries = FIELDS[backend_kind]
    if not entries:
        raise usage(f"backends of kind {backend_kind} take no entries: ask with `holdfast query`")
    if kind not in entries:
        takes = ", ".join(sorted(entries))
        raise usage(f"--kind {kind!r}: backends of kind {backend_kind} take: {takes}")
    return entries[kind]


def check_owned(typed: Sequence[Typed], backend: str, backend_kind: str, kind: str) -> None:
    """Every option has to be of this kind of entry. Raises Ending (64): whose it is."""
    own = switches(fields_of(backend_kind, kind))
    for option, _ in typed:
        if option in own:
            continue
        siblings = [name for name in FIELDS[backend_kind] if _has(backend_kind, name, option)]
        if siblings:
            hint = f"give it with --kind {' or --kind '.join(siblings)}"
        else:
            owners = [
                name for name in FIELDS if any(_has(name, one, option) for one in FIELDS[name])
            ]
            hint = f"it is for backends of kind {', '.join(owners)}"
        raise usage(
            f"{option} is no option of a {kind!r} for {backend}: {hint}."
            f" Its own are: {', '.join(own) or 'none'}"
        )


def _has(backend_kind: str, kind: str, option: str) -> bool:
    return option in switches(FIELDS[backend_kind][kind])
