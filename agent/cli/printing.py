"""Printing: tables for people on a terminal, tab-separated lines in a pipe, JSON for programs.

Promises: nothing is cut; colours and rich only on a terminal (and never with NO_COLOR); no
control character of an entry or a backend reaches the terminal.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.cli.words import one_line

if TYPE_CHECKING:
    from rich.console import RenderableType


class Painted(NamedTuple):
    """Text with a style of rich, which only a terminal sees."""

    text: str
    style: str


Cell = str | Painted


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows below column names; without names, pairs of a word and what there is to say."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[str] = frozenset()  # columns that are set flush right


Section = Grid | Cell


def on_terminal() -> bool:
    """Is a person looking at what we print?"""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """`value` on several lines, whole and parseable."""
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=ascii_only))  # noqa: T201


def print_outcome(value: Any, line: str, *, as_json: bool) -> None:
    """The outcome of a command: `value` for programs, `line` for everybody else."""
    if as_json:
        print_json(value)
    else:
        print(one_line(line))  # noqa: T201


def note(line: str) -> None:
    """Something for a person, beside what the command prints."""
    print(one_line(f"holdfast: {line}"), file=sys.stderr)  # noqa: T201


def print_sections(sections: Sequence[Section]) -> None:
    """Tables and lines, as whoever reads them can use them best."""
    if on_terminal():
        from rich.console import Console  # noqa: PLC0415 - 0.1 s, and only for a person

        Console(highlight=False).print(renderable(sections))
        return
    for section in sections:
        for line in plain_lines(section):
            print(line)  # noqa: T201


def plain_lines(section: Section) -> list[str]:
    """A section as lines of text; cells are separated by tabs."""
    if not isinstance(section, Grid):
        return [_text(section)]
    rows = [*([section.columns] if section.columns else []), *section.rows]
    return ["\t".join(_text(cell) for cell in row) for row in rows]


def renderable(sections: Sequence[Section]) -> "RenderableType":
    """The sections as rich shows them."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    return Group(
        *(
            _rich_table(one) if isinstance(one, Grid) else Text(_text(one), style=_style(one))
            for one in sections
        )
    )


def _rich_table(grid: Grid) -> "RenderableType":
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=bool(grid.columns), header_style="bold")
    for name in grid.columns or ("", ""):
        # Folded, never cut: half an id or half an error is worth nothing.
        table.add_column(name, justify="right" if name in grid.numbers else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(_text(cell), style=_style(cell)) for cell in row))
    return table


def _text(cell: Cell) -> str:
    return one_line(cell.text if isinstance(cell, Painted) else cell)


def _style(cell: Cell) -> str:
    return cell.style if isinstance(cell, Painted) else ""
