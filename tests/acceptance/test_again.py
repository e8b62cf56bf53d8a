"""A backend restored from an older copy, and a held entry that is corrected: as operators do it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.terminal import Terminal
from tests.world import World, wait_until
from tests.zygote import Zygote

SECONDS = 30.0
KEEP = "\n[receipts]\nkeep_payload_days = 7\n"


@pytest.fixture
def world(zygote: Zygote) -> Iterator[World]:
    with World(zygote) as world:
        with world.config.open("a") as file:
            file.write(KEEP)
        world.start()
        yield world


def record(number: int) -> dict[str, Any]:
    start = "2026-11-24T10:00:00Z"
    return {"record_id": f"r{number}", "components": [], "start_time": start}


def test_what_a_restored_backend_has_lost_is_found_out_and_sent_again(world: World) -> None:
    type_ = Terminal(world)
    ids = [world.put("accounting", record(number))[1]["id"] for number in range(4)]
    wait_until(world.drained, SECONDS, world.status)
    assert type_("verify", "--backend", "accounting") == 0, type_.out
    for lost in ("r1", "r3"):
        del world.accounting.table[lost]

    asked = ("verify", "--backend", "accounting", "--since", "1h")
    answers = {one["id"]: one["answer"] for one in type_.json(*asked)["receipts"]}
    missing = [id_ for id_, answer in answers.items() if answer == "missing"]
    assert (sorted(missing), len(answers)) == (sorted([ids[1], ids[3]]), 4)
    assert type_(*asked, "--resend-missing", "--yes") == 0, type_.err
    wait_until(world.drained, SECONDS, world.status)
    # All of them, whatever is there: AUDITOR says so of what it holds.
    assert type_("resend", "--backend", "accounting", "--yes") == 0, type_.err
    wait_until(world.drained, SECONDS, world.status)

    assert sorted(one["record_id"] for one in world.accounting.ledger()) == ["r0", "r1", "r2", "r3"]
    assert [type_.state_of(one) for one in ids] == ["delivered"] * 4
    assert type_("verify", "--backend", "accounting") == 0, type_.out


def test_a_held_entry_is_corrected_and_leaves_as_it_is_then(world: World) -> None:
    type_ = Terminal(world)
    world.request("POST", "/v1/backends/events/pause", admin=True)
    id_ = type_.put("events", {"event_type": "test", "event_data": {"run": 7}})
    assert type_("hold", id_, "--reason", "wrong run") == 0
    world.request("POST", "/v1/backends/events/resume", admin=True)

    assert type_("edit", id_, "--payload", "-", stdin={"event_type": "no such type"}) == 65
    assert "/event_type" in type_.err
    right = {"event_type": "test", "event_data": {"run": 8}}
    assert type_("edit", id_, "--payload", "-", stdin=right) == 0, type_.err
    assert type_.state_of(id_) == "held"
    assert type_("release", id_) == 0

    wait_until(world.drained, SECONDS, world.status)
    assert [one["event_data"] for one in world.events.ledger()] == [{"run": 8}]
    assert [one["verb"] for one in type_.json("show", id_)["operators"]] == [
        "hold",
        "edit",
        "release",
    ]
