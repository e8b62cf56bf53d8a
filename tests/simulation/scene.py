"""The scene: agents with a trickle each, an outage of the backend they share, the way back."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.agents import Agent, Behaviour, Tally
from tests.simulation.backend import Backend, Shape
from tests.simulation.world import Time


@dataclass(frozen=True)
class Scene:
    """Times in seconds. `load`: entries per second of all agents together."""

    agents: int
    capacity: float = 100.0
    load: float = 25.0
    before: float = 300.0
    outage: float = 3600.0
    after: float = 1800.0
    sheds_above: int | None = None
    seed: int = 1

    @property
    def down(self) -> tuple[float, float]:
        return self.before, self.before + self.outage

    @property
    def end(self) -> float:
        return self.before + self.outage + self.after


@dataclass(frozen=True)
class Story:
    """What came of it. `asked`: requests by second; `waiting`: entries not yet confirmed, too.

    `confirmed`: when each entry was. `late`: answers that came when nobody waited any more.
    """

    scene: Scene
    behaviour: Behaviour
    asked: Sequence[int]
    waiting: Sequence[int]
    confirmed: Sequence[float]
    stored: int
    dead: int
    late: int


def play(scene: Scene, behaviour: Behaviour) -> Story:
    dice = random.Random(scene.seed)
    time, tally = Time(), Tally()
    backend = Backend(Shape(scene.capacity, scene.down, sheds_above=scene.sheds_above), time)
    mean = scene.agents / scene.load
    made = [
        Agent(behaviour, backend, time, dice, tally, lambda: dice.expovariate(1 / mean))
        for _ in range(scene.agents)
    ]

    # What takes the backend away is seen by everybody: each agent has something to say of it.
    def alarm() -> None:
        for agent in made:
            agent.accept()
            time.at(time.seconds + dice.random(), agent.step)

    time.at(scene.down[0] + 5, alarm)
    waiting = []
    for second in range(1, int(scene.end) + 1):
        time.run(float(second))
        waiting.append(tally.accepted - len(tally.confirmed) - tally.dead)
    return Story(
        scene,
        behaviour,
        [backend.asked[second] for second in range(int(scene.end))],
        waiting,
        tally.confirmed,
        len(backend.stored),
        tally.dead,
        backend.late,
    )
