"""What an Event Manager's answers tell of its rate limits."""

import json

import pytest

from adapters.answer import Answer
from adapters.base import Limit
from adapters.event_manager.limits import Limits

BOTH = {"x-ratelimit-limit": "300", "x-ratelimit-burst-limit": "50"}
USUAL = [Limit(50, 1), Limit(300, 60)]


def learnt(*answers: tuple[Answer, bool]) -> list[Limit]:
    limits = Limits()
    for answer, own in answers:
        limits.learn(answer, own=own)
    return list(limits.known)


def taken(headers: dict[str, str]) -> tuple[Answer, bool]:
    return Answer(200, headers, b"{}"), True


def foreign(headers: dict[str, str]) -> tuple[Answer, bool]:
    return Answer(502, headers, b"<html>"), False


def too_many(words: str, **headers: str) -> tuple[Answer, bool]:
    body = json.dumps({"detail": f"Rate limit exceeded: {words}"}).encode()
    return Answer(429, {**headers, "content-type": "application/json"}, body), False


def test_the_headers_tell_both_limits() -> None:
    assert learnt(taken(BOTH)) == USUAL
    assert learnt(foreign(BOTH)) == USUAL
    assert learnt(taken({"x-ratelimit-limit": "10"})) == [Limit(10, 60)]


def test_an_answer_to_what_was_taken_without_limits_ends_them() -> None:
    assert learnt(taken(BOTH), taken({})) == []
    assert learnt(taken(BOTH), taken({"x-ratelimit-limit": "300"})) == [Limit(300, 60)]


def test_an_answer_of_somebody_else_ends_nothing() -> None:
    assert learnt(taken(BOTH), foreign({})) == USUAL


def test_a_refusal_says_the_seconds_too_and_they_are_kept() -> None:
    burst = too_many("20 requests per 2 seconds (burst limit)")
    sustained = too_many("500 requests per 300 seconds")
    headers = {"x-ratelimit-limit": "500", "x-ratelimit-burst-limit": "20"}

    assert learnt(burst, sustained) == [Limit(20, 2), Limit(500, 300)]
    assert learnt(burst, sustained, taken(headers)) == [Limit(20, 2), Limit(500, 300)]
    assert learnt(burst, sustained, taken(BOTH)) == USUAL


def test_the_refusal_of_a_minute_does_not_end_the_limit_of_a_second() -> None:
    refusal = too_many("300 requests per 60 seconds", **{"x-ratelimit-limit": "300"})

    assert learnt(taken(BOTH), refusal) == USUAL


@pytest.mark.parametrize("odd", ["", "none", "-5", "0", "1e3x", "9" * 30, "\u0663"])
def test_an_odd_number_limits_nothing(odd: str) -> None:
    known = learnt(taken({"x-ratelimit-limit": odd}))

    assert known == ([Limit(1, 60)] if odd == "1e3x" else [])


@pytest.mark.parametrize("words", ["0 requests per 1 seconds", "5 requests per 0 seconds", "later"])
def test_odd_words_limit_nothing(words: str) -> None:
    assert learnt(too_many(words)) == []
