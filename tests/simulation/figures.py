"""What a story says in numbers. Each is defined where it is computed; docs/pace.md explains."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.scene import Story

PART = 0.95  # of the backlog has to be delivered until a site counts as recovered
SHORTEST_LAG, LONGEST_LAG = 15, 330  # seconds after which agents could come together again
SETTLED = 600  # seconds of an outage after which everybody has noticed it


@dataclass(frozen=True)
class Figures:
    """`ratio`: time until recovered, to the time that the backend alone would need; None: not
    within the scene. `peak`: the highest second after the outage, to the capacity.
    `peak_to_mean`: the highest ten seconds of the recovery to their mean. `echo_away` and
    `echo_back`: the highest autocorrelation of requests per second, during the outage and
    during the recovery: 0 is noise, 1 is everybody at once, again and again. `wasted`:
    answers that came too late, per entry delivered in the recovery.
    """

    backlog: int
    limit_seconds: float
    recovered_seconds: int | None
    ratio: float | None
    peak: float
    peak_to_mean: float
    echo_away: float
    echo_back: float
    wasted: float


def figures(story: Story) -> Figures:
    scene = story.scene
    gone, back = (int(edge) for edge in scene.down)
    backlog = story.waiting[back - 1]
    limit = PART * backlog / (scene.capacity - scene.load)
    recovered = recovery(story.waiting, back, backlog)
    asked = story.asked
    way_back = asked[back : back + (recovered or len(asked))]
    return Figures(
        backlog=backlog,
        limit_seconds=limit,
        recovered_seconds=recovered,
        ratio=None if recovered is None else recovered / limit,
        peak=max(way_back) / scene.capacity,
        peak_to_mean=max(means(way_back, 10)) / (sum(way_back) / len(way_back)),
        echo_away=echo(asked[min(gone + SETTLED, (gone + back) // 2) : back]),
        echo_back=echo(way_back),
        wasted=story.late / max(1, sum(at >= back for at in story.confirmed)),
    )


def recovery(waiting: Sequence[int], back: int, backlog: int) -> int | None:
    """Seconds from the end of the outage until so many entries wait as a twentieth of it."""
    few = (1 - PART) * backlog
    return next((at - back for at in range(back, len(waiting)) if waiting[at] <= few), None)


def means(series: Sequence[int], seconds: int) -> list[float]:
    """The mean of each run of so many seconds."""
    runs = [series[at : at + seconds] for at in range(0, len(series), seconds)]
    return [sum(run) / len(run) for run in runs]


def echo(series: Sequence[int]) -> float:
    """The highest autocorrelation at any lag in question, of what differs from the trend."""
    rough = [one - trend for one, trend in zip(series, trends(series, 30), strict=True)]
    power = sum(one * one for one in rough)
    lags = range(SHORTEST_LAG, min(LONGEST_LAG, len(rough) // 3))
    if not power or not lags:
        return 0.0
    return max(
        sum(one * later for one, later in zip(rough, rough[lag:], strict=False)) / power
        for lag in lags
    )


def trends(series: Sequence[int], seconds: int) -> list[float]:
    """The mean around each second."""
    sums = [0]
    for one in series:
        sums.append(sums[-1] + one)
    spans = [
        (max(0, at - seconds), min(len(series), at + seconds + 1)) for at in range(len(series))
    ]
    return [(sums[end] - sums[begin]) / (end - begin) for begin, end in spans]
