"""Payloads that stay after delivery, and delivered entries that come back to be sent again."""

import io
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from storage.delivered import Meant
from storage.entry import Claim, Entry, Receipt, Wanted
from storage.kept import CHUNK
from storage.outbox import DATABASE, Outbox
from storage.resend import Again
from storage.settlement import Confirm
from storage.wrecks.salvage import drop_strays
from tests.builders import NOW, an_entry
from tests.conftest import URLS

DAY = 86_400_000
OLD_URL = "http://old.test"


async def deliver(outbox: Outbox, now: int = NOW, *, keep: bool = True) -> list[Claim]:
    claims = await outbox.claim("events", Wanted(requests=1000), now=now)
    ends = [Confirm(one, Receipt(one.id, f"r-{one.key}"), keep) for one in claims]
    assert all(await outbox.settle("events", ends, now=now))
    return claims


async def send_again(outbox: Outbox, ids: Sequence[str], **changes: Any) -> Again:
    said = {"from_url": URLS["events"], "now": NOW + DAY, "who": "uid 7", **changes}
    return await outbox.rework.send_again(ids, backend="events", **said)


async def with_file(outbox: Outbox, key: str, **changes: Any) -> Entry:
    part = await outbox.files.stage(io.BytesIO(b"12345"), "a.txt", limit=100)
    one = an_entry(key, attachments=(part,), **changes)
    await outbox.accept([one])
    return one


def files(outbox: Outbox) -> list[str]:
    root = outbox.attachments.root
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def rows(outbox: Outbox, query: str) -> list[Any]:
    return outbox._writer.call(lambda c: list(c.exec_driver_sql(query).all())).result()


async def agree(outbox: Outbox) -> None:
    """The gauges say what the tables say."""
    one = (await outbox.looks.census(now=NOW))["events"]
    held = (outbox.waiting["events"], outbox.size["events"], outbox.delivered["events"])
    assert held == (one.waiting, one.size, one.delivered)


async def test_what_comes_back_is_what_it_was_in_doubt_since_it_was_sent(outbox: Outbox) -> None:
    one = await with_file(outbox, "a", stream="s", labels={"run": "7"}, expires_at=NOW + 1000)
    (before,) = await deliver(outbox)
    assert outbox.size["events"] == 0, "what is only kept takes no room from what waits"

    again = await send_again(outbox, [one.id])

    assert [(back.id, back.size) for back in again.back] == [(one.id, one.size)]
    await agree(outbox)
    assert (await outbox.looks.list_receipts())[0] == []
    (after,) = await outbox.claim("events", Wanted(), now=NOW + DAY)
    same = ("seq", "id", "key", "payload", "created_at", "labels", "attachments", "size", "stream")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert (after.in_doubt, after.first_sent_at, after.last_sent_at) == (True, NOW, NOW)
    assert after.attachments[0].path.read_bytes() == b"12345"
    shown = await outbox.looks.show(one.id)
    assert shown is not None
    (act,) = shown["operators"]
    assert (act["verb"], act["who"]) == ("resend", "uid 7")
    assert act["detail"].endswith(f"to {URLS['events']} as r-a")


async def test_delivered_once_more_it_is_kept_once_more(outbox: Outbox) -> None:
    one = await with_file(outbox, "a")
    await deliver(outbox)
    await send_again(outbox, [one.id])
    await deliver(outbox, NOW + DAY)

    await agree(outbox)
    assert outbox.delivered["events"] == 2
    assert rows(outbox, "SELECT id, delivered_at FROM kept") == [(one.id, NOW + DAY)]
    assert len((await send_again(outbox, [one.id], now=NOW + 2 * DAY)).back) == 1


async def test_it_takes_its_old_place_in_its_stream_and_lets_what_is_fresh_go_first(
    outbox: Outbox,
) -> None:
    ids = {key: key * 26 for key in "abcd"}
    await outbox.accept([an_entry(key, id=ids[key], stream="s") for key in "ab"])
    await deliver(outbox)
    await deliver(outbox)
    await outbox.accept([an_entry("c", id=ids["c"], stream="s"), an_entry("d", id=ids["d"])])

    await send_again(outbox, [ids["b"], ids["a"]])

    went = []
    while claims := await outbox.claim("events", Wanted(), now=NOW + DAY):
        went += [one.key for one in claims]
        ends = [Confirm(one, Receipt(one.id, "r")) for one in claims]
        await outbox.settle("events", ends, now=NOW + DAY)
    assert went == ["d", "a", "b", "c"]


async def test_a_head_on_the_wire_keeps_its_turn(outbox: Outbox) -> None:
    one = an_entry("a", stream="s")
    await outbox.accept([one])
    await deliver(outbox)
    await outbox.accept([an_entry("b", stream="s")])
    (out,) = await outbox.claim("events", Wanted(), now=NOW)

    await send_again(outbox, [one.id])

    assert await outbox.claim("events", Wanted(), now=NOW + DAY) == []
    await outbox.settle("events", [Confirm(out, Receipt(out.id, "r"))], now=NOW)
    (back,) = await outbox.claim("events", Wanted(), now=NOW + DAY)
    assert back.id == one.id


