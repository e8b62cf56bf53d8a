"""The scene: agents with a trickle each, an outage of the backend they share, the way back."""

import random
from dataclasses import dataclass
from itertools import count

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
    after: float = 2400.0
    sheds_above: int | None = None
    seed: int = 1

    @property
    def down(self) -> tuple[float, float]:
        return self.before, self.before + self.outage

    @property
    def end(self) -> float:
        return self.before + self.outage + self.after


@dataclass
class Story:
    """What came of it. `waiting`: entries not yet confirmed, by second."""

    scene: Scene
    behaviour: Behaviour
    backend: Backend
    tally: Tally
    waiting: list[int]


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
    for second in count(1):
        if second > scene.end:
            break
        time.run(float(second))
        waiting.append(tally.accepted - tally.confirmed)
    return Story(scene, behaviour, backend, tally, waiting)
