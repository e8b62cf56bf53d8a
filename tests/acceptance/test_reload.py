"""SIGHUP: the settings are read again, and nothing that waits or is just coming in is lost."""

import json
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.ledgers import balance, payload
from tests.world import World, wait_until

EXPERIMENT_LINES = '[backends.more]\nkind = "event_manager"\nurl = "{url}"\n'


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.start()
        yield made


def hang_up(world: World) -> None:
    assert world.process is not None
    world.process.send_signal(signal.SIGHUP)


def told(world: World, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in world.log.read_text().splitlines() if line[:1] == "{"]
    return [line for line in lines if line["event"] == event]


def test_a_reload_takes_new_settings_and_loses_nothing(world: World) -> None:
    accepted: list[tuple[str, str]] = []
    over = threading.Event()

    def produce() -> None:
        while not over.is_set():
            mark = f"m{len(accepted):04d}"
            status, answer = world.put("events", payload("events", mark), key=mark)
            assert status == 202, answer
            accepted.append(("events", mark))

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        for number in range(1, 3):
            with world.config.open("a") as config:
                more = EXPERIMENT_LINES.format(url=world.served["events"].url)
                config.write(more.replace("more", f"more{number}"))
            hang_up(world)
            wait_until(lambda n=number: len(told(world, "settings.reloaded")) == n, 20)  # type: ignore[misc]
            wait_until(lambda n=number: f"more{n}" in world.status()["backends"], 20)  # type: ignore[misc]
    finally:
        over.set()
        producer.join()

    wait_until(world.drained, 30, world.status)
    assert len(accepted) > 2
    assert balance(world, accepted).exact
    assert world.stop() == 0


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ("[backends.events2]\nkind = 'no such kind'\nurl = 'http://x'\n", "backends.events2.kind"),
        ("nonsense", "is not TOML"),
        ("[limits]\n", "is not TOML"),
    ],
)
def test_wrong_settings_are_told_and_the_agent_goes_on(world: World, wrong: str, key: str) -> None:
    with world.config.open("a") as config:
        config.write(wrong)

    hang_up(world)
    wait_until(lambda: bool(told(world, "settings.refused")), 20)

    assert key in str(told(world, "settings.refused")[0]["problems"])
    assert world.put("events", payload("events", "m1"))[0] == 202
    wait_until(world.drained, 20, world.status)


def test_what_only_a_restart_can_change_is_named(world: World) -> None:
    text = world.config.read_text()
    world.config.write_text(text.replace("grace_seconds = 5", "grace_seconds = 6"))

    hang_up(world)
    wait_until(lambda: bool(told(world, "settings.refused")), 20)

    assert told(world, "settings.refused")[0]["problems"] == [
        "agent.grace_seconds: a change needs a restart"
    ]
