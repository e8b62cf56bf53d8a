"""One part of a backend that cannot take entries now rests by itself; the others flow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.base import (
    Parked,
)
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, looks

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def test_a_parked_scope_rests_and_other_scopes_flow(world: LaneWorld) -> None:
    await world.accept(an_entry("locked", scope="exp1"), an_entry("open", scope="exp2"))
    world.adapter.script = [Parked("the experiment is locked", scope="exp1")]

    await world.steps(3)

    shown = await world.shown("locked")
    assert (shown["state"], shown["attempts"]) == ("pending", 0)
    assert await world.state("open") == "delivered"
    assert await world.rest() is None
    assert (await world.rest("exp1")) is not None


async def test_a_parked_scope_is_tried_with_one_entry_and_then_flows(tmp_path: Path) -> None:
    with lane_world(tmp_path, concurrency=4) as world:
        await world.accept(*[an_entry(f"e{n}", scope="exp1") for n in range(8)])
        world.adapter.script = [Parked("not active", scope="exp1")] * 4
        await world.step()
        assert len(world.adapter.sent) == 4

        world.adapter.script = [Parked("not active", scope="exp1")]
        world.clock.advance(2)
        await world.step()
        assert len(world.adapter.sent) == 5
        await world.live(60)

        assert len(world.adapter.sent) == 5 + 8


async def test_a_scope_that_is_not_the_entrys_own_makes_the_entry_wait_by_itself(
    world: LaneWorld,
) -> None:
    await world.accept("a")
    world.adapter.script = [Parked("the run has not begun", scope="run 5")] * 1000

    await world.live(HOUR)

    assert 1 < len(world.adapter.sent) < 100
    assert (await world.shown("a"))["attempts"] == 0


async def test_an_entry_of_a_kind_that_the_settings_no_longer_know_is_kept_and_told(
    tmp_path: Path,
) -> None:
    with lane_world(tmp_path) as world:
        await world.accept(an_entry("old", kind="workflow"), an_entry("new"))

        await world.live(4 * HOUR)

        assert await world.state("new") == "delivered"
        shown = await world.shown("old")
        assert (shown["state"], shown["in_doubt"]) == ("pending", False)
        assert "takes no 'workflow'" in shown["last_error"]["detail"]
        rest = await world.rest("kind workflow")
        assert rest is not None
        assert rest.state == "refused"
        assert world.adapter.sent == [["new"]]
        told = world.told("backend.rests")
        assert [line["log_level"] for line in told] == ["error"]
        assert looks(world) < 4 * HOUR
