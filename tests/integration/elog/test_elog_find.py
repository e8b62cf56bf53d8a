"""A post whose answer was lost is found again by its marker, whatever people did to it since."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.elog import KIND, Options
from adapters.verdict import (
    DeliveryError,
    Held,
    Parked,
    Refused,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import (
    AN_ID,
    EXPERIMENT,
    JSON,
    Connect,
    a_file,
    a_post,
    as_json,
    connections,
    page,
    some_params,
    verdict_of,
)
from tests.emulators.elog_store import iso
from tests.emulators.kit import Served
from tests.lane_world import until

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(ElogEmulator())
    return server


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes adapters on a host whose clock is off, and closes them when the test is over."""
    async with connections() as maker:

        def make(served: Served, marker: str = "jira_ticket", clock_is_off_ms: int = 0) -> Adapter:
            options = Options.model_validate({"instrument": "mfx", "marker": marker})
            return maker(served, options=options, now=wall_clock_off_by(clock_is_off_ms))

        yield make


@pytest.fixture(params=["jira_ticket", "tag", "content"])
async def adapter(served: Served, connect: Connect, request: pytest.FixtureRequest) -> Adapter:
    return connect(served, marker=request.param)


def wall_clock_off_by(off_ms: int) -> Callable[[], int]:
    return lambda: time.time_ns() // 1_000_000 + off_ms


def in_doubt(claim: Claim, clock_was_off_ms: int = 0) -> Doubt:
    """As the outbox remembers a claim that was sent just now."""
    sent = wall_clock_off_by(clock_was_off_ms)()
    return Doubt(claim, sent, sent)


async def lost(served: Served, adapter: Adapter, claim: Claim) -> str:
    """Post, but lose the answer. The remote id of the entry."""
    fault = served.fault("drop_after", times=1, path="new_elog_entry")
    (verdict,) = await adapter.deliver([claim])
    assert isinstance(verdict, Uncertain)
    assert fault.times == 0
    return str(served.emulator.ledger()[-1]["_id"])


async def test_a_landed_post_is_found(served: Served, adapter: Adapter, tmp_path: Path) -> None:
    claim = a_post(attachments=(a_file(tmp_path, "plot.png"),), tags=["DARK"])
    remote_id = await lost(served, adapter, claim)

    (receipt,) = await adapter.find(in_doubt(claim))

    assert receipt == Receipt(
        claim.id,
        remote_id=remote_id,
        url=f"{served.url}/ws-auth/lgbk/lgbk/{EXPERIMENT}/ws/search_elog?_id={remote_id}",
        duplicate=True,
    )


async def test_a_post_that_never_arrived_is_not_found(served: Served, adapter: Adapter) -> None:
    claim = a_post("same text", tags=["DARK"])
    await adapter.deliver([a_post("same text", tags=["DARK"])])
    served.fault("drop_before", times=1)
    await adapter.deliver([claim])

    assert await adapter.find(in_doubt(claim)) == []


async def test_the_parent_that_a_search_brings_along_is_not_ours(
    served: Served, adapter: Adapter
) -> None:
    await adapter.deliver([a_post("parent")])
    (parent,) = served.emulator.ledger()
    claim = a_post("reply", reply_to=parent["_id"])
    remote_id = await lost(served, adapter, claim)

    assert [receipt.remote_id for receipt in await adapter.find(in_doubt(claim))] == [remote_id]


@pytest.mark.parametrize("tags", ["", "OTHER"])
async def test_an_edited_post_is_found_under_its_own_id(
    served: Served, adapter: Adapter, tags: str
) -> None:
    claim = a_post("before", tags=["DARK"])
    remote_id = await lost(served, adapter, claim)
    served.emulator.world.edit(EXPERIMENT, remote_id, "after", tags)

    assert [receipt.remote_id for receipt in await adapter.find(in_doubt(claim))] == [remote_id]


async def test_a_post_that_somebody_deleted_counts_as_delivered(
    served: Served, adapter: Adapter
) -> None:
    claim = a_post()
    remote_id = await lost(served, adapter, claim)
    served.emulator.world.delete(EXPERIMENT, remote_id)

    assert [receipt.remote_id for receipt in await adapter.find(in_doubt(claim))] == [remote_id]


