"""What the audience sees: the status of the four backends as a table."""

from typing import Any

from rich.table import Table

COLOURS = {"flowing": "green", "offline": "yellow", "refused": "red", "throttled": "yellow"}


def status_table(status: dict[str, Any], title: str) -> Table:
    """The contract's status, as a person likes it."""
    table = Table(title=title, title_justify="left", title_style="dim", min_width=72)
    for heading in ("backend", "state", "waiting", "in doubt", "delivered", "reason"):
        table.add_column(
            heading, justify="right" if heading in ("waiting", "delivered") else "left"
        )
    for name, one in status["backends"].items():
        colour = COLOURS.get(one["state"], "white")
        waiting = one["pending"] + one["leased"]
        table.add_row(
            name,
            f"[{colour}]{one['state']}[/]",
            str(waiting),
            str(one["in_doubt"] or ""),
            str(one["delivered_total"]),
            (one["reason"] or "")[:40],
        )
    return table
