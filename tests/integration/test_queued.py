"""What waits in the outbox, payloads included: beside a living agent, and without one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.cached import Queued
from storage.entry import Wanted
from storage.offline import AgentLives, read_queued
from storage.outbox import DATABASE, Outbox
from storage.settlement import Bury, Failure
from tests.builders import NOW, an_entry
from tests.conftest import URLS


async def fill(outbox: Outbox) -> list[str]:
    """One of each state, others around them; the ids in order of acceptance."""
    entries = [
        an_entry(str(number), payload={"n": number}, created_at=NOW - number) for number in range(6)
    ]
    await outbox.accept([an_entry("x", backend="elog", kind="event"), *entries])
    await outbox.accept([an_entry("other kind", kind="note")])
    dead, leased = await outbox.claim("events", Wanted(requests=2, batch_size=1), now=NOW)
    assert (dead.id, leased.id) == (entries[0].id, entries[1].id)
    await outbox.settle("events", [Bury(dead, Failure("Rejected", "entry", "no"))], now=NOW)
    await outbox.hold([entries[3].id], now=NOW, who="anna")
    return [one.id for one in entries]


async def test_what_is_still_to_be_delivered_in_order(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await fill(outbox)
    states = ["leased", "pending", "held", "pending", "pending"]
    expected = [
        Queued(id_, "event", {"n": number}, state, NOW, NOW - number)
        for number, (id_, state) in enumerate(zip(ids[1:], states, strict=True), start=1)
    ]
    for size in (500, 2, 1):
        monkeypatch.setattr("storage.looks.PAGE", size)
        found = await outbox.looks.queued("events", ["event"])
        assert (found.entries, found.after, found.whole) == (expected, None, True)
    some = await outbox.looks.queued("events", ["event"], limit=3)
    assert some.entries == expected[:3]
    assert some.after is not None, "it says that there is more"
    kinds = ["event", "note"]
    assert len((await outbox.looks.queued("events", kinds)).entries) == 6
    assert (await outbox.looks.queued("events", [])).entries == []
    assert (await outbox.looks.queued("nobody", kinds)).entries == []


async def test_the_same_is_read_from_the_files_of_a_stopped_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.queued.PAGE", 2)
    assert read_queued(tmp_path, "events", ["event"]).entries == []
    outbox = Outbox(tmp_path, URLS)
    outbox.recover(NOW)
    await fill(outbox)
    with pytest.raises(AgentLives):
        read_queued(tmp_path, "events", ["event"])
    seen = await outbox.looks.queued("events", ["event"])
    outbox.close()
    assert read_queued(tmp_path, "events", ["event"]) == seen
    some = read_queued(tmp_path, "events", ["event"], limit=4)
    assert some.entries == seen.entries[:4]
    assert some.after is not None


async def test_an_altered_payload_is_left_out_and_said(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, URLS)
    outbox.recover(NOW)
    ids = await fill(outbox)
    outbox.close()
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as connection:
        connection.execute("UPDATE body SET payload = '{\"n\": 9}' WHERE id = ?", (ids[2],))
        connection.execute("DELETE FROM body WHERE id = ?", (ids[4],))
    found = read_queued(tmp_path, "events", ["event"])
    assert [one.id for one in found.entries] == [ids[1], ids[3], ids[5]]
    assert (found.whole, found.after) == (False, None)
