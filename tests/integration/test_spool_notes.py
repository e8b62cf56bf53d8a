"""Notes: Markdown posts that take along the images beside them."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage.entry import Entry
from tests.integration.test_spool_crash import cut_at
from tests.integration.test_spool_trouble import foreign, open_place, settle
from tests.spool_world import PowerCut, Troubled, World, a_world

__all__ = ["foreign", "open_place"]

MINUTE = 60.0


def note(text: str, **front: str) -> str:
    lines = "".join(f"{name}: {value}\n" for name, value in front.items())
    return f"---\nexperiment: xpptut15\n{lines}---\n{text}"


SHOWS = note("See ![the beam](plot.png).")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


async def attached(world: World) -> list[list[tuple[str, str | None]]]:
    """Names and descriptions of the files of each entry."""
    return [
        [(part["name"], part["description"]) for part in one["attachments"]]
        for one in await world.entries()
    ]


def blocked(world: World) -> dict[str, str]:
    return dict(world.spool.blocked_files())


async def test_a_note_takes_along_the_images_that_it_shows_and_no_others(world: World) -> None:
    world.drop("elog/plot.png", b"PNG")
    world.drop("elog/other.png", b"OTHER")
    text = "See ![the beam](plot.png), ![](https://x.org/b.png) and <img src='my plot.JPG'>."
    world.drop("elog/my plot.JPG", b"JPG")
    await world.arrive("elog/beam.md", note(text))
    await world.settle()

    assert await attached(world) == [[("plot.png", "the beam"), ("my plot.JPG", None)]]
    (entry,) = await world.entries()
    assert entry["payload"] == {"experiment": "xpptut15", "text": text}
    assert world.left() == ["elog/other.png"]
    sizes = [path.stat().st_size for path in world.outbox.attachments.root.rglob("?")]
    assert sorted(sizes) == [3, 3]


@pytest.mark.parametrize("first", ["note", "image"])
async def test_whichever_comes_first_waits_for_the_other(world: World, first: str) -> None:
    files = {"note": ("elog/post/beam.md", SHOWS), "image": ("elog/post/plot.png", "PNG")}
    await world.arrive(*files.pop(first))
    await world.settle(30)

    assert (await world.entries(), world.aside(), blocked(world)) == ([], [], {})
    assert world.spool.counts()["waiting"] == 1

    (other,) = files.values()
    await world.arrive(*other)
    await world.settle()

    assert await attached(world) == [[("plot.png", "the beam")]]
    assert (world.left(), world.spool.counts()["waiting"]) == (["elog/post"], 0)


async def test_a_note_waits_for_an_image_that_is_still_being_copied(world: World) -> None:
    plot = world.drop("elog/plot.png", b"PN")
    await world.arrive("elog/beam.md", SHOWS)
    world.time += 4
    plot.write_bytes(b"PNG, whole")
    await world.spool.step()
    world.time += 4
    await world.spool.step()
    assert await world.entries() == []

    await world.settle()
    (entry,) = await world.entries()
    assert entry["attachments"][0]["size"] == 10


async def test_a_note_whose_image_does_not_come_is_moved_aside_and_says_so(world: World) -> None:
    world.drop("elog/plot.png", b"PNG")
    await world.arrive("elog/beam.md", note("![](plot.png) ![](late.png)"))
    await world.settle(MINUTE)

    assert await world.entries() == []
    assert world.aside() == ["elog/beam.md"]
    reason = world.reason("elog/beam.md")
    assert [one["detail"] for one in reason["errors"]] == [
        "late.png: the note shows it, and it is not beside it"
    ]
    assert "move the note back" in reason["hint"]
    assert world.left() == ["elog/plot.png"]

    world.drop("elog/late.png", b"PNG")
    (world.root / ".rejected/elog/beam.md").rename(world.root / "elog/beam.md")
    await world.settle()
    await world.settle()
    assert await attached(world) == [[("plot.png", None), ("late.png", None)]]


async def test_an_image_that_no_note_shows_is_told_and_left_alone(world: World) -> None:
    await world.arrive("elog/plot.png", b"PNG")
    await world.settle(MINUTE)

    assert list(blocked(world)) == ["elog/plot.png"]
    assert "no note shows it" in blocked(world)["elog/plot.png"]
    assert world.aside() == []

    await world.arrive("elog/beam.md", SHOWS)
    assert (await attached(world), blocked(world)) == ([[("plot.png", "the beam")]], {})


async def test_where_no_posts_are_taken_an_image_is_no_entry(world: World) -> None:
    await world.arrive("events/plot.png", b"PNG")

    assert world.aside() == ["events/plot.png"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("![](figs/plot.png)", "figs/plot.png: an image has to lie beside the text"),
        ("![](beam.md)", "beam.md: beside a note lie images only"),
        ("![](data.csv)", "data.csv: beside a note lie images only"),
        (note("x", attachments="[data.csv]"), "data.csv: beside a note lie images only"),
        ("".join(f"![]({number}.png)" for number in range(101)), "more than 100 images"),
    ],
)
async def test_what_can_never_come_along_is_refused_at_once(
    world: World, text: str, said: str
) -> None:
    await world.arrive("elog/a.md", text)

    assert said in world.reason("elog/a.md")["errors"][0]["detail"]


async def test_an_image_is_touched_as_carefully_as_any_file(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"SECRET")
    (world.root / "elog/plot.png").symlink_to(secret)
    await world.arrive("elog/beam.md", SHOWS)
    await world.settle(MINUTE)

    assert await world.entries() == []
    assert world.aside() == ["elog/beam.md", "elog/plot.png"]


async def test_of_two_notes_that_show_one_image_the_second_is_told(world: World) -> None:
    world.drop("elog/plot.png", b"PNG")
    await world.settle()
    await world.arrive("elog/a.md", SHOWS)
    await world.arrive("elog/b.md", SHOWS)
    await world.settle(MINUTE)

    assert await attached(world) == [[("plot.png", "the beam")]]
    assert world.aside() == ["elog/b.md"]


@pytest.mark.parametrize("body", ["entry.md", "entry.txt"])
async def test_a_folder_may_hold_a_text(world: World, body: str) -> None:
    world.start(text_defaults={"elog": {"experiment": "xpptut15"}})
    world.drop("elog/a.entry/plot.png", b"PNG")
    world.drop("elog/a.entry/data.csv", b"1,2")
    world.drop(f"elog/a.entry/{body}", "![the beam](plot.png)")
    await world.settle()

    said = "the beam" if body == "entry.md" else None
    assert await attached(world) == [[("data.csv", None), ("plot.png", said)]]
    assert world.left() == []


async def test_a_text_beside_another_body_is_a_file_like_any(world: World) -> None:
    world.drop("elog/a.entry/entry.md", note("![](.hidden.png)"))
    for name in ("entry.txt", ".hidden.png", ".DS_Store"):
        world.drop(f"elog/a.entry/{name}", name)
    await world.settle()

    assert await attached(world) == [[(".hidden.png", None), ("entry.txt", None)]]
    assert (world.left(), world.aside()) == ([], [])


async def test_a_name_that_nobody_can_write_down_is_refused(world: World) -> None:
    world.drop("elog/a.entry/entry.md", note("x"))
    world.drop(os.fsdecode(b"elog/a.entry/\xff.png"))
    await world.settle()

    assert "not UTF-8: \\xff.png" in world.reason("elog/a.entry")["errors"][0]["detail"]


async def test_front_matter_may_list_the_files_of_a_folder(world: World) -> None:
    for name in ("data.csv", "plot.png", "notes.bak"):
        world.drop(f"elog/a.entry/{name}", name)
    world.drop("elog/a.entry/entry.md", note("![the beam](plot.png)", attachments="[data.csv]"))
    await world.settle()

    assert await attached(world) == [[("data.csv", None), ("plot.png", "the beam")]]
    assert "notes.bak" in world.reason("elog/a.entry")["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("![](plot.png)", "plot.png is not in the folder"),
        (note("x", attachments="[plot.png]"), "plot.png is not in the folder"),
        ("![](figs/plot.png)", "figs/plot.png: an image has to lie beside the text"),
        (note("x", attachments="plot.png"), "attachments is a list"),
        (note("x", attachments="[../plot.png]"), "only files inside this folder"),
    ],
)
async def test_a_folder_without_what_its_text_shows_is_refused(
    world: World, text: str, said: str
) -> None:
    world.drop("elog/a.entry/entry.md", text)
    await world.settle()

    assert said in world.reason("elog/a.entry")["errors"][0]["detail"]


# When something goes wrong in between


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("spool.read", 1),
        ("spool.staged", 1),
        ("spool.accepted", 1),
        *[("spool.removing", after) for after in (1, 2, 3, 4)],
        ("spool.removed", 1),
    ],
)
async def test_a_cut_at_each_step_posts_it_once_and_leaves_nothing(
    world: World, step: str, after: int
) -> None:
    world.drop("elog/post/beam.md", note("![](a.png) ![](b.png)"))
    world.drop("elog/post/a.png", b"A")
    world.drop("elog/post/b.png", b"B")
    world.start(checkpoint=cut_at(step, after))
    with pytest.raises(PowerCut):
        await world.settle()
    world.outbox.recover(0)

    world.start(checkpoint=lambda _name: None)
    await world.settle()

    assert await attached(world) == [[("a.png", None), ("b.png", None)]]
    assert (world.left(), world.aside()) == (["elog/post"], [])
    assert [path.name for path in (world.root / "elog/post").iterdir()] == []
    assert list((world.outbox.attachments.root / "incoming").iterdir()) == []


async def test_after_a_cut_only_what_was_posted_is_removed(world: World) -> None:
    world.drop("elog/beam.md", SHOWS)
    plot = world.drop("elog/plot.png", b"PNG")
    world.start(checkpoint=cut_at("spool.removing", 1))
    with pytest.raises(PowerCut):
        await world.settle()
    plot.unlink()
    world.drop("elog/plot.png", b"another one")

    world.start(checkpoint=lambda _name: None)
    await world.settle()

    assert len(await world.entries()) == 1
    assert world.left() == ["elog/plot.png"]


async def test_an_image_that_changed_after_a_cut_makes_no_second_post(world: World) -> None:
    world.drop("elog/beam.md", SHOWS)
    world.drop("elog/plot.png", b"PNG")
    world.start(checkpoint=cut_at("spool.accepted", 1))
    with pytest.raises(PowerCut):
        await world.settle()
    world.drop("elog/plot.png", b"another one")

    world.start(checkpoint=lambda _name: None)
    await world.settle()

    (entry,) = await world.entries()
    assert entry["id"] in world.reason("elog/beam.md")["errors"][0]["detail"]
    assert world.left() == ["elog/plot.png"]


async def test_an_image_that_is_replaced_while_its_note_is_accepted_stays(world: World) -> None:
    async def accept(intake: Any, entries: list[Entry]) -> Any:
        await asyncio.to_thread(world.drop, "elog/plot.png", b"another one")
        return await intake.accept(entries)

    world.start(intake=Troubled(world.intake, accept))
    world.drop("elog/plot.png", b"PNG")
    await world.settle()
    await world.arrive("elog/beam.md", SHOWS)

    (entry,) = await world.entries()
    assert entry["attachments"][0]["size"] == 3
    assert world.left() == ["elog/plot.png"]


async def test_an_image_that_changes_while_it_is_copied_is_copied_again(world: World) -> None:
    class Restless:
        """The intake of a producer that goes on writing, once."""

        def __init__(self) -> None:
            self.writes = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(world.intake, name)

        async def stage(self, *arguments: Any, **named: Any) -> Any:
            copied = await world.intake.stage(*arguments, **named)
            if self.writes:
                self.writes = 0
                await asyncio.to_thread(world.drop, "elog/plot.png", b"PNG, whole")
            return copied

    world.start(intake=Restless())
    world.drop("elog/plot.png", b"PN")
    await world.settle()
    await world.arrive("elog/beam.md", SHOWS)
    assert await world.entries() == []

    await world.settle()
    (entry,) = await world.entries()
    assert entry["attachments"][0]["size"] == 10
    assert list((world.outbox.attachments.root / "incoming").iterdir()) == []


async def test_what_a_waiting_note_shows_is_not_called_alone(world: World) -> None:
    world.drop("elog/a.png", b"A")
    world.drop("elog/beam.md", note("![](a.png) ![](b.png)"))
    for number in range(20):
        world.drop("elog/b.png", b"B" * number)
        await world.settle(4)

    assert (await world.entries(), blocked(world)) == ([], {})
    await world.settle()
    assert len(await world.entries()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of two users")
@pytest.mark.parametrize(("mode", "said"), [(0o600, "may not read it"), (0o644, "sticky")])
async def test_an_image_that_the_agent_may_not_have_is_named(
    foreign: World, mode: int, said: str
) -> None:
    for name, content in (("plot.png", b"PNG"), ("beam.md", SHOWS)):
        foreign.drop(f"elog/{name}", content)
    os.chown(foreign.root / "elog/beam.md", 65534, 65534)
    (foreign.root / "elog/plot.png").chmod(mode)
    if said == "sticky":
        os.chown(foreign.root / "elog", 0, 0)
        (foreign.root / "elog").chmod(0o1777)
    await settle(foreign)

    assert await foreign.entries() == []
    ((path, why),) = foreign.spool.blocked_files()
    assert path == "elog/beam.md"
    assert why.startswith("plot.png, which it shows: ")
    assert said in why
