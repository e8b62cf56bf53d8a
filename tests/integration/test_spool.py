"""The spool contract, on a real disk with the real intake and outbox; only the clock is fake."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.spool.listing import count_spool
from agent.spool.readiness import Happening
from storage.outbox import Outbox
from tests.spool_world import World, a_world, event

POST = {"experiment": "xpptut15", "text": "hello"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


def number_of(payload: dict[str, Any]) -> int:
    number = payload["event_data"]["n"]
    assert isinstance(number, int)
    return number


async def test_folders_are_made_for_every_backend_and_open_to_the_group(world: World) -> None:
    for name in ("elog", "events", ".rejected/elog", ".rejected/events", "."):
        assert (world.root / name).stat().st_mode & 0o7777 == 0o2770


async def test_a_file_that_arrives_by_rename_is_taken_at_once(world: World) -> None:
    await world.arrive("events/a.json", event(1))

    assert [number_of(p) for p in await world.payloads()] == [1]
    assert world.left() == []


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.jsonl", "a.JSON"])
async def test_byte_order_mark_and_crlf_are_tolerated(world: World, name: str) -> None:
    await world.arrive(f"events/{name}", b"\xef\xbb\xbf" + event(1).encode() + b"\r\n")

    assert [number_of(p) for p in await world.payloads()] == [1]


async def test_a_file_seen_for_the_first_time_waits_until_it_has_settled(world: World) -> None:
    world.drop("events/a.json", event(1))

    due = await world.spool.step()
    assert due == world.time + 5
    world.time += 4.99
    await world.spool.step()
    assert await world.entries() == []
    world.time = due
    await world.spool.step()
    assert len(await world.entries()) == 1


async def test_a_file_that_changes_begins_to_settle_anew(world: World) -> None:
    target = world.drop("events/a.ndjson", event(1) + "\n")
    await world.spool.step()
    world.time += 4
    with target.open("a") as more:
        more.write(event(2) + "\n")

    assert await world.spool.step() == world.time + 5


async def test_a_file_without_events_is_not_taken_while_it_is_open_for_writing(
    world: World,
) -> None:
    world.drop("events/a.ndjson")
    with (world.root / "events/a.ndjson").open("w") as writer:
        writer.write(event(1) + "\n")
        writer.flush()
        await world.settle()
        assert await world.entries() == []

    await world.settle()
    assert len(await world.entries()) == 1


async def test_a_closed_file_is_taken_after_one_quiet_second(world: World) -> None:
    target = world.drop("events/a.json", event(1))
    world.spool.note(Happening.CREATED, str(target))
    world.spool.note(Happening.WRITTEN, str(target))
    world.spool.note(Happening.CLOSED, str(target))

    assert await world.spool.step() == world.time + 1
    world.time += 1
    await world.spool.step()
    assert len(await world.entries()) == 1


async def test_names_that_are_still_being_written_are_not_seen(world: World) -> None:
    for name in (".a.json", "a.json.tmp", "a.json.part", "a.json~"):
        world.drop(f"events/{name}", event(1))
    await world.settle()

    assert await world.entries() == []
    assert world.spool.counts() == {"waiting": 0, "blocked": 0, "rejected": 0}


async def test_order_is_by_mtime_then_name_and_lines_stay_in_order(world: World) -> None:
    for name, mtime, numbers in (("b", 2, [4]), ("a", 2, [3]), ("z", 1, [1, 2])):
        lines = "".join(event(number) + "\n" for number in numbers)
        target = world.drop(f"events/{name}.ndjson", lines)
        os.utime(target, ns=(mtime, mtime))
    await world.settle()

    assert [number_of(p) for p in await world.payloads()] == [1, 2, 3, 4]


async def test_times_in_the_future_do_not_matter(world: World) -> None:
    target = world.drop("events/a.json", event(1))
    os.utime(target, (2**33, 2**33))
    await world.settle()

    assert len(await world.entries()) == 1


async def test_the_folder_says_the_kind(world: World) -> None:
    (world.root / "elog" / "run_params").mkdir()
    payload = {"experiment": "xpptut15", "run": 3, "params": {"a": 1}}
    await world.arrive("elog/run_params/a.json", json.dumps(payload))

    assert [one["kind"] for one in await world.entries()] == ["run_params"]


async def test_an_envelope_is_understood(world: World) -> None:
    await world.arrive("events/a.json", event(1, key="mine", labels={"shift": "night"}))

    (entry,) = await world.entries()
    assert (entry["key"], entry["labels"]) == ("mine", {"shift": "night"})
    assert entry["producer"]["via"] == "spool"
    assert entry["producer"]["uid"] == os.geteuid()


async def test_the_same_bytes_dropped_twice_are_two_entries(world: World) -> None:
    await world.arrive("events/a.json", event(1))
    await world.arrive("events/a.json", event(1))

    assert len({one["key"] for one in await world.entries()}) == 2


async def test_of_an_ndjson_file_only_the_bad_lines_go_aside(world: World) -> None:
    lines = [event(1), "{broken", "", event(2), '{"nonsense": 1}', event(3)]
    await world.arrive("events/a.ndjson", "\n".join(lines))

    assert [number_of(p) for p in await world.payloads()] == [1, 2, 3]
    assert world.left() == []
    kept = (world.root / ".rejected/events/a.ndjson").read_text().splitlines()
    assert kept == ["{broken", '{"nonsense": 1}']
    reason = world.reason("events/a.ndjson")
    assert [error["line"] for error in reason["errors"]] == [2, 5]
    assert world.spool.counts()["rejected"] == 1


async def test_moving_it_back_tries_it_again(world: World) -> None:
    await world.arrive("events/a.json", "{broken")
    aside = world.root / ".rejected/events/a.json"
    aside.write_text(event(7))
    back = aside.rename(world.root / "events/a.json")
    world.spool.note_moved(str(aside), str(back))
    await world.spool.step()

    assert [number_of(p) for p in await world.payloads()] == [7]
    assert world.spool.counts()["rejected"] == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"", "empty"),
        ("a.json", b"{broken", "not JSON"),
        ("a.json", b"\xff\xfe", "UTF-8"),
        ("a.json", b"[1]", "JSON object"),
        ("a.json", b'{"nonsense": 1}', "not a field"),
        ("a.ndjson", b"\n \r\n", "no entry"),
        ("a.ndjson", b"{broken\n{broken\n", "not JSON"),
        ("a.csv", b"1,2", ".ndjson"),
        ("a", b"x", "unknown ending"),
        ("a.txt", b"text", "not for posts"),
        ("name with \xc3\xa4.json", b"{", "not JSON"),
    ],
)
async def test_what_is_not_acceptable_goes_aside_with_its_reason(
    world: World, name: str, content: bytes, said: str
) -> None:
    name = os.fsdecode(os.fsencode(name))
    await world.arrive(f"events/{name}", content)

    assert world.left() == []
    assert (world.root / ".rejected/events" / name).read_bytes() == content
    reason = world.reason(f"events/{name}")
    assert said in " ".join(error["detail"] for error in reason["errors"])
    assert {"file", "rejected_at", "hint"} < reason.keys()
    assert world.spool.counts() == {"waiting": 0, "blocked": 0, "rejected": 1}


async def test_a_refusal_points_at_the_field(world: World) -> None:
    await world.arrive("events/a.json", '{"event_type": "test", "log_level": "loud"}')

    assert world.reason("events/a.json")["errors"][0]["pointer"] == "/log_level"


async def test_nothing_aside_is_overwritten(world: World) -> None:
    for content in ("{one", "{two", "{three"):
        await world.arrive("events/a.json", content)

    assert world.aside() == ["events/a.1.json", "events/a.2.json", "events/a.json"]
    assert (world.root / ".rejected/events/a.json").read_text() == "{one"


async def test_a_long_name_finds_its_place_aside(world: World) -> None:
    name = "x" * 250 + ".json"
    await world.arrive(f"events/{name}", "{broken")

    assert [len(path) < 200 for path in world.aside()] == [True]
    assert world.spool.counts()["rejected"] == 1


async def test_a_name_that_is_no_utf8_does_no_harm(world: World) -> None:
    await world.arrive("events/" + os.fsdecode(b"\xff\xfe.json"), event(1))
    await world.arrive("events/" + os.fsdecode(b"\xff.json"), "{broken")

    assert len(await world.entries()) == 1
    assert world.spool.counts() == {"waiting": 0, "blocked": 0, "rejected": 1}


async def test_a_symlink_is_moved_aside_itself_and_never_followed(
    world: World, tmp_path: Path
) -> None:
    outside = tmp_path / "secret.json"
    outside.write_text(event(1))
    (world.root / "events/a.json").symlink_to(outside)
    await world.settle()

    assert await world.entries() == []
    assert (world.root / ".rejected/events/a.json").is_symlink()
    assert outside.exists()


async def test_a_fifo_is_moved_aside_without_waiting_for_a_writer(world: World) -> None:
    os.mkfifo(world.root / "events/a.json")
    await world.settle()

    assert (world.root / ".rejected/events/a.json").is_fifo()


async def test_a_linked_backend_folder_is_not_entered(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.json").write_text(event(1))
    (world.root / "events").rmdir()
    (world.root / "events").symlink_to(tmp_path / "elsewhere")
    await world.settle()

    assert await world.entries() == []
    assert [path for path, _ in world.spool.blocked_files()] == ["events"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("events/unknown/a.json", "not a kind"),
        ("events/a.json.reason.json", "reason file"),
        ("stray.json", "folder of a backend"),
        ("nobody/a.json", "no backend of this name"),
    ],
)
async def test_what_nobody_can_take_is_blocked_with_the_fix(
    world: World, path: str, said: str
) -> None:
    target = world.drop(path, event(1))
    await world.settle()

    ((_, why),) = world.spool.blocked_files()
    assert said in why
    assert world.spool.counts() == {"waiting": 0, "blocked": 1, "rejected": 0}
    assert target.exists()


async def test_a_file_above_the_limit_goes_aside_unread(world: World) -> None:
    world.start(max_request_bytes=100)
    await world.arrive("events/a.json", " " * 101)

    assert "larger than 100" in world.reason("events/a.json")["errors"][0]["detail"]


async def test_a_line_above_the_limit_goes_aside_whole(world: World) -> None:
    world.start(max_request_bytes=200)
    long = event(2) + " " * 500
    await world.arrive("events/a.ndjson", f"{event(1)}\n{long}\n{event(3)}\n")

    assert [number_of(p) for p in await world.payloads()] == [1, 3]
    assert (world.root / ".rejected/events/a.ndjson").read_text() == long + "\n"
    assert [error["line"] for error in world.reason("events/a.ndjson")["errors"]] == [2]


async def test_a_conflicting_key_goes_aside_and_the_other_lines_pass(world: World) -> None:
    await world.arrive("events/a.json", event(1, key="same"))
    lines = [event(2, key="same"), event(3, key="other")]
    await world.arrive("events/b.ndjson", "\n".join(lines))

    assert [number_of(p) for p in await world.payloads()] == [1, 3]
    assert [error["pointer"] for error in world.reason("events/b.ndjson")["errors"]] == ["/key"]


async def test_a_large_file_takes_several_transactions_in_order(world: World) -> None:
    world.start(batch_entries=10)
    world.drop("events/a.ndjson", "".join(event(number) + "\n" for number in range(45)))
    world.drop("events/b.json", event(45))
    os.utime(world.root / "events/a.ndjson", (1, 1))
    await world.settle()

    assert [number_of(p) for p in await world.payloads()] == list(range(46))
    assert world.left() == []


async def test_text_becomes_a_post_with_the_configured_experiment(world: World) -> None:
    world.start(text_defaults={"elog": {"experiment": "xpptut15"}})
    await world.arrive("elog/note.txt", b"\xef\xbb\xbfone\r\ntwo")

    assert await world.payloads() == [{"experiment": "xpptut15", "text": "one\ntwo"}]


async def test_text_without_an_experiment_is_refused_with_the_way_out(world: World) -> None:
    await world.arrive("elog/note.txt", "hello")

    reason = world.reason("elog/note.txt")
    assert "/payload/experiment" in [error["pointer"] for error in reason["errors"]]
    assert "front matter" in reason["hint"]


async def test_markdown_carries_its_fields_in_front_matter(world: World) -> None:
    text = "---\nexperiment: xpptut15\nrun: 7\nlabels: [sample=42]\n---\n\n# Title\r\nText\n"
    await world.arrive("elog/post/note.md", text)

    (entry,) = await world.entries()
    assert entry["payload"] == {"experiment": "xpptut15", "run": 7, "text": "# Title\nText\n"}
    assert entry["labels"]["sample"] == "42"


async def test_front_matter_that_is_not_understood_names_the_line(world: World) -> None:
    await world.arrive("elog/note.md", "---\nexperiment: x\nexpert: y\n---\ntext")

    assert world.reason("elog/note.md")["errors"][0]["line"] == 3


async def test_a_text_in_the_folder_of_another_kind_is_refused(world: World) -> None:
    (world.root / "elog/run_params").mkdir()
    await world.arrive("elog/run_params/note.txt", "hello")

    assert world.aside() == ["elog/run_params/note.txt"]


async def test_waiting_files_are_counted_with_and_without_a_daemon(world: World) -> None:
    for path in ("events/a.json", "elog/post/b.md", "elog/c.entry/entry.json", "elog/.d.json"):
        world.drop(path, "x")
    (world.root / ".rejected/elog/e.json").write_text("x")
    (world.root / ".rejected/elog/e.json.reason.json").write_text("{}")
    await world.spool.step()

    expected = {"waiting": 3, "blocked": 0, "rejected": 1}
    assert world.spool.counts() == expected
    assert count_spool(world.root, ["elog", "events"]) == expected


def test_counting_a_spool_that_does_not_exist_says_nothing_waits(tmp_path: Path) -> None:
    counted = count_spool(tmp_path / "nowhere", ["elog"])

    assert counted == {"waiting": 0, "blocked": 0, "rejected": 0}


async def test_a_deleted_spool_is_made_anew(world: World, tmp_path: Path) -> None:
    world.root.rename(tmp_path / "away")
    await world.spool.step()
    await world.arrive("events/a.json", event(1))

    assert len(await world.entries()) == 1


async def test_a_spool_that_cannot_be_made_is_told_and_tried_again(
    tmp_path: Path, world: World
) -> None:
    world.root.rename(tmp_path / "away")
    world.root.write_text("a file in its place")
    due = await world.spool.step()

    assert due == world.time + 30
    assert world.spool.counts()["blocked"] == 1
    world.root.unlink()
    await world.spool.step()
    assert world.spool.counts()["blocked"] == 0


async def test_many_files_are_all_taken_in_order(world: World) -> None:
    for number in range(300):
        world.drop(f"events/{number:05}.json", event(number))
    await world.settle()

    assert [number_of(p) for p in await world.payloads()] == list(range(300))
    assert world.left() == []


async def test_an_accepted_file_survives_the_outbox_being_opened_again(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        await world.arrive("events/a.json", event(1))
    outbox = Outbox(tmp_path / "state", {"elog": "", "events": ""})
    try:
        page, _ = await outbox.looks.list_entries()
    finally:
        outbox.close()

    assert len(page) == 1
