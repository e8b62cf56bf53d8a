"""Runs of a telemetry server: started and stopped once, in their place, and never another's."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter
from adapters.telemetry import KIND
from adapters.verdict import (
    DeliveryError,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW, a_claim
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site

HOUR = 3_600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(TelemetryEmulator(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Served:
    server.serve(TelemetryEmulator(tmp_path))
    return server


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[Adapter]:
    made = an_adapter(served)
    yield made
    await made.close()


def real_now() -> int:
    """The emulator's clock is the real one."""
    return round(datetime.now(UTC).timestamp() * 1000)


def an_adapter(served: Served, ahead: int = 0) -> Adapter:
    """`ahead`: by how many ms our clock is."""
    return KIND.adapter(a_site(served.url, now=lambda: real_now() + ahead))


def a_start(run_id: str | None = None, **changes: Any) -> Claim:
    payload = changes.pop("payload", {} if run_id is None else {"run_id": run_id})
    return a_run("run_start", payload, **changes)


def a_stop(run_id: str | None = None, **changes: Any) -> Claim:
    return a_run("run_stop", {} if run_id is None else {"run_id": run_id}, **changes)


def a_run(kind: str, payload: dict[str, Any], **changes: Any) -> Claim:
    now = real_now()
    times = {"created_at": now, "accepted_at": now, "first_sent_at": now, "last_sent_at": now}
    return a_claim(payload, kind=kind, **{**times, **changes})


async def verdict(adapter: Adapter, claim: Claim) -> Receipt | DeliveryError:
    (only,) = await adapter.deliver([claim])
    return only


async def found(adapter: Adapter, claim: Claim) -> list[Receipt]:
    return list(await adapter.find(Doubt(claim, NOW, NOW)))


def history(served: Served) -> list[tuple[str, str]]:
    return list(served.emulator.counts()["runs"])


def started_by_another(served: Served, run_id: str = "theirs") -> None:
    served.emulator.store.start_run(run_id, None, {"observer": "somebody"})


# Started


async def test_a_run_begins_with_what_its_producer_says_our_id_and_the_time_it_was_made(
    served: Served, adapter: Adapter
) -> None:
    payload = {"run_id": "007", "run_dir": "night", "meta": {"target": "M31"}}
    claim = a_start(payload=payload, created_at=1_767_225_600_123)

    assert await verdict(adapter, claim) == Receipt(claim.id, claim.id)
    run = served.emulator.store.active_run()
    assert (run["run_id"], run["run_dir"]) == ("007", str(served.emulator.site_dir / "night"))
    assert run["meta"] == {
        "target": "M31",
        "holdfast_id": claim.id,
        "origin_ts": "2026-01-01T00:00:00.123Z",
        "run_id": "007",
    }


async def test_a_time_that_was_set_right_is_told_beside_what_the_clock_showed(
    served: Served, adapter: Adapter
) -> None:
    await verdict(adapter, a_start(raw_created_at=0))

    assert served.emulator.store.active_run()["meta"]["raw_ts"] == "1970-01-01T00:00:00.000Z"


async def test_events_between_start_and_stop_lie_in_the_file_of_the_run(
    served: Served, adapter: Adapter
) -> None:
    events = [a_claim({"type": "t", "data": number}) for number in range(3)]
    verdicts = await adapter.deliver([events[0], a_start("X"), events[1], a_stop("X"), events[2]])

    assert all(isinstance(one, Receipt) for one in verdicts)
    assert [one["stream"] for one in served.emulator.ledger()] == ["site", "run", "site"]
    assert history(served) == [("start", "X"), ("stop", "X")]


@pytest.mark.parametrize("mode", ["drop_after", "truncate", "status_after"])
async def test_a_start_whose_answer_was_lost_is_found_by_our_id(
    served: Served, adapter: Adapter, mode: str
) -> None:
    served.fault(mode, path="/run/start", times=1)
    claim = a_start()

    assert type(await verdict(adapter, claim)) is Uncertain
    assert await found(adapter, claim) == [Receipt(claim.id, claim.id)]
    assert await found(adapter, a_start()) == [], "it is not just any start"


async def test_a_start_that_landed_only_after_the_look_is_not_made_twice(
    served: Served, adapter: Adapter
) -> None:
    claim = a_start()
    await verdict(adapter, claim)

    assert await verdict(adapter, claim) == Receipt(claim.id, claim.id, duplicate=True)
    assert len(history(served)) == 1


async def test_a_run_that_is_shown_without_our_id_is_no_proof_of_our_start(
    served: Served, adapter: Adapter
) -> None:
    theirs = {"run_dir": "/d", "run_id": "X", "meta": {"holdfast_id": "theirs"}, "started_at": ""}
    served.emulator.store.start_run = lambda *_: theirs
    judged = await verdict(adapter, a_start("X"))

    assert isinstance(judged, Refused)
    assert judged.landed


