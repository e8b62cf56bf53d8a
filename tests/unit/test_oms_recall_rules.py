"""What may be made of a kept answer, and what only OMS itself can say."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from adapters.oms.parts import WHOLE_AT
from adapters.oms.recall import recall
from storage.cached import Kept
from tests.kept_asking import ask, fetch, numbers, query, refusal, runs_100_to_120
from tests.kept_world import GRACE, MemoryShelf, World, at, kept_of, plan_of, text_of


@pytest.fixture
def world() -> World:
    return runs_100_to_120()


async def test_end_lumi_is_of_its_own_filters(world: World) -> None:
    await fetch(world, "lumisections run=100:102")
    for text in ("run=101", "run=101 fields=end_lumi", "run=101 fields=pileup sort=end_lumi"):
        no = await refusal(world, f"lumisections {text}")
        assert "end_lumi comes from the next row" in no.detail
    said = await ask(world, "lumisections run=101 fields=lumisection_number,pileup,init_lumi")
    assert numbers(said) == [101, 101]
    text = "lumisections run=100:102 fields=run_number,lumisection_number,end_lumi"
    assert (await ask(world, text)).data == world.answer(query(text))[0]
    assert "end_lumi" in (await refusal(world, "lumisections run=100:102 sort=-run_number")).detail


async def test_end_lumi_of_a_row_asked_for_by_its_id_is_its_own(world: World) -> None:
    await fetch(world, "lumisections run=102 filter=lumisection_number=2")
    assert "end_lumi" in (await refusal(world, "lumisections/102_2")).detail


async def test_like_is_local_over_all_and_never_from_another_like(world: World) -> None:
    await fetch(world, "hltpathinfo run=100:101")
    said = await ask(world, "hltpathinfo run=100 filter=path_name~Zero")
    assert [row["attributes"]["path_name"] for row in said.data] == ["HLT_ZeroBias_v5"]
    assert said.notes[0].startswith("local LIKE")
    world.shelf.answers.clear()
    await fetch(world, "hltpathinfo run=100:101 filter=path_name~HLT%")
    assert (
        "does not imply"
        in (await refusal(world, "hltpathinfo run=100 filter=path_name~Zero")).detail
    )
    said = await ask(world, "hltpathinfo run=100 filter=path_name~HLT%")
    assert said.notes == ()  # OMS itself has chosen


async def test_like_on_run_numbers_is_no_range_of_them(world: World) -> None:
    await fetch(world, "runs filter=run_number~11%")
    assert "does not imply" in (await refusal(world, "runs run=110:112")).detail
    await fetch(world, "runs")
    assert numbers(await ask(world, "runs filter=run_number~%11")) == [111]


async def test_sums_are_left_to_oms(world: World) -> None:
    await fetch(world, "l1triggerrates run=100:104 granularity=run", "l1triggerrates run=100:104")
    assert numbers(await ask(world, "l1triggerrates run=101 granularity=run")) == [101]
    assert (
        len((await ask(world, "l1triggerrates run=101 filter=last_lumisection_number<2")).data) == 1
    )
    for text, reason in (
        ("run=101 granularity=run filter=last_lumisection_number<2", "a range of lumisections"),
        ("run=101 granularity=run filter=rate>1", "sums"),
        ("run=101 granularity=range", "groups"),
        ("run=101 group[size]=10", "groups"),
        ("run=101 filter=last_lumisection_number=-1", "newest"),
    ):
        assert reason in (await refusal(world, f"l1triggerrates {text}")).detail, text
    await fetch(world, "hltpathinfo run=100:104")
    assert "sums" in (await refusal(world, "hltpathinfo run=100 filter=accepted>0")).detail


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("weeklysummaries", "too little"),
        ("runs/100/hltconfigdata", "OMS itself"),
        ("runs/100 filter=l1_rate>0", "OMS itself"),
        ("runs/100 limit=1", "OMS itself"),
        ("runs run=100 include=turbo", "parameters"),
    ],
)
async def test_what_only_the_very_answer_says(world: World, text: str, reason: str) -> None:
    await fetch(world, "runs")
    assert reason in (await refusal(world, text)).detail


async def test_paths_with_an_id(world: World) -> None:
    await fetch(world, "runs run=100:104", "lumisections run=100:104 fields=pileup,run_number")
    said = await ask(world, "runs/102")
    assert said.data == world.answer(query("runs run=102"))[0][0]
    assert "run 106" in (await refusal(world, "runs/106")).detail
    said = await ask(world, "runs/102/lumisections fields=pileup")
    assert numbers(said) == [102, 102]
    said = await ask(world, "lumisections/102_2 fields=pileup")
    assert said.data["id"] == "102_2"
    assert (
        "not among the lumisections"
        in (await refusal(world, "lumisections/102_9 fields=pileup")).detail
    )


async def test_answers_under_a_path_with_an_id_serve_others(world: World) -> None:
    row = world.answer(query("runs run=102"))[0][0]
    sections = world.answer(query("lumisections run=102 fields=pileup"))[0]
    await world.shelf.put(kept_of(query("runs/102"), row, 1))
    await world.shelf.put(kept_of(query("runs/102/lumisections fields=pileup"), sections, 2))
    assert numbers(await ask(world, "runs run=102 fields=l1_rate")) == [102]
    assert (
        len(
            (
                await ask(world, "lumisections run=102 fields=pileup filter=lumisection_number=2")
            ).data
        )
        == 1
    )
    assert (await refusal(world, "runs run=102:103")).missing


async def test_fills_are_cut_out_of_a_wider_answer(world: World) -> None:
    await fetch(world, "fills filter=fill_number>=50 filter=fill_number<=60")
    said = await ask(
        world,
        "fills filter=fill_number>=55 filter=fill_number<=57 sort=-fill_number fields=fill_number",
    )
    assert [row["attributes"]["fill_number"] for row in said.data] == [57, 56, 55]


async def test_the_list_of_fields_comes_with_it_or_not_at_all(world: World) -> None:
    await fetch(world, "runs run=100:104")
    assert "include=meta" in (await refusal(world, "runs run=100 include=meta")).detail
    asked = query("runs run=100:104 include=meta")
    kept = kept_of(asked, world.answer(query("runs run=100:104"))[0], 9)
    await world.shelf.put(Kept(kept.label, kept.data, {**kept.meta, "fields": {"era": {}}}))
    said = await ask(world, "runs run=100 include=meta")
    assert said.meta == {"totalResourceCount": 1, "fields": {"era": {}}}


async def test_damaged_answers_are_as_if_they_were_not_there(world: World) -> None:
    await fetch(world, "runs run=100:104")
    for data in ("text", ["text"], None):
        await world.shelf.put(kept_of(query("runs run=100:103"), data or (), 9))
    await world.shelf.put(kept_of(query("runs run=100:102"), [{"id": 5, "attributes": None}], 10))
    shelf = world.shelf

    class Losing(MemoryShelf):
        async def get(self, key: str) -> Kept | None:
            return None if key == query("runs run=100:101").key else await shelf.get(key)

        async def family(self, family: str) -> Sequence[Any]:
            return await shelf.family(family)

    await fetch(world, "runs run=100:101")
    said = await recall(
        plan_of(query("runs run=100 fields=l1_rate")), Losing(), partial=False, grace_ms=GRACE
    )
    assert (numbers(said), said.fetched_at) == ([100], 1)


async def test_rows_of_before_an_attribute_was_there(world: World) -> None:
    await fetch(world, "runs run=100:104")
    no = await refusal(world, "runs run=100 fields=era")
    assert no.detail == (
        "run 100 was never fetched in this form;"
        " a kept answer will not do: a kept row does not hold era"
    )


async def test_settled_when_every_part_is(world: World) -> None:
    late = at(text_of(120)) + 3 * GRACE
    for one in world.tables["runs"]:
        end = text_of(one["run_number"])
        one |= {"end_time": end, "last_update": end, "last_lumisection_number": 2}
    for text in ("hltpathinfo run=100:101", "hltpathinfo run=102:104"):
        await world.fetch(query(text), late)
    facts = {f"run:{n}": [text_of(n), text_of(n), 2] for n in range(100, 105)}
    await world.shelf.note(facts, late)
    assert (await ask(world, "hltpathinfo run=100:104")).settled
    assert (await ask(world, "hltpathinfo run=100:101")).settled
    await world.shelf.note({"run:103": [text_of(103), text_of(104), 2]}, late + 1)
    assert not (await ask(world, "hltpathinfo run=100:104")).settled
    assert (await ask(world, "hltpathinfo run=100:101")).settled
    assert not (await ask(world, "hltpathinfo run=102:104")).settled


async def test_a_change_that_was_seen_since_is_told(world: World) -> None:
    await fetch(world, "hltpathinfo run=100:104")
    facts = {f"run:{number}": [None, None, 1] for number in (100, 101, 102)}
    await world.shelf.note(facts, 1)
    await world.shelf.note({name: [None, None, 2] for name in facts if name != "run:100"}, 5)
    note = "OMS was seen to have changed runs 101-102 after this was fetched"
    assert (await ask(world, "hltpathinfo run=100:104")).notes == (note,)
    assert (await ask(world, "hltpathinfo run=100:102")).notes == (note,)
    assert (await ask(world, "hltpathinfo run=100")).notes == ()


async def test_a_joined_answer_is_as_old_as_its_oldest_rows(world: World) -> None:
    asked = query("lumisections run=100 fields=pileup")
    kept = kept_of(asked, world.answer(asked)[0], 9)
    await world.shelf.put(Kept(kept.label, kept.data, {**kept.meta, WHOLE_AT: 4}))
    said = await ask(world, "lumisections run=100 fields=pileup")
    assert (said.fetched_at, said.meta) == (4, {"totalResourceCount": 2})
    assert (await ask(world, "lumisections run=100 fields=pileup limit=9")).fetched_at == 4


async def test_what_is_not_complete_is_not_settled(world: World) -> None:
    whole = await world.fetch(query("hltpathinfo run=100:104"), 1)
    await world.shelf.put(replace(whole, label=replace(whole.label, settled=True)))
    said = await ask(world, "hltpathinfo run=104:105", partial=True)
    assert (said.complete, said.settled) == (False, False)
    cut = replace(whole, label=replace(whole.label, settled=True, complete=False))
    await world.shelf.put(cut)
    said = await ask(world, "hltpathinfo run=100:104")
    assert (said.complete, said.settled) == (False, False)


async def test_rows_that_do_not_tell_their_run_are_not_cut(world: World) -> None:
    await fetch(world, "l1triggerrates run=100:104 fields=rate")
    no = await refusal(world, "l1triggerrates run=100 fields=rate")
    assert "does not hold run_number" in no.detail


async def test_what_was_settled_stays_so_until_a_run_changes(world: World) -> None:
    for text in ("hltpathinfo run=100:104", "hltpathinfo run=105:109"):
        kept = await world.fetch(query(text), 1)
        label = replace(kept.label, settled=True)
        await world.shelf.put(replace(kept, label=label))
    asked = ("hltpathinfo run=100:104", "hltpathinfo run=101", "hltpathinfo run=102:107")
    assert [(await ask(world, text)).settled for text in asked] == [True, True, True]
    await world.shelf.note({"run:102": [None, None, 1], "run:101": [None, None, 1]}, 1)
    await world.shelf.note({"run:102": [None, None, 2]}, 5)
    assert [(await ask(world, text)).settled for text in asked] == [False, True, False]
