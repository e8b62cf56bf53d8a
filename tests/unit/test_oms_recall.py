"""Which kept answers are used for a question about runs, and what is missing."""

import pytest

from tests.kept_asking import ask, fetch, numbers, query, refusal, runs_100_to_120
from tests.kept_world import World, kept_of


@pytest.fixture
def world() -> World:
    return runs_100_to_120()


async def test_the_very_answer_comes_first(world: World) -> None:
    await fetch(world, "runs run=100", "runs run=100:110")
    said = await ask(world, "runs run=100")
    assert (said.source, said.fetched_at, said.complete, said.settled) == ("cache", 1, True, False)
    assert world.shelf.loaded == [query("runs run=100").key]


async def test_nothing_was_ever_asked(world: World) -> None:
    no = await refusal(world, "runs run=100:102")
    assert no.detail == "runs 100-102 were never fetched"
    assert no.missing == ((100, 102),)
    assert (await refusal(world, "runs run=100")).detail == "run 100 was never fetched"
    assert "never asked" in (await refusal(world, "fills filter=fill_number=55")).detail


async def test_a_part_of_a_wider_answer_with_fewer_fields(world: World) -> None:
    await fetch(world, "runs run=100:112")
    said = await ask(world, "runs run=102:110 fields=l1_rate sort=-run_number")
    assert said.source == "derived"
    assert numbers(said) == [110, 104, 103, 102]
    assert said.meta == {"totalResourceCount": 4}
    assert set(said.data[0]["attributes"]) == {"l1_rate"}


async def test_the_id_tells_the_run_where_no_field_does(world: World) -> None:
    await fetch(world, "runs run=100:112 fields=l1_rate")
    assert numbers(await ask(world, "runs run=102:103 fields=l1_rate")) == [102, 103]
    assert (
        "fields run_number"
        in (await refusal(world, "runs run=102 fields=run_number,l1_rate")).detail
    )


async def test_a_kept_answer_without_the_fields(world: World) -> None:
    await fetch(world, "runs run=100:112 fields=run_number,l1_rate")
    no = await refusal(world, "runs run=100 fields=l1_rate sort=sequence")
    assert "it lacks the fields sequence" in no.detail
    no = await refusal(world, "runs run=100 fields=l1_rate filter=sequence=GLOBAL-RUN")
    assert "it lacks the fields sequence" in no.detail
    assert "all were asked for" in (await refusal(world, "runs run=100")).detail


async def test_a_filter_that_both_have_needs_no_field(world: World) -> None:
    await fetch(world, "runs run=100:112 fields=l1_rate filter=sequence=GLOBAL-RUN")
    said = await ask(world, "runs run=100:101 fields=l1_rate filter=sequence=GLOBAL-RUN")
    assert numbers(said) == [100, 101]
    assert "does not imply" in (await refusal(world, "runs run=100:101 fields=l1_rate")).detail


async def test_neighbouring_answers_are_put_together(world: World) -> None:
    await fetch(world, "runs run=100:103", "runs run=104:110", "runs run=111:115")
    said = await ask(world, "runs run=102:112")
    assert numbers(said) == [102, 103, 104, 110, 111, 112]
    assert said.fetched_at == 1
    assert said.complete


async def test_runs_stay_apart_where_no_field_tells_them(world: World) -> None:
    fields = "fields=last_lumisection_number"
    await fetch(world, f"l1triggerrates run=101 {fields}", f"l1triggerrates run=100 {fields}")
    said = await ask(world, f"l1triggerrates run=100:101 {fields}")
    assert [row["id"] for row in said.data] == ["100_1", "100_2", "101_1", "101_2"]


async def test_the_newest_answer_speaks_for_a_run(world: World) -> None:
    await fetch(world, "runs run=100:104")
    world.tables["runs"][2]["l1_rate"] = 99.0
    world.tables["runs"].pop(3)  # run 103 is gone
    await fetch(world, "runs run=102:103")
    said = await ask(world, "runs run=100:104 filter=l1_rate>0")
    assert numbers(said) == [100, 101, 102, 104]
    assert said.data[2]["attributes"]["l1_rate"] == 99.0
    assert said.fetched_at == 1


async def test_no_more_than_is_needed_is_loaded(world: World) -> None:
    await fetch(
        world, "runs run=100:103", "runs run=100:104", "runs run=118:120", "runs run=100:110"
    )
    await ask(world, "runs run=101:103")
    assert world.shelf.loaded == [query("runs run=101:103").key, query("runs run=100:110").key]


