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
LAST_COLUMN = 10  # what a last column needs to be readable when it is folded


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

        console = Console(highlight=False)
        console.print(renderable(sections, console.width))
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


def renderable(sections: Sequence[Section], width: int) -> "RenderableType":
    """The sections as rich shows them on a terminal of `width` columns."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    return Group(
        *(
            _rich_table(one, width)
            if isinstance(one, Grid)
            else Text(_text(one), style=_style(one))
            for one in sections
        )
    )


def _rich_table(grid: Grid, width: int) -> "RenderableType":
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    table = Table(
        box=None,
        pad_edge=False,
        collapse_padding=True,
        show_header=bool(grid.columns),
        header_style="bold",
    )
    columns = grid.columns or ("", "")
    # Where there is room only the last column is folded; where there is none all of them are,
    # because half an id or half an error is worth nothing.
    needed = sum(
        _widest(name, [row[at] for row in grid.rows]) for at, name in enumerate(columns[:-1])
    )
    roomy = needed + LAST_COLUMN <= width
    for name in columns:
        table.add_column(
            name.replace(" ", "\n"),
            justify="right" if name in grid.numbers else "left",
            vertical="top",
            overflow="fold",
            no_wrap=roomy and name != columns[-1],
        )
    for row in grid.rows:
        table.add_row(*(Text(_text(cell), style=_style(cell)) for cell in row))
    return table


def _widest(name: str, cells: Sequence[Cell]) -> int:
    """Letters across that a column of the grid takes, the gap after it included."""
    return 1 + max(len(text) for text in [*name.split(), "", *(_text(cell) for cell in cells)])


def _text(cell: Cell) -> str:
    return one_line(cell.text if isinstance(cell, Painted) else cell)


def _style(cell: Cell) -> str:
    return cell.style if isinstance(cell, Painted) else ""
