"""A model that predicts every outcome, and the examples that it comes upon too rarely."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from storage.amend import discard, hold, release, retry
from tests.outbox_model import HOWS, OutboxModel

TestOutboxModel = OutboxModel.TestCase
TestOutboxModel.settings = settings(max_examples=40, stateful_step_count=30)


# What a model comes upon too rarely.


@pytest.fixture
def model() -> Iterator[OutboxModel]:
    made = OutboxModel()
    yield made
    made.every_row_is_as_predicted()
    made.every_live_stream_has_one_head()
    made.teardown()


def sent(model: OutboxModel, key: str) -> Any:
    """An entry of the stream "s" that is on the wire."""
    model.accept(key, "x", "s", None)
    return model.claim(1)


def test_a_stopped_stream_stays_stopped_when_an_earlier_dead_letter_is_retried(
    model: OutboxModel,
) -> None:
    model.settle(sent(model, "a"), "bury")
    model.settle(sent(model, "b"), "stop")
    model.accept("c", "x", "s", None)

    model.operate(retry, "a")
    assert model.claim(3) == []
    model.operate(retry, "b")

    for key in "abc":
        ((one, _),) = batch = model.claim(3)
        assert one.key == key
        model.settle(batch, "confirm")


def test_a_held_head_stops_its_stream_and_gives_the_turn_back(model: OutboxModel) -> None:
    for key in "abc":
        model.accept(key, "x", "s", None)
    model.operate(hold, "a")
    model.operate(hold, "b")

    assert model.claim(3) == []
    model.operate(release, "b")
    assert model.claim(3) == []
    model.operate(discard, "a")

    ((one, _),) = model.claim(3)
    assert one.key == "b"


def test_what_is_held_behind_a_head_becomes_a_head_that_is_held(model: OutboxModel) -> None:
    batch = sent(model, "a")
    model.accept("b", "x", "s", None)
    model.accept("c", "x", "s", None)
    model.operate(hold, "b")

    model.settle(batch, "confirm")

    assert model.claim(3) == []
    model.operate(release, "b")
    assert len(model.claim(3)) == 1


def test_a_held_entry_that_expires_lets_its_stream_go_on(model: OutboxModel) -> None:
    model.accept("a", "x", "s", 2000)
    model.accept("b", "x", "s", None)
    model.operate(hold, "a")
    model.time_passes(2000)

    model.expire()
    model.operate(release, "a")

    assert len(model.claim(3)) == 1


@pytest.mark.parametrize("meanwhile", ["restart", "claimed again", "held", "buried"])
def test_a_worker_of_an_earlier_life_changes_no_row(model: OutboxModel, meanwhile: str) -> None:
    late = sent(model, "a")
    model.restart()
    match meanwhile:
        case "claimed again":
            model.claim(1)
        case "held":
            model.operate(hold, "a")
        case "buried":
            model.settle(model.claim(1), "bury")

    for how in HOWS:
        model.settle(late, how)
    model.note_send(late)


@pytest.mark.parametrize("verb", [hold, release])
def test_what_is_on_the_wire_is_neither_held_nor_released(model: OutboxModel, verb: Any) -> None:
    batch = sent(model, "a")

    model.operate(verb, "a")

    model.settle(batch, "confirm")
    assert model.delivered == {"a": "x"}


@pytest.mark.parametrize("verb", [hold, release])
def test_a_dead_letter_is_neither_held_nor_released(model: OutboxModel, verb: Any) -> None:
    model.settle(sent(model, "a"), "bury")

    model.operate(verb, "a")

    assert model.claim(1) == []


@pytest.mark.parametrize("dead", [False, True])
def test_what_is_in_doubt_is_not_edited(model: OutboxModel, dead: bool) -> None:
    model.settle(sent(model, "a"), "doubt")
    if dead:
        model.settle(model.claim(1), "bury")
    model.edit("a", "y", "t")


def test_what_is_edited_into_a_stream_takes_its_place_there(model: OutboxModel) -> None:
    model.accept("a", "x", "t", None)
    model.accept("b", "x", "s", None)
    model.edit("a", "x", "s")
    model.settle(model.claim(3), "keep")
    model.send_again("a")
    model.settle(model.claim(3), "confirm")
    model.settle(model.claim(3), "confirm")
