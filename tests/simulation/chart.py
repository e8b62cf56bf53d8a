"""A story on a terminal: requests per second over time, and its figures as rows of a table."""

import math
from collections.abc import Sequence

from tests.simulation.figures import Figures
from tests.simulation.scene import Story

BARS = " ▁▂▃▄▅▆▇█"
COLUMNS = 95
HEADINGS = (
    f"{'':36}{'recovered':>10}{'/limit':>8}{'peak':>8}{'peak/mean':>11}"
    f"{'echo away':>11}{'echo back':>11}{'wasted':>8}"
)


def chart(story: Story) -> str:
    """One line: the highest second of each column, logarithmic up to a hundred capacities."""
    scene = story.scene
    step = scene.end / COLUMNS
    tops = [max(story.asked[int(at * step) : int((at + 1) * step)]) for at in range(COLUMNS)]
    return "".join(bar(top / scene.capacity) for top in tops)


def bar(load: float) -> str:
    """A hundredth of the capacity is the lowest bar, a hundred times the capacity the highest."""
    if not load:
        return BARS[0]
    return BARS[max(1, min(8, round(4.5 + 1.75 * math.log10(load))))]


def ruler(story: Story) -> str:
    """What happens when, below a chart."""
    scene = story.scene
    gone, back = (round(edge / scene.end * COLUMNS) for edge in scene.down)
    return f"{'':{gone}}{'outage':-^{back - gone}}{'back':^{COLUMNS - back}}"


def row(name: str, made: Figures) -> str:
    """One line of the table."""
    when = "never" if made.recovered_seconds is None else f"{made.recovered_seconds} s"
    ratio = "" if made.ratio is None else f"{made.ratio:.2f}"
    return (
        f"{name:36}{when:>10}{ratio:>8}{made.peak:>8.1f}{made.peak_to_mean:>11.2f}"
        f"{made.echo_away:>11.2f}{made.echo_back:>11.2f}{made.wasted:>8.2f}"
    )


def table(rows: Sequence[tuple[str, Figures]]) -> str:
    return "\n".join([HEADINGS, *(row(*one) for one in rows)])
