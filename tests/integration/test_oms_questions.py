"""Questions to the emulated OMS: the reference's own, and a run that goes on, ends and settles."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.oms import OmsReader
from adapters.reading import Fetched, Misasked, NotKept, Plan, Question, Recalled
from storage.cached import Kept, Label
from tests.emulators.kit import Served
from tests.emulators.oms import OmsEmulator
from tests.shelf import DictShelf
from tests.small_oms import a_reader

GRACE_S = 48 * 3600
NEW = 500_001


class Host:
    """A reader with a shelf, that keeps what it is told as the engine does."""

    def __init__(self, served: Served, oms: OmsEmulator, **options: Any) -> None:
        self.oms = oms
        self.shelf = DictShelf()
        self.reader: OmsReader = a_reader(served.url, oms.now, **options)

    def plan(self, resource: str, *parameters: str) -> Plan:
        pairs = [(name, value) for name, _, value in (one.partition("=") for one in parameters)]
        return self.reader.plan(Question(resource, tuple(pairs)))

    async def ask(self, resource: str, *parameters: str) -> Fetched:
        plan, since = self.plan(resource, *parameters), self.oms.now()
        fetched = await self.reader.fetch(plan, self.shelf, lambda _, __: None)
        label = Label(plan.key, plan.family, since, fetched.complete, fetched.settled, plan.about)
        await self.shelf.put(Kept(label, fetched.data, fetched.meta))
        return fetched

    async def recall(self, resource: str, *parameters: str) -> Recalled:
        return await self.reader.recall(self.plan(resource, *parameters), self.shelf, partial=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OmsEmulator()) as server:
        yield server


@pytest.fixture
async def host(server: Served) -> AsyncIterator[Host]:
    oms = OmsEmulator()
    server.serve(oms)
    host = Host(server, oms)
    yield host
    await host.reader.close()


def column(data: Any, name: str) -> list[Any]:
    return [row["attributes"][name] for row in data]


async def test_the_references_questions_about_runs(host: Host) -> None:
    everything = await host.ask("runs", "run=297050")
    two = await host.ask("runs", "run=297050", "fields=l1_menu,l1_rate")
    seven = await host.ask("runs", "run=297050:297056", "fields=l1_menu,l1_rate")

    assert len(everything.data[0]["attributes"]) == 43
    assert two.data[0]["attributes"]["l1_menu"] == "L1Menu_Collisions2017_dev_r5"
    assert column(seven.data, "l1_rate") == [
        49130.85, 1114.198, 766.784, 972.374, 0.686, None, 60997.938,
    ]  # fmt: skip
    assert [one.settled for one in (everything, two, seven)] == [True, True, True]


async def test_the_references_questions_about_lumisections_are_whole(host: Host) -> None:
    one = await host.ask("lumisections", "run=297050", "filter=lumisection_number=1")
    spring = await host.ask(
        "lumisections", "run=315190:315290", "fields=lumisection_number,fill_number,run_number"
    )
    active = await host.ask("lumisections", "run=306458", "fields=lumisection_number,cms_active")

    assert (one.data[0]["id"], len(one.data[0]["attributes"])) == ("297050_1", 53)
    assert (len(spring.data), spring.complete, spring.meta) == (
        4655,
        True,
        {"totalResourceCount": 4655},
    )
    assert len({row["id"] for row in spring.data}) == 4655
    assert len(active.data) == 269


async def test_the_references_questions_about_rates(host: Host) -> None:
    trigger = await host.ask("l1triggerrates", "run=297050")
    names = await host.ask("hltpathinfo", "run=297050", "fields=path_name,run_number")
    path = await host.ask("hltpathrates", "run=297050", "filter[path_name]=HLT_ZeroBias_v5")

    rates = [row["attributes"]["l1a_physics"]["rate"] for row in trigger.data]
    assert sum(rates) / len(rates) == pytest.approx(48025.66, abs=0.01)
    assert len(names.data) == 278
    assert names.complete, "its count is not that of its rows, and nobody minds"
    assert column(names.data, "path_name") == sorted(column(names.data, "path_name"))
    assert len(path.data) == len(trigger.data) == 793


async def test_a_run_that_goes_on_is_asked_for_what_is_new(host: Host, server: Served) -> None:
    world = host.oms.world
    world.now = 1_800_000_000
    world.begin(NEW)
    world.tick(20)
    fields = "fields=run_number,last_lumisection_number,l1a_physics"
    first = await host.ask("l1triggerrates", f"run={NEW}", fields)
    world.tick(3)
    host.oms.queries.clear()

    second = await host.ask("l1triggerrates", f"run={NEW}", fields)

    (asked,) = [one for one in host.oms.queries if "/l1triggerrates?" in one]
    assert "filter%5Blast_lumisection_number%5D%5BGE%5D=" in asked
    other = Host(server, host.oms)
    whole = await other.ask("l1triggerrates", f"run={NEW}", fields)
    await other.reader.close()
    assert second.data == whole.data
    assert (len(first.data), len(second.data)) == (21, 24)
    assert (second.meta["totalResourceCount"], second.complete, second.settled) == (24, True, False)


async def test_a_run_settles_a_while_after_its_end_and_a_late_change_is_noticed(
    host: Host, server: Served
) -> None:
    world = host.oms.world
    world.now = 1_800_000_000
    world.begin(NEW)
    world.tick(5)
    world.end(NEW)
    question = ("lumisections", f"run={NEW}", "fields=run_number,lumisection_number,pileup")
    assert not (await host.ask(*question)).settled

    world.now += GRACE_S - 60
    assert not (await host.ask(*question)).settled
    world.now += 120
    assert (await host.ask(*question)).settled
    server.unplug()
    assert (await host.recall(*question)).settled
    server.plug_in()

    world.now += 120
    world.change("lumisections", f"{NEW}_3", touch=True, pileup=31.0)
    await host.ask("runs", f"run={NEW}")

    recalled = await host.recall(*question)
    assert not recalled.settled
    assert "changed" in recalled.notes[0]


async def test_a_wider_answer_says_a_narrower_one_while_oms_is_away(
    host: Host, server: Served
) -> None:
    await host.ask("runs", "run=297050:297056")
    server.unplug()

    recalled = await host.recall("runs", "run=297051:297052", "fields=l1_rate", "sort=-l1_rate")

    assert column(recalled.data, "l1_rate") == [1114.198, 766.784]
    assert (recalled.source, recalled.complete, recalled.settled) == ("derived", True, True)
    assert recalled.meta == {"totalResourceCount": 2}
    with pytest.raises(NotKept) as missing:
        await host.recall("runs", "run=297050:297060")
    assert missing.value.missing == ((297057, 297060),)
    with pytest.raises(Misasked, match="is it l1_rate"):
        await host.recall("runs", "run=297051", "fields=l1_rat")
    server.plug_in()


async def test_a_count_that_grows_with_every_page_makes_no_whole_answer(host: Host) -> None:
    host.oms.grows = 1

    fetched = await host.ask("lumisections", "run=315190:315290", "fields=lumisection_number")

    assert not fetched.complete
    assert "each of 3 times" in fetched.notes[0]
    assert len(fetched.data) == 4655


@pytest.mark.parametrize(
    ("resource", "parameters", "said"),
    [
        ("runs", ("limit=5", "offset=3"), "multiple"),
        ("streets", (), "No repository"),
        ("runs/5", (), "not found"),
    ],
)
async def test_what_oms_does_not_take_is_told_in_its_words(
    host: Host, resource: str, parameters: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Misasked, match=said):
        await host.ask(resource, *parameters)


async def test_a_run_of_more_lumisections_than_a_page_is_whole(host: Host) -> None:
    fetched = await host.ask("runs/297050/lumisections", "filter=beams_stable=true")

    assert (len(fetched.data), fetched.complete) == (791, True)


@pytest.mark.parametrize(
    "question",
    [
        ("lumisections", "run=297050:297051"),
        ("l1algorithmtriggers", "run=297050"),
        ("deadtimes", "run=297050", "granularity=run"),
        ("hltpathinfo", "run=297050:297052", "sort=-path_name,run_number"),
        ("runs", "filter[components][CT]=DT,CSC", "sort=-l1_rate,run_number"),
        ("streams", "run=297050", "granularity=lumisection"),
        ("bunches", "fill=5839"),
        ("eras",),
    ],
)
async def test_the_size_of_pages_makes_no_difference(
    host: Host, server: Served, question: tuple[str, ...]
) -> None:
    small = Host(server, host.oms, page_rows=37)

    answers = [await one.ask(*question) for one in (host, small)]
    await small.reader.close()

    assert answers[0].data
    assert answers[0] == answers[1]
    assert answers[0].complete