async def test_an_edited_and_deleted_post_counts_once(served: Served, adapter: Adapter) -> None:
    claim = a_post()
    remote_id = await lost(served, adapter, claim)
    served.emulator.world.edit(EXPERIMENT, remote_id, "once")
    served.emulator.world.edit(EXPERIMENT, remote_id, "twice")
    served.emulator.world.delete(EXPERIMENT, remote_id)

    assert [receipt.remote_id for receipt in await adapter.find(in_doubt(claim))] == [remote_id]


async def test_several_that_landed_come_oldest_first(served: Served, adapter: Adapter) -> None:
    claim = a_post()
    first = await lost(served, adapter, claim)
    second = await lost(served, adapter, claim)

    found = await adapter.find(in_doubt(claim))

    assert [receipt.remote_id for receipt in found] == [first, second]


@pytest.mark.parametrize("marker", ["jira_ticket", "content"])
@pytest.mark.parametrize("off_ms", [-DAY_MS, DAY_MS, -56 * 365 * DAY_MS])
async def test_a_host_whose_clock_is_wrong_still_finds_its_post(
    served: Served, connect: Connect, marker: str, off_ms: int
) -> None:
    adapter = connect(served, marker=marker, clock_is_off_ms=off_ms)
    claim = a_post()
    remote_id = await lost(served, adapter, claim)

    found = await adapter.find(in_doubt(claim, clock_was_off_ms=off_ms))

    assert [receipt.remote_id for receipt in found] == [remote_id]