async def test_what_cannot_come_back_keeps_its_receipt_and_says_why(outbox: Outbox) -> None:
    bare, damaged, gone = an_entry("bare"), an_entry("damaged"), an_entry("gone")
    await outbox.accept([bare])
    await deliver(outbox, keep=False)
    await outbox.accept([damaged, gone])
    await deliver(outbox)
    rows(outbox, "UPDATE kept SET payload = '{}' WHERE id = '" + damaged.id + "' RETURNING id")
    rows(outbox, "UPDATE kept SET \"row\" = 'no' WHERE id = '" + gone.id + "' RETURNING id")

    again = await send_again(outbox, [bare.id, damaged.id, gone.id, "nobody"])

    assert again.back == []
    whys = {one.key: one.why for one in again.stays}
    assert whys == {"bare": "no payload kept", "damaged": "damaged", "gone": "damaged"}
    assert len((await outbox.looks.list_receipts())[0]) == 3
    await agree(outbox)


async def test_what_went_to_another_url_is_sent_to_this_one(tmp_path: Path) -> None:
    ours, taken, waits = an_entry("ours"), an_entry("taken"), an_entry("waits")
    old = Outbox(tmp_path, {"events": OLD_URL})
    await old.accept([ours, taken, waits])
    await deliver(old)
    old.close()
    outbox = Outbox(tmp_path, URLS)
    outbox.recover(NOW)
    await outbox.accept([an_entry("taken")])
    await deliver(outbox)
    await outbox.accept([an_entry("waits")])

    ids = [ours.id, taken.id, waits.id]
    assert (await send_again(outbox, ids)).back == [], "nothing of that was delivered here"
    judged = await outbox.looks.judge_again(
        ids, backend="events", from_url=OLD_URL, url=URLS["events"]
    )
    again = await send_again(outbox, ids, from_url=OLD_URL)

    assert again == judged
    assert [one.id for one in again.back] == [ours.id]
    assert {one.key: one.why for one in again.stays} == {"taken": "key taken", "waits": "key taken"}
    outbox.close()


async def test_payloads_and_their_files_go_when_their_time_is_over(outbox: Outbox) -> None:
    first = await with_file(outbox, "a")
    await deliver(outbox, NOW)
    second = await with_file(outbox, "b")
    await deliver(outbox, NOW + DAY)

    assert await outbox.upkeep.forget_payloads(before=NOW + DAY) == 1
    assert files(outbox) == [f"{second.id}/0"]
    assert rows(outbox, "SELECT entry_id FROM attachment") == [(second.id,)]
    assert [one.key for one in (await send_again(outbox, [first.id])).stays] == ["a"]
    assert await outbox.upkeep.forget_payloads() == 1
    assert files(outbox) == []


async def test_payloads_are_forgotten_in_portions(outbox: Outbox) -> None:
    await outbox.accept([an_entry(f"k{n}") for n in range(CHUNK + 1)])
    await deliver(outbox)

    assert [await outbox.upkeep.forget_payloads() for _ in range(3)] == [CHUNK, 1, 0]


async def test_a_start_leaves_kept_files_and_sweeps_those_of_nobody(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, URLS)
    one = await with_file(outbox, "a")
    await deliver(outbox)
    outbox.close()
    (tmp_path / "attachments" / "nobody").mkdir()
    (tmp_path / "attachments" / "nobody" / "0").write_bytes(b"x")

    outbox = Outbox(tmp_path, URLS)
    assert outbox.recover(NOW) == (0, 1)

    assert files(outbox) == [f"{one.id}/0"]
    outbox.close()


async def test_what_is_kept_survives_damage_with_its_files(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, URLS)
    one = await with_file(outbox, "a")
    await deliver(outbox)
    await outbox.accept([an_entry("waits")])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'entry_census'"
        ((page,),) = database.execute(query).fetchall()
        ((size,),) = database.execute("PRAGMA page_size").fetchall()
    with (tmp_path / DATABASE).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))

    outbox = Outbox(tmp_path, URLS, now=lambda: NOW)
    outbox.recover(NOW)
    outbox.finish_salvage()
    assert list((tmp_path / "damaged").iterdir()), "nothing was damaged"
    again = await send_again(outbox, [one.id])

    assert [back.id for back in again.back] == [one.id], again
    ((claim,),) = [
        [c for c in await outbox.claim("events", Wanted(requests=2), now=NOW + DAY) if c.key == "a"]
    ]
    assert claim.attachments[0].path.read_bytes() == b"12345"
    assert claim.damage is None
    outbox.close()


async def test_salvage_takes_no_file_from_what_is_kept(outbox: Outbox) -> None:
    one = await with_file(outbox, "a")
    await deliver(outbox)

    outbox._writer.call(partial(drop_strays, ids=[one.id])).result()

    assert rows(outbox, "SELECT entry_id FROM attachment") == [(one.id,)]


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ({}, "abcd"),
        ({"since": NOW + 1}, "bcd"),
        ({"until": NOW + 1}, "abc"),
        ({"labels": {"run": "7"}}, "bd"),
        ({"keys": ["a", "d"]}, "ad"),
        ({"url": OLD_URL}, ""),
    ],
)
async def test_receipts_are_paged_in_the_order_of_delivery(
    outbox: Outbox, asked: dict[str, Any], keys: str
) -> None:
    for key, at in {"a": NOW, "b": NOW + 1, "c": NOW + 1, "d": NOW + 2}.items():
        await outbox.accept([an_entry(key, labels={"run": "7"} if key in "bd" else {})])
        await deliver(outbox, at, keep=key != "c")
    meant = Meant(**{"backend": "events", "url": URLS["events"], "until": NOW + 9, **asked})

    found, after = [], None
    while True:
        page = await outbox.looks.delivered(meant, limit=1, after=after, payloads=True)
        found += page.receipts
        after = page.after
        if after is None:
            break

    assert [one.key for one in found] == list(keys)
    assert all(one.kept == (one.payload is not None) == (one.key != "c") for one in found)
