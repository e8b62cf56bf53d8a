"""What a person sees of a play: a bar while it runs, a table at the end."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.soak.play import Play, Result
from tests.soak.schedule import Schedule


class View:
    """A progress bar with the counts of the moment. A context manager."""

    def __init__(self, console: Console, schedule: Schedule) -> None:
        self._progress = Progress(
            TextColumn("seed {task.fields[seed]}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
        )
        self._task = self._progress.add_task(
            "", total=schedule.seconds, seed=schedule.seed, said="starting"
        )

    def tell(self, now: float, play: Play) -> None:
        """How it goes at `now`."""
        waiting = sum(play.crowd.waiting.values())
        said = f"{len(play.books.accepted)} accepted, {waiting} wait, life {play.stage.lives}"
        self._progress.update(self._task, completed=now, said=said)

    def __enter__(self) -> "View":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def print_result(console: Console, result: Result, file: Path) -> None:
    """The outcome as a table; what went wrong, and how to see it again."""
    table = Table(title=f"seed {result.seed}, {result.seconds:g} s, {result.profile}")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for name, value in rows(result):
        table.add_row(name, value)
    console.print(table)
    for what, why in result.skipped.items():
        console.print(f"not played here: {what}: {why}", style="yellow")
    if result.ok:
        console.print("every promise held", style="bold green")
        return
    for one in result.violations:
        console.print(one, style="bold red", markup=False)
    console.print(f"again: python -m tests.soak --schedule {file}; log: {file.with_suffix('.log')}")


def rows(result: Result) -> list[tuple[str, str]]:
    """The numbers worth a look."""
    balance = result.balance
    counted = {
        "accepted": balance.get("accepted", "?"),
        "delivered": balance.get("delivered", "?"),
        "lost": len(balance.get("lost", ())),
        "invented": len(balance.get("invented", ())),
        "doubled": len(balance.get("doubled", ())),
        "altered": len(balance.get("altered", ())),
        "out of order": len(balance.get("disordered", ())),
        "letters sent again": result.repeated_letters,
        "dead letters retried": result.dead_letters_retried,
        "lives of the agent": result.lives,
        "slowest stop (s)": result.slowest_stop_seconds,
        "drained after (s)": result.drain_seconds,
        "fresh entries after (s)": result.fresh_seconds,
    }
    acts = {f"act: {name}": count for name, count in sorted(result.acts.items())}
    return [(name, str(value)) for name, value in {**counted, **acts}.items()]
