"""Refreshing in the background: pins that are due, and answers that had to come from the cache."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.reading import Plan, Question
from adapters.verdict import Unreachable
from agent.reads.engine import Desk, Engine, Limits
from agent.reads.manner import Manner
from agent.reads.refresher import Of, Refresher, open_question
from agent.reads.wary import Wary
from storage.cache import Cache
from storage.pins import Pin, Pins
from tests.library import LIBRARY, Library, LibraryReader
from tests.reads_clock import SetClock

URL = "http://library.test"
DUNE = Question("book", (("title", "DUNE"),))
SECOND, DAY = 1000, 86_400_000


class Bench:
    """A refresher with one backend."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.library = Library({"DUNE": "sand"})
        self.cache = Cache(
            folder / "cache.db", max_bytes=10**6, now=self.clock.now, tell=lambda *_, **__: None
        )
        self.pins = Pins(folder / "pins.json")
        desk = Desk(
            LibraryReader(self.library),
            self.cache.shelf([URL]),
            Wary(str, self.clock.monotonic, seconds=1),
        )
        self.engine = Engine(
            {"library": desk},
            clock=self.clock,
            limits=Limits(),
            waiting=None,
            missed=self._missed,
        )
        self.refresher = Refresher(
            self.engine,
            {"library": Of(LIBRARY["library"], URL)},
            self.cache,
            self.pins,
            self.clock,
            refresh_seconds=300,
        )

    async def _missed(self, backend: str, plan: Plan) -> None:
        await self.cache.want(URL, plan.key, open_question(backend, plan.question))

    def pin(self, title: str = "DUNE") -> None:
        self.pins.add(Pin("library", "book", (("title", title),), self.clock.now()))

    async def round(self, seconds: float = 0) -> list[str]:
        """One round, so many seconds later; what was asked in it."""
        self.clock.advance(seconds)
        self.library.asked.clear()
        await self.refresher.step()
        await self.refresher.rested()
        return list(self.library.asked)

    async def close(self) -> None:
        await self.refresher.end()
        await self.engine.close()
        await self.cache.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.close()


async def test_a_pin_is_fetched_and_fetched_again_when_it_is_old(bench: Bench) -> None:
    bench.pin()

    assert await bench.round() == ["DUNE"]
    assert await bench.round(299) == []
    assert await bench.round(2) == ["DUNE"]


async def test_a_settled_pin_is_looked_at_once_a_day(bench: Bench) -> None:
    bench.library.settled = True
    bench.pin()
    await bench.round()

    assert await bench.round(86_399) == []
    assert await bench.round(2) == ["DUNE"]


async def test_a_clock_that_was_set_back_does_not_keep_a_pin_old(bench: Bench) -> None:
    bench.pin()
    await bench.round()
    bench.clock.wall -= 10 * DAY

    assert await bench.round() == ["DUNE"]


async def test_a_backend_that_is_away_is_left_alone_for_longer_and_longer(bench: Bench) -> None:
    bench.pin()
    bench.library.trouble = Unreachable("closed")

    asked = [bool(await bench.round(15)) for _ in range(20)]

    assert asked == [n in (0, 2, 6, 14) for n in range(20)]
    bench.library.trouble = None
    assert await bench.round(900) == ["DUNE"]


async def test_what_came_from_the_cache_is_asked_again_once_when_the_backend_is_back(
    bench: Bench,
) -> None:
    await bench.engine.query("library", DUNE, Manner())
    bench.library.trouble = Unreachable("closed")
    await bench.engine.query("library", DUNE, Manner())

    assert await bench.round() == ["DUNE"]
    bench.library.trouble = None
    bench.library.books["DUNE"] = "more sand"
    assert await bench.round(60) == ["DUNE"]
    assert await bench.round(60) == []
    assert (await bench.engine.query("library", DUNE, Manner("offline"))).data == "more sand"


async def test_a_pin_that_makes_no_sense_any_more_stops_nobody(bench: Bench) -> None:
    bench.pins.add(Pin("museum", "book", (), 0))
    bench.pins.add(Pin("library", "book", (("isbn", "1"),), 0))
    bench.pin()

    assert await bench.round() == ["DUNE"]


async def test_pins_are_the_last_to_make_room(bench: Bench) -> None:
    bench.library.books |= {f"B{n}": random.Random(n).randbytes(50_000).hex() for n in range(40)}
    bench.pin("B0")
    await bench.round()
    for number in range(1, 40):
        bench.clock.advance(60)
        question = Question("book", (("title", f"B{number}"),))
        await bench.engine.query("library", question, Manner())
    shelf = bench.cache.shelf([URL])

    assert await shelf.get("B0") is not None
    assert await shelf.get("B1") is None
    assert await shelf.get("B39") is not None


async def test_all_pins_at_once_tell_what_went_wrong(bench: Bench) -> None:
    bench.pin("Dune")
    bench.pin("Emma")
    told: list[str] = []
    await bench.refresher.refresh_all(lambda pin, why: told.append(f"{pin.parameters[0][1]}:{why}"))
    bench.library.trouble = Unreachable("closed")
    await bench.refresher.refresh_all(lambda _, why: told.append(why))

    assert told[:2] == ["Dune:", "Emma:"]
    assert ["closed" in why for why in told[2:]] == [True, True]
