"""The auditor adapter against the emulated server, over real sockets."""

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.auditor import AuditorAdapter
from adapters.verdict import Rejected, Uncertain, Unreachable
from storage.entry import Doubt, Receipt
from tests.builders import NOW
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import START, STOP, add, held, site_of, update, verdict
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


async def test_a_rejection_quotes_the_server(adapter: AuditorAdapter) -> None:
    rejected = await verdict(adapter, add(meta={"": []}))

    assert isinstance(rejected, Rejected)
    assert rejected.detail.startswith(
        "AUDITOR does not take it: Json deserialize error: Parsing ''"
    )
    assert rejected.status == 400


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


async def test_an_update_whose_answer_was_lost_is_simply_sent_again(
    served: Served, auditor: Auditor, adapter: AuditorAdapter
) -> None:
    await verdict(adapter, add())
    served.fault("drop_after", times=1)

    assert isinstance(await verdict(adapter, update()), Uncertain)
    assert isinstance(await verdict(adapter, update()), Receipt)
    assert auditor.ledger()[0]["stop_time"] == STOP


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
