"""The auditor adapter against the emulated server, over real sockets."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.auditor import KIND, AuditorAdapter, Options
from adapters.base import (
    AuthOptions,
    BatchRefused,
    Rejected,
    Site,
    TlsOptions,
    Uncertain,
    Unreachable,
    Verdict,
)
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.auditor import Auditor
from tests.emulators.kit import Served

START, STOP = "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor() -> Auditor:
    return Auditor(pool_timeout_seconds=0)


@pytest.fixture
def served(server: Served, auditor: Auditor) -> Served:
    server.faulty.emulator = auditor
    server.faulty.requests.clear()
    server.heal()
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[AuditorAdapter]:
    adapter = AuditorAdapter(site_of(served.url))
    yield adapter
    await adapter.close()


def site_of(url: str, **options: Any) -> Site:
    return Site(
        name="accounting",
        url=url,
        timeout_seconds=5,
        attempt_timeout_seconds=10,
        concurrency=1,
        auth=AuthOptions(),
        tls=TlsOptions(),
        options=Options(**options),
        read_secret=lambda _: "",
        now=lambda: NOW,
    )


def add(record_id: str = "r1", **fields: Any) -> Claim:
    body = {"record_id": record_id, "components": [], "start_time": START, **fields}
    return a_claim(body, kind="record", id=f"add-{record_id}")


def update(record_id: str = "r1", **fields: Any) -> Claim:
    body = {"record_id": record_id, "components": [], "stop_time": STOP, **fields}
    return a_claim(body, kind="record_update", id=f"update-{record_id}")


async def verdict(adapter: AuditorAdapter, claim: Claim) -> Verdict:
    [only] = await adapter.deliver([claim])
    return only


def held(auditor: Auditor) -> list[str]:
    return [record["record_id"] for record in auditor.ledger()]


async def test_a_record_arrives_field_for_field(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    parts = [{"name": "cpu", "amount": 4, "scores": [{"name": "hs23", "value": 9.2}]}]
    claim = add("a/b ü", meta={"site": ["x"]}, components=parts, stop_time=STOP, runtime=1)

    receipt = await verdict(adapter, claim)

    place = f"{served.url}/record/a%2Fb%20%C3%BC"
    assert receipt == Receipt("add-a/b ü", "a/b ü", place)
    assert auditor.ledger() == [
        {
            "record_id": "a/b ü",
            "meta": {"site": ["x"]},
            "components": parts,
            "start_time": START,
            "stop_time": STOP,
            "runtime": 3600,
            "archived": False,
        }
    ]


async def test_an_update_ends_its_record(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    await verdict(adapter, add())

    receipt = await verdict(adapter, update())

    assert receipt == Receipt("update-r1", f"r1@{STOP}", f"{served.url}/record/r1")
    assert auditor.ledger()[0]["runtime"] == 3600


async def test_many_records_are_one_request(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    claims = [add(f"r{n}") for n in range(KIND.batch_size)]

    receipts = await adapter.deliver(claims)

    assert [one.entry_id for one in receipts if isinstance(one, Receipt)] == [c.id for c in claims]
    assert held(auditor) == [f"r{n}" for n in range(KIND.batch_size)]
    assert dict(served.faulty.requests) == {"POST /records": 1}


async def test_one_record_alone_is_no_batch(served: Served, adapter: AuditorAdapter) -> None:
    await adapter.deliver([add()])

    assert dict(served.faulty.requests) == {"POST /record": 1}


async def test_updates_go_one_by_one_and_a_missing_record_stops_none_of_them(
    served: Served, adapter: AuditorAdapter
) -> None:
    await adapter.deliver([add("a"), add("c")])

    first, second, third = await adapter.deliver([update("a"), update("b"), update("c")])

    assert isinstance(first, Receipt)
    assert isinstance(third, Receipt)
    assert isinstance(second, Rejected)
    assert "does not hold the record 'b'" in second.detail
    assert served.faulty.requests["PUT /record"] == 3


@pytest.mark.parametrize(("limit", "requests"), [(381, 1), (380, 2), (228, 3), (1, 5)])
async def test_a_batch_is_cut_at_the_body_limit(
    served: Served, auditor: Auditor, limit: int, requests: int
) -> None:
    claims = [add(f"r{n}") for n in range(5)]
    assert 1 + sum(len(claim.payload) + 1 for claim in claims) == 381
    adapter = AuditorAdapter(site_of(served.url, max_body_bytes=limit))

    receipts = await adapter.deliver(claims)
    await adapter.close()

    names = ["r0", "r1", "r2", "r3", "r4"]
    assert [one.remote_id for one in receipts if isinstance(one, Receipt)] == names
    assert held(auditor) == names
    assert served.faulty.requests.total() == requests


async def test_the_same_id_twice_is_never_in_one_request(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    first, second, again = await adapter.deliver([add("a"), add("b"), add("a")])

    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert again == Receipt("add-a", "a", f"{served.url}/record/a", duplicate=True)
    assert held(auditor) == ["a", "b"]


@pytest.mark.parametrize("ignoring", [False, True])
async def test_a_record_that_is_there_already_is_a_duplicate(
    auditor: Auditor, adapter: AuditorAdapter, *, ignoring: bool
) -> None:
    auditor.ignore_record_exists_error = ignoring
    await verdict(adapter, add())

    again = await verdict(adapter, add())

    assert isinstance(again, Receipt)
    assert again.duplicate
    assert held(auditor) == ["r1"]


@pytest.mark.parametrize("ignoring", [False, True])
async def test_a_batch_with_a_duplicate_is_no_proof_for_any_of_its_records(
    auditor: Auditor, adapter: AuditorAdapter, *, ignoring: bool
) -> None:
    auditor.ignore_record_exists_error = ignoring
    await verdict(adapter, add("old"))

    verdicts = await adapter.deliver([add("new"), add("old")])

    assert [type(one) for one in verdicts] == [BatchRefused, BatchRefused]
    assert held(auditor) == ["old"]


async def test_a_batch_with_a_record_that_breaks_a_rule_is_given_back_to_be_halved(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    bad = add("bad", components=[{"name": "c", "amount": -1, "scores": []}])

    verdicts = await adapter.deliver([add("good"), bad])

    assert [type(one) for one in verdicts] == [BatchRefused, BatchRefused]
    assert isinstance(await verdict(adapter, bad), Rejected)
    assert held(auditor) == []


async def test_a_rejection_quotes_the_server(adapter: AuditorAdapter) -> None:
    rejected = await verdict(adapter, add(meta={"": []}))

    assert isinstance(rejected, Rejected)
    assert rejected.detail.startswith(
        "AUDITOR does not take it: Json deserialize error: Parsing ''"
    )
    assert rejected.status == 400


async def test_too_large_a_record_is_rejected_and_too_large_a_batch_halved(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    auditor.body_limit = 90

    assert isinstance(await verdict(adapter, add("x" * 90)), Rejected)
    verdicts = await adapter.deliver([add("a"), add("b")])
    assert [type(one) for one in verdicts] == [BatchRefused, BatchRefused]


@pytest.mark.parametrize("mode", ["drop_after", "truncate", "status_after"])
async def test_a_record_whose_answer_was_lost_is_proved_by_sending_it_again(
    served: Served, auditor: Auditor, adapter: AuditorAdapter, mode: str
) -> None:
    served.fault(mode, times=1)

    assert isinstance(await verdict(adapter, add()), Uncertain)
    again = await verdict(adapter, add())

    assert isinstance(again, Receipt)
    assert again.duplicate
    assert held(auditor) == ["r1"]


@pytest.mark.parametrize("mode", ["drop_before", "status"])
async def test_a_record_that_never_arrived_is_stored_by_sending_it_again(
    served: Served, auditor: Auditor, adapter: AuditorAdapter, mode: str
) -> None:
    served.fault(mode, times=1)

    assert isinstance(await verdict(adapter, add()), Uncertain)
    again = await verdict(adapter, add())

    assert isinstance(again, Receipt)
    assert not again.duplicate
    assert held(auditor) == ["r1"]


async def test_a_batch_whose_answer_was_lost_settles_record_by_record(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    claims = [add("a"), add("b")]
    served.fault("drop_after", times=1)

    lost = await adapter.deliver(claims)
    refused = await adapter.deliver(claims)
    singles = [await verdict(adapter, claim) for claim in claims]

    assert {type(one) for one in lost} == {Uncertain}
    assert {type(one) for one in refused} == {BatchRefused}
    assert all(isinstance(one, Receipt) and one.duplicate for one in singles)
    assert held(auditor) == ["a", "b"]


async def test_an_update_whose_answer_was_lost_is_simply_sent_again(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    await verdict(adapter, add())
    served.fault("drop_after", times=1)

    assert isinstance(await verdict(adapter, update()), Uncertain)
    assert isinstance(await verdict(adapter, update()), Receipt)
    assert auditor.ledger()[0]["stop_time"] == STOP


async def test_an_update_of_an_archived_record_is_rejected(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    await verdict(adapter, add(stop_time=STOP))
    auditor.archive()

    rejected = await verdict(adapter, update())

    assert isinstance(rejected, Rejected)
    assert "archived" in rejected.detail


async def test_without_its_database_nothing_is_proved(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    auditor.db_down = True

    for claims in ([add()], [add("a"), add("b")], [update()]):
        verdicts = await adapter.deliver(claims)
        assert {type(one) for one in verdicts} == {Uncertain}


async def test_an_unplugged_server_was_sent_nothing() -> None:
    with Served(Auditor()) as served:
        adapter = AuditorAdapter(site_of(served.url))
        served.unplug()

        verdicts = await adapter.deliver([update("a"), update("b")])
        await adapter.close()

    assert [type(one) for one in verdicts] == [Unreachable, Unreachable]


async def test_after_three_lost_answers_in_a_row_the_rest_stays_here(
    served: Served, adapter: AuditorAdapter
) -> None:
    served.fault("drop_before")

    verdicts = await adapter.deliver([update(name) for name in "abcde"])

    assert [type(one) for one in verdicts] == [*[Uncertain] * 3, *[Unreachable] * 2]
    assert served.faulty.requests.total() == 3


async def test_lost_answers_between_others_stop_nothing(adapter: AuditorAdapter) -> None:
    await adapter.deliver([add("a"), add("b")])
    poison = [update(f"{name}\0") for name in "cdef"]

    claims = [poison[0], poison[1], update("a"), poison[2], poison[3], update("b")]
    verdicts = await adapter.deliver(claims)

    expected = [Uncertain, Uncertain, Receipt, Uncertain, Uncertain, Receipt]
    assert [type(one) for one in verdicts] == expected


async def test_a_wall_before_the_server_is_run_into_once(
    served: Served, adapter: AuditorAdapter
) -> None:
    for mode in ("html", "retry_after", "redirect"):
        served.faulty.requests.clear()
        served.heal()
        served.fault(mode)

        first, *rest = await adapter.deliver([update(name) for name in "abc"])

        assert [type(one) for one in rest] == [type(first)] * 2
        assert not any(getattr(one, "landed", False) for one in rest), "they were not sent"
        assert served.faulty.requests.total() == 1


@pytest.mark.parametrize("record_id", ["r1", "a/b", "a?b#c", "ü %41"])
async def test_a_record_is_found_under_its_id(
    served: Served, adapter: AuditorAdapter, record_id: str
) -> None:
    claim = add(record_id)
    receipt = await verdict(adapter, claim)

    assert await adapter.find(Doubt(claim, NOW, NOW)) == [receipt]
    assert served.faulty.requests.total() == 2


async def test_no_answer_to_a_search_proves_absence(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    doubt = Doubt(add(), NOW, NOW)
    for down in (False, True):
        auditor.db_down = down
        with pytest.raises(Uncertain):
            await adapter.find(doubt)
    for mode in ("empty", "html", "status"):
        served.heal()
        served.fault(mode)
        with pytest.raises(Uncertain):
            await adapter.find(doubt)


async def test_an_update_cannot_be_searched_for(adapter: AuditorAdapter) -> None:
    with pytest.raises(Uncertain):
        await adapter.find(Doubt(update(), NOW, NOW))