async def test_a_start_that_never_arrived_is_not_there(served: Served, adapter: Adapter) -> None:
    served.fault("drop_before", path="/run/start", times=1)
    claim = a_start()

    assert type(await verdict(adapter, claim)) is Uncertain
    assert await found(adapter, claim) == []


async def test_a_start_waits_in_words_for_the_end_of_a_run_of_somebody_else(
    served: Served, adapter: Adapter
) -> None:
    started_by_another(served)
    claim = a_start("ours")

    waits = await verdict(adapter, claim)
    assert type(waits) is Refused
    assert not waits.landed
    assert "the run 'theirs', begun " in waits.detail
    assert f"Discard {claim.id} to let the rest go on" in waits.detail
    served.emulator.store.stop_run()
    assert isinstance(await verdict(adapter, claim), Receipt)


async def test_a_start_behind_a_run_that_we_have_started_is_judged_and_lets_its_stop_pass(
    served: Served, adapter: Adapter
) -> None:
    first, second, stop = a_start("X"), a_start("X"), a_stop("X")

    verdicts = await adapter.deliver([first, second, stop])

    assert [type(one) for one in verdicts] == [Receipt, Rejected, Receipt]
    assert "nobody has stopped yet" in str(verdicts[1])
    assert history(served) == [("start", "X"), ("stop", "X")]


async def test_a_run_that_ends_between_the_refusal_and_the_look_is_tried_again_at_once(
    served: Served, adapter: Adapter
) -> None:
    started_by_another(served)
    store, shown = served.emulator.store, served.emulator.store.active_run

    def ended() -> dict[str, Any]:
        store.active_run = shown
        store.stop_run()
        return shown()

    store.active_run = ended
    judged = await verdict(adapter, a_start())

    assert isinstance(judged, Throttled)
    assert judged.retry_after == 1


async def test_a_folder_that_the_server_cannot_make_stops_nothing_for_ever(
    adapter: Adapter,
) -> None:
    bad = a_start(payload={"run_dir": "/proc/nope/x"})

    verdicts = [await verdict(adapter, bad) for _ in range(3)]

    assert [type(one) for one in verdicts] == [Refused, Refused, Rejected]
    assert "can make no folder '/proc/nope/x'" in str(verdicts[-1])
    assert isinstance(await verdict(adapter, a_start()), Receipt)


async def test_a_server_that_can_make_no_folder_at_all_keeps_the_start_waiting(
    served: Served, adapter: Adapter
) -> None:
    (served.emulator.site_dir / "file").touch()
    blocked = a_start("file/x")

    verdicts = [await verdict(adapter, blocked) for _ in range(5)]

    assert {type(one) for one in verdicts} == {Refused}
    assert "cannot start a run" in str(verdicts[0])


async def test_a_start_that_the_server_judges_is_rejected_in_its_words(adapter: Adapter) -> None:
    judged = await verdict(adapter, a_start(payload={"run_id": 5}))  # intake would refuse it

    assert type(judged) is Rejected
    assert "Input should be a valid string" in judged.detail


# Stopped


@pytest.mark.parametrize("run_id", [None, "theirs"])
async def test_a_stop_ends_the_run_that_was_active_when_it_was_made(
    served: Served, adapter: Adapter, run_id: str | None
) -> None:
    started_by_another(served)
    claim = a_stop(run_id)

    assert await verdict(adapter, claim) == Receipt(claim.id, claim.id)
    assert history(served) == [("start", "theirs"), ("stop", "theirs")]


@pytest.mark.parametrize("mode", ["drop_after", "truncate", "status_after"])
async def test_a_stop_whose_answer_was_lost_is_found(
    served: Served, adapter: Adapter, mode: str
) -> None:
    await verdict(adapter, a_start())
    served.fault(mode, path="/run/stop", times=1)
    claim = a_stop()

    assert type(await verdict(adapter, claim)) is Uncertain
    assert await found(adapter, claim) == [Receipt(claim.id, claim.id)]


async def test_a_stop_that_never_arrived_is_not_there(served: Served, adapter: Adapter) -> None:
    await verdict(adapter, a_start())
    served.fault("drop_before", path="/run/stop", times=1)
    claim = a_stop()

    assert type(await verdict(adapter, claim)) is Uncertain
    assert await found(adapter, claim) == []
    assert isinstance(await verdict(adapter, claim), Receipt)


