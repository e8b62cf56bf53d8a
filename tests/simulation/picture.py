"""The picture of several stories: requests per second at the backend, on a logarithmic scale.

The area is the mean of twenty seconds, the line their highest second; grey is the outage, the
dashed line is what the backend can do.
"""

import math
from collections.abc import Sequence
from html import escape

from tests.simulation.scene import Story

BIN = 20
PANEL_WIDTH, PANEL_HEIGHT, LEFT, TOP, GAP = 280, 110, 44, 40, 26
DECADES = 4  # from one request per second to ten thousand
STYLE = (
    "text{font:11px sans-serif;fill:#333}.grid{stroke:#ddd}.down{fill:#eee}"
    ".mean{fill:#3b78b0;opacity:.55}.top{fill:none;stroke:#b03b3b;stroke-width:.8}"
    ".cap{stroke:#333;stroke-dasharray:4 3}"
)


def picture(rows: Sequence[Sequence[Story]]) -> str:
    """SVG: a row per behaviour, a column per number of agents."""
    width = LEFT + len(rows[0]) * (PANEL_WIDTH + GAP)
    height = TOP + len(rows) * (PANEL_HEIGHT + GAP + 14) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for column, story in enumerate(rows[0]):
        x = LEFT + column * (PANEL_WIDTH + GAP)
        parts.append(f'<text x="{x}" y="16">{story.scene.agents:,} agents</text>')
    for row, stories in enumerate(rows):
        y = TOP + row * (PANEL_HEIGHT + GAP + 14)
        name = escape(stories[0].behaviour.name)
        parts.append(f'<text x="{LEFT}" y="{y - 5}" font-weight="bold">{name}</text>')
        for column, story in enumerate(stories):
            x = LEFT + column * (PANEL_WIDTH + GAP)
            parts += panel(story, x, y, labelled=column == 0)
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(story: Story, left: int, top: int, *, labelled: bool) -> list[str]:
    end, right, bottom = story.scene.end, left + PANEL_WIDTH, top + PANEL_HEIGHT
    gone, back = (left + edge / end * PANEL_WIDTH for edge in story.scene.down)
    width, capacity = back - gone, top + high(story.scene.capacity)
    bins = [story.asked[at : at + BIN] for at in range(0, len(story.asked), BIN)]

    def line(values: Sequence[float]) -> str:
        step = PANEL_WIDTH / len(values)
        return " ".join(
            f"{left + at * step:.1f},{top + high(one):.1f}" for at, one in enumerate(values)
        )

    means, tops = line([sum(one) / BIN for one in bins]), line([float(max(one)) for one in bins])
    return [
        box("down", gone, top, width, PANEL_HEIGHT),
        *axis(left, top, labelled=labelled),
        f'<polygon class="mean" points="{left},{bottom} {means} {right},{bottom}"/>',
        f'<polyline class="top" points="{tops}"/>',
        across("cap", left, capacity),
        *(
            f'<text x="{left + at * 60 / end * PANEL_WIDTH:.0f}" y="{bottom + 13}">{at} min</text>'
            for at in range(0, int(end // 60) - 9, 30)
        ),
    ]


def axis(left: int, top: int, *, labelled: bool) -> list[str]:
    """A line for each power of ten."""
    places = {10**decade: top + high(10**decade) for decade in range(DECADES + 1)}
    lines = [across("grid", left, place) for place in places.values()]
    words = [f'<text x="{left - 42}" y="{y + 4}">{rate:,}</text>' for rate, y in places.items()]
    return [*lines, *words] if labelled else lines


def box(kind: str, left: float, top: float, width: float, height: float) -> str:
    place = f'x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}"'
    return f'<rect class="{kind}" {place}/>'


def across(kind: str, left: int, place: float) -> str:
    right = left + PANEL_WIDTH
    return f'<line class="{kind}" x1="{left}" x2="{right}" y1="{place}" y2="{place}"/>'


def high(rate: float) -> float:
    """Below the top of the panel, in pixels."""
    decades = min(DECADES, math.log10(max(rate, 1)))
    return PANEL_HEIGHT * (1 - decades / DECADES)
