"""Questions to AUDITOR: only what is sure to be whole is an answer, and what kept ones say."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.auditor import KIND
from adapters.auditor.reads import AuditorReader
from adapters.reading import Fetched, Misasked, NotKept, Plan, Question, Queued, Recalled
from adapters.verdict import Refused, Uncertain, Unreachable
from storage.cached import Kept, Label
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import site_of
from tests.emulators.auditor_wire import a_record, ask
from tests.emulators.kit import Served
from tests.shelf import DictShelf

DAY = "2024-01-0{}T00:00:00Z".format
CPU = [
    {"name": "mem", "amount": 1, "scores": []},
    {"name": "cpu", "amount": 2**31, "scores": []},
]
ODD = "b/c?d#e f"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor(server: Served) -> Auditor:
    auditor = Auditor(pool_timeout_seconds=0)
    server.serve(auditor)
    records = [
        a_record("a", start_time=DAY(1), stop_time=DAY(4), meta={"site": ["x", "y"]}),
        a_record(ODD, start_time=DAY(2), stop_time=DAY(3), meta={"site": ["x&+"]}),
        a_record("c", start_time=DAY(3), components=CPU),
    ]
    assert ask(server, "POST", "/records", records)[0] == 200
    return auditor


@pytest.fixture
async def reader(
    server: Served,
    auditor: Auditor,  # noqa: ARG001 - it is what the server serves
) -> AsyncIterator[AuditorReader]:
    assert KIND.reader is AuditorReader
    reader = AuditorReader(site_of(server.url))
    yield reader
    await reader.close()


def planned(reader: AuditorReader, resource: str, *parameters: str) -> Plan:
    """Parameters as NAME=VALUE."""
    pairs = [one.partition("=") for one in parameters]
    return reader.plan(Question(resource, tuple((name, value) for name, _, value in pairs)))


async def fetched(reader: AuditorReader, resource: str, *parameters: str) -> Fetched:
    plan = planned(reader, resource, *parameters)
    return await reader.fetch(plan, DictShelf(), lambda *_: None)


def names(rows: Any) -> list[str]:
    return [one["record_id"] for one in rows]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ([], [ODD, "a", "c"]),
        (["sort=-stop_time"], ["c", "a", ODD]),
        (["sort=-start_time", "limit=2"], ["c", ODD]),
        (["sort=start_time", "limit=9"], ["a", ODD, "c"]),
        (["sort=start_time", "limit=1", "filter=meta.site!~y"], [ODD]),
        ([f"record_id={ODD}"], [ODD]),
        (["record_id=none"], []),
        (["start_time[gte]=2024-01-02T01:00:00+01:00"], [ODD, "c"]),
        (["filter=stop_time<2024-01-04T00:00:00Z"], [ODD]),
        (["filter=runtime>86400"], ["a"]),
        (["filter=meta.site~y,x"], ["a"]),
        (["meta[site][c][0]=x&+"], [ODD]),
        (["filter=meta.site!~y"], [ODD, "c"]),
        (["filter=component.cpu>4"], ["c"]),
        (["filter=component.cpu>4", "filter=runtime>=0"], []),
    ],
)
async def test_records_are_those_that_the_question_means(
    reader: AuditorReader, parameters: list[str], found: list[str]
) -> None:
    answer = await fetched(reader, "records", *parameters)

    assert names(answer.data) == found
    assert (answer.complete, answer.settled) == (True, False)


async def test_what_auditor_would_read_otherwise_is_said(reader: AuditorReader) -> None:
    answer = await fetched(reader, "records", "filter=component.cpu>4", "filter=meta.site!~y")

    assert ["first one only" in note for note in answer.notes] == [True, False]
    assert "lack the key" in answer.notes[1]
    assert answer.data[0]["components"] == CPU


async def test_since_is_a_question_for_records_by_another_name(reader: AuditorReader) -> None:
    started = planned(reader, "started_since", "time=2024-01-02T01:00:00+01:00")
    same = planned(reader, "records", f"filter=start_time>={DAY(2)}")

    assert (started.key, started.family) == (same.key, same.family)
    assert names((await fetched(reader, "started_since", f"time={DAY(2)}")).data) == [ODD, "c"]
    assert names((await fetched(reader, "stopped_since", f"time={DAY(4)}")).data) == ["a"]


async def test_progress_is_told_and_the_request_is_shown(
    reader: AuditorReader, server: Served
) -> None:
    told: list[tuple[int, int | None]] = []
    plan = planned(reader, "records", f"start_time[gte]={DAY(2)}")

    await reader.fetch(plan, DictShelf(), lambda rows, of: told.append((rows, of)))

    assert told[-1] == (2, None)
    sent = "start_time[gte]=2024-01-02T00%3A00%3A00Z"
    assert reader.shown(plan) == f"GET {server.url}/records?{sent}&sort_by[asc]=record_id"
    limited = planned(reader, "records", "sort=-runtime", "limit=3")
    assert reader.shown(limited) == f"GET {server.url}/records?sort_by[desc]=runtime&limit=3"
    assert reader.shown(planned(reader, "record", f"record_id={ODD}")) == (
        f"GET {server.url}/record/b%2Fc%3Fd%23e%20f"
    )
    assert reader.shown(planned(reader, "health")) == f"GET {server.url}/health_check"


@pytest.mark.parametrize("id_", ["a", ODD, "."])
async def test_one_record_is_shown_whatever_its_id_looks_like(
    reader: AuditorReader, server: Served, id_: str
) -> None:
    ask(server, "POST", "/record", a_record("."))

    answer = await fetched(reader, "record", f"record_id={id_}")

    assert (answer.data["record_id"], answer.complete) == (id_, True)
    assert planned(reader, f"record/{id_}").key == planned(reader, "record", f"record_id={id_}").key


async def test_a_record_that_is_not_there_is_null_and_a_word(reader: AuditorReader) -> None:
    answer = await fetched(reader, "record", "record_id=none")

    assert (answer.data, answer.complete) == (None, True)
    assert "or was archived there" in answer.notes[0]


@pytest.mark.parametrize(
    "question", [("records",), ("record", "record_id=a"), ("records", "limit=1")]
)
async def test_a_database_that_is_away_is_no_answer(
    reader: AuditorReader, auditor: Auditor, question: tuple[str, ...]
) -> None:
    auditor.db_down = True

    with pytest.raises(Uncertain, match="its database was away"):
        await fetched(reader, *question)


async def test_a_database_that_has_just_come_back_has_not_answered(
    reader: AuditorReader, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor.db_down = True
    well = AuditorReader._well

    async def then_back(self: AuditorReader) -> bool | None:
        found = await well(self)
        auditor.db_down = False
        return found

    monkeypatch.setattr(AuditorReader, "_well", then_back)

    with pytest.raises(Uncertain, match="its database was away"):
        await fetched(reader, "records", "record_id=none")


@pytest.mark.parametrize("count", [1, 2])
async def test_an_answer_that_breaks_off_between_records_is_no_answer(
    reader: AuditorReader, auditor: Auditor, count: int
) -> None:
    auditor.breaks_after = count

    with pytest.raises(Uncertain, match="ended before its last record had come"):
        await fetched(reader, "records", "limit=3")


async def test_a_record_that_came_meanwhile_is_no_break(
    reader: AuditorReader, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = AuditorReader._last

    async def then_more(self: AuditorReader, query: Any) -> str | None:
        found = await last(self, query)
        ask(server, "POST", "/record", a_record("z"))
        return found

    monkeypatch.setattr(AuditorReader, "_last", then_more)

    assert names((await fetched(reader, "records")).data) == [ODD, "a", "c", "z"]


async def test_an_empty_table_is_told_by_the_health_of_its_database(
    reader: AuditorReader, auditor: Auditor
) -> None:
    auditor.table.clear()

    answer = await fetched(reader, "records")

    assert (answer.data, answer.complete) == ([], True)
    assert "no record at all" in answer.notes[0]


async def test_under_access_rules_another_record_shows_that_the_database_is_well(
    reader: AuditorReader, auditor: Auditor
) -> None:
    auditor.role = "read"
    shown = await fetched(reader, "record", "record_id=none")
    auditor.table.clear()
    unproven = await fetched(reader, "records")

    assert (shown.data, shown.complete) == (None, True)
    assert (unproven.data, unproven.complete) == ([], False)
    assert "nobody can tell" in unproven.notes[0]


@pytest.mark.parametrize("resource", ["records", "record", "metrics", "health"])
async def test_a_role_that_may_not_read_is_told_so(
    reader: AuditorReader, auditor: Auditor, resource: str
) -> None:
    auditor.role = "write"
    parameters = ["record_id=a"] if resource == "record" else []

    with pytest.raises(Refused, match=r"answered 403: (the role|AUDITOR's access rules)"):
        await fetched(reader, resource, *parameters)


async def test_health_and_metrics_are_shown_as_they_are(
    reader: AuditorReader, auditor: Auditor
) -> None:
    well, metrics = await fetched(reader, "health"), await fetched(reader, "metrics")
    auditor.db_down = True
    away = await fetched(reader, "health")

    assert (well.data, away.data) == ({"healthy": True}, {"healthy": False})
    assert "num_records_database 3" in metrics.data
    assert not planned(reader, "health").kept
    assert planned(reader, "metrics").kept


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"mode": "status", "status": 502}, Uncertain),
        ({"mode": "html"}, Refused),
        ({"mode": "redirect"}, Refused),
        ({"mode": "status", "status": 404}, Refused),
        ({"mode": "truncate"}, Uncertain),
    ],
)
@pytest.mark.parametrize("resource", ["records", "record", "metrics", "health"])
async def test_what_is_no_answer_of_auditor_says_nothing(
    reader: AuditorReader, server: Served, resource: str, fault: dict[str, Any], error: type
) -> None:
    server.fault(**fault)
    parameters = ["record_id=a"] if resource == "record" else []

    with pytest.raises(error):
        await fetched(reader, resource, *parameters)


async def test_a_question_that_auditor_refuses_is_misasked(
    reader: AuditorReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.auditor.query.Query.wire", lambda *_: "colour=red")

    with pytest.raises(Misasked, match="AUDITOR refuses the question: unknown field"):
        await fetched(reader, "records")


async def test_what_auditor_sends_unasked_is_left_out(
    reader: AuditorReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.auditor.query.Query.wire", lambda *_: "sort_by[asc]=record_id")
    last = "adapters.auditor.reads.AuditorReader._last"

    async def found(*_: Any) -> str:
        return "c"

    monkeypatch.setattr(last, found)
    answer = await fetched(reader, "records", "filter=runtime>86400")

    assert names(answer.data) == ["a"]
    assert "2 records were left out" in answer.notes[0]


async def test_nobody_there_is_unreachable(server: Served, reader: AuditorReader) -> None:
    server.unplug()

    with pytest.raises(Unreachable):
        await fetched(reader, "records")


@pytest.mark.parametrize(
    ("resource", "parameters", "status", "words"),
    [
        ("jobs", [], 404, "no 'jobs', but records"),
        ("records/a", [], 404, "no 'records/a'"),
        ("record", [], 422, "needs record_id"),
        ("record", ["record_id= "], 422, "empty or blank"),
        ("record", ["record_id=a", "record_id=b"], 422, "once"),
        ("record/a", ["record_id=b"], 422, "once"),
        ("record", ["record_id=a", "limit=1"], 422, "takes record_id"),
        ("started_since", ["time=2024-01-01"], 422, "RFC 3339"),
        ("health", ["a=b"], 422, "takes no parameters"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    reader: AuditorReader, resource: str, parameters: list[str], status: int, words: str
) -> None:
    with pytest.raises(Misasked, match=words) as refused:
        planned(reader, resource, *parameters)
    assert refused.value.status == status


class Cache:
    """What the engine does with answers: keeps them, and asks what they say."""

    def __init__(self, reader: AuditorReader) -> None:
        self.reader = reader
        self.shelf = DictShelf()
        self.at = 0

    async def keep(self, resource: str, *parameters: str, **changes: Any) -> None:
        plan = planned(self.reader, resource, *parameters)
        answer = await self.reader.fetch(plan, self.shelf, lambda *_: None)
        self.at += 1
        label = Label(
            plan.key,
            plan.family,
            self.at,
            changes.get("complete", answer.complete),
            answer.settled,
            plan.about,
        )
        await self.shelf.put(Kept(label, answer.data, answer.meta))

    async def recall(self, resource: str, *parameters: str, partial: bool = False) -> Recalled:
        plan = planned(self.reader, resource, *parameters)
        return await self.reader.recall(plan, self.shelf, partial=partial)


@pytest.fixture
def cache(reader: AuditorReader) -> Cache:
    return Cache(reader)


async def test_the_same_question_is_answered_from_the_cache(cache: Cache) -> None:
    await cache.keep("records", "filter=runtime>=0", "sort=record_id")
    await cache.keep("metrics")

    same = await cache.recall("records", "runtime[gte]=0", "sort_by[asc]=record_id")

    assert names(same.data) == ["a", ODD]
    assert (same.source, same.fetched_at, same.complete, same.settled) == ("cache", 1, True, False)
    assert (await cache.recall("metrics")).source == "cache"
    with pytest.raises(NotKept):
        await cache.recall("health")


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (["records", "filter=meta.site~x", f"filter=start_time>={DAY(1)}"], ["a"]),
        (["started_since", f"time={DAY(2)}"], [ODD, "c"]),
        (["records", f"filter=start_time>{DAY(1)}", "sort=-start_time", "limit=1"], ["c"]),
    ],
)
async def test_narrower_questions_are_derived_from_wider_answers(
    cache: Cache, question: list[str], found: list[str]
) -> None:
    await cache.keep("started_since", f"time={DAY(1)}")

    derived = await cache.recall(*question)

    assert names(derived.data) == found
    assert (derived.source, derived.complete, derived.settled) == ("derived", True, False)
    for wider in (["records"], ["stopped_since", f"time={DAY(3)}"]):
        with pytest.raises(NotKept):
            await cache.recall(*wider)


async def test_a_record_is_derived_from_whatever_answer_has_it(cache: Cache) -> None:
    await cache.keep("records", "filter=meta.site~x", "limit=1", complete=False)

    found = await cache.recall("record", "record_id=a")

    assert (found.data["record_id"], found.source, found.complete) == ("a", "derived", True)
    with pytest.raises(NotKept):
        await cache.recall("record", "record_id=c")
    await cache.keep("records")
    assert (await cache.recall("record", "record_id=c")).data["start_time"] == DAY(3)
    assert (await cache.recall("record", "record_id=none")).data is None


async def test_the_newest_of_what_is_kept_is_said(cache: Cache, server: Served) -> None:
    await cache.keep("record", "record_id=c")
    assert (await cache.recall("records", "record_id=c")).data[0]["stop_time"] is None
    ask(server, "PUT", "/record", a_record("c", stop_time=DAY(9)))
    await cache.keep("records")

    found = await cache.recall("record", "record_id=c")

    assert (found.data["stop_time"], found.source, found.fetched_at) == (DAY(9), "derived", 2)


async def test_so_many_of_the_records_are_not_all_of_them(cache: Cache) -> None:
    await cache.keep("records", "sort=start_time", "limit=2")

    fewer = await cache.recall("records", "sort=start_time", "limit=1")

    assert names(fewer.data) == ["a"]
    for other in (["limit=1"], ["sort=start_time"], ["sort=start_time", "limit=3"]):
        with pytest.raises(NotKept):
            await cache.recall("records", *other)
    await cache.keep("records", "sort=start_time", "limit=4")
    assert len((await cache.recall("records")).data) == 3


async def test_a_whole_answer_is_better_than_a_newer_part(cache: Cache) -> None:
    await cache.keep("records")
    await cache.keep("started_since", f"time={DAY(2)}", complete=False)

    whole = await cache.recall("started_since", f"time={DAY(2)}")
    part = await cache.recall("started_since", f"time={DAY(2)}", partial=True)

    assert (whole.source, whole.fetched_at, whole.complete) == ("derived", 1, True)
    assert (part.source, part.fetched_at, part.complete) == ("cache", 2, False)
    await cache.keep("stopped_since", f"time={DAY(9)}", complete=False)
    cache.shelf.kept.pop(planned(cache.reader, "records").key)
    assert not (await cache.recall("stopped_since", f"time={DAY(9)}")).complete


async def test_incomplete_answers_are_used_only_when_parts_are_wanted(cache: Cache) -> None:
    await cache.keep("records", complete=False)

    part = await cache.recall("records", "filter=runtime>=0", partial=True)

    assert (names(part.data), part.complete) == ([ODD, "a"], False)
    with pytest.raises(NotKept):
        await cache.recall("records", "filter=runtime>=0")


def waits(kind: str, record_id: str, accepted_at: int = 1, **fields: Any) -> Queued:
    payload = {"record_id": record_id, "components": [], **fields}
    return Queued(f"e{accepted_at}", kind, json.loads(json.dumps(payload)), "pending", accepted_at)


async def test_what_waits_is_merged_and_marked(reader: AuditorReader) -> None:
    plan = planned(reader, "records")
    held = (await fetched(reader, "records")).data
    entries = [
        waits("record_update", "new", 2, stop_time="2024-01-07T01:00:01+01:00"),
        waits("record", "new", 1, start_time="2024-01-06T00:00:00Z", meta={"site": ["x"]}),
        waits("record_update", "c", 3, stop_time=DAY(5)),
        waits("record_update", "unknown", 4, stop_time=DAY(5)),
        waits("record", "a", 5, start_time=DAY(9)),
    ]

    rows, count = reader.merged(plan, held, entries)

    assert reader.queued(plan) == ("record", "record_update")
    assert names(rows) == [ODD, "a", "c", "new"]
    assert (count, [one.get("queued") for one in rows]) == (3, [None, None, True, True])
    assert (rows[2]["stop_time"], rows[2]["runtime"]) == (DAY(5), 2 * 86400)
    assert rows[3] == {
        "record_id": "new",
        "meta": {"site": ["x"]},
        "components": [],
        "start_time": "2024-01-06T00:00:00Z",
        "stop_time": "2024-01-07T00:00:01Z",
        "runtime": 86401,
        "queued": True,
    }
    assert "queued" not in held[2]


async def test_what_waits_is_judged_by_the_conditions(reader: AuditorReader) -> None:
    entries = [
        waits("record", "new", 1, start_time=DAY(6)),
        waits("record_update", "unseen", 2, start_time=DAY(1), stop_time=DAY(8)),
    ]

    def ids(*question: str) -> tuple[list[str], int]:
        rows, count = reader.merged(planned(reader, *question), [], entries)
        return names(rows), count

    assert ids("started_since", f"time={DAY(6)}") == (["new"], 1)
    assert reader.merged(planned(reader, "records"), None, entries)[1] == 1
    assert ids("started_since", f"time={DAY(7)}") == ([], 0)
    assert ids("stopped_since", f"time={DAY(8)}") == (["unseen"], 1)
    assert ids("records", "filter=meta.site~x") == ([], 0)
    assert reader.queued(planned(reader, "records", "limit=9")) is None
    health = planned(reader, "health")
    assert reader.queued(health) == ()
    assert reader.merged(health, {"healthy": True}, []) == ({"healthy": True}, 0)


async def test_one_record_is_shown_as_it_will_be(reader: AuditorReader) -> None:
    plan = planned(reader, "record", "record_id=c")
    held = (await fetched(reader, "record", "record_id=c")).data
    update = waits("record_update", "c", 2, stop_time=DAY(4))
    other = waits("record", "d", 3, start_time=DAY(1))

    stopped, count = reader.merged(plan, held, [update, other])

    assert (stopped["stop_time"], stopped["queued"], count) == (DAY(4), True, 1)
    assert reader.merged(plan, None, [update]) == (None, 0)
    new = waits("record", "c", 1, start_time=DAY(3))
    assert reader.merged(plan, None, [new, update])[0]["runtime"] == 86400
