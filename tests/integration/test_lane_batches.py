"""Batches: a refused one is halved, a lost one is one lost answer."""

from pathlib import Path

from adapters.verdict import BatchRefused, Uncertain, Unreachable
from tests.builders import an_entry
from tests.lane_world import lane_world, proof, receipt

HOUR = 3600.0


async def test_a_lost_answer_for_a_batch_is_one_lost_answer(tmp_path: Path) -> None:
    with lane_world(tmp_path, batch_size=10) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(10)])
        world.adapter.script = [Uncertain("read timed out")]

        await world.step()

        assert world.adapter.sent == [[f"e{n}" for n in range(10)]]
        assert await world.rest() is None


async def test_a_refused_batch_is_halved_until_the_culprit_stands_alone(tmp_path: Path) -> None:
    keys = [f"e{n}" for n in range(128)]
    with lane_world(tmp_path, batch_size=128) as world:
        await world.accept(*[an_entry(key, kind="record") for key in keys])

        def judge(claims: object) -> object:
            if any(claim.key == "e77" for claim in claims):  # type: ignore[attr-defined]
                return BatchRefused("duplicate or bad record", status=400)
            return proof(claims)  # type: ignore[arg-type]

        world.adapter.script = [judge] * 1000
        await world.step()

        assert len(world.adapter.sent) <= 2 * 7 + 1
        assert await world.state("e77") == "dead"
        assert world.outbox.delivered["events"] == 127
        confirmed = [key for sent in world.adapter.sent for key in sent if "e77" not in sent]
        assert sorted(confirmed) == sorted(set(keys) - {"e77"})


async def test_only_the_refused_part_of_a_batch_is_sent_again(tmp_path: Path) -> None:
    with lane_world(tmp_path, batch_size=4) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(4)])
        refused = BatchRefused("bad record")
        world.adapter.script = [[receipt("r0"), refused, receipt("r2"), refused]]

        await world.step()

        assert world.adapter.sent == [["e0", "e1", "e2", "e3"], ["e1"], ["e3"]]
        assert world.outbox.delivered["events"] == 4


async def test_a_backend_that_goes_away_while_a_batch_is_halved(tmp_path: Path) -> None:
    with lane_world(tmp_path, batch_size=4) as world:
        await world.accept(*[an_entry(f"e{n}", kind="record") for n in range(4)])
        world.adapter.script = [BatchRefused("bad record"), Unreachable("no route")]

        await world.step()

        assert world.adapter.sent == [["e0", "e1", "e2", "e3"], ["e0", "e1"]]
        counts = (await world.outbox.looks.census(now=world.clock.now()))["events"]
        assert (counts.pending, counts.in_doubt) == (4, 0)
        assert [(await world.shown(f"e{n}"))["tries"] for n in range(4)] == [1, 1, 0, 0]
