"""What operators do while entries flow: pause, resume, hold, release, set a password right."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.terminal import Terminal
from tests.world import EXPERIMENT, NDJSON, World, wait_until
from tests.zygote import Zygote

SECONDS = 20.0
AN_HOUR = "[retry]\nauth_retry_seconds = 3600\n"


@pytest.fixture
def world(zygote: Zygote) -> Iterator[World]:
    with World(zygote) as world:
        yield world


@pytest.fixture
def type_(world: World) -> Terminal:
    return Terminal(world)


def event(number: int) -> dict[str, Any]:
    return {"event_type": "test", "event_data": {"n": number}}


def arrived(world: World) -> list[int]:
    return [one["event_data"]["n"] for one in world.events.ledger()]


def backend(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.status()["backends"][name]
    return found


def put(world: World, name: str, payload: dict[str, Any], **envelope: Any) -> str:
    status, answer = world.put(name, payload, **envelope)
    assert status == 202, answer
    return str(answer["id"])


def put_many(world: World, name: str, payloads: list[dict[str, Any]]) -> None:
    lines = [json.dumps({"backend": name, "payload": one}) for one in payloads]
    body = "\n".join(lines).encode()
    answers = world.request("POST", "/v1/entries", body, NDJSON)[1]
    assert {one["status"] for one in answers} == {202}


def state_of(world: World, id_: str) -> str:
    return str(world.request("GET", f"/v1/entries/{id_}")[1]["state"])


def let_another_backend_pass(world: World, number: int) -> None:
    """All lanes have gone round since: an entry of another one has been delivered."""
    id_ = put(world, "telemetry", {"type": "weather", "data": {"n": number}})
    wait_until(lambda: state_of(world, id_) == "delivered", SECONDS, world.log.read_text)


def test_a_pause_stops_what_flows_and_a_resume_brings_all_of_it(
    world: World, type_: Terminal
) -> None:
    world.served["events"].fault("delay", seconds=0.3)
    world.start()
    put_many(world, "events", [event(n) for n in range(100)])
    wait_until(lambda: len(arrived(world)) > 3, SECONDS)

    assert type_("pause", "events", "--for", "1h", "--reason", "new disks") == 0
    assert type_.out.startswith("paused events until ")
    wait_until(lambda: not backend(world, "events")["leased"], SECONDS)
    so_far = len(arrived(world))
    assert so_far < 100
    status, answer = world.put("events", event(100))
    assert (status, answer["queue"]["backend_state"]) == (202, "paused")
    world.kill()
    world.start()
    let_another_backend_pass(world, 1)

    assert len(arrived(world)) == so_far
    assert type_("status") == 0, "a pause is fine"
    assert "events: paused for " in type_.out
    assert ": new disks" in type_.out
    assert type_("show", answer["id"]) == 0
    assert "events is paused for " in type_.out
    world.served["events"].heal()
    assert type_("resume", "events") == 0
    assert type_.out == "resumed events\n"
    wait_until(lambda: len(arrived(world)) == 101, SECONDS)
    assert sorted(arrived(world)) == list(range(101))
    assert backend(world, "events")["state"] == "flowing"


def test_one_of_three_in_order_is_held_and_the_third_waits_behind_it(
    world: World, type_: Terminal
) -> None:
    world.start()
    assert world.request("POST", "/v1/backends/events/pause", admin=True)[0] == 200
    first, second, third = (put(world, "events", event(n), stream="scan") for n in range(3))
    assert type_("hold", second, "--reason", "wrong sample") == 0
    assert type_.out == f"held {second}\n"
    assert world.request("POST", "/v1/backends/events/resume", admin=True)[0] == 200
    wait_until(lambda: state_of(world, first) == "delivered", SECONDS)
    let_another_backend_pass(world, 1)

    assert arrived(world) == [0]
    assert type_("show", second) == 0
    assert "wrong sample" in type_.out
    assert f"holdfast release {second}" in type_.out
    assert type_("show", third) == 0
    assert f"sent after entry {second}, which goes first; that one is held" in type_.out
    assert type_("release", "ALL") == 0
    assert "released 1 of events\n" in type_.out
    wait_until(lambda: state_of(world, third) == "delivered", SECONDS)
    assert arrived(world) == [0, 1, 2]


def test_a_wrong_password_is_tried_once_and_once_more_for_each_resume(
    world: World, type_: Terminal
) -> None:
    (world.home / "conf.d").mkdir()
    (world.home / "conf.d" / "retry.toml").write_text(AN_HOUR)
    password = world.home / "elog-password"
    password.write_text("wrong\n")
    tries = world.served["elog"].faulty.requests
    world.start()

    id_ = put(world, "elog", {"experiment": EXPERIMENT, "text": "The beam is back."})
    wait_until(lambda: backend(world, "elog")["state"] == "refused", SECONDS)
    let_another_backend_pass(world, 1)
    assert tries.total() == 1
    assert type_("status") == 1
    assert type_("show", id_) == 0
    assert "our credentials" in type_.out

    assert type_("resume", "elog") == 0
    assert type_.out == "elog was not paused; tried now\n"
    wait_until(lambda: tries.total() == 2, SECONDS)
    wait_until(lambda: not backend(world, "elog")["leased"], SECONDS)

    assert world.stop() == 0
    world.start()
    let_another_backend_pass(world, 2)
    assert tries.total() == 2, "a restart does not try the same password"

    password.write_text("secret\n")  # nobody tells the agent
    wait_until(lambda: len(world.elog.ledger()) == 1, SECONDS, world.log.read_text)
    wait_until(lambda: state_of(world, id_) == "delivered", SECONDS)
    (again,) = [path for path, times in tries.items() if times > 1]
    assert tries[again] == 3, "twice with the wrong one, once with the right one"


def test_posts_of_last_weeks_experiment_are_kept_with_the_reason_and_todays_goes(
    world: World, type_: Terminal
) -> None:
    today = "mfxl2000224"
    world.elog.world.add_experiment(today)
    world.elog.world.switch(today)  # the operator account may no longer post to the other one
    world.start()
    put_many(world, "elog", [{"experiment": EXPERIMENT, "text": f"{n}"} for n in range(40)])

    id_ = put(world, "elog", {"experiment": today, "text": "today"})

    wait_until(lambda: state_of(world, id_) == "delivered", SECONDS, world.log.read_text)
    (begun,) = backend(world, "elog")["scopes"]
    tried = world.served["elog"].faulty.requests
    wait_until(lambda: max(tried.values()) > 2, SECONDS, lambda: tried)
    (part,) = backend(world, "elog")["scopes"]
    assert (part["scope"], part["state"], part["waiting"]) == (EXPERIMENT, "parked", 40)
    assert not part["and_more"]
    assert part["since"] == begun["since"], "it is one long wait"
    type_("status")
    line = next(one for one in type_.out.splitlines() if one.startswith(f"elog / {EXPERIMENT}: "))
    assert " 40 waiting, next try " in line
    assert "(403)" in line
    last = world.request("GET", "/v1/entries?backend=elog&limit=1000")[1]["entries"][-1]["id"]
    type_("show", last)
    assert f"{EXPERIMENT} waits since " in type_.out, "it was never tried itself"
    world.elog.world.switch(EXPERIMENT)
    assert type_("resume", "elog") == 0
    wait_until(lambda: len(world.elog.ledger()) == 41, SECONDS, world.log.read_text)
