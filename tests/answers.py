"""Every answer that a backend, or what stands in its place, can give: for tables of verdicts."""

from collections.abc import Callable, Iterator
from typing import Any

from adapters.answer import Answer
from adapters.verdict import DeliveryError, Refused, Rejected, Throttled, Uncertain

STATUSES = range(100, 600)
JSON, HTML = "application/json", "text/html; charset=utf-8"
LOGIN = b"<!doctype html><title>Guest network</title><form action=/login>Please log in</form>"
ELSEWHERE = "https://login.example/"

Home = tuple[type[DeliveryError], bool, bool]


def answer(status: int, body: bytes, media_type: str = JSON, **headers: str) -> Answer:
    return Answer(status, {"content-type": media_type, **headers}, body)


def strangers(status: int, proof: bytes) -> Iterator[tuple[str, Answer]]:
    """What is no proof, whatever the status. `proof`: the body that would be one with 200."""
    yield "empty", answer(status, b"")
    yield "unlabelled", Answer(status, {}, proof)
    yield "cut short", answer(status, proof[: len(proof) * 2 // 3])
    yield "HTML", answer(status, b"<html><body>Bad Gateway</body></html>", HTML)
    yield "captive portal", answer(status, LOGIN, HTML)
    yield "HTML that says JSON", answer(status, LOGIN)
    yield "proof that says HTML", answer(status, proof, HTML)
    yield "proof that says text", answer(status, proof, "text/plain")
    yield "somebody else's JSON", answer(status, b'{"status": "ok", "id": 7}')
    yield "a list", answer(status, b"[" + proof + b"]")
    yield "null", answer(status, b"null")
    yield "redirect", answer(status, b"", HTML, location=ELSEWHERE)
    yield "later", answer(status, b"", HTML, **{"retry-after": "7"})


def home(status: int, name: str, *, sent: bool) -> Home:
    """The verdict of a stranger's answer: its class, `landed`, `credentials`.

    `sent`: the answer is to something that may have been stored.
    """
    if status == 429 or (status == 503 and name == "later"):
        return Throttled, False, False
    if status == 408 or status >= 500:
        return Uncertain, False, False
    if status == 413 and sent:
        return Rejected, False, False
    return Refused, sent and status < 300, status in (401, 407)


def told(error: DeliveryError) -> Home:
    """The same of a verdict."""
    landed = getattr(error, "landed", False)
    return type(error), landed, getattr(error, "credentials", False)


def misjudged(
    judge: Callable[[Answer], Any], proof: bytes, *, sent: bool, unlike: Callable[[int, str], bool]
) -> dict[Any, Any]:
    """The stranger's answers that `judge` finds another home for; `unlike`: not looked at here."""
    wrong = {}
    for status in STATUSES:
        for name, one in strangers(status, proof):
            verdict = judge(one)
            found = told(verdict) if isinstance(verdict, DeliveryError) else verdict
            if found != home(status, name, sent=sent) and not unlike(status, name):
                wrong[status, name] = found
    return wrong