@pytest.mark.parametrize("off_ms", [-365 * DAY_MS, -DAY_MS, DAY_MS // 2, DAY_MS, 365 * DAY_MS])
async def test_a_host_whose_clock_was_set_right_since_still_finds_its_post(
    served: Served, connect: Connect, off_ms: int
) -> None:
    adapter = connect(served)
    claim = a_post()
    remote_id = await lost(served, adapter, claim)

    found = await adapter.find(in_doubt(claim, clock_was_off_ms=off_ms))

    assert [receipt.remote_id for receipt in found] == [remote_id]


async def test_what_has_no_marker_is_not_looked_for_at_a_time_that_is_still_to_come(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served, marker="content")
    claim = a_post()
    await lost(served, adapter, claim)

    with pytest.raises(Uncertain) as unsure:
        await adapter.find(in_doubt(claim, clock_was_off_ms=DAY_MS))

    assert "set back" in unsure.value.detail


async def test_a_clock_that_is_known_to_have_been_wrong_finds_what_has_no_marker(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served, marker="content")
    claim = a_post(known={"created_at": NOW, "raw_created_at": NOW - 365 * DAY_MS})
    remote_id = await lost(served, adapter, claim)

    found = await adapter.find(in_doubt(claim, clock_was_off_ms=-365 * DAY_MS))

    assert [receipt.remote_id for receipt in found] == [remote_id]


@pytest.mark.parametrize("marker", ["jira_ticket", "content"])
async def test_a_post_that_was_edited_long_after_is_found_by_what_the_edit_left(
    stranger: Served, connect: Connect, marker: str
) -> None:
    claim = a_post()
    sent = {"insert_time": iso(NOW), "jira_ticket": claim.id, "content": "beam is back"}
    live = {"_id": AN_ID, "insert_time": iso(NOW), "content": "edited"}
    clone = sent | {"_id": "f" * 24, "parent": AN_ID, "deleted_by": "pi1"}
    stranger.emulator.says(200, as_json({"success": True, "value": [live, clone]}), JSON)

    receipts = await connect(stranger, marker=marker).find(Doubt(claim, NOW, NOW))

    assert [receipt.remote_id for receipt in receipts] == [AN_ID]


async def test_what_is_on_its_way_is_not_found_for_an_entry_that_says_the_same(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served, marker="content")
    lost_one, twin = (a_post("same", emails=[f"{who}@lab"]) for who in ("a", "b"))
    served.emulator.may_mail.clear()
    sending = asyncio.create_task(verdict_of(adapter, twin))
    await until(lambda: bool(served.emulator.ledger()))

    with pytest.raises(Uncertain):
        await adapter.find(in_doubt(lost_one))
    served.emulator.may_mail.set()

    assert isinstance(await sending, Receipt)
    assert await adapter.find(in_doubt(lost_one)) == []
    assert len(await adapter.find(in_doubt(twin))) == 1


async def test_run_parameters_are_resent_and_not_looked_for(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served)

    assert await adapter.find(in_doubt(some_params({"a": 1}))) == []
    assert (KIND.kinds["run_params"].in_doubt, KIND.kinds["post"].in_doubt) == ("resend", "find")
    assert not served.faulty.requests


async def test_run_parameters_sent_twice_are_there_once(served: Served, connect: Connect) -> None:
    adapter = connect(served)
    served.fault("drop_after", times=1)
    claim = some_params({"a": 1})

    verdicts = [(await adapter.deliver([claim]))[0] for _ in range(2)]

    assert [type(verdict) for verdict in verdicts] == [Uncertain, Receipt]
    assert [held["params"] for held in served.emulator.ledger()] == [{"a": 1}]


async def test_a_search_without_permission_is_a_matter_for_a_person(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served)
    served.emulator.world.add_experiment("mfxl1000223")
    served.emulator.world.switch("mfxl1000223")

    with pytest.raises(Held) as held:
        await adapter.find(in_doubt(a_post()))

    assert held.value.proposal is None
    for told in ("mfxopr may not read", "Look in the logbook", "discard", "release"):
        assert told in held.value.detail


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"mode": "drop_before"}, Uncertain),
        ({"mode": "truncate"}, Uncertain),
        ({"mode": "empty"}, Uncertain),
        ({"mode": "html"}, Refused),
        ({"mode": "redirect"}, Refused),
        ({"mode": "retry_after"}, Throttled),
        ({"mode": "status", "status": 400}, Uncertain),
        ({"mode": "status", "status": 401}, Refused),
        ({"mode": "status", "status": 404}, Refused),
        ({"mode": "status", "status": 500}, Uncertain),
        ({"mode": "status", "status": 502}, Uncertain),
    ],
    ids=lambda value: str(value.get("status", value["mode"])) if isinstance(value, dict) else None,
)
async def test_a_search_that_fails_is_not_an_empty_one(
    served: Served, adapter: Adapter, fault: dict[str, Any], error: type[DeliveryError]
) -> None:
    served.fault(**fault)

    with pytest.raises(error):
        await adapter.find(in_doubt(a_post()))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, as_json({"success": True, "value": {"a": 1}}), Refused),
        (200, as_json({"success": False, "errormsg": "no"}), Uncertain),
        (200, as_json({"success": True}), Refused),
        (404, page("404 Not Found"), Parked),
        (500, b"Please specify the tag", Uncertain),
    ],
)
async def test_an_odd_answer_to_a_search_proves_nothing(
    stranger: Served, connect: Connect, status: int, body: bytes, error: type[DeliveryError]
) -> None:
    stranger.emulator.says(status, body, JSON)

    with pytest.raises(error) as raised:
        await connect(stranger).find(in_doubt(a_post()))

    assert raised.type is error


async def test_odd_things_among_the_found_are_passed_over(
    stranger: Served, connect: Connect
) -> None:
    claim = a_post()
    mine = {"_id": AN_ID, "jira_ticket": claim.id, "parent": {"no": "id"}}
    found = [None, 7, {"jira_ticket": claim.id}, {"_id": [], "tags": None}, mine]
    stranger.emulator.says(200, as_json({"success": True, "value": found}), JSON)

    receipts = await connect(stranger).find(in_doubt(claim))

    assert [receipt.remote_id for receipt in receipts] == [mine["_id"]]


async def test_an_unplugged_server_is_unreachable(served: Served, adapter: Adapter) -> None:
    served.unplug()

    with pytest.raises(Unreachable):
        await adapter.find(in_doubt(a_post()))
