"""A refused secret is tried again when it has changed, after an hour, or when somebody says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.verdict import Refused
from agent.retry import Policy
from tests.lane_world import LaneWorld, lane_world

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def test_the_same_wrong_secret_is_not_tried_again_for_an_hour(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Refused("401", credentials=True)] * 10

    await world.live(HOUR - 1)
    assert len(world.adapter.sent) == 1
    await world.live(2)

    assert len(world.adapter.sent) == 2


async def test_what_was_shown_to_nobody_is_tried_on(world: LaneWorld) -> None:
    unusable = Refused("the command failed", credentials=True)
    unusable.shown_to = "nobody"
    await world.accept("a")
    world.adapter.script = [unusable] * 3

    await world.live(HOUR / 2)

    assert await world.state("a") == "delivered"


@pytest.mark.parametrize("shown_to", ["nobody", "kdc", "token server", "backend"])
async def test_a_changed_secret_is_tried_at_once(tmp_path: Path, shown_to: Any) -> None:
    secret = ["wrong"]
    refused = Refused("401", credentials=True)
    refused.shown_to = shown_to
    with lane_world(tmp_path, credentials=lambda: secret[0]) as world:
        await world.accept("a")
        world.adapter.script = [refused]
        await world.step()

        world.lane.tick()
        await world.step()
        assert len(world.adapter.sent) == 1
        secret[0] = "right"
        world.lane.tick()
        await world.step()

        assert await world.state("a") == "delivered"


@pytest.mark.parametrize(("after", "tries"), [("wrong", 1), ("right", 2)])
async def test_a_secret_changed_while_the_agent_was_down_is_noticed(
    tmp_path: Path, after: str, tries: int
) -> None:
    secret = ["wrong"]
    with lane_world(tmp_path, credentials=lambda: secret[0]) as world:
        await world.accept("a")
        world.adapter.script = [Refused("401", credentials=True)]
        await world.step()

        secret[0] = after
        await world.restart()
        world.lane.tick()
        await world.step()

        assert len(world.adapter.sent) == tries


async def test_without_a_secret_a_401_is_tried_again_as_any_refusal(tmp_path: Path) -> None:
    with lane_world(tmp_path, policy=Policy(has_secret=False)) as world:
        await world.accept("a")
        world.adapter.script = [Refused("401", credentials=True)]

        await world.live(5)

        assert await world.state("a") == "delivered"


async def test_an_operator_may_try_a_refused_backend_now(world: LaneWorld) -> None:
    await world.accept("a")
    world.adapter.script = [Refused("401", credentials=True)]
    await world.step()

    await world.lane.retry_now()
    await world.step()

    assert await world.state("a") == "delivered"
