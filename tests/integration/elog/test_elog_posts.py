"""What a post says beside its text: flags, files by their descriptions, lateness, its author."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.elog import Options
from adapters.elog.authors import REFUSED_MS, ROOT, Authors, account_of
from adapters.verdict import Rejected, Uncertain
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_lane import a_post_entry, elog_world
from tests.emulators.elog_site import (
    AN_ID,
    EXPERIMENT,
    JSON,
    Connect,
    a_file,
    a_post,
    as_json,
    connections,
    verdict_of,
)
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld, until

HOUR = 3_600_000  # ms
MARKERS = pytest.mark.parametrize("marker", ["jira_ticket", "tag", "content"])


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(ElogEmulator(now=lambda: NOW))
    return server


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes adapters of given options."""
    async with connections() as maker:

        def make(served: Served, **options: Any) -> Adapter:
            made = Options.model_validate({"instrument": "mfx", **options})
            return maker(served, options=made, host="mfx-daq")

        yield make


def lost(claim: Claim) -> Doubt:
    return Doubt(claim, claim.first_sent_at or NOW, claim.last_sent_at or NOW)


# Flags


async def test_a_flagged_post_is_tagged_by_the_server_and_mails_nobody(
    served: Served, connect: Connect
) -> None:
    served.emulator.subscribers = ["group@lab"]
    flags = ["roadblock", "issue", "command_followup"]

    receipt = await verdict_of(connect(served), a_post(tags=["A"], flags=flags))

    assert isinstance(receipt, Receipt)
    assert served.emulator.ledger()[0]["tags"] == ["A", "ISSUE", "ROADBLOCK"]
    assert served.emulator.mails == []


@MARKERS
@pytest.mark.parametrize(
    ("tags", "flags"), [([], ["issue"]), (["A", "B"], ["issue", "roadblock"]), (["A"], [])]
)
async def test_a_flagged_post_is_found_again_and_one_without_the_flag_is_not(
    served: Served, connect: Connect, marker: str, tags: list[str], flags: list[str]
) -> None:
    adapter = connect(served, marker=marker)
    claim = a_post(tags=tags, flags=flags)
    for other in ([], ["issue"], ["roadblock"], ["issue", "roadblock"]):
        if other != flags:
            await verdict_of(adapter, a_post(tags=tags, flags=other))
    assert await adapter.find(lost(claim)) == []
    receipt = await verdict_of(adapter, claim)
    assert isinstance(receipt, Receipt)

    found = [one.remote_id for one in await connect(served, marker=marker).find(lost(claim))]

    assert found == [receipt.remote_id]


# Files


async def test_a_description_is_what_the_file_is_called(
    served: Served, connect: Connect, tmp_path: Path
) -> None:
    described = {
        "plot.png": "r12/peaks",
        "b.txt": "/abs/path\r\nX: y",
        "c.bin": 'say "hi" \\ 100%22',
        "d.bin": " ",
        "e.bin": "Hit rate, µ = 5 %",
        "f.bin": "/",
    }
    files = tuple(
        replace(a_file(tmp_path, name), description=said) for name, said in described.items()
    )

    receipt = await verdict_of(connect(served), a_post(attachments=files))

    assert isinstance(receipt, Receipt), receipt
    (entry,) = served.emulator.ledger()
    assert [(file["name"], file["type"]) for file in entry["attachments"]] == [
        ("r12_peaks", "image/png"),
        ("_abs_path__X: y", "text/plain"),
        ("say _hi_ _ 100_", "application/octet-stream"),
        ("d.bin", "application/octet-stream"),
        ("Hit rate, µ = 5 %", "application/octet-stream"),
        ("_", "application/octet-stream"),
    ]


@MARKERS
async def test_two_files_of_one_name_are_two_files(
    served: Served, connect: Connect, tmp_path: Path, marker: str
) -> None:
    names = ("a.png", "b.png")
    files = tuple(replace(a_file(tmp_path, name), description="peaks") for name in names)
    claim = a_post(attachments=files)
    adapter = connect(served, marker=marker)
    await verdict_of(adapter, a_post(attachments=files[:1]))

    receipt = await verdict_of(adapter, claim)

    assert isinstance(receipt, Receipt), receipt
    assert [file["name"] for file in served.emulator.ledger()[1]["attachments"]] == ["peaks"] * 2
    found = await connect(served, marker=marker).find(lost(claim))
    assert [one.remote_id for one in found] == [receipt.remote_id]