async def test_a_stop_in_doubt_does_not_end_a_run_that_has_begun_at_once_after_it(
    served: Served, adapter: Adapter
) -> None:
    started_by_another(served, "first")
    served.fault("drop_after", path="/run/stop", times=1)
    claim = a_stop()
    await verdict(adapter, claim)
    started_by_another(served, "second")

    assert await found(adapter, claim) == [Receipt(claim.id, claim.id)]
    assert served.emulator.store.active_run()["run_id"] == "second"


@pytest.mark.parametrize("ahead", [0, HOUR, -HOUR])
@pytest.mark.parametrize("before", [600_000, -600_000])
async def test_a_stop_ends_no_run_that_began_after_it_was_made_whatever_our_clock_shows(
    served: Served, ahead: int, before: int
) -> None:
    adapter = an_adapter(served, ahead)
    started_by_another(served, "tonight's")
    made_at = real_now() + ahead - before
    late = a_stop(created_at=made_at, accepted_at=made_at)
    judged = await verdict(adapter, late)
    await adapter.close()

    assert judged == Receipt(late.id, late.id, duplicate=before > 0)
    assert ("stop" in dict(history(served))) is (before < 0)


async def test_our_own_run_is_stopped_however_late_its_start_was_delivered(
    served: Served, adapter: Adapter
) -> None:
    """Both waited through an outage: the run begins, for the server, long after its stop."""
    long_ago = real_now() - 10 * HOUR
    start, stop = a_start(created_at=long_ago), a_stop(created_at=long_ago + HOUR)
    await verdict(adapter, start)

    assert await verdict(adapter, stop) == Receipt(stop.id, stop.id)
    assert [what for what, _ in history(served)] == ["start", "stop"]


async def test_a_clock_that_was_set_back_between_start_and_stop_leaves_no_run_behind(
    served: Served, adapter: Adapter
) -> None:
    start, stop = a_start(), a_stop(created_at=real_now() - HOUR)
    await verdict(adapter, start)

    assert await verdict(adapter, stop) == Receipt(stop.id, stop.id)
    assert [what for what, _ in history(served)] == ["start", "stop"]


@pytest.mark.parametrize(
    ("made_after", "stopped"), [(HOUR, True), (-HOUR, False)], ids=["before it", "after it"]
)
async def test_after_a_restart_the_time_of_our_start_says_whether_the_stop_means_its_run(
    served: Served, adapter: Adapter, made_after: int, stopped: bool
) -> None:
    long_ago = real_now() - 10 * HOUR
    await verdict(adapter, a_start(created_at=long_ago))
    restarted = an_adapter(served)
    stop = a_stop(created_at=long_ago + made_after, accepted_at=long_ago + made_after)

    assert await verdict(restarted, stop) == Receipt(stop.id, stop.id, duplicate=not stopped)
    await restarted.close()
    assert ("stop" in dict(history(served))) is stopped


async def test_a_run_that_was_seen_and_is_over_is_stopped(served: Served, adapter: Adapter) -> None:
    await verdict(adapter, a_start("X"))
    served.emulator.restart()  # ends a run without a word

    for claim in (a_stop("X"), a_stop()):
        assert await verdict(adapter, claim) == Receipt(claim.id, claim.id, duplicate=True)


@pytest.mark.parametrize(
    ("active", "stop", "said"),
    [
        (None, a_stop(), "no run is active"),
        (None, a_stop("X"), "none of the name 'X' has been seen"),
        ("Y", a_stop("X"), "the run 'Y', begun "),
    ],
)
async def test_a_stop_of_a_run_that_nobody_has_seen_is_told_and_ends_nothing(
    served: Served, adapter: Adapter, active: str | None, stop: Claim, said: str
) -> None:
    if active is not None:
        started_by_another(served, active)
    judged = await verdict(adapter, a_stop() if stop.payload == "{}" else a_stop("X"))

    assert type(judged) is Rejected
    assert said in judged.detail
    assert "stop" not in dict(history(served))


async def test_what_an_earlier_life_may_have_seen_is_given_the_benefit(adapter: Adapter) -> None:
    earlier = a_stop(accepted_at=real_now() - HOUR)

    assert await verdict(adapter, earlier) == Receipt(earlier.id, earlier.id, duplicate=True)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("drop_before", Unreachable),
        ("status", Unreachable),
        ("html", Refused),
        ("empty", Refused),
        ("redirect", Refused),
        ("retry_after", Throttled),
    ],
)
async def test_a_stop_is_not_sent_where_the_active_run_cannot_be_read(
    served: Served, adapter: Adapter, mode: str, error: type[DeliveryError]
) -> None:
    served.fault(mode, path="/run", method="GET")

    judged = await verdict(adapter, a_stop())

    assert type(judged) is error
    assert not getattr(judged, "landed", False)
    assert served.faulty.requests["POST /run/stop"] == 0
