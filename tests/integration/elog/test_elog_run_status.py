"""Run status: counters that are merged, a credential that goes nowhere else, and a job service
whose troubles are its own.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter, AuthOptions
from adapters.elog import KIND, Options
from adapters.verdict import Held, Parked, Rejected, Superseded
from storage.entry import Attachment, Claim, Entry, Receipt
from tests.adapter_lane import adapter_lane
from tests.builders import a_claim, an_entry
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import (
    EXPERIMENT,
    JSON,
    Connect,
    a_file,
    a_site,
    as_json,
    page,
    verdict_of,
)
from tests.emulators.jid import JidEmulator
from tests.emulators.kit import Served
from tests.lane_world import LaneWorld

TOKEN = "Bearer eyJhbGciOi.s3cr3t-of-the-job"
SECRET = TOKEN.rpartition(" ")[2]
HTML = "text/html; charset=utf-8"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Served, Served]]:
    with Served(JidEmulator()) as jid, Served(ElogEmulator()) as elog:
        yield jid, elog


@pytest.fixture
def jid(servers: tuple[Served, Served]) -> Served:
    servers[0].serve(JidEmulator())
    return servers[0]


@pytest.fixture
def elog(servers: tuple[Served, Served]) -> Served:
    servers[1].serve(ElogEmulator(experiments=(EXPERIMENT,)))
    return servers[1]


@pytest.fixture
async def adapter(elog: Served, jid: Served, connect: Connect) -> Adapter:
    return connect(elog, options=options(jid))


def options(jid: Served) -> Options:
    return Options(instrument="mfx", run_status_urls=(f"{jid.url}/arp",))


def url(jid: Served, job: str = "7") -> str:
    return f"{jid.url}/arp/jid/ws/replace_counters/{EXPERIMENT}/{job}"


def a_status(
    jid: Served,
    counters: dict[str, Any],
    job: str = "7",
    token: Attachment | None = None,
    **known: Any,
) -> Claim:
    payload = {"counters": counters, "update_url": url(jid, job), **known.pop("more", {})}
    fields = {"kind": "run_status", "attachments": (token,) if token else (), **known}
    return a_claim(payload, **fields)


def writes(jid: Served) -> int:
    return sum(n for asked, n in jid.faulty.requests.items() if "replace_counters" in asked)


# What is written


async def test_counters_join_those_of_others_and_only_reading_shows_the_credential(
    jid: Served, adapter: Adapter, tmp_path: Path
) -> None:
    others = [{"key": "<b>x</b>", "value": "<i>1</i>"}, {"key": "Peaks", "value": "3"}]
    jid.emulator.counters["7"] = others
    jid.emulator.roots = {"root": "7"}
    more = {"job_id": "root", "run": 12, "user": "pi1"}
    claim = a_status(
        jid, {"Peaks": 4, "<new>": "a&b"}, token=a_file(tmp_path, "x", TOKEN.encode()), more=more
    )

    receipt = await verdict_of(adapter, claim)

    assert receipt == Receipt(claim.id, f"{EXPERIMENT}/7/{claim.id}")
    assert jid.emulator.counters["7"] == [
        others[0],
        {"key": "Peaks", "value": "4"},
        {"key": "&lt;new&gt;", "value": "a&amp;b"},
    ]
    read, written, _ = jid.emulator.heard
    assert (read.path, read.credential) == (f"/arp/jid/ws/{EXPERIMENT}/get_counters", TOKEN)
    assert (written.path, written.credential) == (url(jid).removeprefix(jid.url), None)
    assert read.body == {"_id": "root", "experiment": EXPERIMENT, "run_num": "12", "user": "pi1"}


async def test_without_a_credential_none_is_sent_and_never_the_elogs_own(
    jid: Served, adapter: Adapter
) -> None:
    await verdict_of(adapter, a_status(jid, {"a": 1}))

    assert [one.credential for one in jid.emulator.heard] == [None] * 3
    assert jid.emulator.heard[0].body == {"_id": "7", "experiment": EXPERIMENT}


async def test_without_an_address_the_first_of_the_settings_is_built_on(
    jid: Served, adapter: Adapter
) -> None:
    payload = {"counters": {"a": None}, "experiment": EXPERIMENT, "job_id": "9"}

    assert isinstance(await verdict_of(adapter, a_claim(payload, kind="run_status")), Receipt)
    assert jid.emulator.shown("9") == {"a": "null"}


async def test_what_is_shown_already_is_not_written_again(jid: Served, adapter: Adapter) -> None:
    jid.emulator.counters["7"] = [{"key": "a", "value": 1}, {"key": "b", "value": "2"}]

    receipt = await verdict_of(adapter, a_status(jid, {"a": 1}))

    assert isinstance(receipt, Receipt)
    assert receipt.duplicate
    assert writes(jid) == 0


async def test_another_writer_at_the_same_moment_is_written_over_with_its_own(
    jid: Served, adapter: Adapter
) -> None:
    def other() -> None:
        """Writes what it has read before us, and so takes ours away."""
        jid.emulator.counters["7"] = [{"key": "theirs", "value": "1"}]

    jid.emulator.before_read = [lambda: None, other]

    receipt = await verdict_of(adapter, a_status(jid, {"ours": 1}))

    assert isinstance(receipt, Receipt)
    assert jid.emulator.shown("7") == {"theirs": "1", "ours": "1"}
    assert writes(jid) == 2


async def test_what_never_shows_is_given_up_for_now(jid: Served, adapter: Adapter) -> None:
    jid.emulator.stuck = True

    verdict = await verdict_of(adapter, a_status(jid, {"a": 1}))

    assert isinstance(verdict, Parked)
    assert verdict.scope.endswith(f"/{EXPERIMENT}/7")
    assert writes(jid) == 3


async def test_an_older_value_that_comes_late_does_not_undo_a_newer_one(
    jid: Served, adapter: Adapter
) -> None:
    await verdict_of(adapter, a_status(jid, {"a": "new"}, seq=5))

    late = await verdict_of(adapter, a_status(jid, {"a": "old"}, seq=4))
    partly = await verdict_of(adapter, a_status(jid, {"a": "old", "b": "old"}, seq=4))

    assert isinstance(late, Superseded)
    assert isinstance(partly, Receipt)
    assert jid.emulator.shown("7") == {"a": "new", "b": "old"}


async def test_what_a_newer_one_overtakes_is_not_sent_unless_it_may_be_there(
    jid: Served, adapter: Adapter
) -> None:
    overtaken = {"newest_of_slot": False}

    assert isinstance(await verdict_of(adapter, a_status(jid, {"a": 1}, **overtaken)), Superseded)
    assert jid.emulator.heard == []
    doubted = a_status(jid, {"a": 1}, in_doubt=True, **overtaken)
    assert isinstance(await verdict_of(adapter, doubted), Receipt)


# What must not be written over, and whose trouble it is


@pytest.mark.parametrize(
    ("status", "body", "media_type", "of_the_job"),
    [
        (200, as_json({"success": False, "value": []}), JSON, True),
        (200, as_json({"success": True, "value": None}), JSON, True),
        (200, as_json({"success": True}), JSON, True),
        (200, as_json({"value": [{"key": "a"}, 7]}), JSON, True),
        (200, as_json([]), JSON, False),
        (200, b"", JSON, False),
        (200, b'{"value": [', JSON, False),
        (200, page("Log in"), JSON, False),
        (200, as_json({"value": []}), HTML, False),
        (302, b"", HTML, False),
        (400, as_json({"value": []}), JSON, True),
        (401, as_json({"value": []}), JSON, True),
        (403, page("403 Forbidden"), HTML, True),
        (404, page("404 Not Found"), HTML, True),
        (405, page("405"), HTML, True),
        (407, page("407"), HTML, False),
        (408, page("408"), HTML, False),
        (429, page("429"), HTML, False),
        (500, page("500"), HTML, True),
        (502, page("502"), HTML, False),
        (503, as_json({"value": []}), JSON, False),
    ],
)
async def test_what_is_no_list_of_counters_writes_nothing(
    stranger: Served,
    connect: Connect,
    status: int,
    body: bytes,
    media_type: str,
    of_the_job: bool,
) -> None:
    stranger.faulty.requests.clear()
    stranger.emulator.says(status, body, media_type)
    adapter = connect(stranger, options=options(stranger))

    verdict = await verdict_of(adapter, a_status(stranger, {"a": 1}))

    assert isinstance(verdict, Parked)
    assert verdict.scope.endswith("/7") is of_the_job
    assert verdict.scope.startswith(f"jid 127.0.0.1:{stranger.port}")
    assert writes(stranger) == 0


@pytest.mark.parametrize(
    ("fault", "of_the_job"),
    [
        ({"mode": "status", "status": 403}, True),
        ({"mode": "status", "status": 404}, True),
        ({"mode": "status", "status": 502}, False),
        ({"mode": "status_after", "status": 500}, True),
        ({"mode": "drop_before"}, False),
        ({"mode": "drop_after"}, False),
        ({"mode": "redirect"}, False),
        ({"mode": "retry_after", "seconds": 7.0}, False),
    ],
    ids=str,
)
async def test_a_write_that_fails_is_told_by_its_place_and_looked_at_the_next_time(
    jid: Served, adapter: Adapter, fault: dict[str, Any], of_the_job: bool
) -> None:
    jid.fault(**fault, path="replace_counters", times=1)
    claim = a_status(jid, {"a": 1})

    verdict = await verdict_of(adapter, claim)

    assert isinstance(verdict, Parked)
    assert verdict.scope.endswith("/7") is of_the_job
    assert isinstance(await verdict_of(adapter, claim), Receipt)
    assert jid.emulator.shown("7") == {"a": "1"}


@pytest.mark.parametrize("fault", ["html", "empty"])
async def test_whatever_answers_the_writing_what_is_shown_counts(
    jid: Served, adapter: Adapter, fault: str
) -> None:
    jid.fault(fault, path="replace_counters")

    assert isinstance(await verdict_of(adapter, a_status(jid, {"a": 1})), Parked)
    assert jid.emulator.shown("7") == {}


async def test_a_dead_job_service_is_told_by_its_own_scope(jid: Served, adapter: Adapter) -> None:
    claim = a_status(jid, {"a": 1})
    jid.unplug()

    verdict = await verdict_of(adapter, claim)

    assert isinstance(verdict, Parked)
    assert (verdict.scope, verdict.side) == (f"jid 127.0.0.1:{jid.port}", "network")


async def test_a_hanging_job_service_is_told_by_its_own_scope(
    elog: Served, jid: Served, connect: Connect
) -> None:
    adapter = connect(elog, options=options(jid), attempt_timeout_seconds=0.2)
    jid.fault("hang_after")

    verdict = await verdict_of(adapter, a_status(jid, {"a": 1}))

    assert isinstance(verdict, Parked)
    assert verdict.scope == f"jid 127.0.0.1:{jid.port}"


@pytest.mark.parametrize("prefixes", [(), ("http://elsewhere.test/arp",)])
async def test_an_address_that_the_settings_left_out_since_is_held(
    elog: Served, jid: Served, connect: Connect, prefixes: tuple[str, ...]
) -> None:
    adapter = connect(elog, options=Options(run_status_urls=prefixes))

    verdict = await verdict_of(adapter, a_status(jid, {"a": 1}))

    assert isinstance(verdict, Held)
    assert "run_status_urls" in verdict.detail
    assert jid.emulator.heard == []


# The credential


@pytest.mark.parametrize("content", [b"", b" \n", b"two\nlines", b"t\xc3\xb6ken", b"a\x00b"])
async def test_what_is_no_header_is_refused_without_telling_it(
    jid: Served, adapter: Adapter, tmp_path: Path, content: bytes
) -> None:
    claim = a_status(jid, {"a": 1}, token=a_file(tmp_path, "authorization", content))

    verdict = await verdict_of(adapter, claim)

    assert isinstance(verdict, Rejected)
    assert "two" not in verdict.detail
    assert jid.emulator.heard == []


async def test_a_refused_credential_is_in_no_word_and_no_line(
    jid: Served, adapter: Adapter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    jid.emulator.tokens = set()  # its refusal repeats the headers
    claim = a_status(jid, {"a": 1}, token=a_file(tmp_path, "authorization", TOKEN.encode()))

    verdict = await verdict_of(adapter, claim)

    assert isinstance(verdict, Parked)
    assert (verdict.status, verdict.side) == (401, "credentials")
    assert "not authorized" in str(verdict.excerpt)
    assert SECRET not in f"{verdict.detail} {verdict.excerpt} {caplog.text}"
    assert jid.emulator.heard[0].credential == TOKEN


# A whole lane


@asynccontextmanager
async def lane(folder: Path, elog: Served, jid: Served) -> AsyncIterator[LaneWorld]:
    def site(now: Callable[[], int]) -> Any:
        person = AuthOptions(method="bearer", token_file="token")
        return a_site(elog.url, auth=person, options=options(jid), now=now)

    async with adapter_lane(folder, KIND, site, backend="elog") as world:
        yield world


def entry(jid: Served, key: str, counters: dict[str, Any], job: str = "7", **more: Any) -> Entry:
    payload = {"counters": counters, "update_url": url(jid, job)}
    kind = KIND.kinds["run_status"]
    place = kind.address(kind.payload.model_validate(payload))
    fields = {"stream": place.stream, "scope": place.scope, "slot": place.slot, **more}
    return an_entry(key, backend="elog", kind="run_status", payload=payload, **fields)


def a_post(text: str) -> Entry:
    payload = {"experiment": EXPERIMENT, "text": text}
    fields = {"stream": EXPERIMENT, "scope": EXPERIMENT, "payload": payload}
    return an_entry(text, backend="elog", kind="post", **fields)


async def test_a_job_service_that_is_away_holds_no_post(
    elog: Served, jid: Served, tmp_path: Path
) -> None:
    jid.unplug()
    async with lane(tmp_path, elog, jid) as world:
        await world.accept(*[entry(jid, f"s{n}", {"n": n}, job=str(n)) for n in range(8)])
        for n in range(5):
            await world.accept(a_post(f"p{n}"))
            await world.live(20)

        assert [one["content"] for one in elog.emulator.ledger()] == [f"p{n}" for n in range(5)]
        assert await world.rest() is None
        rest = await world.rest(f"jid 127.0.0.1:{jid.port}")
        assert rest is not None
        assert "cannot reach" in rest.reason
        assert [await world.state(f"s{n}") for n in (0, 7)] == ["pending"] * 2

        jid.plug()
        await world.live(400)

        assert {await world.state(f"s{n}") for n in range(8)} == {"delivered"}


async def test_an_elog_that_is_away_holds_no_run_status(
    elog: Served, jid: Served, tmp_path: Path
) -> None:
    elog.unplug()
    async with lane(tmp_path, elog, jid) as world:
        await world.accept(a_post("post"))
        await world.live(70)
        await world.accept(*[entry(jid, f"s{n}", {"n": n}, job=str(n)) for n in range(3)])
        await world.steps(8, seconds=0.1)

        assert {await world.state(f"s{n}") for n in range(3)} == {"delivered"}
        assert await world.state("post") == "pending"
        rest = await world.rest()
        assert rest is not None
        assert rest.state == "offline"


async def test_a_job_that_is_refused_holds_no_other_job_and_no_post(
    elog: Served, jid: Served, tmp_path: Path
) -> None:
    jid.emulator.known = {"8"}
    async with lane(tmp_path, elog, jid) as world:
        await world.accept(entry(jid, "refused", {"n": 1}), entry(jid, "good", {"n": 1}, job="8"))
        await world.accept(a_post("post"))
        await world.live(30)

        states = [await world.state(key) for key in ("refused", "good", "post")]
        assert states == ["pending", "delivered", "delivered"]
        rest = await world.rest(f"jid 127.0.0.1:{jid.port}/{EXPERIMENT}/7")
        assert rest is not None
        assert "no such job" in rest.reason


async def test_of_the_same_counters_only_the_newest_are_sent(
    elog: Served, jid: Served, tmp_path: Path
) -> None:
    jid.unplug()
    async with lane(tmp_path, elog, jid) as world:
        olds = await world.accept(*[entry(jid, f"s{n}", {"status": n}) for n in range(5)])
        await world.accept(entry(jid, "other", {"peaks": 1, "status": "x"}))
        await world.accept(entry(jid, "last", {"status": "done"}))
        await world.live(5)
        jid.plug()
        await world.live(100)

        shown = [await world.outbox.looks.show(one.id) for one in olds]
        assert {str((one or {})["state"]) for one in shown} == {"superseded"}
    assert jid.emulator.shown("7") == {"status": "done", "peaks": "1"}
    assert writes(jid) == 2


async def test_the_credential_lives_in_one_file_and_dies_with_its_entry(
    elog: Served, jid: Served, tmp_path: Path
) -> None:
    async with lane(tmp_path, elog, jid) as world:

        async def staged() -> tuple[Attachment, ...]:
            content = BytesIO(TOKEN.encode())
            return (await world.outbox.files.stage(content, "authorization", limit=16_384),)

        jid.emulator.tokens = {TOKEN}
        await world.accept(entry(jid, "sent", {"n": 0}, job="1", attachments=await staged()))
        await world.live(5)
        assert await world.state("sent") == "delivered"
        assert places(tmp_path) == []

        jid.emulator.tokens = set()
        soon = world.clock.now() + 60_000
        (kept, late) = await world.accept(
            entry(jid, "kept", {"n": 1}, attachments=await staged()),
            entry(jid, "late", {"n": 1}, job="8", attachments=await staged(), expires_at=soon),
        )
        await world.live(90)
        await world.outbox.upkeep.expire(now=world.clock.now())
        assert [await world.state(key) for key in ("kept", "late")] == ["pending", "dead"]
        shown = [await world.shown(key) for key in ("kept", "late")]
        assert SECRET not in str(shown)
        found = places(tmp_path)
        assert [path.stat().st_mode & 0o777 for path in found] == [0o600] * 2
        assert [path.parent.parent.name for path in found] == ["attachments"] * 2
        assert SECRET not in str(await world.outbox.looks.rests())

        await world.outbox.discard([kept.id, late.id], now=world.clock.now(), who="test")

        assert places(tmp_path) == []
        assert SECRET not in str(world.logs)


def places(folder: Path) -> list[Path]:
    """Every file of the state folder that holds the credential."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in files if SECRET.encode() in path.read_bytes()]
