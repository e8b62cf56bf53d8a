"""Two hundred agents come back after an outage, in virtual time: figures, not timings."""

from dataclasses import replace

import pytest

from tests.simulation.behaviours import DOUBLING, FIXED, OURS
from tests.simulation.figures import echo, figures
from tests.simulation.picture import picture
from tests.simulation.scene import Scene, Story, play

# As in docs/pace.md, with a tenth of the entries and of the capacity.
SCENE = Scene(200, capacity=10, load=2.5, outage=1800, after=900)


@pytest.fixture(scope="module")
def story() -> Story:
    return play(SCENE, OURS)


def test_everything_arrives_and_nothing_is_invented(story: Story) -> None:
    assert story.dead == 0
    assert len(story.confirmed) == story.stored
    assert story.waiting[-1] < 20


def test_a_herd_recovers_as_fast_as_the_backend_can(story: Story) -> None:
    made = figures(story)

    assert made.ratio is not None
    assert made.ratio < 1.15
    assert made.wasted < 0.01


def test_a_herd_does_not_come_back_together(story: Story) -> None:
    made = figures(story)

    assert made.peak_to_mean < 1.5
    assert made.echo_away < 0.2
    assert made.echo_back < 0.2


def test_a_herd_without_jitter_and_pace_does(story: Story) -> None:
    ours = figures(story)

    for other in (FIXED, DOUBLING):
        made = figures(play(SCENE, other))
        assert made.peak > 2 * ours.peak
        assert made.wasted > 10 * max(ours.wasted, 0.01)


def test_a_herd_that_is_asked_to_wait_obeys_and_spreads() -> None:
    story = play(replace(SCENE, sheds_above=20, after=700), OURS)

    made = figures(story)
    assert made.ratio is not None
    assert made.ratio < 1.15
    assert made.echo_back < 0.3


def test_the_same_seed_tells_the_same_story() -> None:
    small = Scene(20, capacity=10, load=2.5, outage=120, after=120)

    assert play(small, OURS).waiting == play(small, OURS).waiting


def test_an_echo_is_one_where_all_come_together_and_none_where_they_do_not() -> None:
    together = [100 if second % 60 == 0 else 0 for second in range(1800)]
    alone = [(second * 7919) % 101 for second in range(1800)]

    assert echo(together) > 0.8
    assert echo(alone[:0]) == 0.0
    assert echo([5] * 1800) == 0.0


def test_the_picture_is_drawn(story: Story) -> None:
    drawn = picture([[story]])

    assert drawn.startswith("<svg")
    assert "200 agents" in drawn
