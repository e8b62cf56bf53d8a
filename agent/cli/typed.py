"""The command of `put`: its own options from typer, those of the payload by the backend's kind.

Promises: `put BACKEND --help` shows the options that entries of this backend have; an option that
nobody has is wrong usage, and the known ones are named.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.cli.endings import usage
from agent.cli.fields import FIELDS
from agent.cli.options import FORMS, Field
from agent.cli.plain import PlainCommand
from agent.cli.raw import kind_of
from agent.cli.scanning import Scan, check_typed, entry_kind, scan
from config.sources import SettingsError, read_sources

SCAN = "holdfast.scan"  # where the context keeps what was read
HELP = ("--help", "-h")


class TypedCommand(PlainCommand):
    """A command whose backend decides about its further options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options of the payload out; typer reads the rest. Raises Ending (64)."""
        found = scan(args, common_of(self.get_params(ctx)))
        ctx.meta[SCAN] = found
        if not any(word in found.rest for word in HELP):
            if found.unknown:
                raise usage(_unknown(found, ctx.obj))
            check_typed(found.typed)
        return super().parse_args(ctx, found.rest)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options of every `put`, then those of the backend that was named."""
        super().format_options(ctx, formatter)
        found: Scan = ctx.meta[SCAN]
        title, lines = _section(found, ctx.obj)
        with formatter.section(title):
            if isinstance(lines, str):
                formatter.write_text(lines)
            else:
                formatter.write_dl([(field.shown, _told(field)) for field in lines])


def scanned(context: Any) -> Scan:
    """What was read of a command's words."""
    found: Scan = context.meta[SCAN]
    return found


def common_of(parameters: list[Any]) -> dict[str, bool]:
    """The options of a typer command: does each take a value?"""
    return {
        option: not (one.is_flag or one.count)
        for one in parameters
        if one.param_type_name == "option"
        for option in (*one.opts, *one.secondary_opts)
    }


def _section(found: Scan, config: Any) -> tuple[str, str | tuple[Field, ...]]:
    if not found.plain:
        return "Options of the entry", (
            "Each field of the entry has an option, such as --title for a post. Name the backend"
            " to see them: holdfast put BACKEND --help (with --kind KIND for its other kinds)."
        )
    backend = found.plain[0]
    try:
        backend_kind = _kind(backend, config)
    except SettingsError as error:
        return "Options of the entry", f"Unknown, since {'; '.join(error.problems)}."
    if backend_kind is None:
        return "Options of the entry", f"Unknown: the settings name no backend {backend!r}."
    if not FIELDS[backend_kind]:
        return "Options of the entry", f"{backend} takes no entries: it can only be asked."
    kind = entry_kind(backend_kind, found.kind)
    fields = FIELDS[backend_kind].get(kind)
    others = ", ".join(name for name in FIELDS[backend_kind] if name != kind)
    if fields is None:
        return "Options of the entry", f"{backend} takes no {kind!r}, but: {others}."
    more = f"; with --kind also: {others}" if others else ""
    return f"Options of a {kind!r} for {backend} ({backend_kind}{more})", fields


def _told(field: Field) -> str:
    form = FORMS.get(field.form)
    notes = []
    if field.choices:
        notes.append(f"One of {', '.join(field.choices)}.")
    if field.required:
        notes.append("[required]")
    elif form is not None and form.many:
        notes.append("May be repeated.")
    return " ".join([field.help, *notes])


def _unknown(found: Scan, config: Any) -> str:
    """What to say of an option that nobody has."""
    said = f"there is no option {found.unknown}"
    try:
        backend_kind = _kind(found.plain[0], config) if found.plain else None
    except SettingsError:
        backend_kind = None
    if backend_kind is None or not FIELDS[backend_kind]:
        return f"{said}; `holdfast put BACKEND --help` shows what there is"
    kind = entry_kind(backend_kind, found.kind)
    known: Mapping[str, tuple[Field, ...]] = FIELDS[backend_kind]
    options = ", ".join(field.option for field in known.get(kind, ()))
    return f"{said}; a {kind!r} for {found.plain[0]} has {options}; for the others see --help"


def _kind(backend: str, config: Any) -> str | None:
    """The kind of a backend of the settings; None: it has none that we know."""
    kind = kind_of(read_sources(config if isinstance(config, Path) else None), backend)
    return kind if kind in FIELDS else None
