"""How far a long command has come: a bar for a person at a terminal, nothing for anybody else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Advance]:
    """Call what it gives with how many more are done. `total` None: nobody knows how many.

    On standard error, and gone when it is over, so that it never mixes with the outcome.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - 0.1 s, and only for a person
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda number: bar.advance(task, number)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a person that the command lives, while somebody else has to do something."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    with Console(stderr=True).status(what):
        yield


@contextmanager
def fetching(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Call what it gives with how many rows are there, and of how many as far as is known.

    As `progress`; nothing is shown before there is something to wait for.
    """
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda rows, of: bar.update(task, completed=rows, total=of, visible=True)
