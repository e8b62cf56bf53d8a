"""How many requests an Event Manager takes, learnt from what it answers anyway. Pure.

Servers since 0.6.0 count requests per address, and tell the limits in the headers of every answer
to an address that they count. Whom they do not count, loopback and the addresses that an operator
has exempted, they tell nothing; so no version has to be asked for, which would slow down exactly
those that need not be (event manager sheet, section 3).
"""

import re
from collections.abc import Sequence

from adapters.answer import Answer
from adapters.base import Limit

# The headers do not say in how many seconds; a 429 does, in words. These are the defaults.
SUSTAINED_SECONDS, BURST_SECONDS = 60, 1
_WORDS = re.compile(r"(\d{1,9}) requests per (\d{1,9}) seconds( \(burst limit\))?", re.ASCII)
_NUMBER = re.compile(r"\s*(\d{1,9})(?!\d)", re.ASCII)


class Limits:
    """The limits of one server, as far as it has told them by now."""

    def __init__(self) -> None:
        self._sustained: Limit | None = None
        self._burst: Limit | None = None

    @property
    def known(self) -> Sequence[Limit]:
        """What may be sent; empty where nothing is known to be limited."""
        return [one for one in (self._burst, self._sustained) if one is not None]

    def learn(self, answer: Answer, *, own: bool) -> None:
        """Read an answer. `own`: the server itself gave it, to a request that it took.

        Such an answer without a limit says that there is none for us (any more).
        """
        sustained = _number(answer, "x-ratelimit-limit")
        burst = _number(answer, "x-ratelimit-burst-limit")
        if sustained is not None or own:
            self._sustained = _limit(sustained, self._sustained, SUSTAINED_SECONDS)
        if burst is not None or own:
            self._burst = _limit(burst, self._burst, BURST_SECONDS)
        self._learn_from_words(answer)

    def _learn_from_words(self, answer: Answer) -> None:
        told = _WORDS.search(answer.text) if answer.status == 429 else None  # noqa: PLR2004
        if told is None or not (int(told[1]) and int(told[2])):
            return
        limit = Limit(int(told[1]), float(told[2]))
        if told[3]:
            self._burst = limit
        else:
            self._sustained = limit


def _limit(requests: int | None, known: Limit | None, seconds: int) -> Limit | None:
    """So many requests, in as many seconds as a 429 has said before, or as is usual."""
    if requests is None or (known is not None and known.requests == requests):
        return known if requests else None
    return Limit(requests, float(seconds))


def _number(answer: Answer, header: str) -> int | None:
    """A header's number; None when there is none, or nothing would be left to send."""
    found = _NUMBER.match(answer.headers.get(header, ""))
    return int(found[1]) or None if found else None
