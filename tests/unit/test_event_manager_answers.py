"""The verdict of every answer to the event_manager adapter: the docs page's table, row by row."""

import json
from typing import Any

import pytest

from adapters.answer import Answer
from adapters.event_manager.answers import event_in, is_absence, unproven, unread
from adapters.verdict import DeliveryError
from tests.answers import STATUSES, answer, home, misjudged, told

EVENT = json.dumps({"_id": "mine", "event_type": "log", "event_data": {}}).encode()
ABSENT = json.dumps({"detail": "Event with ID mine not found"}).encode()


def posted(one: Answer) -> DeliveryError | str:
    return "stored" if event_in(one, "mine") else unproven(one, "http://e/event")


def looked_up(one: Answer) -> DeliveryError | str:
    if event_in(one, "mine"):
        return "stored"
    return "absent" if is_absence(one, "mine") else unread(one, "http://e/event/mine")


@pytest.mark.parametrize(("judge", "sent"), [(posted, True), (looked_up, False)])
def test_every_answer_of_a_stranger_has_a_home_and_confirms_nothing(judge: Any, sent: bool) -> None:
    assert misjudged(judge, EVENT, sent=sent, unlike=lambda *_: False) == {}


@pytest.mark.parametrize("judge", [posted, looked_up])
def test_our_event_is_proof_with_200_alone(judge: Any) -> None:
    assert [status for status in STATUSES if judge(answer(status, EVENT)) == "stored"] == [200]


def test_an_absence_is_one_with_404_alone_and_only_to_a_look_up() -> None:
    assert [s for s in STATUSES if looked_up(answer(s, ABSENT)) == "absent"] == [404]
    assert told(posted(answer(404, ABSENT))) == home(404, "", sent=True)  # type: ignore[arg-type]


def test_the_server_judges_with_400_and_422_alone() -> None:
    said = b'{"detail": [{"loc": ["body", "log_level"], "msg": "Input should be 0"}]}'
    judged = [s for s in STATUSES if type(posted(answer(s, said))).__name__ == "Rejected"]
    elsewhere = [s for s in STATUSES if type(looked_up(answer(s, said))).__name__ == "Rejected"]

    assert (judged, elsewhere) == ([400, 413, 422], [])