async def test_a_file_that_was_dropped_is_named_as_it_was_sent(
    stranger: Served, connect: Connect, tmp_path: Path
) -> None:
    kept = {"_id": AN_ID, "attachments": [{"name": "peaks"}]}
    stranger.emulator.says(200, as_json({"success": True, "value": kept}), JSON)
    files = tuple(
        replace(a_file(tmp_path, name), description=said)
        for name, said in (("a.png", "peaks"), ("b.png", "peaks"), ("c.png", "r12/fit"))
    )

    verdict = await verdict_of(connect(stranger), a_post(attachments=files))

    assert isinstance(verdict, Rejected)
    assert "without peaks, r12_fit:" in verdict.detail


# Lateness


LATE = {"created_at": NOW - HOUR, "first_sent_at": NOW}
LINE = "(Written 2026-09-21 13:13:20 UTC on mfx-daq; delivered late.)"


@MARKERS
@pytest.mark.parametrize(
    ("more", "content"),
    [
        ({}, f"x < y\n{LINE}"),
        ({"title": "T"}, f'<pre style="white-space: pre-wrap">x &lt; y\n{LINE}</pre>'),
        ({"title": "T", "html": True}, f"x < y\n<p>{LINE}</p>"),
    ],
)
async def test_a_late_post_says_when_it_was_written_and_is_found_again(
    served: Served, connect: Connect, marker: str, more: dict[str, Any], content: str
) -> None:
    adapter = connect(served, marker=marker)
    claim = a_post("x < y", known=LATE, **more)

    receipt = await verdict_of(adapter, claim)

    assert isinstance(receipt, Receipt)
    assert served.emulator.ledger()[0]["content"] == content
    # Two hours later nothing of it has another wording.
    again = replace(claim, in_doubt=True, last_sent_at=NOW + 2 * HOUR)
    assert [one.remote_id for one in await adapter.find(lost(again))] == [receipt.remote_id]
    assert await connect(served, marker="content").find(lost(a_post("x < y", **more))) == []


@pytest.mark.parametrize("late", [True, False])
async def test_what_was_sent_before_the_clock_was_set_right_is_found_by_its_words(
    served: Served, connect: Connect, late: bool
) -> None:
    adapter = connect(served, marker="content")
    waited = HOUR if late else 0
    by_wrong_clock = {"created_at": NOW - 5 * HOUR, "first_sent_at": NOW - 5 * HOUR + waited}
    claim = a_post(known=by_wrong_clock)
    receipt = await verdict_of(adapter, claim)
    assert isinstance(receipt, Receipt)

    right = replace(claim, created_at=NOW - waited, raw_created_at=claim.created_at)

    assert [one.remote_id for one in await adapter.find(lost(right))] == [receipt.remote_id]


async def test_a_late_post_is_found_also_if_host_or_settings_have_other_words_by_now(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served, marker="content")
    claim = a_post(known=LATE)
    receipt = await verdict_of(adapter, claim)
    assert isinstance(receipt, Receipt)
    assert LINE in served.emulator.ledger()[0]["content"]
    entry = served.emulator.store.experiments[EXPERIMENT].entries[receipt.remote_id]

    for content in (f"{claim_text(claim)}\n{LINE}".replace("mfx-daq", "dhcp-7"), claim_text(claim)):
        entry["content"] = content
        assert len(await adapter.find(lost(claim))) == 1
    entry["content"] = f"{claim_text(claim)}\n{LINE}".replace("13:13", "13:14")
    assert await adapter.find(lost(claim)) == []


def claim_text(claim: Claim) -> str:
    return str(json.loads(claim.payload)["text"])


async def test_a_corrected_time_is_the_one_that_is_told(served: Served, connect: Connect) -> None:
    claim = a_post(known=LATE | {"raw_created_at": NOW - 365 * 24 * HOUR})

    await verdict_of(connect(served), claim)

    assert served.emulator.ledger()[0]["content"].endswith(LINE)


@pytest.mark.parametrize("options", [{"late_after_seconds": 0}, {"late_after_seconds": 3600}])
async def test_the_settings_say_what_is_late(
    served: Served, connect: Connect, options: dict[str, Any]
) -> None:
    await verdict_of(connect(served, **options), a_post("x", known=LATE))

    assert served.emulator.ledger()[0]["content"] == "x"


async def test_a_late_post_that_gets_lost_is_there_once_with_one_line(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path, marker="content", late_after_seconds=600) as world:
        await world.accept(a_post_entry("x"))
        world.clock.advance(3600)
        served.fault("drop_before", path="new_elog_entry", times=2)
        served.fault("drop_after", path="new_elog_entry", times=1)
        await world.live(1200)

    (entry,) = served.emulator.ledger()
    assert entry["content"].count("Written 2026-09-21 14:13:20 UTC") == 1


