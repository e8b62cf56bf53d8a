"""What kept answers of an Event Manager say, and what never followed from them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.reading import NotKept
from tests.emulators.event_manager import EventManager
from tests.emulators.event_manager_desk import (
    hours,
    ids,
    plant,
    reader_of,
)
from tests.emulators.kit import Served
from tests.questioner import Questioner


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(EventManager()) as made:
        yield made


@pytest.fixture
def new(server: Served) -> Served:
    server.serve(EventManager("0.8.1"))
    return server


@pytest.fixture
async def asked(server: Served) -> AsyncIterator[Questioner]:
    reader = reader_of(server.url)
    yield Questioner(reader)
    await reader.close()


async def test_an_event_is_known_from_the_last_list_that_has_it(
    new: Served, asked: Questioner
) -> None:
    plant(new, *hours(3))
    await asked.live("query", level=40)
    await asked.live("recent")

    found = await asked.offline("event", id="e1")

    assert (found.source, found.fetched_at) == ("derived", asked.at)
    assert found.data == new.emulator.ledger()[1]
    assert not found.settled
    with pytest.raises(NotKept, match="'e9'"):
        await asked.offline("event", id="e9")


async def test_an_event_that_came_after_it_was_asked_for_in_vain_is_known(
    new: Served, asked: Questioner
) -> None:
    await asked.live("event", id="e1")
    assert (await asked.offline("event", id="e1")).data is None
    plant(new, *hours(3))
    await asked.live("recent")
    assert (await asked.offline("event", id="e1")).data["_id"] == "e1"

    await asked.live("event", id="e5")

    assert (await asked.offline("event", id="e5")).data is None
    new.serve(EventManager("0.8.1"))
    await asked.live("event", id="e1")
    assert (await asked.offline("event", id="e1")).data is None, "it has been deleted since"


async def test_a_list_is_known_from_a_longer_one(new: Served, asked: Questioner) -> None:
    plant(new, *hours(8))
    await asked.live("recent", number=6)

    fewer = await asked.offline("recent", number=2)
    inside = await asked.offline("recent", number=2, offset=3)
    errors = await asked.offline("recent", number=2, level=40)

    assert ids(fewer.data) == ["e7", "e6"]
    assert (fewer.source, fewer.complete, fewer.settled) == ("derived", True, False)
    assert ids(inside.data) == ["e4", "e3"]
    assert ids(errors.data) == ["e7", "e5"]
    assert (await asked.offline("recent", number=6)).source == "cache"


@pytest.mark.parametrize(
    "question",
    [
        {"number": 7},
        {"number": 2, "offset": 5},
        {"number": 4, "level": 40},  # three of the six are errors
        {"number": 2, "include_archived": "true"},
        {"number": 2, "start": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_a_list_that_a_kept_one_need_not_have_is_not_made_up(
    new: Served, asked: Questioner, question: dict[str, Any]
) -> None:
    plant(new, *hours(8))
    await asked.live("recent", number=6)

    with pytest.raises(NotKept):
        await asked.offline("recent", **question)


async def test_the_beginning_of_a_list_is_said_to_be_one(new: Served, asked: Questioner) -> None:
    plant(new, *hours(8))
    await asked.live("recent", number=6)

    part = await asked.offline("recent", partial=True)

    assert len(part.data) == 6
    assert (part.source, part.complete) == ("derived", False)
    assert "only the first 6 of 100" in part.notes[0]
    with pytest.raises(NotKept):
        await asked.offline("recent", partial=True, level=40)


async def test_a_list_of_errors_says_nothing_of_other_events(
    new: Served, asked: Questioner
) -> None:
    plant(new, *hours(8))
    await asked.live("recent", number=3, level=40)

    with pytest.raises(NotKept):
        await asked.offline("recent", number=2)
    assert ids((await asked.offline("recent", number=2, level="error")).data) == ["e7", "e5"]