async def test_holes_are_named_and_a_partial_answer_has_them(world: World) -> None:
    await fetch(
        world, "lumisections run=100:101 fields=pileup", "lumisections run=111:112 fields=pileup"
    )
    text = "lumisections run=100:115 fields=pileup"
    no = await refusal(world, text)
    assert no.missing == ((102, 110), (113, 115))
    assert no.detail == "runs 102-110 and 113-115 were never fetched"
    said = await ask(world, text, partial=True)
    assert (said.complete, said.settled, said.missing) == (False, False, no.missing)
    assert numbers(said) == [100, 100, 101, 101, 111, 111, 112, 112]
    assert said.meta == {}
    assert said.notes == (no.detail,)


async def test_no_page_is_cut_from_an_answer_with_holes(world: World) -> None:
    await fetch(world, "runs run=100:101")
    no = await refusal(world, "runs run=100:103 sort=run_number limit=2", partial=True)
    assert "no page" in no.detail
    assert no.missing == ((102, 103),)


async def test_nothing_at_all_is_no_partial_answer(world: World) -> None:
    assert (await refusal(world, "runs run=100:103", partial=True)).missing == ((100, 103),)


async def test_numbers_that_are_no_runs_need_not_be_fetched(world: World) -> None:
    await fetch(world, "hltpathinfo run=100:104", "hltpathinfo run=110:115")
    assert (await refusal(world, "hltpathinfo run=100:115")).missing == ((105, 109),)
    await fetch(world, "runs run=100:112 fields=run_number")
    said = await ask(world, "hltpathinfo run=100:115")
    assert said.complete
    assert said.fetched_at == 1
    assert said.meta["totalResourceCount"] == 20
    assert (await refusal(world, "hltpathinfo run=100:117")).missing == ((116, 117),)


async def test_a_list_says_nothing_of_numbers_after_its_last_run(world: World) -> None:
    await fetch(world, "hltpathinfo run=100:104", "runs run=100:109")
    assert (await refusal(world, "hltpathinfo run=100:109")).missing == ((105, 109),)


async def test_a_filtered_list_of_runs_is_none(world: World) -> None:
    await fetch(world, "hltpathinfo run=100:104", "runs run=100:112 filter=l1_rate>0")
    assert (await refusal(world, "hltpathinfo run=100:109")).missing == ((105, 109),)


async def test_a_list_of_runs_is_as_old_as_it_is(world: World) -> None:
    await fetch(world, "runs run=100:112", "hltpathinfo run=100:104")
    assert (await ask(world, "hltpathinfo run=100:109")).fetched_at == 1


async def test_a_run_that_is_none_has_no_lumisections(world: World) -> None:
    await fetch(world, "runs run=100:112")
    said = await ask(world, "lumisections run=106 fields=pileup")
    assert (said.data, said.complete, said.meta) == ([], True, {"totalResourceCount": 0})


async def test_an_open_question_wants_an_answer_as_open(world: World) -> None:
    await fetch(world, "runs run=100:120", "runs run=110:")
    no = await refusal(world, "runs run=105:")
    assert "no last run" in no.detail
    assert (await refusal(world, "runs run=105:", partial=True)).detail == no.detail
    said = await ask(world, "runs run=115: sort=-run_number limit=1")
    assert numbers(said) == [120]
    assert not said.settled
    assert said.notes == ("runs that came after this was fetched are not in it",)
    assert (await ask(world, "runs run=110:")).notes == said.notes
    assert numbers(await ask(world, "runs run=118:125")) == [118, 119, 120]


async def test_an_open_question_is_not_put_together(world: World) -> None:
    """What came between two looks would be missing in the middle."""
    await fetch(world, "runs run=110:", "runs run=100:109")
    assert "no last run" in (await refusal(world, "runs run=105:")).detail


async def test_a_page_is_no_part_of_anything(world: World) -> None:
    await fetch(world, "runs run=100:104 limit=1000")
    assert "a page" in (await refusal(world, "runs run=100:104")).detail


async def test_an_incomplete_answer_is_no_part_of_anything_but_itself(world: World) -> None:
    asked = query("runs run=100:104")
    rows = world.answer(asked)[0][:2]
    await world.shelf.put(kept_of(asked, rows, 5, complete=False))
    assert "not complete" in (await refusal(world, "runs run=100:101")).detail
    said = await ask(world, "runs run=100:104")
    assert (said.source, said.complete, len(said.data)) == ("cache", False, 2)
    await fetch(world, "runs run=100:110")
    said = await ask(world, "runs run=100:104")
    assert (said.source, said.complete, len(said.data)) == ("derived", True, 5)


async def test_a_newer_list_knows_better_which_runs_there_are(world: World) -> None:
    await fetch(world, "hltpathinfo run=110:112", "runs run=100:112 fields=run_number")
    world.tables["runs"].append({**world.tables["runs"][0], "run_number": 109})
    await fetch(world, "runs run=108:112 fields=run_number")
    assert (await refusal(world, "hltpathinfo run=106:112")).missing == ((109, 109),)
