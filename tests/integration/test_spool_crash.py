"""A power cut between any two steps: every entry is accepted once, and no file is left."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.spool_world import PowerCut, World, a_world, event

STEPS = [
    "spool.read",
    "spool.staged",
    "spool.accepted",
    "spool.aside",
    "spool.reason",
    "spool.removing",
    "spool.removed",
]
POST = {"experiment": "xpptut15", "text": "hello"}
DEFAULTS = {"elog": {"experiment": "xpptut15"}}


def cut_at(step: str, after: int) -> Callable[[str], None]:
    """A checkpoint that ends everything the `after`-th time that `step` is reached."""
    left = [after]

    def checkpoint(name: str) -> None:
        left[0] -= name == step
        if left[0] == 0 and name == step:
            raise PowerCut

    return checkpoint


def fill(world: World) -> None:
    world.drop("events/a.json", event(1))
    world.drop("events/b.ndjson", "\n".join([event(2), "{broken", event(3)]))
    world.drop("events/c.ndjson", "".join(event(number) + "\n" for number in range(4, 20)))
    world.drop("events/d.json", "{broken")
    world.drop("elog/d.txt", "hello")
    world.drop("elog/e.entry/entry.json", json.dumps({**POST, "text": "with a plot"}))
    world.drop("elog/e.entry/plot.png", b"PNG")


async def assert_all_here_once(world: World) -> None:
    entries = await world.entries()
    numbers = [one["payload"]["event_data"]["n"] for one in entries if one["backend"] == "events"]
    texts = [one["payload"]["text"] for one in entries if one["backend"] == "elog"]
    assert sorted(numbers) == list(range(1, 20))
    assert sorted(texts) == ["hello", "with a plot"]
    assert world.left() == []
    assert world.aside() == ["events/b.ndjson", "events/d.json"]
    assert len(list((world.root / ".rejected/events").iterdir())) == 4
    assert (world.root / ".rejected/events/b.ndjson").read_bytes() == b"{broken\n"
    assert list((world.outbox.attachments.root / "incoming").iterdir()) == []


async def live_through(world: World, cuts: list[tuple[str, int]]) -> int:
    """Start again after each cut, then once more undisturbed. Returns how many cuts there were."""
    fill(world)
    suffered = 0
    for step, after in cuts:
        world.start(checkpoint=cut_at(step, after))
        try:
            await world.settle()
        except PowerCut:
            suffered += 1
            world.outbox.recover(0)
    world.start(checkpoint=lambda _name: None)
    await world.settle()
    await assert_all_here_once(world)
    return suffered


@pytest.mark.parametrize("step", STEPS)
async def test_a_cut_at_each_step_repeats_work_and_nothing_else(tmp_path: Path, step: str) -> None:
    async with a_world(tmp_path) as world:
        world.start(text_defaults=DEFAULTS, batch_entries=6)
        assert await live_through(world, [(step, 1)]) == 1


@pytest.mark.parametrize("after", [2, 3, 4])
async def test_a_cut_in_the_middle_of_a_long_file_repeats_nothing(
    tmp_path: Path, after: int
) -> None:
    async with a_world(tmp_path) as world:
        world.start(text_defaults=DEFAULTS, batch_entries=6)
        assert await live_through(world, [("spool.accepted", after)]) == 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 4)), max_size=5))
def test_any_series_of_cuts_ends_well(
    cuts: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def live() -> None:
        async with a_world(tmp_path_factory.mktemp("cuts")) as world:
            world.start(text_defaults=DEFAULTS, batch_entries=6)
            await live_through(world, cuts)

    asyncio.run(live())


async def test_a_half_removed_folder_is_never_taken_again(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.drop("elog/a.entry/entry.json", json.dumps(POST))
        world.start(checkpoint=cut_at("spool.removing", 1))
        with pytest.raises(PowerCut):
            await world.settle()
        (half_removed,) = (world.root / "elog").iterdir()
        (half_removed / "plot.png").write_bytes(b"what the removal had not reached")
        assert half_removed.name.startswith(".")

        world.start(checkpoint=lambda _name: None)
        await world.settle()
        assert len(await world.entries()) == 1
        assert world.left() == []
