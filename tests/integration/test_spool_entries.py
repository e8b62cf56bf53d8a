"""NAME.entry/: an entry with files beside it."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.spool.readiness import Happening
from tests.spool_world import World, a_world

POST = {"experiment": "xpptut15", "text": "hello"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, max_attachment_bytes=1000) as made:
        yield made


async def arrive(world: World, path: str, **files: str | bytes) -> Path:
    """A folder built elsewhere and renamed in; `__` in a name stands for a dot."""
    folder = world.root / path
    folder.mkdir(parents=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    world.spool.note_moved("", str(folder))
    await world.spool.step()
    return folder


def envelope(*names: str, **about: Any) -> str:
    return json.dumps({"payload": POST, "attachments": [{"name": n, **about} for n in names]})


def staged(world: World) -> list[Path]:
    return list((world.outbox.attachments.root / "incoming").iterdir())


async def test_all_files_beside_a_bare_payload_are_attached(world: World) -> None:
    await arrive(world, "elog/a.entry", entry__json=json.dumps(POST), b__png=b"B", a__csv=b"A")

    (entry,) = await world.entries()
    assert [(one["name"], one["size"]) for one in entry["attachments"]] == [
        ("a.csv", 1),
        ("b.png", 1),
    ]
    assert world.left() == []
    stored = world.outbox.attachments.root / entry["id"]
    assert sorted(path.read_bytes() for path in stored.iterdir()) == [b"A", b"B"]


async def test_only_listed_files_are_attached_when_there_is_a_list(world: World) -> None:
    body = envelope("b.png", media_type="image/png", description="the beam")
    await arrive(world, "elog/a.entry", entry__json=body, b__png=b"B", a__csv=b"A")

    ((attachment,),) = [one["attachments"] for one in await world.entries()]
    assert attachment["name"] == "b.png"
    assert attachment["media_type"] == "image/png"
    assert attachment["description"] == "the beam"
    assert staged(world) == []


async def test_files_that_the_list_leaves_out_are_kept_aside_and_the_entry_is_accepted(
    world: World,
) -> None:
    await arrive(world, "elog/a.entry", entry__json=envelope("b.png"), b__png=b"B", raw__h5=b"A")

    (entry,) = await world.entries()
    aside = world.root / ".rejected/elog"
    assert (aside / "a.entry" / "raw.h5").read_bytes() == b"A"
    reason = json.loads((aside / "a.entry.reason.json").read_text())
    assert entry["id"] in reason["errors"][0]["detail"]
    assert "raw.h5" in reason["errors"][0]["detail"]
    assert not (world.root / "elog/a.entry").exists()


async def test_a_markdown_post_brings_its_plot(world: World) -> None:
    text = "---\nexperiment: xpptut15\ntitle: Beam found\n---\nSee the plot.\n"
    await arrive(world, "elog/post/a.entry", entry__md=text, plot__png=b"PNG")

    (entry,) = await world.entries()
    assert entry["payload"]["title"] == "Beam found"
    assert [one["name"] for one in entry["attachments"]] == ["plot.png"]


async def test_what_editors_leave_behind_is_not_attached(world: World) -> None:
    files: dict[str, str | bytes] = {
        "entry__json": json.dumps(POST),
        "__DS_Store": b"x",
        "entry__json~": b"x",
    }
    await arrive(world, "elog/a.entry", **files)

    assert [one["attachments"] for one in await world.entries()] == [[]]
    assert world.left() == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "entry.json"),
        ({"plot__png": b"x"}, "entry.json"),
        ({"entry__json": "{}", "entry__md": "x"}, "exactly one"),
        ({"entry__json": ""}, "1 to"),
        ({"entry__json": "{broken", "plot__png": b"x"}, "not JSON"),
        ({"entry__json": envelope("plot.png")}, "plot.png is not in the folder"),
        ({"entry__json": envelope("../a.json")}, "only files inside"),
        ({"entry__json": envelope("/etc/passwd")}, "only files inside"),
        ({"entry__json": envelope("..")}, "only files inside"),
        ({"entry__json": envelope("plot.png"), "plot__png": b"x" * 1001}, "larger than 1000"),
    ],
)
async def test_an_unacceptable_folder_goes_aside_whole(
    world: World, files: dict[str, str | bytes], said: str
) -> None:
    await arrive(world, "elog/a.entry", **files)

    assert await world.entries() == []
    assert said in " ".join(e["detail"] for e in world.reason("elog/a.entry")["errors"])
    assert len(list((world.root / ".rejected/elog/a.entry").iterdir())) == len(files)
    assert staged(world) == []
    assert world.spool.counts() == {"waiting": 0, "blocked": 0, "rejected": 1}


@pytest.mark.parametrize("make", ["link", "folder", "fifo"])
async def test_nothing_but_regular_files_may_be_in_it(world: World, make: str) -> None:
    folder = world.root / "elog/a.entry"
    folder.mkdir()
    (folder / "entry.json").write_text(json.dumps(POST))
    odd = folder / "odd.png"
    if make == "link":
        odd.symlink_to("/etc/hostname")
    elif make == "folder":
        odd.mkdir()
    else:
        os.mkfifo(odd)
    await world.settle()

    assert await world.entries() == []
    assert "odd.png" in world.reason("elog/a.entry")["errors"][0]["detail"]


async def test_attachments_for_a_kind_that_takes_none_are_refused(world: World) -> None:
    await arrive(world, "events/a.entry", entry__json='{"event_type": "test"}', a__png=b"x")

    assert "takes no attachments" in world.reason("events/a.entry")["errors"][0]["detail"]
    assert staged(world) == []


async def test_too_many_files_are_refused_before_any_is_copied(world: World) -> None:
    world.start(max_attachments=1)
    files: dict[str, str | bytes] = {"entry__json": json.dumps(POST), "a": b"1", "b": b"2"}
    await arrive(world, "elog/a.entry", **files)

    assert "more than 1 files" in world.reason("elog/a.entry")["errors"][0]["detail"]


async def test_a_folder_built_in_place_waits_until_it_has_settled(world: World) -> None:
    body = world.drop("elog/a.entry/entry.json", json.dumps(POST))
    world.spool.note(Happening.WRITTEN, str(body))
    world.spool.note(Happening.CLOSED, str(body))
    await world.settle(2)
    plot = world.drop("elog/a.entry/plot.png", b"x")
    world.spool.note(Happening.CREATED, str(plot))

    assert await world.spool.step() == world.time + 5
    world.time += 5
    await world.spool.step()
    assert [len(one["attachments"]) for one in await world.entries()] == [1]


async def test_a_folder_with_an_unfinished_file_waits_and_in_the_end_asks(world: World) -> None:
    world.drop("elog/a.entry/entry.json", json.dumps(POST))
    part = world.drop("elog/a.entry/plot.png.part", b"x")
    await world.settle()
    assert world.spool.counts() == {"waiting": 1, "blocked": 0, "rejected": 0}

    await world.settle(600)
    ((_, why),) = world.spool.blocked_files()
    assert "unfinished" in why

    part.rename(part.with_suffix(""))
    await world.settle()
    assert [len(one["attachments"]) for one in await world.entries()] == [1]


async def test_watchdogs_word_on_the_contents_of_an_arrived_folder_is_no_news(
    world: World,
) -> None:
    body = world.drop("elog/a.entry/entry.json", json.dumps(POST))
    world.spool.note_moved("", str(body.parent))
    world.spool.note(Happening.CREATED, str(body))
    await world.spool.step()

    assert len(await world.entries()) == 1


async def test_a_renamed_folder_inside_the_spool_arrives(world: World) -> None:
    body = world.drop("elog/a.entry.tmp/entry.json", json.dumps(POST))
    target = body.parent.rename(world.root / "elog/a.entry")
    world.spool.note_moved(str(body.parent), str(target))
    world.spool.note_moved(str(body), str(target / "entry.json"))
    await world.spool.step()

    assert len(await world.entries()) == 1


async def test_half_removed_folders_of_an_earlier_life_are_finished(world: World) -> None:
    world.drop("elog/.removing-1/entry.json", json.dumps(POST))
    world.drop("elog/post/.removing-2/entry.json", json.dumps(POST))
    world.start()
    await world.settle()

    assert await world.entries() == []
    assert world.left() == ["elog/post"]
