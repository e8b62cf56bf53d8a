"""What the disk has altered since it was accepted is not sent: a dead letter with the reason."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from storage.entry import Attachment, Entry
from tests.builders import an_entry
from tests.lane_world import LaneWorld, lane_world, receipt

CONTENT = b"a plot" * 1000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LaneWorld]:
    with lane_world(tmp_path) as made:
        yield made


async def with_a_file(world: LaneWorld, key: str) -> Entry:
    part: Attachment = await world.outbox.files.stage(BytesIO(CONTENT), "plot.png", limit=10**6)
    return an_entry(key, attachments=(part,))


def kept(world: LaneWorld, id_: str) -> Path:
    return world.outbox.attachments.root / id_ / "0"


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(CONTENT[:-1])


def altered(path: Path) -> None:
    path.write_bytes(b"A" + CONTENT[1:])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


WAYS = [
    (gone, "is gone"),
    (cut, "has 5999 bytes of 6000"),
    (altered, "was altered"),
    (a_folder, "cannot be read"),
]


@pytest.mark.parametrize(("harm", "said"), WAYS)
async def test_a_damaged_file_makes_its_entry_a_dead_letter_and_the_others_flow(
    world: LaneWorld, harm: Callable[[Path], None], said: str
) -> None:
    (bad,) = await world.accept(await with_a_file(world, "bad"))
    await world.accept(await with_a_file(world, "good"), "plain")
    harm(kept(world, bad.id))

    await world.steps(4)

    shown = await world.shown("bad")
    assert (shown["state"], shown["last_error"]["side"]) == ("dead", "agent")
    assert said in shown["last_error"]["detail"]
    assert sorted(key for keys in world.adapter.sent for key in keys) == ["good", "plain"]
    assert len(world.told("attachment.damaged")) == 1
    assert await world.rest() is None


async def test_a_file_that_is_put_back_can_be_sent(world: LaneWorld) -> None:
    (bad,) = await world.accept(await with_a_file(world, "bad"))
    kept(world, bad.id).rename(kept(world, bad.id).with_name("elsewhere"))
    await world.step()
    kept(world, bad.id).with_name("elsewhere").rename(kept(world, bad.id))

    await world.outbox.retry([bad.id], now=world.clock.now(), who="test")
    await world.step()

    assert await world.state("bad") == "delivered"


async def test_the_same_handed_in_again_replaces_the_damaged_one(world: LaneWorld) -> None:
    (bad,) = await world.accept(await with_a_file(world, "bad"))
    gone(kept(world, bad.id))
    await world.step()

    (again,) = await world.accept(await with_a_file(world, "bad"))
    await world.step()

    assert (again.state, again.replaced_id) == ("accepted", bad.id)
    assert await world.state("bad") == "delivered"


async def test_an_entry_in_doubt_is_looked_for_first(world: LaneWorld) -> None:
    (bad,) = await world.accept(await with_a_file(world, "bad"))
    world.adapter.script = [RuntimeError("the answer was lost")]
    await world.step()
    gone(kept(world, bad.id))
    world.adapter.finds = [receipt("post-1")]
    world.clock.advance(30)

    await world.step()

    assert await world.state("bad") == "delivered"


async def test_twenty_damaged_entries_are_no_storm(world: LaneWorld) -> None:
    for number in range(25):
        (bad,) = await world.accept(await with_a_file(world, f"bad-{number}"))
        gone(kept(world, bad.id))

    await world.steps(25)

    assert (await world.outbox.looks.census(now=world.clock.now()))["events"].dead == 25
    assert await world.rest() is None


def harm_row(world: LaneWorld, statement: str) -> None:
    path = world.outbox.attachments.root.parent / "outbox.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE body SET payload = '{\"n\": \"bax\"}' WHERE payload LIKE '%bad%'",
        "UPDATE entry SET key = 'bax' WHERE key = 'bad'",
        "UPDATE entry SET labels = '{' WHERE key = 'bad'",
        "DELETE FROM body WHERE payload LIKE '%bad%'",
        "UPDATE entry SET size = size + 1 WHERE key = 'bad'",
    ],
)
async def test_an_entry_that_is_not_what_was_accepted_is_not_sent(
    world: LaneWorld, statement: str
) -> None:
    (bad,) = await world.accept("bad")
    await world.accept("good")
    harm_row(world, statement)

    await world.steps(3)

    shown = await world.outbox.looks.show(bad.id)
    assert shown is not None
    assert (shown["state"], shown["last_error"]["class"]) == ("dead", "Damaged")
    assert world.adapter.sent == [["good"]]
    assert len(world.told("entry.damaged")) == 1
