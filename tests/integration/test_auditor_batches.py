"""Many records or updates in one `deliver`: what shares a request, and what stays here."""

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.auditor import KIND, AuditorAdapter
from adapters.verdict import BatchRefused, Parked, Rejected, Uncertain, Unreachable
from storage.entry import Receipt
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import add, held, site_of, update, verdict
from tests.emulators.kit import Served


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
    assert isinstance(second, Parked)
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
    place = f"{served.url}/record/a"
    assert again == Receipt("add-a", "a", place, duplicate=True, compared="same")
    assert held(auditor) == ["a", "b"]


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


async def test_too_large_a_record_is_rejected_and_too_large_a_batch_halved(
    auditor: Auditor, adapter: AuditorAdapter
) -> None:
    auditor.body_limit = 90

    assert isinstance(await verdict(adapter, add("x" * 90)), Rejected)
    verdicts = await adapter.deliver([add("a"), add("b")])
    assert [type(one) for one in verdicts] == [BatchRefused, BatchRefused]


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
