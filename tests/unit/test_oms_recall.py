"""What is said from kept answers: which of them are used, and what the refusals tell."""

from collections.abc import Sequence
from typing import Any

import pytest

from adapters.oms.query import Query, parse
from adapters.oms.recall import recall
from adapters.reading import NotKept, Recalled
from tests.kept_world import GRACE, Kept, MemoryShelf, World, at, kept_of, plan_of, text_of

FIELDS = "run_number,l1_rate"


def run(number: int, rate: Any = 1.0) -> dict[str, Any]:
    return {"run_number": number, "l1_rate": rate, "sequence": "GLOBAL-RUN", "init_lumi": 1.5}


@pytest.fixture
def world() -> World:
    """Runs 100 to 120, of which 105 to 109 and 113 are none; two lumisections each."""
    numbers = [n for n in range(100, 121) if n not in (*range(105, 110), 113)]
    sections = [
        {"run_number": n, "lumisection_number": s, "init_lumi": 1.5 * s, "pileup": 9.0}
        for n in numbers
        for s in (1, 2)
    ]
    paths = [
        {"run_number": n, "path_name": path, "accepted": 1}
        for n in numbers
        for path in ("HLT_Mu_v1", "HLT_ZeroBias_v5")
    ]
    rates = [
        {"run_number": n, "last_lumisection_number": s, "rate": 1.0}
        for n in numbers
        for s in (1, 2)
    ]
    return World(
        {
            "runs": [run(n) for n in numbers],
            "lumisections": sections,
            "hltpathinfo": paths,
            "l1triggerrates": rates,
            "fills": [{"fill_number": n, "end_time": text_of(n)} for n in range(50, 60)],
        }
    )


def query(text: str) -> Query:
    """`runs run=100:105 fields=a,b`"""
    resource, *parameters = text.split(" ")
    return parse(resource, [(n, v) for n, _, v in (one.partition("=") for one in parameters)])


async def ask(world: World, text: str, *, partial: bool = False) -> Recalled:
    return await recall(plan_of(query(text)), world.shelf, partial=partial, grace_ms=GRACE)


async def refusal(world: World, text: str, *, partial: bool = False) -> NotKept:
    with pytest.raises(NotKept) as caught:
        await ask(world, text, partial=partial)
    return caught.value


async def fetch(world: World, *texts: str) -> None:
    for time, text in enumerate(texts, 1 + len(world.shelf.answers)):
        await world.fetch(query(text), time)


def numbers(said: Recalled) -> list[int]:
    return [int(row["id"].split("_")[0]) for row in said.data]


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
    assert "never asked" in (await refusal(world, "fills run=55")).detail


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
    assert "fields run_number" in (await refusal(world, f"runs run=102 fields={FIELDS}")).detail


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
    await fetch(world, "fills run=50:60")
    said = await ask(world, "fills run=55:57 sort=-fill_number fields=fill_number")
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
    assert (
        no.detail
        == "run 100 was never fetched; a kept answer will not do: a kept row does not hold era"
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
