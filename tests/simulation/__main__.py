"""make simulate: agents come back after an outage; a chart here, a picture for the docs."""

import sys
from concurrent.futures import ProcessPoolExecutor

from tests.builders import repository
from tests.simulation.behaviours import ALL
from tests.simulation.chart import chart, ruler, table
from tests.simulation.figures import figures
from tests.simulation.picture import picture
from tests.simulation.scene import Scene, play

HERDS = (200, 1_000, 10_000)
PICTURE = repository() / "docs" / "images" / "herd.svg"


def main() -> None:
    print("Agents share a backend that takes 100 requests a second and is away for an hour.")
    print("Together they have 25 entries a second for it. Virtual time; minutes of yours.\n")
    with ProcessPoolExecutor(2) as pool:
        coming = {
            (behaviour, agents): pool.submit(play, Scene(agents), behaviour)
            for agents in HERDS
            for behaviour in ALL
        }
        for agents in HERDS:
            stories = [coming[behaviour, agents].result() for behaviour in ALL]
            print(f"\n{agents:,} agents: the highest second of each minute, logarithmic")
            for story in stories:
                print(f"\n{story.behaviour.name}\n{chart(story)}")
            print(ruler(stories[0]), "\n")
            print(table([(one.behaviour.name, figures(one)) for one in stories]))
            sys.stdout.flush()
    rows = [[coming[behaviour, agents].result() for agents in HERDS] for behaviour in ALL]
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(rows))
    print(f"\nThe picture is {PICTURE.relative_to(repository())}; docs/pace.md says what it shows.")


if __name__ == "__main__":
    main()