# The author


async def test_the_author_is_the_producers_account_if_the_settings_say_so(
    served: Served, connect: Connect
) -> None:
    served.emulator.people.grants["*"]["daemon"] = "Reader"  # the directory knows it
    claim = a_post(known={"uid": 1})

    for options, more in (
        ({"author_from_uid": True}, {}),
        ({"author_from_uid": True}, {"author": "cxiopr"}),
        ({}, {}),
    ):
        await verdict_of(connect(served, **options), a_post(known={"uid": 1}, **more))
    nobodys = a_post(known={"uid": None})
    await verdict_of(connect(served, author_from_uid=True), nobodys)

    authors = [entry["author"] for entry in served.emulator.ledger()]
    assert account_of(1) == "daemon"
    assert authors == ["daemon", "cxiopr", "mfxopr", "mfxopr"]
    assert claim.uid == 1


async def test_an_author_that_the_server_crashes_over_is_left_out_once_nothing_is_found(
    served: Served, tmp_path: Path
) -> None:
    async with elog_world(served, tmp_path, author_from_uid=True) as world:
        await accept_of(world, "first", uid=1)
        await world.step()
        assert (await world.shown("first"))["in_doubt"]
        assert served.emulator.ledger() == []
        await world.live(120)
        await accept_of(world, "second", uid=1)
        await world.live(5)

    assert [one["content"] for one in served.emulator.ledger()] == ["first", "second"]
    assert {one["author"] for one in served.emulator.ledger()} == {"pi1"}
    assert served.faulty.requests["POST /ws-jwt/lgbk/lgbk/mfxl1000123/ws/new_elog_entry"] == 3


async def test_a_crash_after_which_the_post_is_there_leaves_its_author_alone(
    served: Served, tmp_path: Path
) -> None:
    served.emulator.people.grants["*"]["daemon"] = "Reader"
    served.emulator.crashes = 1
    async with elog_world(served, tmp_path, author_from_uid=True) as world:
        for text in ("first", "second"):
            await accept_of(world, text, uid=1)
        await world.live(120)

    authors = [(one["content"], one["author"]) for one in served.emulator.ledger()]
    assert authors == [("first", "daemon"), ("second", "daemon")]


async def accept_of(world: LaneWorld, text: str, *, uid: int) -> None:
    entry = a_post_entry(text)
    await world.accept(replace(entry, producer=replace(entry.producer, uid=uid)))


class Names:
    """A name server that may hang."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self, uid: int) -> str:
        self.asked.append(uid)
        self.answers.wait(20)
        return {1: "daemon", 2: "two words"}[uid]


@pytest.mark.parametrize(("uid", "name"), [(1, "daemon"), (2, None), (3, None), (ROOT, None)])
async def test_only_an_account_with_a_name_is_an_author(uid: int, name: str | None) -> None:
    assert await Authors(lambda: NOW, Names()).author_of(a_claim(uid=uid)) == name


async def test_nothing_waits_twice_for_a_name_server_that_hangs() -> None:
    names = Names()
    names.answers.clear()
    authors = Authors(lambda: NOW, names, seconds=0.02)

    assert [await authors.author_of(a_claim(uid=1)) for _ in range(3)] == [None] * 3
    assert names.asked == [1]

    names.answers.set()
    await until(lambda: not any(one.name == "account-1" for one in threading.enumerate()))
    await asyncio.sleep(0)
    assert await authors.author_of(a_claim(uid=1)) == "daemon"


async def test_two_posts_of_one_account_share_the_question() -> None:
    names = Names()
    names.answers.clear()
    authors = Authors(lambda: NOW, names)
    asking = [asyncio.create_task(authors.author_of(a_claim(uid=1))) for _ in range(2)]
    await until(lambda: bool(names.asked))

    names.answers.set()

    assert await asyncio.gather(*asking) == ["daemon"] * 2
    assert names.asked == [1]


def test_a_refused_name_is_tried_again_after_an_hour() -> None:
    clock = [NOW]
    authors = Authors(lambda: clock[0], Names())
    claim = a_claim(uid=1)
    authors.crashed(claim, "daemon")
    authors.confirmed(claim)

    assert not authors.may_be("daemon")
    clock[0] += REFUSED_MS
    assert authors.may_be("daemon")


async def test_an_author_of_the_payload_stays_whatever_happens(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served, author_from_uid=True)

    assert isinstance(await verdict_of(adapter, a_post(author="ghost")), Uncertain)
    assert isinstance(await verdict_of(adapter, a_post(author="ghost")), Uncertain)
