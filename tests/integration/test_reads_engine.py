"""The engine: whom it asks, what it falls back on, and what it says of each answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.reading import Misasked, Plan, Question, Queued
from adapters.verdict import Refused, Rejected, Throttled, Uncertain, Unreachable
from agent.reads.answer import Answer, Unanswerable
from agent.reads.engine import Desk, Engine, Limits
from agent.reads.manner import Manner
from agent.reads.wary import Wary
from storage.cache import Cache
from storage.queued import QueuedPage
from tests.library import Library, LibraryReader
from tests.reads_clock import SetClock

URL = "http://library.test"
AWAY = Unreachable("cannot reach the library: closed")
DUNE = Question("book", (("title", "Dune"),))
MINUTE = 60_000


class Bench:
    """An engine with one backend, and everything that a test may want to touch."""

    def __init__(self, folder: Path, patience: float = 5.0) -> None:
        self.clock = SetClock()
        self.library = Library({"DUNE": "sand"})
        self.reader = LibraryReader(self.library)
        self.told: list[str] = []
        self.cache = Cache(
            folder / "cache.db",
            max_bytes=10**7,
            now=self.clock.now,
            tell=lambda event, **_: self.told.append(event),
        )
        self.secret = "first"
        self.missed: list[str] = []
        self.cut: int | None = None
        self.entries: list[Queued] = []
        self.engine = Engine(
            {"library": self._desk()},
            clock=self.clock,
            limits=Limits(patience_seconds=patience, fetch_seconds=5),
            waiting=self._waiting,
            missed=self._missed,
        )

    def _desk(self) -> Desk:
        wary = Wary(lambda: self.secret, lambda: self.clock.wall / 1000, seconds=3600)
        return Desk(self.reader, self.cache.shelf([URL]), wary)

    async def _waiting(self, backend: str, kinds: Sequence[str]) -> QueuedPage:
        assert (backend, list(kinds)) == ("library", ["book"])
        return QueuedPage(self.entries, after=self.cut, whole=self.cut is None)

    async def _missed(self, backend: str, plan: Plan) -> None:
        self.missed.append(f"{backend} {plan.key}")

    async def ask(self, manner: Manner = Manner(), question: Question = DUNE) -> Answer:  # noqa: B008
        return await self.engine.query("library", question, manner)

    async def close(self) -> None:
        await self.engine.close()
        await self.cache.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.close()


async def test_it_asks_keeps_and_says_what_it_kept_when_nobody_answers(bench: Bench) -> None:
    live = await bench.ask()
    asked_at = bench.clock.wall
    bench.library.trouble = AWAY
    bench.clock.advance(7 * 86_400)  # a laptop that was offline for a week
    kept = await bench.ask()

    assert (live.data, live.source, live.stale, live.complete) == ("sand", "live", False, True)
    assert (kept.data, kept.source, kept.stale, kept.fetched_at) == (
        "sand",
        "cache",
        True,
        asked_at,
    )
    assert "cannot reach the library" in kept.notes[0]
    assert kept.meta == {"pages": 1}
    assert bench.missed == ["library DUNE"]


async def test_a_backend_that_is_back_is_asked_again(bench: Bench) -> None:
    await bench.ask()
    bench.library.trouble = AWAY
    await bench.ask()
    bench.library.trouble = None
    bench.library.books["DUNE"] = "more sand"

    assert (await bench.ask()).data == "more sand"


@pytest.mark.parametrize(
    "trouble",
    [
        AWAY,
        Uncertain("half an answer"),
        Refused("401", credentials=True),
        Throttled("later", retry_after=9),
        ZeroDivisionError("a bug of ours"),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_whatever_goes_wrong_there_is_the_cache(bench: Bench, trouble: Exception) -> None:
    await bench.ask()
    bench.library.trouble = trouble

    answer = await bench.ask()

    assert (answer.source, answer.data) == ("cache", "sand")


async def test_a_settled_answer_is_not_stale(bench: Bench) -> None:
    bench.library.settled = True
    await bench.ask()
    bench.library.trouble = AWAY

    answer = await bench.ask()

    assert (answer.settled, answer.stale) == (True, False)


async def test_live_never_falls_back_and_offline_never_asks(bench: Bench) -> None:
    await bench.ask()
    bench.library.trouble = AWAY

    with pytest.raises(Unanswerable, match="cannot reach the library"):
        await bench.ask(Manner("live"))
    asked = len(bench.library.asked)
    bench.library.trouble = None
    answer = await bench.ask(Manner("offline"))

    assert answer.source == "cache"
    assert len(bench.library.asked) == asked


async def test_what_was_never_asked_cannot_be_said(bench: Bench) -> None:
    with pytest.raises(Unanswerable, match=r"it was not asked; and in the cache: .*never asked"):
        await bench.ask(Manner("offline"))
    bench.library.trouble = AWAY
    with pytest.raises(Unanswerable, match=r"cannot reach the library.*; and in the cache"):
        await bench.ask()
    assert bench.missed == []


async def test_an_answer_that_is_young_enough_needs_no_asking(bench: Bench) -> None:
    await bench.ask()
    bench.clock.wall += MINUTE
    young = await bench.ask(Manner(max_age_seconds=60))
    bench.clock.wall += 1000
    old = await bench.ask(Manner(max_age_seconds=60))

    assert (young.source, young.stale) == ("cache", False)
    assert old.source == "live"


async def test_an_answer_of_the_future_is_no_young_one(bench: Bench) -> None:
    bench.clock.wall += 3600 * MINUTE
    await bench.ask()
    bench.clock.wall -= 3600 * MINUTE

    assert (await bench.ask(Manner(max_age_seconds=10**9))).source == "live"


async def test_a_part_is_kept_but_never_in_the_place_of_the_whole(bench: Bench) -> None:
    bench.library.complete = False
    part = await bench.ask()
    offline_part = await bench.ask(Manner("offline"))
    bench.library.complete = True
    await bench.ask()
    bench.library.complete = False
    bench.library.books["DUNE"] = "sa"
    await bench.ask()
    whole = await bench.ask(Manner("offline"))

    assert (part.source, part.complete, part.notes) == ("live", False, ("a page is torn out",))
    assert not offline_part.complete
    assert (whole.complete, whole.data) == (True, "sand")


async def test_a_part_is_not_young_enough_for_anything(bench: Bench) -> None:
    bench.library.complete = False
    await bench.ask()

    assert (await bench.ask(Manner(max_age_seconds=60))).source == "live"


async def test_equal_questions_in_flight_are_asked_once(bench: Bench) -> None:
    bench.library.open.clear()
    asking = [asyncio.create_task(bench.ask(question=one)) for one in [DUNE, _spelt("dUNE")] * 10]
    await bench.library.begun.get()
    bench.library.open.set()

    answers = await asyncio.gather(*asking)

    assert bench.library.asked == ["DUNE"]
    assert {answer.data for answer in answers} == {"sand"}


async def test_who_leaves_does_not_take_the_answer_from_the_others(bench: Bench) -> None:
    bench.library.open.clear()
    first, second = (asyncio.create_task(bench.ask()) for _ in range(2))
    await bench.library.begun.get()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    bench.library.open.set()

    assert (await second).data == "sand"


async def test_an_answer_that_nobody_waits_for_any_more_is_kept(bench: Bench) -> None:
    bench.library.open.clear()
    asking = asyncio.create_task(bench.ask())
    await bench.library.begun.get()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    bench.library.open.set()
    await bench.engine.landed()

    assert (await bench.ask(Manner("offline"))).data == "sand"


async def test_a_silent_backend_is_waited_for_only_while_there_is_nothing_else(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, patience=0.01)
    await bench.ask()
    bench.library.open.clear()

    late = await bench.ask()
    fresh = asyncio.create_task(bench.ask(question=_spelt("other")))
    for _ in range(3):
        await bench.library.begun.get()
    bench.library.open.set()

    assert late.source == "cache"
    assert "has not answered within 0.01 s" in late.notes[0]
    assert (await fresh).source == "live"
    await bench.close()


async def test_a_backend_that_keeps_silent_is_not_waited_for_so_long_again(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, patience=0.2)
    await bench.ask()
    bench.library.open.clear()
    notes = [(await bench.ask()).notes[0] for _ in range(2)]
    bench.clock.advance(61)
    notes.append((await bench.ask()).notes[0])
    bench.library.open.set()
    await bench.engine.landed()
    bench.library.open.clear()
    notes.append((await bench.ask()).notes[0])
    bench.library.open.set()

    assert ["within 0.01 s" in note for note in notes] == [False, True, False, False]
    await bench.close()


async def test_a_backend_that_is_slow_but_gets_on_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, patience=0.01)
    await bench.ask()
    bench.library.open.clear()
    bench.library.steps = [(1, 10)]
    heard: list[tuple[int, int | None]] = []
    asking = asyncio.create_task(
        bench.engine.query("library", DUNE, Manner(), lambda *step: heard.append(step))
    )
    await bench.library.begun.get()
    await bench.library.begun.get()
    await asyncio.wait({asking}, timeout=0.05)
    bench.library.open.set()

    assert (await asking).source == "live"
    assert heard == [(1, 10), (1, 1)]
    await bench.close()


async def test_an_endless_answer_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.library.open.clear()
    engine = Engine(
        {"library": bench._desk()},
        clock=bench.clock,
        limits=Limits(patience_seconds=0.01, fetch_seconds=0.02),
        waiting=None,
    )

    with pytest.raises(Unanswerable, match=r"did not come within 0\.02 s"):
        await engine.query("library", DUNE, Manner())

    await bench.close()


async def test_a_refused_secret_is_shown_once_until_it_changes(bench: Bench) -> None:
    bench.library.trouble = Refused("401: who are you", credentials=True)
    for _ in range(3):
        with pytest.raises(Unanswerable, match="who are you"):
            await bench.ask()
    assert len(bench.library.asked) == 1

    bench.secret = "second"
    with pytest.raises(Unanswerable):
        await bench.ask()
    assert len(bench.library.asked) == 2

    bench.clock.wall += 61 * MINUTE
    bench.library.trouble = None
    assert (await bench.ask()).source == "live"


async def test_wrong_questions_are_told_as_such_and_nobody_is_asked(bench: Bench) -> None:
    with pytest.raises(Misasked, match=r"no backend 'museum'.*library"):
        await bench.engine.query("museum", DUNE, Manner())
    with pytest.raises(Misasked) as wrong:
        await bench.ask(question=Question("book", (("isbn", "1"),)))

    assert wrong.value.parameter == "isbn"
    assert bench.library.asked == []


@pytest.mark.parametrize("trouble", [Misasked("no such shelf"), Rejected("no such shelf")])
async def test_what_the_backend_itself_takes_for_wrong_is_no_matter_of_the_cache(
    bench: Bench, trouble: Exception
) -> None:
    await bench.ask()
    bench.library.trouble = trouble

    with pytest.raises(Misasked, match="no such shelf"):
        await bench.ask()


async def test_what_waits_here_is_merged_when_it_is_wanted(bench: Bench) -> None:
    bench.entries = [Queued("01A", "book", {"text": "ours"}, "pending", 0)]

    without = await bench.ask()
    answer = await bench.ask(Manner(include_queued=True))
    kept = await bench.ask(Manner("offline"))

    assert (without.data, without.queued) == ("sand", None)
    assert answer.data == ["sand", {"queued": True, "id": "01A", "text": "ours"}]
    assert answer.queued == 1
    assert kept.data == "sand"  # what waits is never kept as the backend's word
    bench.cut = 7
    assert len((await bench.ask(Manner(include_queued=True))).notes) == 2


async def test_what_waits_here_is_all_there_is_of_a_backend_that_was_never_asked(
    bench: Bench,
) -> None:
    bench.entries = [Queued("01A", "book", {}, "pending", 0)]
    bench.library.trouble = AWAY

    answer = await bench.ask(Manner(include_queued=True))

    assert (answer.fetched_at, answer.complete, answer.stale) == (None, False, True)
    assert answer.queued == 1
    bench.entries = []
    with pytest.raises(Unanswerable):
        await bench.ask(Manner(include_queued=True))


async def test_what_cannot_be_told_of_the_outbox_is_refused(bench: Bench) -> None:
    with pytest.raises(Misasked, match="leave include_queued out"):
        await bench.ask(Manner(include_queued=True), _spelt("untellable"))


def _spelt(title: str) -> Question:
    return Question("book", (("title", title),))


def _marks(answer: Answer) -> dict[str, Any]:
    told = answer.told()
    return {name: told[name] for name in told if name not in ("data", "meta", "notes")}


async def test_the_marks_as_json(bench: Bench) -> None:
    answer = await bench.ask()

    assert _marks(answer) == {
        "backend": "library",
        "resource": "book",
        "source": "live",
        "fetched_at": "2033-05-18T03:33:20Z",
        "settled": False,
        "complete": True,
        "stale": False,
    }
