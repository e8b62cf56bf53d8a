"""OMS asked over real sockets: what goes out, what is kept, what is refused by name."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.oms import OmsReader
from adapters.reading import Fetched, Misasked, NotKept, Plan, Question
from adapters.verdict import Refused, Throttled, Uncertain, Unreachable
from storage.cached import Kept, Label
from tests.builders import NOW
from tests.emulators.kit import Served
from tests.shelf import DictShelf
from tests.small_oms import At, SmallOms, a_reader, a_run

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(SmallOms()) as server:
        yield server


@pytest.fixture
def oms(server: Served) -> SmallOms:
    oms = SmallOms()
    server.serve(oms)
    return oms


@pytest.fixture
def shelf() -> DictShelf:
    return DictShelf()


@pytest.fixture
def at() -> At:
    return At()


@pytest.fixture
async def reader(server: Served, oms: SmallOms, at: At) -> AsyncIterator[OmsReader]:  # noqa: ARG001
    reader = a_reader(server.url, at, page_rows=2)
    yield reader
    await reader.close()


def planned(reader: OmsReader, resource: str, **parameters: str) -> Plan:
    return reader.plan(Question(resource, tuple(parameters.items())))


class Asking:
    """Asks as the engine does, and keeps what it was told."""

    def __init__(self, reader: OmsReader, shelf: DictShelf, at: At) -> None:
        self._reader = reader
        self._shelf = shelf
        self._at = at
        self.told: list[tuple[int, int | None]] = []

    async def __call__(self, resource: str, **parameters: str) -> Fetched:
        plan = planned(self._reader, resource, **parameters)
        since = self._at.now
        fetched = await self._reader.fetch(plan, self._shelf, lambda *how: self.told.append(how))
        label = Label(plan.key, plan.family, since, fetched.complete, fetched.settled, plan.about)
        await self._shelf.put(Kept(label, fetched.data, fetched.meta))
        return fetched


@pytest.fixture
def ask(reader: OmsReader, shelf: DictShelf, at: At) -> Asking:
    return Asking(reader, shelf, at)


async def test_all_pages_of_a_question_make_one_answer(oms: SmallOms, ask: Asking) -> None:
    fetched = await ask("lumisections", run="297050:297056")

    assert [row["id"] for row in fetched.data] == [
        "297050_1", "297050_2", "297050_3", "297051_1", "297051_2",
    ]  # fmt: skip
    assert (fetched.complete, fetched.meta, fetched.notes) == (True, {"totalResourceCount": 5}, ())
    assert ask.told == [(2, 5), (4, 5), (5, 5)]
    assert oms.rows_asked("lumisections") == [
        "lumisections?filter%5Brun_number%5D%5BGE%5D=297050&filter%5Brun_number%5D%5BLE%5D=297056"
        f"&sort=run_number,lumisection_number&page%5Boffset%5D={offset}&page%5Blimit%5D=2"
        for offset in (0, 2, 4)
    ]


async def test_units_stay_with_their_rows(ask: Asking) -> None:
    fetched = await ask("lumisections", run="297051", limit="1")

    assert fetched.data[0]["meta"] == {"row": {"pileup": {"units": "1"}}}
    assert (len(fetched.data), fetched.meta) == (1, {"totalResourceCount": 2})


async def test_one_row_is_an_object(ask: Asking) -> None:
    fetched = await ask("runs/297051")

    assert (fetched.data["id"], fetched.meta) == ("297051", {})


async def test_a_row_that_is_not_there_is_told_in_omss_words(ask: Asking) -> None:
    with pytest.raises(Misasked, match="OMS says: there is none") as refused:
        await ask("runs/5")

    assert refused.value.status == 404


def test_the_request_is_shown_as_it_is_sent_first(server: Served, reader: OmsReader) -> None:
    api = f"GET {server.url}/agg/api/v1"
    window = "page%5Boffset%5D=0&page%5Blimit%5D="

    assert reader.shown(planned(reader, "runs", fields="b,a")) == (
        f"{api}/runs?fields=a,b&sort=run_number&{window}2"
    )
    assert reader.shown(planned(reader, "runs", limit="7")).endswith(f"?sort=run_number&{window}7")
    assert reader.shown(planned(reader, "runs/297050")) == f"{api}/runs/297050"
    assert reader.shown(planned(reader, "runs/meta")) == f"{api}/runs/meta"


async def test_signs_in_a_value_are_on_the_wire_as_they_were_escaped(
    reader: OmsReader, shelf: DictShelf, at: At
) -> None:
    """What the HTTP library makes of the path is seen by a server that reads bytes."""
    heard: list[bytes] = []

    async def listen(stream: asyncio.StreamReader, reply: asyncio.StreamWriter) -> None:
        heard.append((await stream.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        body = b'{"data": []}'
        reply.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await reply.drain()
        reply.close()

    raw = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with raw:
        site = f"http://127.0.0.1:{raw.sockets[0].getsockname()[1]}"
        bare = a_reader(site, at, check_attributes=False)
        value = "a&b#c+d%e%AB[f] '\"<>\\^`{|}~!$()*,;:@/?="
        plan = bare.plan(Question("hltprescalesets", (("filter[path_name][LIKE]", value),)))
        await bare.fetch(plan, shelf, lambda _, __: None)
        await bare.close()

    (request,) = heard
    assert request == (
        b"GET /agg/api/v1/hltprescalesets?filter%5Bpath_name%5D%5BLIKE%5D="
        b"a%26b%23c%2Bd%25e%25AB%5Bf%5D%20%27%22%3C%3E%5C%5E%60%7B%7C%7D~%21%24%28%29*,%3B:%40%2F%3F%3D"
        b"&sort=path_name&page%5Boffset%5D=0&page%5Blimit%5D=1000 HTTP/1.1"
    )
    assert reader.queued(plan) is None
    assert reader.merged(plan, [1], []) == ([1], 0)


@pytest.mark.parametrize(
    ("parameters", "parameter", "said"),
    [
        ({"fields": "l1_rat"}, "fields", r"no attribute 'l1_rat': is it l1_rate\?"),
        ({"filter": "run_numbr=5"}, "filter", r"'run_numbr': is it run_number\?"),
        ({"sort": "-update"}, "sort", r"'update': is it last_update\?"),
        ({"fields": "zzz"}, "fields", "ask for runs/meta to see all names"),
        ({"filter": "end_time=null"}, "filter", "end_time of runs is not searchable"),
        ({"sort": "l1_rate"}, "sort", "l1_rate of runs is not sortable"),
        ({"fields": "last_update"}, "fields", "last_update of runs is not projectable"),
    ],
)
async def test_a_name_that_oms_does_not_list_is_refused_and_nothing_is_asked(
    oms: SmallOms, ask: Asking, parameters: dict[str, str], parameter: str, said: str
) -> None:
    listed = oms.lists["runs"]
    assert listed is not None
    listed["end_time"]["searchable"] = False
    listed["l1_rate"]["sortable"] = False
    listed["last_update"]["projectable"] = False

    with pytest.raises(Misasked, match=said) as refused:
        await ask("runs", **parameters)

    assert refused.value.parameter == parameter
    assert oms.asked == ["runs/meta"]


async def test_the_list_of_names_is_asked_for_once_a_day(
    oms: SmallOms, ask: Asking, at: At
) -> None:
    for _ in range(2):
        await ask("runs", fields="l1_rate")
    assert oms.asked.count("runs/meta") == 1

    at.now += DAY_MS + 1
    await ask("runs", fields="l1_rate")

    assert oms.asked.count("runs/meta") == 2


async def test_an_older_list_is_asked_for_anew_before_a_name_is_refused(
    oms: SmallOms, ask: Asking, at: At
) -> None:
    await ask("runs", fields="l1_rate")
    listed = oms.lists["runs"]
    assert listed is not None
    listed["era"] = {}
    oms.tables["runs"] = [a_run(297050, era="2017B")]

    at.now += 61_000
    fetched = await ask("runs", fields="era")

    assert fetched.data[0]["attributes"] == {"era": "2017B"}
    with pytest.raises(Misasked):
        await ask("runs", fields="area")
    assert oms.asked.count("runs/meta") == 2


@pytest.mark.parametrize("listed", [None, {}])
async def test_without_a_list_no_name_is_checked_and_that_is_said(
    oms: SmallOms, ask: Asking, listed: dict[str, object] | None
) -> None:
    oms.lists["runs"] = listed

    fetched = await ask("runs", fields="l1_rate", sort="-whatever")

    assert len(fetched.data) == 3
    assert "no name was checked" in fetched.notes[0]


async def test_an_order_of_ours_that_oms_does_not_take_is_left_out_and_that_is_said(
    oms: SmallOms, ask: Asking
) -> None:
    oms.lists["runs"] = None
    oms.unknown = ("sort=run_number",)

    fetched = await ask("runs")

    assert len(fetched.data) == 3
    assert fetched.notes == ("OMS takes no order of ours for these rows, so they come in its own",)
    oms.unknown = ("filter",)
    with pytest.raises(Misasked, match="bad parameter"):
        await ask("runs", run="297050")
    oms.unknown = ("sort=run_number",)
    with pytest.raises(Misasked, match="bad parameter"):
        await ask("runs", sort="run_number")


async def test_names_are_not_checked_where_the_settings_say_so(
    server: Served, oms: SmallOms, shelf: DictShelf, at: At
) -> None:
    trusting = a_reader(server.url, at, check_attributes=False)

    fetched = await Asking(trusting, shelf, at)("runs", sort="whatever")
    await trusting.close()

    assert (len(fetched.data), fetched.notes) == (3, ())
    assert oms.asked == ["runs?sort=whatever&page%5Boffset%5D=0&page%5Blimit%5D=1000"]


async def test_the_list_itself_can_be_asked_for(
    oms: SmallOms, reader: OmsReader, ask: Asking, shelf: DictShelf
) -> None:
    fetched = await ask("runs/meta")

    assert "l1_rate" in fetched.data
    recalled = await reader.recall(planned(reader, "runs/meta"), shelf, partial=False)
    assert (recalled.data, recalled.source) == (fetched.data, "cache")
    with pytest.raises(Misasked, match="there is none"):
        await ask("streets/meta")
    oms.lists["streets"] = {}
    with pytest.raises(Misasked, match="lists no attributes of 'streets'"):
        await ask("streets/meta")


async def test_a_list_that_was_fetched_to_check_names_can_be_asked_for_offline(
    reader: OmsReader, ask: Asking, shelf: DictShelf
) -> None:
    await ask("runs", run="297050")

    recalled = await reader.recall(planned(reader, "runs/meta"), shelf, partial=False)

    assert ("l1_rate" in recalled.data, recalled.fetched_at) == (True, NOW)


@pytest.mark.parametrize("resource", ["runs/csv", "runs/297050/csv"])
def test_csv_is_not_asked_for(reader: OmsReader, resource: str) -> None:
    with pytest.raises(Misasked, match="Holdfast makes CSV itself"):
        planned(reader, resource)


async def test_what_is_kept_answers_while_oms_is_away(
    server: Served, reader: OmsReader, ask: Asking, shelf: DictShelf
) -> None:
    fetched = await ask("runs", run="297050", fields="l1_rate")
    server.unplug()
    plan = planned(reader, "runs", run="297050", fields="l1_rate")

    with pytest.raises(Unreachable):
        await reader.fetch(plan, shelf, lambda _, __: None)
    recalled = await reader.recall(plan, shelf, partial=False)

    assert (recalled.data, recalled.fetched_at) == (fetched.data, NOW)
    with pytest.raises(NotKept):
        await reader.recall(planned(reader, "runs", run="5"), shelf, partial=False)
    with pytest.raises(Misasked, match="is it l1_rate"):
        await reader.recall(planned(reader, "runs", fields="l1_rat"), shelf, partial=False)


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        ("html", Refused),
        ("redirect", Refused),
        ("empty", Refused),
        ("truncate", Uncertain),
        ("drop_after", Uncertain),
        ("retry_after", Throttled),
        ("status", Uncertain),
    ],
)
@pytest.mark.parametrize("path", ["/runs", "/runs/meta"])
async def test_what_is_no_answer_of_oms_is_never_taken_for_one(
    server: Served,
    ask: Asking,
    shelf: DictShelf,
    mode: str,
    verdict: type[Exception],
    path: str,
) -> None:
    server.fault(mode, path=path, seconds=1)

    with pytest.raises(verdict):
        await ask("runs", run="297050")

    assert [key for key in shelf.kept if not key.startswith("meta:")] == []


async def test_a_list_that_fails_at_oms_does_not_keep_the_rows_away(
    server: Served, ask: Asking
) -> None:
    server.fault("status", path="/meta", status=500)

    fetched = await ask("runs", run="297050")

    assert [row["id"] for row in fetched.data] == ["297050"]
    assert "no name was checked" in fetched.notes[0]


async def test_the_runs_of_an_answer_are_looked_at_and_remembered(
    oms: SmallOms, ask: Asking, shelf: DictShelf, at: At
) -> None:
    await ask("lumisections", run="297050:297051")

    (asked,) = oms.rows_asked("runs")
    assert asked == (
        "runs?fields=end_time,last_lumisection_number,last_update,run_number"
        "&filter%5Brun_number%5D%5BGE%5D=297050&filter%5Brun_number%5D%5BLE%5D=297051"
        "&sort=run_number&page%5Boffset%5D=0&page%5Blimit%5D=2"
    )
    ended = "2017-06-17T01:57:57Z"
    assert shelf.known["run:297050"].value == [ended, ended, 3]
    assert shelf.known["run:297051"].seen_at == NOW

    at.now += 59_000
    await ask("lumisections", run="297050:297051")
    assert len(oms.rows_asked("runs")) == 1

    at.now += 2_000
    await ask("lumisections", run="297050:297051")
    assert len(oms.rows_asked("runs")) == 2


async def test_an_answer_that_shows_the_runs_needs_no_other_request(
    oms: SmallOms, ask: Asking, shelf: DictShelf, at: At
) -> None:
    await ask("runs", run="297050")
    oms.tables["runs"][0] = a_run(297050, last_lumisection_number=4)
    at.now += 5_000

    await ask("runs", run="297050")

    assert len(oms.rows_asked("runs")) == 2
    fact = shelf.known["run:297050"]
    assert (fact.value[2], fact.seen_at, fact.since) == (4, NOW + 5_000, NOW + 5_000)


async def test_times_in_another_form_are_not_taken_for_a_change(
    oms: SmallOms, ask: Asking, shelf: DictShelf
) -> None:
    await ask("runs", run="297050")
    oms.tables["runs"][0]["end_time"] = "2017-06-17 01:57:57"

    await ask("runs", run="297050", include="presentation_timestamp")

    assert shelf.known["run:297050"].since is None


async def test_an_answer_stays_one_when_its_runs_cannot_be_looked_at(
    server: Served, ask: Asking
) -> None:
    server.fault("status", path="/runs")

    fetched = await ask("lumisections", run="297050")

    assert (len(fetched.data), fetched.complete, fetched.settled) == (3, True, False)
