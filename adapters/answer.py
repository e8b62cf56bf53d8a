"""What a backend answered, read to its end, and what any answer may mean that refuses us.

Promises: pure; nothing of an answer is trusted to be what its labels say.
"""

import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from adapters.verdict import DeliveryError, Refused, Throttled

LONGEST_NUMBER = 9  # digits of a Retry-After: 30 years are as good as any longer time


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend answered, read to its end. `body` is bytes; nothing is trusted yet."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; undecodable bytes are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The content type without parameters, lower case; empty when absent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        """Does the body look like a web page, whatever its label says?"""
        return self.body.lstrip()[:1] == b"<" or self.media_type == "text/html"

    @property
    def retry_after(self) -> float | None:
        """Seconds of a Retry-After header (seconds or HTTP date), never negative."""
        raw = self.headers.get("retry-after", "").strip()
        if raw.isascii() and raw.isdigit():
            return float(raw[:LONGEST_NUMBER])
        try:
            due = email.utils.parsedate_to_datetime(raw)
            sent = email.utils.parsedate_to_datetime(self.headers.get("date", ""))
            return max(0.0, (due - sent).total_seconds())
        except (TypeError, ValueError):
            return None

    def json(self) -> Any | None:
        """The body as JSON whatever its label says; None when it is not JSON (or is null)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Sink(Protocol):
    """Takes the body of an answer in parts, where it may be too large to be held whole."""

    def opened(self, head: Answer) -> bool:
        """Is this the answer whose body is wanted? Any other is read whole. `head`: no body yet."""
        ...

    def part(self, part: bytes) -> bool:
        """The next bytes of the body; False: no more is wanted."""
        ...


def refusal_of_us(answer: Answer, url: str) -> DeliveryError | None:
    """The verdict of answers that mean the same from every backend, or None.

    401, 403, 407 and redirects refuse us; 429, and 503 with Retry-After, ask us to wait.
    404 and 405 are not here: some backends use them for an entry, not for an endpoint.
    """
    status, excerpt = answer.status, answer.text
    if status in (401, 407):
        detail = f"{url} answered {status}: the credentials are not accepted"
        return Refused(detail, status=status, excerpt=excerpt, credentials=True)
    if status == HTTPStatus.FORBIDDEN:
        return Refused(f"{url} answered 403: we may not do this", status=status, excerpt=excerpt)
    if 300 <= status < 400:  # noqa: PLR2004 - the range is the meaning
        target = answer.headers.get("location", "nowhere")
        detail = f"{url} answered {status} and points to {target}: is the url of the backend right?"
        return Refused(detail, status=status, excerpt=excerpt)
    asked = answer.retry_after
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and asked is not None
    ):
        detail = f"{url} answered {status}: it asks us to come back later"
        return Throttled(detail, retry_after=asked, status=status, excerpt=excerpt)
    return None
