"""How a question wants to be answered, as parameters say it."""

import pytest

from agent.reads.manner import Manner, WrongManner, seconds, split


def test_the_manner_is_told_apart_from_the_question() -> None:
    given = [("run", "1"), ("mode", "live"), ("run", "2"), ("partial", "TRUE")]

    manner, rest = split(given)

    assert manner == Manner("live", partial=True)
    assert rest == [("run", "1"), ("run", "2")]


@pytest.mark.parametrize(
    "manner",
    [
        Manner(),
        Manner("offline", partial=True),
        Manner(max_age_seconds=86_400 * 400, include_queued=True),
        Manner(max_age_seconds=0),
    ],
)
def test_it_survives_being_sent(manner: Manner) -> None:
    assert split(manner.parameters()) == (manner, [])


@pytest.mark.parametrize(
    ("text", "meant"), [("90", 90), ("0", 0), ("90s", 90), ("1h30m", 5400), ("2d", 172_800)]
)
def test_ages(text: str, meant: float) -> None:
    assert seconds(text) == meant


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ([("mode", "fast")], "mode"),
        ([("mode", "live"), ("mode", "live")], "mode"),
        ([("max_age", "soon")], "max_age"),
        ([("max_age", "-1")], "max_age"),
        ([("max_age", "1e3")], "max_age"),
        ([("max_age", "")], "max_age"),
        ([("max_age", "٣")], "max_age"),
        ([("max_age", "1h"), ("mode", "live")], "max_age"),
        ([("max_age", "1h"), ("mode", "offline")], "max_age"),
        ([("partial", "maybe")], "partial"),
        ([("include_queued", "")], "include_queued"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    given: list[tuple[str, str]], parameter: str
) -> None:
    with pytest.raises(WrongManner) as wrong:
        split(given)

    assert wrong.value.parameter == parameter
